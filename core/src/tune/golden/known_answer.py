"""Writes known_answer.json: prompt gradients and losses of a tiny Llama with weights by formula."""
import pathlib

import numpy
import torch
from transformers import LlamaConfig, LlamaForCausalLM

MASK = (1 << 64) - 1


def values(name, count):
    state = 0xCBF29CE484222325
    for byte in name.encode():
        state = ((state ^ byte) * 0x100000001B3) & MASK
    out = []
    for _ in range(count):
        state = (state + 0x9E3779B97F4A7C15) & MASK
        z = state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        z ^= z >> 31
        out.append((z >> 11) / (1 << 53) - 0.5)
    return torch.from_numpy(numpy.array(out, dtype=numpy.float32))


config = LlamaConfig(
    vocab_size=32, hidden_size=16, num_hidden_layers=2, num_attention_heads=4,
    num_key_value_heads=2, head_dim=4, intermediate_size=24, max_position_embeddings=32,
    rms_norm_eps=1e-5, rope_theta=10_000.0, tie_word_embeddings=True, hidden_act="silu",
)
assert config.rope_parameters["rope_theta"] == 10_000.0 if hasattr(config, "rope_parameters") else True
model = LlamaForCausalLM(config).float().eval()
with torch.no_grad():
    for name, parameter in model.named_parameters():
        data = values(name, parameter.numel()).reshape(parameter.shape)
        parameter.copy_(data + 1 if name.endswith("norm.weight") else data)

prompt = values("prompt", 3 * 16).reshape(3, 16)

def write(name, numbers):
    """Writes one number a line."""
    text = ",\n".join(f"{x:.9g}" for x in numbers)
    pathlib.Path(__file__).with_name(name).write_text(f"[\n{text}\n]\n")


def behind(leaf, ids):
    """Logits of the prompt and the tokens after it."""
    text = model.get_input_embeddings()(torch.tensor(ids)).detach()
    return model(inputs_embeds=torch.cat([leaf, text])[None]).logits[0]


if __name__ == "__main__":
    classes = [[7, 11, 12], [20]]
    gradients, losses = [], []
    for ids, label in [([5, 30, 2], 1), ([3, 14, 15, 9, 26, 5], 0)]:
        leaf = prompt.clone().requires_grad_()
        logits = behind(leaf, ids)[-1]
        scores = torch.stack([logits[words].mean() for words in classes])
        loss = torch.nn.functional.cross_entropy(scores[None], torch.tensor([label]))
        loss.backward()
        gradients += leaf.grad.flatten().tolist()
        losses.append(loss.item())
    write("known_answer.json", gradients + losses)
