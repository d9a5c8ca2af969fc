"""Writes adam.json: three steps of torch.optim.Adam and AdamW on two numbers."""
import json
import pathlib

import torch

golden = []
for make in (
    lambda x: torch.optim.Adam([x], lr=0.1),
    lambda x: torch.optim.AdamW([x], lr=0.1, weight_decay=0.5),
):
    x = torch.tensor([1.0, -2.0], requires_grad=True)
    optimiser = make(x)
    steps = []
    for gradient in ([0.5, -1.0], [0.25, 3.0], [-1.0, 0.0]):
        x.grad = torch.tensor(gradient)
        optimiser.step()
        steps.append(x.detach().tolist())
    golden.append(steps)
pathlib.Path(__file__).with_name("adam.json").write_text(json.dumps(golden) + "\n")
