"""Make the data of the peer benchmarks: `python make_data.py FOLDER MODEL …`, where each MODEL is a folder that
make_models.py filled.

- `train.jsonl`: 5 four-choice questions, long ones, whose few-shot block is about 450 tokens.
- `test.jsonl`: 500 of at most 60 tokens, choices of at most 5.
- `texts.jsonl`: 25 texts of about 4,000 tokens.
- `prompts.jsonl`: 5 prompts of about 32 tokens to generate from.
"""

import json
import sys
from collections.abc import Iterable
from pathlib import Path

from transformers import AutoTokenizer

from made_up import Language

SHOTS, QUESTIONS, TEXTS, PROMPTS = 5, 500, 25, 5
TEXT_TOKENS = 4000
CHOICES = 4


def question(language: Language, words: int) -> dict:
    """A row; the right choice is as arbitrary as the rest."""
    choices: list[str] = []
    while len(choices) < CHOICES:
        choice = language.phrase(language.random.randint(2, 5))
        if choice not in choices:
            choices.append(choice)
    return {"question": f"{language.phrase(words)}?", "choices": choices, "answer": language.random.randrange(CHOICES)}


def prompt(row: dict) -> str:
    """As the benchmarks' template writes it."""
    return f"Question: {row['question']}\nAnswer:"


def check(train: list[dict], test: list[dict], texts: list[dict], model: str) -> None:
    """Holds the sizes that the bars name, by the model's tokenizer."""
    tokenizer = AutoTokenizer.from_pretrained(model)

    def tokens(text: str) -> int:
        return len(tokenizer(text, verbose=False).input_ids)

    shared = tokens("".join(f"{prompt(row)} {row['choices'][row['answer']]}\n\n" for row in train))
    longest_question = max(tokens(prompt(row)) for row in test)
    longest_choice = max(tokens(f" {choice}") for row in test for choice in row["choices"])
    total = sum(tokens(row["text"]) for row in texts)
    assert 430 <= shared <= 470, shared
    assert longest_question <= 60, longest_question
    assert longest_choice <= 5, longest_choice
    assert abs(total - TEXTS * TEXT_TOKENS) < 0.02 * TEXTS * TEXT_TOKENS, total
    print(
        f"{Path(model).name}: shared prefix {shared} tokens, question at most {longest_question}, choice at most "
        f"{longest_choice}, texts {total}"
    )


def write(path: Path, rows: Iterable[dict]) -> None:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))


def main() -> None:
    folder, models = Path(sys.argv[1]), sys.argv[2:]
    language = Language(seed=2)
    train = [question(language, words=79) for _ in range(SHOTS)]
    test = [question(language, words=language.random.randint(30, 50)) for _ in range(QUESTIONS)]
    texts = [{"text": language.text(TEXT_TOKENS)} for _ in range(TEXTS)]
    prompts = [{"prompt": language.phrase(32), "answer": ""} for _ in range(PROMPTS)]
    for model in models:
        check(train, test, texts, model)
    folder.mkdir(parents=True, exist_ok=True)
    write(folder / "train.jsonl", train)
    write(folder / "test.jsonl", test)
    write(folder / "texts.jsonl", texts)
    write(folder / "prompts.jsonl", prompts)


if __name__ == "__main__":
    main()
