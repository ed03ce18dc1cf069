"""A made-up language, the same on every machine: words of syllables, sentences of words."""

import random

COMMON_WORDS = 600
RARE_WORDS = 60_000


class Language:
    """Draws everything from one seeded stream, so that the order of calls decides what comes out."""

    def __init__(self, seed: int) -> None:
        spelling = random.Random(0)
        self.common = distinct_words(spelling, COMMON_WORDS, syllables=(1, 2), known=set())
        self.rare = distinct_words(spelling, RARE_WORDS, syllables=(3, 4), known=set(self.common))
        # Frequencies fall as in a real language, so that a tokenizer learns the common words whole.
        self.weights = [1 / (rank + 10) for rank in range(COMMON_WORDS)]
        self.random = random.Random(seed)

    def words(self, count: int) -> list[str]:
        return self.random.choices(self.common, self.weights, k=count)

    def phrase(self, count: int) -> str:
        return " ".join(self.words(count))

    def sentence(self) -> str:
        return f"{self.phrase(self.random.randint(6, 14))}."

    def text(self, tokens: int) -> str:
        """Sentences of about so many tokens: one for each common word and one for each full stop."""
        sentences, counted = [], 0
        while counted < tokens:
            sentence = self.sentence()
            counted += sentence.count(" ") + 2
            sentences.append(sentence)
        return " ".join(sentences)


def distinct_words(source: random.Random, count: int, syllables: tuple[int, int], known: set[str]) -> list[str]:
    words: list[str] = []
    while len(words) < count:
        word = "".join(syllable(source) for _ in range(source.randint(*syllables)))
        if word not in known:
            known.add(word)
            words.append(word)
    return words


def syllable(source: random.Random) -> str:
    return source.choice("bdfghklmnprstvwz") + source.choice("aeiou") + source.choice(["", "l", "n", "r", "s", "t"])
