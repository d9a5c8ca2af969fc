"""The measurements of core/benches/model_step.rs, written plainly with transformers in PyTorch eager mode.

`python model_step.py [blocks] [repeats]` with torch and transformers; 2 threads unless THREADS says otherwise.
Prints one JSON line for each measurement: the smallest wall and CPU seconds of the repeats.
"""

import json
import os
import sys
import time

import torch
from transformers import LlamaConfig, LlamaModel

BATCH, TEXT, PROMPT = 16, 44, 20
torch.set_num_threads(int(os.environ.get("THREADS", 2)))
numbers = [int(x) for x in sys.argv[1:]]
blocks, repeats = (numbers + [6, 5][len(numbers):])[:2]
model = LlamaModel(LlamaConfig(
    vocab_size=49152, hidden_size=576, num_hidden_layers=blocks, num_attention_heads=9, num_key_value_heads=3,
    intermediate_size=1536, rms_norm_eps=1e-5, rope_parameters={"rope_type": "default", "rope_theta": 1e5}))
model.eval().requires_grad_(False)
ids = (torch.arange(BATCH * TEXT) * 7919 % 49152).reshape(BATCH, TEXT)
mask = torch.ones(BATCH, PROMPT + TEXT, dtype=torch.long)


def forward(prompt):
    embeddings = torch.cat([prompt, model.embed_tokens(ids)], 1)
    return model(inputs_embeds=embeddings, attention_mask=mask, use_cache=False).last_hidden_state


def measure(what, step):
    step()
    wall, cpu = float("inf"), float("inf")
    for _ in range(repeats):
        start, before = time.perf_counter(), time.process_time()
        step()
        wall, cpu = min(wall, time.perf_counter() - start), min(cpu, time.process_time() - before)
    print(json.dumps({"what": what, "blocks": blocks, "wall_s": wall, "cpu_s": cpu}))


def backward(read):
    leaf = torch.full((BATCH, PROMPT, 576), 0.01, requires_grad=True)
    read(forward(leaf)).sum().backward()
    return leaf.grad.sum().item()


def plain():
    with torch.no_grad():
        forward(torch.full((BATCH, PROMPT, 576), 0.01)).sum().item()


measure("forward, all places", plain)
measure("forward and backward, all places", lambda: backward(lambda hidden: hidden))
measure("forward and backward, one place", lambda: backward(lambda hidden: hidden[:, -1]))
