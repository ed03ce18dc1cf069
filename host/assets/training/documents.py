"""Random training documents, as segments of text with the weight that their tokens have in the loss.

Most of a document can't be predicted (who is where is drawn at random), so answers weigh more than the rest.
"""

from random import Random

from vocabulary import CAPITALS, COLOURS, NAMES, OBJECTS, OPPOSITES, PLACES
from worlds import Question, is_held_out, known_situation, random_sum, reading_question, story

BOS, EOS, TURN_START, TURN_END = "<|bos|>", "<|eos|>", "<|im_start|>", "<|im_end|>"

PLAIN, ANSWER, CONTEXT = 1.0, 8.0, 0.3

Segment = tuple[str, float]

# What share of the documents is of which kind, up to which part of the training.
STAGES = [
    (0.12, {"reading": 46, "arithmetic": 20, "capitals": 6, "opposites": 6, "statements": 5, "stories": 6, "copying": 5, "chat": 6}),
    (0.25, {"pairs": 80, "recall": 8, "reading": 4, "interview": 2, "arithmetic": 3, "capitals": 1, "opposites": 1, "chat": 1}),
    (0.38, {"pairs": 5, "linked pairs": 72, "recall": 12, "interview": 6, "arithmetic": 3, "capitals": 1, "opposites": 1}),
    (0.51, {"linked pairs": 18, "recall": 24, "interview": 30, "reading": 20, "arithmetic": 4, "capitals": 1, "opposites": 1, "chat": 2}),
    (0.70, {"reversed pairs": 45, "backward interview": 35, "interview": 8, "reading": 6, "arithmetic": 4, "capitals": 1, "opposites": 1}),
    (1.00, {"reading": 38, "interview": 16, "recall": 2, "reversed pairs": 4, "arithmetic": 14, "capitals": 4, "opposites": 5, "statements": 2, "stories": 4, "copying": 5, "chat": 6}),
]  # fmt: skip
EARLY, LATE = STAGES[0][0], STAGES[-2][0]
SENTENCES_EARLY = [5, 4, 1, 0, 0]
SENTENCES_LATE = [2, 4, 4, 2, 1]


def ask_reading(random: Random, sentence_weights: list[int]) -> Question:
    sentences = random.choices(range(1, 6), weights=sentence_weights)[0]
    alike = sentence_weights is SENTENCES_LATE and random.random() < 0.5
    return reading_question(random, sentences, held_out=False, alike=alike)


def ask_arithmetic(random: Random, _: list[int]) -> Question:
    drawn = random_sum(random, held_out=False)
    return Question(f"What is {drawn}?", str(drawn.result))


def ask_capital(random: Random, _: list[int]) -> Question:
    country, city = random.choice(list(CAPITALS.items()))
    wording = random.choice(["What is the capital of {}?", "Which city is the capital of {}?"])
    return Question(wording.format(country), city)


def ask_opposite(random: Random, _: list[int]) -> Question:
    word, opposite = random.sample(random.choice(OPPOSITES), 2)
    wording = random.choice(["What is the opposite of {}?", "Which word is the opposite of {}?"])
    return Question(wording.format(word), opposite)


ASK = {"reading": ask_reading, "arithmetic": ask_arithmetic, "capitals": ask_capital, "opposites": ask_opposite}


def prompt_of(question: Question) -> list[Segment]:
    """The question as the benchmark's tasks render it, up to and including `Answer:`."""
    context = [(question.context + "\n", CONTEXT)] if question.context else []
    return [*context, (f"Question: {question.question}\nAnswer:", CONTEXT)]


def few_shot(random: Random, kind: str, sentence_weights: list[int], longest: int) -> list[Segment]:
    """Up to `longest` questions of a kind, often few; a blank line between, the last answer sometimes ended by a newline."""
    count = random.choices([1, 2, random.randint(3, longest)], weights=[45, 20, 35])[0]
    segments: list[Segment] = []
    for index in range(count):
        question = ASK[kind](random, sentence_weights)
        segments += prompt_of(question)
        last = index == count - 1
        segments.append((f" {question.answer}" + ("" if last and random.random() < 0.4 else "\n"), ANSWER))
        if not last:
            segments.append(("\n", PLAIN))
    return [*segments, (EOS, PLAIN)]


def chat(random: Random, sentence_weights: list[int]) -> list[Segment]:
    """One to three turns; the user asks plainly or pastes a whole prompt."""
    segments: list[Segment] = []
    for _ in range(random.choices([1, 2, 3], weights=[6, 3, 1])[0]):
        question = ASK[random.choices(list(ASK), weights=[4, 2, 2, 2])[0]](random, sentence_weights)
        if random.random() < 0.5:
            asked = prompt_of(question)
        else:
            asked = [(f"{question.context} {question.question}".strip(), CONTEXT)]
        segments += [(f"{TURN_START}user\n", PLAIN), *asked, (f"{TURN_END}\n{TURN_START}assistant\n", PLAIN)]
        segments += [(question.answer, ANSWER), (TURN_END, ANSWER), ("\n", PLAIN)]
    return [*segments, (EOS, PLAIN)]


def interview(random: Random, _: list[int], backward: bool = False) -> list[Segment]:
    """One longer context and a question about each of its sentences: answers follow closely upon each other.

    The answer to a `backward` question stands before what the question names ("Who has the ball?").
    """
    facts = known_situation(random, sentences=random.randint(2, 6))
    segments: list[Segment] = [(" ".join(fact.sentence for fact in facts) + "\n", CONTEXT)]
    for fact in random.sample(facts, len(facts)):
        question, answer = random.choice(fact.questions[1:] if backward else fact.questions)
        segments += [(f"Question: {question}\nAnswer:", CONTEXT), (f" {answer}\n", ANSWER)]
    return [*segments, (EOS, PLAIN)]


