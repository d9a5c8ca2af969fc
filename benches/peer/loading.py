"""Loading a model, side by side with transformers: wall time and memory of whole processes, in turn.

    python benches/peer/loading.py make FOLDER             # SmolLM2's two shapes, random weights, in every format
    python benches/peer/loading.py measure FOLDER [ROUNDS] # target/release/post-native against transformers
    python benches/peer/loading.py gguf FILE.gguf [ROUNDS] # the same for a GGUF file, which transformers unpacks

Each process loads a model and passes three tokens; where the file is one of safetensors and its type is kept, `read` also has
safetensors alone map the file and read every number once. A watcher reads a process's memory in /proc every 5 ms, anonymous
pages and pages of mapped files apart.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SHAPES = {
    "135m": {"hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30,
             "num_attention_heads": 9, "num_key_value_heads": 3},
    "360m": {"hidden_size": 960, "intermediate_size": 2560, "num_hidden_layers": 32,
             "num_attention_heads": 15, "num_key_value_heads": 5},
}
IDS = [1, 2, 3]
# File and the type that the weights are kept in.
CASES = [("f32", "f32"), ("bf16", "f32"), ("bf16", "bf16"), ("f32", "bf16"), ("bf16", "f16"),
         ("f32-shards", "f32"), ("bf16-shards", "bf16"), ("f32-bin", "f32"), ("bf16-bin", "bf16")]


def make(folder):
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    for name, shape in SHAPES.items():
        torch.manual_seed(0)
        config = LlamaConfig(vocab_size=49152, max_position_embeddings=8192, rope_theta=1e5,
                             tie_word_embeddings=True, **shape)
        model = LlamaForCausalLM(config)
        for dtype, shard in (("f32", "200MB"), ("bf16", "100MB")):
            if dtype == "bf16":
                model = model.bfloat16()
            model.save_pretrained(folder / f"{name}-{dtype}", max_shard_size="100GB")
            model.save_pretrained(folder / f"{name}-{dtype}-shards", max_shard_size=shard)
            pickled = folder / f"{name}-{dtype}-bin"
            model.config.save_pretrained(pickled)
            torch.save(model.state_dict(), pickled / "pytorch_model.bin")


def load(folder, dtype):
    start = time.perf_counter()
    import torch
    from transformers import AutoModelForCausalLM

    imported = time.perf_counter()
    kind = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}[dtype]
    where, file = (folder.parent, folder.name) if folder.suffix == ".gguf" else (folder, None)
    with torch.no_grad():
        model = AutoModelForCausalLM.from_pretrained(where, gguf_file=file, dtype=kind)
        logits = model(torch.tensor([IDS])).logits[0, -1]
    print(json.dumps({"import": imported - start, "seconds": time.perf_counter() - imported,
                      "logit": logits[0].item()}))


def read(folder):
    start = time.perf_counter()
    from safetensors.torch import load_file

    imported = time.perf_counter()
    tensors = load_file(Path(folder) / "model.safetensors")
    total = sum(tensor.abs().max().item() for tensor in tensors.values())
    print(json.dumps({"import": imported - start, "seconds": time.perf_counter() - imported, "sum": total}))


def memory(pid):
    """Resident, anonymous and file-backed KiB; None when the process has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return None
    found = dict(line.split(":", 1) for line in lines)
    names = ("VmRSS", "RssAnon", "RssFile")
    return [int(found[name].split()[0]) for name in names] if "VmRSS" in found else None


def watch(command):
    # A pipe would fill up with a vocabulary's logits.
    with tempfile.TemporaryFile("w+") as said:
        start = time.perf_counter()
        child = subprocess.Popen(command, stdout=said, stderr=subprocess.DEVNULL)
        most = [0, 0, 0]
        while child.poll() is None:
            if now := memory(child.pid):
                most = [max(a, b) for a, b in zip(most, now)]
            time.sleep(0.005)
        seconds = time.perf_counter() - start
        if child.returncode:
            sys.exit(f"{command} failed")
        said.seek(0)
        return seconds, *(kib / 1024 for kib in most), said.read()


def peer(*what):
    *outer, said = watch([sys.executable, __file__, *what])
    return *outer, json.loads(said)["seconds"]


def show(name, runs, ours=None):
    seconds, resident, anonymous, files, *inner = [statistics.median(x) for x in zip(*runs)]
    inner = inner[0] if inner else seconds
    print(f"  {name:13}{seconds:6.2f} s ({inner:.2f} without imports) {resident:6.0f} MiB "
          f"({anonymous:.0f} anonymous, {files:.0f} of files)", end="")
    if ours:
        shares = [a / b for a, b in zip(ours, (seconds, inner, resident, anonymous))]
        print("; ours/its: " + ", ".join(f"{share:.2f}" for share in shares), end="")
    print(flush=True)
    return seconds, inner, resident, anonymous


def compare(title, path, dtype, rounds, alone_too=False):
    ids = ",".join(map(str, IDS))
    binary = Path(__file__).parents[2] / "target/release/post-native"
    command = [binary, "forward", "--model", path, "--ids", ids, "--device", "cpu", "--dtype", dtype, "--json"]
    ours, theirs, alone = [], [], []
    for _ in range(rounds):
        ours.append(watch(command)[:4])
        theirs.append(peer("load", path, dtype))
        if alone_too:
            alone.append(peer("read", path))
    print(f"{title}, kept {dtype}; median of {rounds}")
    best = show("ours", ours)
    show("transformers", theirs, best)
    if alone:
        show("safetensors", alone, best)


def measure(folder, rounds):
    for shape in SHAPES:
        for file, dtype in CASES:
            compare(f"{shape}, file {file}", folder / f"{shape}-{file}", dtype, rounds, file == dtype)


if __name__ == "__main__":
    what, folder = sys.argv[1], Path(sys.argv[2])
    if what == "make":
        make(folder)
    elif what == "load":
        load(folder, sys.argv[3])
    elif what == "read":
        read(folder)
    elif what == "gguf":
        for dtype in ("f32", "bf16"):
            compare(folder.name, folder.resolve(), dtype, int(sys.argv[3]) if len(sys.argv) > 3 else 5)
    else:
        measure(folder, int(sys.argv[3]) if len(sys.argv) > 3 else 5)
