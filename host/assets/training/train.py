"""Train the model: `python train.py SHARDS TOKENIZER_FOLDER OUTPUT_FOLDER --minutes 55`.

The learning rate warms up, stays, and falls linearly over the last part of the time given. Muon trains the hidden
matrices, AdamW the embedding and the norms. A checkpoint is written every hundred seconds; training goes on from the
checkpoint that it finds.
"""

import argparse
import os
import time
from pathlib import Path
from random import Random

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional as F

from model import Shape, TinyLlama
from quick_check import quick_check

BATCH_TOKENS = 2048
WARM_UP_STEPS = 150
CHECK_EVERY_SECONDS = 100


def inputs_of(documents: Tensor) -> tuple[Tensor, Tensor]:
    """Positions counted from each document's start, and the causal mask that keeps documents apart."""
    same = documents[:, :, None] == documents[:, None, :]
    mask = same & torch.ones_like(same[0]).tril()
    return mask.sum(-1) - 1, mask[:, None]


def batches(folder: Path, first_step: int, seed: int):
    """Endless batches of (tokens, weights, documents), shards in order, rows shuffled, the first shard after the last."""
    number, step = 0, 0
    while True:
        available = sorted(folder.glob("[0-9][0-9][0-9][0-9].npz"))
        shard = np.load(available[number % len(available)])
        tokens, weights, documents = (torch.from_numpy(shard[key].astype(np.int32)) for key in ("tokens", "weights", "documents"))
        order = list(range(len(tokens)))
        Random(f"{seed} {number}").shuffle(order)
        batch_rows = BATCH_TOKENS // tokens.shape[1]
        for start in range(0, len(order), batch_rows):
            step += 1
            if step > first_step:
                rows = order[start : start + batch_rows]
                yield tokens[rows].long(), weights[rows].float() / 10, documents[rows]
        number += 1


def loss_of(model: torch.nn.Module, tokens: Tensor, weights: Tensor, positions: Tensor, mask: Tensor) -> Tensor:
    logits = model(tokens, positions, mask)[:, :-1]
    losses = F.cross_entropy(logits.reshape(-1, logits.shape[-1]), tokens[:, 1:].reshape(-1), reduction="none")
    weights = weights[:, 1:].reshape(-1)
    return (losses * weights).sum() / weights.sum()


def optimizers_of(model: TinyLlama, muon_rate: float, adam_rate: float) -> list[torch.optim.Optimizer]:
    hidden = [p for name, p in model.named_parameters() if p.ndim == 2 and "embed" not in name]
    other = [p for name, p in model.named_parameters() if p.ndim != 2 or "embed" in name]
    return [
        torch.optim.Muon(hidden, lr=muon_rate, weight_decay=0.05, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(other, lr=adam_rate, betas=(0.9, 0.98), weight_decay=0.0),
    ]


def rate_factor(step: int, elapsed: float, total: float, decay_share: float) -> float:
    """Of the full learning rate: warm-up by steps, decay by the clock."""
    remaining = (total - elapsed) / (total * decay_share)
    return min(1.0, (step + 1) / WARM_UP_STEPS, max(0.01, remaining))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shards", type=Path)
    parser.add_argument("tokenizer", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--minutes", type=float, default=55)
    parser.add_argument("--decay-share", type=float, default=0.3)
    parser.add_argument("--muon-rate", type=float, default=2.5e-3)
    parser.add_argument("--adam-rate", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()

    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    options.output.mkdir(parents=True, exist_ok=True)
    tokenizer = Tokenizer.from_file(str(options.tokenizer / "tokenizer.json"))
    model = TinyLlama(Shape())
    optimizers = optimizers_of(model, options.muon_rate, options.adam_rate)
    full_rates = [[group["lr"] for group in optimizer.param_groups] for optimizer in optimizers]
    step, elapsed_before = 0, 0.0
    checkpoint = options.output / "checkpoint.pt"
    if checkpoint.exists():
        state = torch.load(checkpoint)
        model.load_state_dict(state["model"])
        for optimizer, saved in zip(optimizers, state["optimizers"]):
            optimizer.load_state_dict(saved)
        step, elapsed_before = state["step"], state["elapsed"]
    print(f"{sum(p.numel() for p in model.parameters()):,} parameters", flush=True)

    compiled = torch.compile(loss_of, dynamic=False)
    started = checked = time.monotonic()
    total = options.minutes * 60
    running = None
    finished = False
    for tokens, weights, documents in batches(options.shards, step, options.seed):
        elapsed = elapsed_before + time.monotonic() - started
        factor = rate_factor(step, elapsed, total, options.decay_share)
        for optimizer, rates in zip(optimizers, full_rates):
            for group, rate in zip(optimizer.param_groups, rates):
                group["lr"] = rate * factor
        with torch.autocast("cpu", torch.bfloat16):
            loss = compiled(model, tokens, weights, *inputs_of(documents))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
        step += 1
        running = loss.item() if running is None else 0.98 * running + 0.02 * loss.item()
        if step % 50 == 0:
            print(f"step {step} tokens {step * BATCH_TOKENS / 1e6:.2f}M {elapsed:.0f}s rate {factor:.2f} loss {running:.3f}", flush=True)
        finished = elapsed >= total
        if finished or time.monotonic() - checked > CHECK_EVERY_SECONDS:
            checked = time.monotonic()
            state = {"model": model.state_dict(), "optimizers": [o.state_dict() for o in optimizers], "step": step, "elapsed": elapsed}
            torch.save(state, checkpoint.with_suffix(".partial"))
            os.replace(checkpoint.with_suffix(".partial"), checkpoint)
            print(quick_check(model, tokenizer), flush=True)
        if finished:
            break


if __name__ == "__main__":
    main()
