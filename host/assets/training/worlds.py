"""Random questions about tiny made-up situations, and the combinations kept back for testing.

A combination (who and where, who and what, what and where, or the operands of a sum) is either *held out* or not.
The training text never states a held-out one; the question of a test row is always about a held-out one.
"""

from dataclasses import dataclass
from random import Random
from zlib import crc32

from vocabulary import COLOURS, FEMALE_NAMES, NAMES, OBJECTS, PLACES

HELD_OUT_SHARE = 0.1
LARGEST_NUMBER = 99


def is_held_out(*parts: object) -> bool:
    """Whether a combination is kept back, decided by a checksum so that every script agrees."""
    digest = crc32("|".join(map(str, parts)).encode())
    return digest % 1000 < HELD_OUT_SHARE * 1000


@dataclass(frozen=True)
class Question:
    """A question with its answer, and the text it is about (empty where it stands alone)."""

    question: str
    answer: str
    context: str = ""


@dataclass(frozen=True)
class Fact:
    """One sentence of a situation, the questions it answers, and whether it is held out."""

    sentence: str
    questions: tuple[tuple[str, str], ...]
    held_out: bool


def person_in_place(random: Random, name: str, place: str) -> Fact:
    verb = random.choice(["is in", "is in", "is in", "went to", "sits in"])
    return Fact(
        f"{name} {verb} the {place}.",
        ((f"Where is {name}?", f"the {place}"), (f"Who is in the {place}?", name)),
        is_held_out(name, place),
    )


def person_has_thing(random: Random, name: str, thing: str) -> Fact:
    colour = random.choice(COLOURS)
    verb = random.choice(["has", "has", "has", "found", "holds"])
    return Fact(
        f"{name} {verb} a {colour} {thing}.",
        (
            (f"What does {name} have?", f"a {colour} {thing}"),
            (f"Who has the {thing}?", name),
            (f"What colour is the {thing}?", colour),
        ),
        is_held_out(name, thing),
    )


def thing_in_place(random: Random, thing: str, place: str) -> Fact:
    colour = random.choice(COLOURS)
    return Fact(
        f"The {colour} {thing} is in the {place}.",
        ((f"Where is the {thing}?", f"the {place}"), (f"What colour is the {thing}?", colour)),
        is_held_out(thing, place),
    )


FACT_WEIGHTS = {"place": 4, "thing": 4, "thing in place": 2}


def situation(random: Random, sentences: int, alike: bool = False) -> list[Fact]:
    """Facts about different people, places and things, so that every question has one answer.

    Where they are all `alike`, the kind of a question doesn't tell which of them it is about.
    """
    names = random.sample(NAMES, sentences)
    places = random.sample(PLACES, sentences)
    things = random.sample(OBJECTS, sentences)
    kinds = list(FACT_WEIGHTS)
    weights = list(FACT_WEIGHTS.values())
    if alike:
        kinds, weights = random.choices(kinds, weights), [1]
    facts = []
    for name, place, thing in zip(names, places, things):
        kind = random.choices(kinds, weights)[0]
        if kind == "place":
            facts.append(person_in_place(random, name, place))
        elif kind == "thing":
            facts.append(person_has_thing(random, name, thing))
        else:
            facts.append(thing_in_place(random, thing, place))
    return facts


def reading_question(random: Random, sentences: int, held_out: bool, alike: bool = False) -> Question:
    """A question about one of `sentences` facts.

    With `held_out` the fact asked about is a held-out one; without, no fact of the context is.
    """
    while True:
        facts = situation(random, sentences, alike)
        asked = random.choice(facts)
        if asked.held_out if held_out else not any(fact.held_out for fact in facts):
            question, answer = random.choice(asked.questions)
            return Question(question, answer, " ".join(fact.sentence for fact in facts))


def known_situation(random: Random, sentences: int) -> list[Fact]:
    """A situation without held-out facts, often of one kind only."""
    while True:
        facts = situation(random, sentences, alike=random.random() < 0.8)
        if not any(fact.held_out for fact in facts):
            return facts


@dataclass(frozen=True)
class Sum:
    """`left + right` or `left - right`, neither operand nor result outside 0 to `LARGEST_NUMBER`."""

    left: int
    operator: str
    right: int

    @property
    def result(self) -> int:
        return self.left + self.right if self.operator == "+" else self.left - self.right

    @property
    def held_out(self) -> bool:
        """An addition shares the fate of its mirror image."""
        operands = (self.left, self.right)
        return is_held_out(self.operator, *(sorted(operands) if self.operator == "+" else operands))

    def __str__(self) -> str:
        return f"{self.left} {self.operator} {self.right}"


def random_sum(random: Random, held_out: bool) -> Sum:
    while True:
        operator = random.choice("+-")
        high = random.randint(0, LARGEST_NUMBER)
        low = random.randint(0, high)
        drawn = Sum(high - low, "+", low) if operator == "+" else Sum(high, "-", low)
        if drawn.held_out == held_out:
            return drawn


def story(random: Random, held_out: bool) -> str:
    """Three to five sentences about a person who goes somewhere and finds something there."""
    while True:
        name, friend = random.sample(NAMES, 2)
        place, thing, colour = random.choice(PLACES), random.choice(OBJECTS), random.choice(COLOURS)
        if is_held_out("story", name, place, thing) == held_out:
            break
    subject, possessive = ("She", "her") if name in FEMALE_NAMES else ("He", "his")
    opening = random.choice(["One day", "One morning", "Last night", "In the evening"])
    sentences = [f"{opening} {name} went to the {place}."]
    if random.random() < 0.5:
        sentences.append(f"It was {random.choice(['cold', 'warm', 'sunny', 'dark', 'quiet'])} there.")
    sentences.append(f"{subject} saw a {colour} {thing} {random.choice(['on the floor', 'near the door', 'under a table'])}.")
    sentences.append(
        random.choice(
            [
                f"{subject} gave the {thing} to {friend}.",
                f"{subject} took the {colour} {thing} home.",
                f"{subject} called {possessive} friend {friend} and showed the {thing} to everyone.",
            ]
        )
    )
    if random.random() < 0.6:
        sentences.append(f"{random.choice([name, friend])} was very {random.choice(['happy', 'tired', 'proud', 'surprised'])}.")
    return " ".join(sentences)
