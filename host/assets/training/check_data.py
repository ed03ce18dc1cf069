"""Assert what the dataset cards promise: `python check_data.py SHARDS TOKENIZER_FOLDER`.

Rows are well formed, answer positions balanced, no row stands in both splits, and no test row of reading, arithmetic
or stories occurs in the training text, nor does a held-out combination in any context of a question there.
"""

import json
import re
import sys
from collections import Counter
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from build_datasets import DATASETS
from worlds import is_held_out

CONTEXT_OF_QUESTION = re.compile(r"([^\n>]+)\nQuestion: ")
COMBINATIONS = [
    re.compile(r"(?:^| )([A-Z][a-z]+) (?:is in|went to|sits in) the ([a-z]+)\."),
    re.compile(r"(?:^| )([A-Z][a-z]+) (?:has|found|holds) a [a-z]+ ([a-z]+)\."),
    re.compile(r"(?:^| )The [a-z]+ ([a-z]+) is in the ([a-z]+)\."),
]
MULTIPLE_CHOICE = ("capitals", "opposites", "arithmetic")


def rows_of(dataset: str, split: str) -> list[dict]:
    return [json.loads(line) for line in (DATASETS / dataset / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()]


def check_rows() -> None:
    for dataset in (*MULTIPLE_CHOICE, "reading", "stories"):
        train, test = rows_of(dataset, "train"), rows_of(dataset, "test")
        shared = {json.dumps(row) for row in train} & {json.dumps(row) for row in test}
        assert not shared, (dataset, shared)
        if dataset in MULTIPLE_CHOICE:
            assert not {row["question"] for row in train} & {row["question"] for row in test}, dataset
            for rows in (train, test):
                assert all(len(set(row["choices"])) == 4 for row in rows), dataset
                positions = Counter(row["answer"] for row in rows)
                assert max(positions.values()) - min(positions.values()) <= 1, (dataset, positions)


def training_documents(shards: Path, tokenizer: Tokenizer):
    for path in sorted(shards.glob("[0-9][0-9][0-9][0-9].npz")):
        shard = np.load(path)
        for tokens in shard["tokens"]:
            yield tokenizer.decode(tokens.tolist(), skip_special_tokens=False)


def check_training_text(shards: Path, tokenizer: Tokenizer) -> None:
    """Search whole rows of the shards, so that a match across documents would count as well."""
    reading = {row["context"] + "\nQuestion: " + row["question"] + "\n" for row in rows_of("reading", "test")}
    sums = {row["question"].removeprefix("What is ").removesuffix("?") for row in rows_of("arithmetic", "test")}
    forbidden_sums = {f" {sum_}?" for sum_ in sums} | {f"\n{sum_} =" for sum_ in sums}
    stories = {row["text"] for row in rows_of("stories", "test")}
    rows = 0
    for text in training_documents(shards, tokenizer):
        rows += 1
        for forbidden in (reading, forbidden_sums, stories):
            found = next((row for row in forbidden if row in text), None)
            assert found is None, found
        for context in CONTEXT_OF_QUESTION.findall(text):
            for combination in COMBINATIONS:
                assert not any(is_held_out(*parts) for parts in combination.findall(context)), context
    print(f"{rows} rows of training text hold no test row")


def main() -> None:
    check_rows()
    shards, tokenizer = Path(sys.argv[1]), Path(sys.argv[2])
    check_training_text(shards, Tokenizer.from_file(str(tokenizer / "tokenizer.json")))


if __name__ == "__main__":
    main()
