"""Pack documents into training rows: `python shards.py TOKENIZER_FOLDER OUTPUT_FOLDER COUNT`.

A shard holds rows of 128 tokens, towards the end of the training of 256 and 512, each filled with whole documents, as three arrays: `tokens`, `weights`
(of a token as a target of the loss, in tenths) and `documents` (which document of its row a token belongs to).
"""

import sys
from pathlib import Path
from random import Random

import numpy as np
from tokenizers import Tokenizer

from documents import document

SHARD_TOKENS = 1 << 20
ROW_LENGTHS = [(0.70, 128), (0.9, 256), (1.0, 512)]
OPEN_ROWS = 16


class Row:
    """A row that is being filled."""

    def __init__(self) -> None:
        self.tokens: list[int] = []
        self.weights: list[int] = []
        self.documents: list[int] = []

    def add(self, tokens: list[int], weights: list[int]) -> None:
        number = self.documents[-1] + 1 if self.documents else 0
        self.tokens += tokens
        self.weights += [0, *weights[1:]]
        self.documents += [number] * len(tokens)

    def padded(self, length: int) -> tuple[list[int], list[int], list[int]]:
        rest = length - len(self.tokens)
        filler = self.documents[-1] + 1
        return self.tokens + [0] * rest, self.weights + [0] * rest, self.documents + [filler] * rest


def encoded_documents(tokenizer: Tokenizer, random: Random, progress: float, longest: int):
    """Documents of at most `longest` tokens, as lists of tokens and weights."""
    while True:
        batch = [document(random, progress) for _ in range(2000)]
        encodings = iter(
            tokenizer.encode_batch_fast([text for segments in batch for text, _ in segments], add_special_tokens=False)
        )
        for segments in batch:
            tokens: list[int] = []
            weights: list[int] = []
            for _, weight in segments:
                ids = next(encodings).ids
                tokens += ids
                weights += [round(weight * 10)] * len(ids)
            if len(tokens) <= longest:
                yield tokens, weights


def build(tokenizer: Tokenizer, number: int, progress: float) -> dict[str, np.ndarray]:
    """Fill rows first-fit: a document goes to the first open row with room for it."""
    length = next(length for until, length in ROW_LENGTHS if progress < until)
    stream = encoded_documents(tokenizer, Random(f"shard {number}"), progress, longest=length)
    full: list[Row] = []
    open_rows = [Row() for _ in range(OPEN_ROWS)]
    while len(full) * length < SHARD_TOKENS:
        tokens, weights = next(stream)
        for row in open_rows:
            if len(row.tokens) + len(tokens) <= length:
                row.add(tokens, weights)
                break
        else:
            fullest = max(open_rows, key=lambda row: len(row.tokens))
            full.append(fullest)
            open_rows.remove(fullest)
            open_rows.append(Row())
            open_rows[-1].add(tokens, weights)
    tokens, weights, documents = zip(*(row.padded(length) for row in full))
    return {
        "tokens": np.array(tokens, dtype=np.uint16),
        "weights": np.array(weights, dtype=np.uint8),
        "documents": np.array(documents, dtype=np.uint8),
    }


def main() -> None:
    tokenizer = Tokenizer.from_file(str(Path(sys.argv[1]) / "tokenizer.json"))
    folder, count = Path(sys.argv[2]), int(sys.argv[3])
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        target = folder / f"{number:04}.npz"
        if not target.exists():
            partial = target.with_suffix(".partial.npz")
            np.savez(partial, **build(tokenizer, number, progress=number / count))
            partial.rename(target)


if __name__ == "__main__":
    main()
