"""Writes open_answer.json: what known_answer.py's model makes of answers of text.

Prompt gradients and losses (the mean over an answer's tokens) of two examples, then what is written greedily
behind the prompt and each text.
"""
import torch

from known_answer import behind, prompt, write

WRITTEN = 6

gradients, losses, written = [], [], []
for text, answer in [([5, 30, 2], [7, 11, 12]), ([3, 14, 15, 9, 26, 5], [20, 1])]:
    leaf = prompt.clone().requires_grad_()
    logits = behind(leaf, text + answer)[len(prompt) + len(text) - 1 : -1]
    loss = torch.nn.functional.cross_entropy(logits, torch.tensor(answer))
    loss.backward()
    gradients += leaf.grad.flatten().tolist()
    losses.append(loss.item())
    ids = list(text)
    for _ in range(WRITTEN):
        ids.append(behind(prompt, ids)[-1].argmax().item())
    written += ids[len(text):]
write("open_answer.json", gradients + losses + written)
