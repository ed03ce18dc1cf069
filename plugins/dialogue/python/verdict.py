"""What a judge said, read so that a careless or a hostile text does not become a score."""

import unicodedata

UNCLEAR = object()


def one_of(answer: str, options: list[str]) -> str | None:
    """The option that an answer names: in its last line, or, where that names none, anywhere. None where it names no
    option, more than one, or one after a `not`. Options are found as whole words, in any case; of two that overlap the
    longer one counts."""
    answer = answer.rstrip()
    named = named_in(lines(answer)[-1] if answer else "", options) or named_in(answer, options)
    return None if named is UNCLEAR else named


def named_in(text: str, options: list[str]):
    """The one option that a text names; None, or `UNCLEAR`."""
    said = words(text)
    known = sorted(((words(option), option) for option in options), key=lambda known: -len(known[0]))
    found, place = None, 0
    while place < len(said):
        for option_words, option in known:
            if option_words and said[place : place + len(option_words)] == option_words:
                break
        else:
            place += 1
            continue
        negated = place > 0 and is_negation(said[place - 1])
        if negated or found not in (None, option):
            return UNCLEAR
        found = option
        place += len(option_words)
    return found


def words(text: str) -> list[str]:
    return "".join(c if c.isalnum() or c in "'’" else " " for c in text).lower().split()


def is_negation(word: str) -> bool:
    return word in ("not", "never", "neither", "nor", "cannot") or word.endswith(("n't", "n’t"))


def lines(text: str) -> list[str]:
    """A text's lines. Python's splitlines() knows more ends of lines than people see."""
    ended = text.split("\n")
    last = ended.pop()
    return [line.removesuffix("\r") for line in ended] + ([last] if last else [])


def quoted(text: str) -> str:
    """A text for a judge's prompt: each line after `> `, so that nothing in it passes for a part of the prompt."""
    return "\n".join(f"> {line}" for line in lines(text))


def shown(answer: str, most: int = 200) -> str:
    """What a judge said, for a person: in quotes, its beginning, with what cannot be seen as escapes."""
    escapes = {"\0": "\\0", "\t": "\\t", "\n": "\\n", "\r": "\\r", '"': '\\"', "\\": "\\\\"}
    cut = answer[:most] + "…" if len(answer) > most else answer
    return '"' + "".join(escapes.get(c) or (c if is_visible(c) else f"\\u{{{ord(c):x}}}") for c in cut) + '"'


def is_visible(character: str) -> bool:
    return character.isprintable() and unicodedata.category(character) not in ("Mn", "Me")
