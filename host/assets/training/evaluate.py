"""Score an exported model on the bundled test splits: `python evaluate.py MODEL_FOLDER`.

Multiple choice: the choice with the highest summed log-likelihood after the prompt. Reading: exact match of greedy
decoding up to the first newline, also of the other datasets and of chats. Stories: perplexity, beside that of a unigram model of the train split's tokens.
Examples of few-shot prompts are the first rows of the train split.
"""

import json
import sys
from collections import Counter
from math import exp, log
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from export import Decoder
from model import Shape

DATASETS = Path(__file__).resolve().parent.parent / "datasets"
LONGEST_ANSWER = 12


def rows_of(dataset: str, split: str) -> list[dict]:
    return [json.loads(line) for line in (DATASETS / dataset / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()]


def answer_of(row: dict) -> str:
    return row["choices"][row["answer"]] if "choices" in row else row["answer"]


def rendered(row: dict) -> str:
    context = f"{row['context']}\n" if row.get("context") else ""
    return f"{context}Question: {row['question']}\nAnswer:"


class Scorer:
    def __init__(self, folder: Path) -> None:
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.newline = self.tokenizer.encode("\n", add_special_tokens=False).ids[0]
        self.ends = {self.tokenizer.token_to_id(token) for token in ("<|eos|>", "<|im_end|>")} | {self.newline}
        self.decoder = Decoder(folder / "model.onnx", Shape())

    def token_log_likelihoods(self, tokens: list[int]) -> np.ndarray:
        """Of each token but the first, given those before it."""
        inputs = np.array([tokens[:-1]], dtype=np.int64)
        logits, _ = self.decoder.run(inputs, np.ones_like(inputs), np.arange(inputs.shape[1])[None], None)
        logits = logits[0].astype(np.float64)
        normalizer = np.log(np.exp(logits - logits.max(-1, keepdims=True)).sum(-1)) + logits.max(-1)
        return logits[np.arange(len(tokens) - 1), tokens[1:]] - normalizer

    def log_likelihood(self, context: str, continuation: str) -> float:
        length = len(self.tokenizer.encode(context).ids)
        return float(self.token_log_likelihoods(self.tokenizer.encode(context + continuation).ids)[length - 1 :].sum())

    def greedy_line(self, prompt: str) -> str:
        tokens = np.array([self.tokenizer.encode(prompt).ids], dtype=np.int64)
        generated: list[int] = []
        cache = None
        while len(generated) < LONGEST_ANSWER:
            seen = 0 if cache is None else cache[0].shape[2]
            positions = np.arange(seen, seen + tokens.shape[1])[None]
            attention = np.ones((1, seen + tokens.shape[1]), dtype=np.int64)
            logits, cache = self.decoder.run(tokens, attention, positions, cache)
            best = int(logits[0, -1].argmax())
            if best in self.ends:
                break
            generated.append(best)
            tokens = np.array([[best]], dtype=np.int64)
        return self.tokenizer.decode(generated).strip()


def examples(dataset: str, shots: int) -> str:
    return "".join(f"{rendered(row)} {answer_of(row)}\n\n" for row in rows_of(dataset, "train")[:shots])


def accuracy(scorer: Scorer, dataset: str, shots: int) -> float:
    shown, rows, right = examples(dataset, shots), rows_of(dataset, "test"), 0
    for row in rows:
        scores = [scorer.log_likelihood(shown + rendered(row), f" {choice}") for choice in row["choices"]]
        right += scores.index(max(scores)) == row["answer"]
    return right / len(rows)


def as_chat(prompt: str) -> str:
    return f"<|im_start|>user\n{prompt}<|im_end|>\n<|im_start|>assistant\n"


def exact_match(scorer: Scorer, dataset: str, shots: int, chat: bool = False) -> dict[str, float]:
    """Overall, and by the number of sentences of the context."""
    shown = examples(dataset, shots)
    hits: dict[str, list[bool]] = {}
    for row in rows_of(dataset, "test"):
        prompt = shown + rendered(row)
        hit = scorer.greedy_line(as_chat(prompt) if chat else prompt) == answer_of(row)
        keys = ["all"]
        if row.get("context"):
            keys.append(f"{row['context'].count('.')} sentences")
        for key in keys:
            hits.setdefault(key, []).append(hit)
    return {key: sum(values) / len(values) for key, values in sorted(hits.items())}


def perplexities(scorer: Scorer) -> tuple[float, float]:
    """Per token on the stories, of the model and of unigrams with add-one smoothing."""

    def encoded(split: str) -> list[list[int]]:
        return [scorer.tokenizer.encode(row["text"]).ids for row in rows_of("stories", split)]

    counts = Counter(token for tokens in encoded("train") for token in tokens[1:])
    total = sum(counts.values()) + scorer.tokenizer.get_vocab_size()
    test = encoded("test")
    model = np.concatenate([scorer.token_log_likelihoods(tokens) for tokens in test])
    unigram = [log((counts[token] + 1) / total) for tokens in test for token in tokens[1:]]
    return exp(-model.mean()), exp(-sum(unigram) / len(unigram))


def main() -> None:
    scorer = Scorer(Path(sys.argv[1]))
    for shots in (0, 2, 4):
        for dataset in ("capitals", "opposites", "arithmetic"):
            print(f"{dataset}, {shots}-shot: accuracy {accuracy(scorer, dataset, shots):.3f}")
        by_length = ", ".join(f"{key} {value:.3f}" for key, value in exact_match(scorer, "reading", shots).items())
        print(f"reading, {shots}-shot: exact match {by_length}")
    for dataset in ("capitals", "opposites", "arithmetic"):
        print(f"{dataset}, 0-shot: exact match {exact_match(scorer, dataset, 0)['all']:.3f}")
    for dataset in ("capitals", "opposites", "arithmetic", "reading"):
        print(f"{dataset}, as a chat: exact match {exact_match(scorer, dataset, 0, chat=True)['all']:.3f}")
    model, unigram = perplexities(scorer)
    print(f"stories: perplexity {model:.2f}, unigram {unigram:.2f}")


if __name__ == "__main__":
    main()
