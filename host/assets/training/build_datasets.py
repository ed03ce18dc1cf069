"""Write the bundled datasets: `python build_datasets.py` fills `../datasets/`, always with the same rows."""

import json
from pathlib import Path
from random import Random

from vocabulary import CAPITALS, OPPOSITES
from worlds import random_sum, reading_question, story

DATASETS = Path(__file__).resolve().parent.parent / "datasets"
LICENCE = "Apache-2.0"
READING_ROWS = {"train": 150, "test": 180}
ARITHMETIC_ROWS = {"train": 120, "test": 200}
STORY_ROWS = {"train": 150, "test": 100}
CHOICES = 4


def with_balanced_answers(random: Random, rows: list[tuple[str, str, list[str]]]) -> list[dict]:
    """Rows of (question, right choice, wrong choices), every answer position used equally often."""
    positions = [row % CHOICES for row in range(len(rows))]
    random.shuffle(positions)
    result = []
    for position, (question, right, wrong) in zip(positions, rows):
        choices = random.sample(wrong, CHOICES - 1)
        choices.insert(position, right)
        result.append({"question": question, "choices": choices, "answer": position})
    return result


def capitals(random: Random) -> dict[str, list[dict]]:
    """Both splits ask about every country, in different words."""

    def rows(wording: str) -> list[dict]:
        countries = random.sample(sorted(CAPITALS), len(CAPITALS))
        others = {country: [city for city in CAPITALS.values() if city != CAPITALS[country]] for country in countries}
        return with_balanced_answers(random, [(wording.format(c), CAPITALS[c], others[c]) for c in countries])

    return {"train": rows("Which city is the capital of {}?"), "test": rows("What is the capital of {}?")}


def opposites(random: Random) -> dict[str, list[dict]]:
    """Each pair in both directions: one for each split, in different words."""
    words = [word for pair in OPPOSITES for word in pair]
    directed = [random.choice([pair, pair[::-1]]) for pair in OPPOSITES]

    def rows(wording: str, pairs: list[tuple[str, str]]) -> list[dict]:
        pairs = random.sample(pairs, len(pairs))
        return with_balanced_answers(
            random,
            [(wording.format(a), b, [word for word in words if word not in (a, b)]) for a, b in pairs],
        )

    return {
        "train": rows("Which word is the opposite of {}?", [pair[::-1] for pair in directed]),
        "test": rows("What is the opposite of {}?", directed),
    }


def arithmetic(random: Random) -> dict[str, list[dict]]:
    """Wrong choices lie close to the right one; test sums are held out from the training text."""

    def rows(count: int, held_out: bool) -> list[dict]:
        sums = {}
        while len(sums) < count:
            drawn = random_sum(random, held_out)
            sums[str(drawn)] = drawn.result
        near = {
            text: [str(n) for n in range(max(0, result - 10), min(99, result + 10) + 1) if n != result]
            for text, result in sums.items()
        }
        return with_balanced_answers(random, [(f"What is {text}?", str(r), near[text]) for text, r in sums.items()])

    return {split: rows(count, held_out=split == "test") for split, count in ARITHMETIC_ROWS.items()}


def reading(random: Random) -> dict[str, list[dict]]:
    """One to three sentences and a question; test rows ask about held-out combinations."""

    def rows(count: int, held_out: bool) -> list[dict]:
        questions = [reading_question(random, sentences=1 + row % 3, held_out=held_out) for row in range(count)]
        random.shuffle(questions)
        return [{"context": q.context, "question": q.question, "answer": q.answer} for q in questions]

    return {split: rows(count, held_out=split == "test") for split, count in READING_ROWS.items()}


def stories(random: Random) -> dict[str, list[dict]]:
    """Plain text; the person, place and thing of a test story meet in no training story."""
    return {
        split: [{"text": story(random, held_out=split == "test")} for _ in range(count)]
        for split, count in STORY_ROWS.items()
    }


DESCRIPTIONS = {
    "capitals": "Capital cities of one hundred countries, four choices",
    "opposites": "Opposites of one hundred English words, four choices",
    "arithmetic": "Additions and subtractions of numbers up to 99, four choices",
    "reading": "Short made-up situations and a question about one sentence of them, free answer",
    "stories": "Very short made-up stories, plain text for perplexity",
}
BUILDERS = {"capitals": capitals, "opposites": opposites, "arithmetic": arithmetic, "reading": reading, "stories": stories}


def main() -> None:
    for name, build in BUILDERS.items():
        folder = DATASETS / name
        folder.mkdir(parents=True, exist_ok=True)
        for split, rows in build(Random(f"{name} dataset")).items():
            lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
            (folder / f"{split}.jsonl").write_text("".join(lines), encoding="utf-8")
        gold = "[]" if name == "stories" else '["answer"]'
        (folder / "dataset.toml").write_text(
            f'name = "{name}"\ndescription = "{DESCRIPTIONS[name]}"\nlicence = "{LICENCE}"\n'
            f"# Columns that a solver never sees.\ngold = {gold}\n\n"
            '[splits]\ntrain = "train.jsonl"\ntest = "test.jsonl"\n',
            encoding="utf-8",
        )


if __name__ == "__main__":
    main()
