"""A look at a model in training: how often greedy decoding gives the right answer to a few test rows."""

import json
from pathlib import Path

import torch
from tokenizers import Tokenizer

from model import TinyLlama

DATASETS = Path(__file__).resolve().parent.parent / "datasets"
ROWS = 60


def rows_of(name: str) -> list[dict]:
    lines = (DATASETS / name / "test.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines[:ROWS]]


@torch.no_grad()
def is_greedy(model: TinyLlama, tokenizer: Tokenizer, prompt: str, answer: str) -> bool:
    """Whether each token of the answer is the likeliest after those before it."""
    context = tokenizer.encode(prompt).ids
    whole = torch.tensor([tokenizer.encode(prompt + answer).ids])
    length = whole.shape[1]
    mask = torch.ones(1, 1, length, length, dtype=torch.bool).tril()
    best = model(whole, torch.arange(length)[None], mask)[0].argmax(-1)
    return bool((best[len(context) - 1 : -1] == whole[0, len(context) :]).all())


def quick_check(model: TinyLlama, tokenizer: Tokenizer) -> str:
    parts = []
    for name in ("reading", "arithmetic", "capitals", "opposites"):
        right: dict[int, list[bool]] = {}
        for row in rows_of(name):
            context = row.get("context", "")
            answer = row["choices"][row["answer"]] if "choices" in row else row["answer"]
            prompt = (context + "\n" if context else "") + f"Question: {row['question']}\nAnswer:"
            right.setdefault(context.count("."), []).append(is_greedy(model, tokenizer, prompt, f" {answer}\n"))
        scores = " ".join(f"{sum(hits) / len(hits):.2f}" for _, hits in sorted(right.items()))
        parts.append(f"{name} {scores}")
    return "check: " + "  ".join(parts)
