"""The steps of core/benches/step.rs, written plainly with transformers in PyTorch eager mode.

`python step.py [repeats] [teacher's blocks]` with torch and transformers; 2 threads unless THREADS
says otherwise. Prints one JSON line for each measurement: the smallest wall and CPU seconds.

Plainly: tuning with privacy takes per-example gradients from one expanded leaf as we do, clips and
adds float noise; distilling has the teacher's hidden states at hand and takes its divergence at the
same sampled rows; transferring has z_t, z_s and z_s^p at hand. What PyTorch does not get is what
our own code computes less of: the last block everywhere, logits of the whole vocabulary under
autograd.
"""

import json
import os
import sys
import time

import torch
from torch.nn import functional as F
from transformers import LlamaConfig, LlamaForCausalLM

TEXT, PROMPT, BATCH, MICRO = 44, 20, 64, 16
torch.set_num_threads(int(os.environ.get("THREADS", 2)))
torch.manual_seed(0)
numbers = [int(x) for x in sys.argv[1:]]
repeats, blocks = (numbers + [5, 30][len(numbers):])[:2]


def model(count):
    return LlamaForCausalLM(LlamaConfig(
        vocab_size=49152, hidden_size=576, num_hidden_layers=count, num_attention_heads=9,
        num_key_value_heads=3, intermediate_size=1536, rms_norm_eps=1e-5, tie_word_embeddings=True,
        rope_parameters={"rope_type": "default", "rope_theta": 1e5})).requires_grad_(False)


def ids(count):
    return (torch.arange(count * TEXT) * 7919 % 49152).reshape(count, TEXT)


def measure(what, count, step):
    step()
    wall, cpu = float("inf"), float("inf")
    for _ in range(repeats):
        start, before = time.perf_counter(), time.process_time()
        step()
        wall = min(wall, time.perf_counter() - start)
        cpu = min(cpu, time.process_time() - before)
    print(json.dumps({"what": what, "blocks": count, "wall_s": wall, "cpu_s": cpu}), flush=True)


def divergence(target, logits, t=2.0):
    return t * t * F.kl_div(
        F.log_softmax(logits / t, -1), F.log_softmax(target / t, -1), log_target=True, reduction="batchmean")


def hidden(lm, prompt, tokens):
    text = lm.model.embed_tokens(tokens)
    return lm.model(inputs_embeds=torch.cat([prompt, text], 1), use_cache=False).last_hidden_state


def distil():
    student = model(6)
    for parameter in student.model.layers.parameters():
        parameter.requires_grad_(True)
    trained = list(student.model.layers.parameters())
    optimiser = torch.optim.AdamW(trained, lr=2.5e-4, betas=(0.9, 0.98), eps=1e-6, weight_decay=0.0)
    tokens, states = ids(16), torch.ones(16, TEXT, 576)
    rows = torch.cat([torch.arange(16) * TEXT + TEXT - 1, torch.randperm(16 * TEXT)[:112]])

    def step():
        optimiser.zero_grad()
        h = student.model(input_ids=tokens, use_cache=False).last_hidden_state.flatten(0, 1)
        t = states.flatten(0, 1)
        loss = 5 * divergence(student.lm_head(t[rows]), student.lm_head(h[rows]))
        loss = loss + (1 - F.cosine_similarity(h, t)).mean() + F.mse_loss(h, t)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 5.0)
        optimiser.step()
        loss.item()

    measure("distil", 6, step)


def tune(private):
    student, tokens = model(6), ids(BATCH)
    words = torch.arange(8) * 1000
    prompt = torch.full((PROMPT, 576), 0.01, requires_grad=True)
    optimiser = torch.optim.Adam([prompt], lr=1e-2)

    def step():
        total = torch.zeros(PROMPT, 576)
        for start in range(0, BATCH, MICRO):
            batch = tokens[start:start + MICRO]
            leaf = prompt.detach().expand(MICRO, -1, -1).clone().requires_grad_(True)
            h = hidden(student, leaf, batch)[:, -1]
            logits = h @ student.lm_head.weight[words].T
            classes = torch.stack([logits[:, :4].mean(-1), logits[:, 4:].mean(-1)], -1)
            F.cross_entropy(classes, torch.arange(MICRO) % 2, reduction="sum").backward()
            grads = leaf.grad
            if private:
                norms = grads.flatten(1).norm(dim=1)
                grads = grads * (0.1 / norms).clamp(max=1.0)[:, None, None]
            total += grads.sum(0)
        if private:
            total += torch.randn_like(total) * 2.0
        prompt.grad = total / BATCH
        optimiser.step()

    measure("tune, private" if private else "tune, no privacy", 6, step)


def transfer():
    teacher, tokens = model(blocks), ids(16)
    z_t, z_s, z_sp = (torch.randn(16, 49152) for _ in range(3))
    prompt = torch.full((PROMPT, 576), 0.01, requires_grad=True)
    optimiser = torch.optim.Adam([prompt], lr=1e-3)

    def step():
        optimiser.zero_grad()
        z_tp = teacher.lm_head(hidden(teacher, prompt.expand(16, -1, -1), tokens)[:, -1])
        loss = 0.5 * divergence(z_sp, z_tp) + 0.5 * divergence(z_sp - z_s, z_tp - z_t)
        loss.backward()
        optimiser.step()
        loss.item()

    measure("transfer", blocks, step)


distil()
tune(False)
tune(True)
transfer()