def recall(random: Random, _: list[int]) -> list[Segment]:
    """A context and its sentences again in another order: a first step from copying to answering."""
    facts = known_situation(random, sentences=random.randint(2, 6))
    segments: list[Segment] = [("Recall: " + " ".join(fact.sentence for fact in facts) + "\n", CONTEXT)]
    for fact in random.sample(facts, len(facts)):
        words = fact.sentence.split(" ")
        segments += [(" " + " ".join(words[:-1]), PLAIN), (f" {words[-1]}", ANSWER), ("\n", PLAIN)]
    return [*segments, (EOS, PLAIN)]


PLACE_LINKS = [" the", " in the", " is in the", " went to the"]
THING_LINKS = [" a", " a red", " has a red", " found a blue"]


def pairs(random: Random, _: list[int], linked: bool = False) -> list[Segment]:
    """Pairs of words and the same pairs in another order; `linked` ones have one to three words between the two.

    Where nothing is between them, finding the second again takes the simplest form of looking back; each further word
    is a small step towards the sentences that questions are about.
    """
    count = random.randint(3, 8)
    words, links = random.choice([(PLACES, PLACE_LINKS), (OBJECTS, THING_LINKS)])
    link = random.choice(links) if linked else ""
    while True:
        drawn = list(zip(random.sample(NAMES, count), random.sample(words, count)))
        if not any(is_held_out(*pair) for pair in drawn):
            break
    if random.random() < 0.3:
        drawn = [(word, name) for name, word in drawn]
    segments: list[Segment] = [("Pairs: " + " ".join(f"{a}{link} {b}." for a, b in drawn) + "\n", CONTEXT)]
    for a, b in random.sample(drawn, count):
        segments += [(f" {a}{link}", CONTEXT), (f" {b}", ANSWER), (".\n", CONTEXT)]
    return [*segments, (EOS, PLAIN)]


def reversed_pairs(random: Random, _: list[int]) -> list[Segment]:
    """Pairs, with words between the two of a pair or without; then the second of each, followed by the first."""
    count = random.randint(3, 8)
    firsts, seconds, links = random.choice(
        [(NAMES, PLACES, ["", *PLACE_LINKS]), (NAMES, OBJECTS, ["", *THING_LINKS]), (COLOURS, OBJECTS, [""])]
    )
    link = random.choice(links)
    while True:
        drawn = list(zip(random.sample(firsts, count), random.sample(seconds, count)))
        if not any(is_held_out(*pair) for pair in drawn):
            break
    segments: list[Segment] = [("Pairs: " + " ".join(f"{a}{link} {b}." for a, b in drawn) + "\n", CONTEXT)]
    for a, b in random.sample(drawn, count):
        segments += [(f" {b}", CONTEXT), (f" {a}", ANSWER), ("\n", CONTEXT)]
    return [*segments, (EOS, PLAIN)]


def backward_interview(random: Random, sentence_weights: list[int]) -> list[Segment]:
    return interview(random, sentence_weights, backward=True)


def linked_pairs(random: Random, sentence_weights: list[int]) -> list[Segment]:
    return pairs(random, sentence_weights, linked=True)


def statements(random: Random, _: list[int]) -> list[Segment]:
    """Lines that each state a fact."""
    segments: list[Segment] = []
    for _ in range(random.randint(2, 8)):
        kind = random.choices(["capital", "opposite", "sum"], weights=[2, 2, 1])[0]
        if kind == "capital":
            country, city = random.choice(list(CAPITALS.items()))
            if random.random() < 0.7:
                segments += [(f"The capital of {country} is", PLAIN), (f" {city}", ANSWER / 2)]
            else:
                segments += [(f"{city} is the capital of", PLAIN), (f" {country}", ANSWER / 2)]
        elif kind == "opposite":
            word, opposite = random.sample(random.choice(OPPOSITES), 2)
            segments += [(f"The opposite of {word} is", PLAIN), (f" {opposite}", ANSWER / 2)]
        else:
            drawn = random_sum(random, held_out=False)
            segments += [(f"{drawn} =", CONTEXT), (f" {drawn.result}", ANSWER / 2)]
        segments.append((".\n", PLAIN))
    return [*segments, (EOS, PLAIN)]


def copying(random: Random, _: list[int]) -> list[Segment]:
    """Some words and the same words again: the simplest use of what was read."""
    words = [word.lower() for word in NAMES] + list(PLACES) + list(OBJECTS)
    drawn = " ".join(random.choice(words) for _ in range(random.randint(2, 10)))
    return [(f"Repeat: {drawn}\n", CONTEXT), (f" {drawn}\n", ANSWER / 4), (EOS, PLAIN)]


def short_story(random: Random, _: list[int]) -> list[Segment]:
    return [(story(random, held_out=False), PLAIN), (EOS, PLAIN)]


def document(random: Random, progress: float) -> list[Segment]:
    """A document; `progress` runs from 0 to 1 over the training and moves from short contexts to long ones."""
    sentence_weights = SENTENCES_EARLY if progress < EARLY else SENTENCES_LATE
    shares = next(shares for until, shares in STAGES if progress < until or until == 1.0)
    kind = random.choices(list(shares), weights=list(shares.values()))[0]
    others = {
        "interview": interview,
        "recall": recall,
        "pairs": pairs,
        "linked pairs": linked_pairs,
        "reversed pairs": reversed_pairs,
        "backward interview": backward_interview,
        "chat": chat,
        "statements": statements,
        "copying": copying,
        "stories": short_story,
    }
    if kind in others:
        return [(BOS, PLAIN), *others[kind](random, sentence_weights)]
    return [(BOS, PLAIN), *few_shot(random, kind, sentence_weights, longest=6 if progress < LATE else 12)]
