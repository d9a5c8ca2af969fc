"""Makes what `docs/experiments.md` ("Across tokenizers and widths") measures with, out of the quickstart's downloads.

Reference: `pip install torch==2.15.0 transformers==5.24.0 tokenizers==0.23.3 safetensors`.
Run: `python make.py ../../.cache/text FOLDER`. A few minutes on one core. Nothing of it is published.

FOLDER gets `student/`, a causal model of another width and vocabulary than SmolLM2's, trained from random weights on
the public reviews alone; `public.csv`, 256 of their passages; `tune.csv` and `test.csv`, critics' sentences of
different films, as many fresh ones as rotten ones. Sentences that stand in the public reviews are left out.
"""

import bz2
import csv
import hashlib
import io
import random
import re
import sys
from pathlib import Path

import torch
from tokenizers import ByteLevelBPETokenizer
from tokenizers.pre_tokenizers import ByteLevel
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

SEQUENCE, BATCH, EPOCHS = 128, 8, 1


def natural(line):
    line = re.sub(r"\s+([.,!?;:)'])", r"\1", line.strip()).replace("( ", "(").replace(" n't", "n't")
    return line[:1].upper() + line[1:]


def reviews(path):
    for row in csv.reader(io.StringIO(path.read_text("utf-8-sig"))):
        yield [natural(line) for line in row[1].splitlines() if line.strip()]


def key(text):
    return re.sub(r"\W+", " ", text.lower()).strip()


def critics(path, public):
    """Text, label, film; of each text the first."""
    seen = set()
    for row in csv.DictReader(io.StringIO(bz2.decompress(path.read_bytes()).decode("utf-8"))):
        text = row["text"].strip()
        if row["category"] in ("fresh", "rotten") and key(text) not in seen and key(text) not in public and len(text.split()) > 3:
            seen.add(key(text))
            yield text, row["category"], row["movie_name"]


def balanced(rows, count):
    sides = [[row for row in rows if row[1] == label][:count // 2] for label in ("fresh", "rotten")]
    return [row for pair in zip(*sides) for row in pair]


def write(path, header, rows):
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)


def main(texts, folder):
    random.seed(1)
    torch.manual_seed(1)
    torch.set_num_threads(1)
    folder.mkdir(parents=True, exist_ok=True)
    documents = list(reviews(texts / "polarity-en-pang&lee1.csv"))
    lines = [line for document in documents for line in document]
    known = {key(line) for line in lines}

    rows = list(critics(texts / "rotten_tomatoes_corpus_full.csv.bz2", known))
    random.shuffle(rows)
    apart = lambda row: hashlib.sha256(row[2].encode()).digest()[0] < 32
    for name, part, count in [("tune", [r for r in rows if not apart(r)], 4000), ("test", [r for r in rows if apart(r)], 800)]:
        write(folder / f"{name}.csv", ["text", "label"], [row[:2] for row in balanced(part, count)])
    passages = [line for line in lines if 8 <= len(line.split()) <= 45]
    write(folder / "public.csv", ["text"], [[line] for line in random.sample(passages, 256)])

    tokenizer = ByteLevelBPETokenizer(add_prefix_space=False)
    tokenizer.train_from_iterator(lines, vocab_size=4096, min_frequency=2, special_tokens=["<|endoftext|>"])
    tokens = tokenizer._tokenizer
    ids = []
    for document in documents:
        ids += tokens.encode(" ".join(document)).ids + [0]
    rows = torch.tensor(ids[:len(ids) // SEQUENCE * SEQUENCE]).view(-1, SEQUENCE)
    model = LlamaForCausalLM(LlamaConfig(
        vocab_size=tokens.get_vocab_size(), hidden_size=128, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=4,
        intermediate_size=384, max_position_embeddings=256, tie_word_embeddings=True, bos_token_id=0, eos_token_id=0))
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.01)
    total = EPOCHS * (len(rows) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, total_steps=total, pct_start=0.05)
    step = 0
    for _ in range(EPOCHS):
        for batch in rows[torch.randperm(len(rows))][:len(rows) // BATCH * BATCH].split(BATCH):
            loss = model(input_ids=batch, labels=batch).loss
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            optimiser.zero_grad()
            schedule.step()
            step += 1
            if step % 50 == 0:
                print(f"{step}/{total} loss {loss.item():.3f}", flush=True)
    model.save_pretrained(folder / "student")
    PreTrainedTokenizerFast(tokenizer_object=tokens, eos_token="<|endoftext|>").save_pretrained(folder / "student")


main(Path(sys.argv[1]), Path(sys.argv[2]))
