"""Turns the quickstart's student into one of another width and vocabulary that answers alike.

Reference: `pip install torch==2.15.0 safetensors numpy`. Run: `python turn.py STUDENT.post.safetensors PROMPT FOLDER`,
the bundle of all weights that `cargo xtask quickstart` leaves and a prompt tuned on it. FOLDER gets `student/` and
`prompt.safetensors`.

Width: every vector x of 576 numbers becomes xR of 640, R random with R Rᵀ = 1; norms' weights go into the matrices behind
them. Vocabulary: of the 49 152 tokens those of the first 16 000 merges, in random order, so rarer words are spelled in more
pieces. What the model knows is the same, so this measures the mechanics on real text, not two models' unlike knowledge.
"""

import json
import struct
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

WIDTH, MERGES = 640, 16_000


def main(bundle, prompt, folder):
    torch.manual_seed(5)
    torch.set_num_threads(1)
    with open(bundle, "rb") as file:
        meta = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))["__metadata__"]
    config, tokenizer = json.loads(meta["config.json"]), json.loads(meta["tokenizer.json"])
    tensors = {name: tensor.float() for name, tensor in load_file(bundle).items()}
    d = config["hidden_size"]
    turn = torch.linalg.qr(torch.randn(WIDTH, WIDTH))[0][:d]

    model = tokenizer["model"]
    merges = model["merges"][:MERGES]
    pieces = {"".join(pair if isinstance(pair, list) else pair.split(" ")) for pair in merges}
    special = {token["content"] for token in tokenizer["added_tokens"]}
    kept = [token for token in model["vocab"] if len(token) == 1 or token in pieces or token in special]
    kept = [kept[i] for i in torch.randperm(len(kept)).tolist()]
    old = torch.tensor([model["vocab"][token] for token in kept])
    model["vocab"], model["merges"] = {token: i for i, token in enumerate(kept)}, merges
    for token in tokenizer["added_tokens"]:
        token["id"] = model["vocab"][token["content"]]

    out = {"model.embed_tokens.weight": tensors["model.embed_tokens.weight"][old] @ turn,
           "lm_head.weight": (tensors["model.embed_tokens.weight"] * tensors["model.norm.weight"])[old] @ turn}
    behind = {"q_proj": "input_layernorm", "k_proj": "input_layernorm", "v_proj": "input_layernorm",
              "gate_proj": "post_attention_layernorm", "up_proj": "post_attention_layernorm"}
    for name, tensor in tensors.items():
        *front, part, _ = name.split(".")
        if part in behind:
            norm = ".".join(front[:3] + [behind[part], "weight"])
            out[name] = (tensor * tensors[norm]) @ turn
        elif part in ("o_proj", "down_proj"):
            out[name] = turn.T @ tensor
        elif part.endswith("norm"):
            out[name] = torch.full((WIDTH,), (d / WIDTH) ** 0.5)
    config |= {"hidden_size": WIDTH, "vocab_size": len(kept), "tie_word_embeddings": False,
               "rms_norm_eps": config["rms_norm_eps"] * d / WIDTH}
    (folder / "student").mkdir(parents=True, exist_ok=True)
    (folder / "student/config.json").write_text(json.dumps(config))
    (folder / "student/tokenizer.json").write_text(json.dumps(tokenizer))
    save_file({name: tensor.contiguous() for name, tensor in out.items()}, folder / "student/model.safetensors")
    (rows,) = load_file(prompt / "adapter_model.safetensors").values()
    save_file({"prompt_embeds": (rows.float() @ turn).contiguous()}, folder / "prompt.safetensors")
    print(len(kept), "tokens,", rows.shape)


main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
