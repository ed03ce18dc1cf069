"""Records what the reference implementations make of varied texts: `text_metrics.json` beside this file.

    pip install sacrebleu==2.6.0 rouge-score==0.1.2 lm-eval==0.4.13 transformers torch
    python record_text_metrics.py
"""

import json
import platform
import re
import sys
from importlib.metadata import version
from pathlib import Path

from lm_eval.api import metrics as lm_eval_metrics
from lm_eval.tasks.squad_completion.task import contains_score
from rouge_score import rouge_scorer
from sacrebleu.metrics import BLEU, CHRF
from transformers.data.metrics import squad_metrics

# Hypothesis, references.
TEXTS = [
    ("The cat sat on the mat.", ["The cat sat on the mat."]),
    ("The cat sat on the mat.", ["A cat was sitting on the mat.", "On the mat sat the cat."]),
    ("the the the the the the the", ["The cat is on the mat.", "There is a cat on the mat."]),
    ("The small harbour closes at night unless the lighthouse keeper leaves the gate of the harbour open.",
     ["The small harbour closes every night, unless the keeper of the lighthouse leaves the harbour gate open.",
      "At night the harbour is closed unless the gate is left open by the keeper.",
      "Unless somebody leaves the gate open, the harbour of the small town closes at night."]),
    ("", ["Something was expected."]),
    ("", [""]),
    ("Something came.", [""]),
    (" \t\n", ["white space alone"]),
    ("cat", ["cat"]),
    ("cat", ["The cat"]),
    ("two words", ["two words"]),
    ("Paris", ["paris", "PARIS"]),
    ("no overlap whatsoever here", ["completely different text there"]),
    ("a b c", ["a b c d e f g h i j"]),
    ("a b c d e f g h i j", ["a b c"]),
    ("one two three four", ["four three two one"]),
    ("one two three four five", ["one two three four", "one two three four five six"]),
    ("Prices rose 3.5%, to $1,234.56 (up from $1,190).", ["Prices rose by 3.5 %, to $1,234.56 - up from $1,190."]),
    ("2024-11-24, 10:30-11:00, -5 to +7, 3-4-5", ["2024-11-24, 10:30–11:00, −5 to +7, 3 - 4 - 5"]),
    ("Well... wait,, what?!.,", ["Well … wait, what?!"]),
    ("don't can't O'Neill's 'quoted'", ["do n't ca n't O'Neill 's \"quoted\""]),
    ("e.g. U.S. vs. a.b.c. and x,y,z .5 5. 1.000,00", ["e.g. U.S. vs a.b.c and x, y, z 0.5 5 1,000.00"]),
    ("&lt;b&gt;Tom &amp; Jerry&quot;&amp;lt;", ["<b>Tom & Jerry\"&lt;"]),
    ("hyphen-\nated <skipped>line\nbreaks\r\nhere", ["hyphenated line breaks here"]),
    ("(hi) [there] {you} <all> ~`^_=|\\/@#", ["(hi) [there] {you} <all> ~ ` ^ _ = | \\ / @ #"]),
    ("Zażółć gęślą jaźń, Straße, naïve café", ["Zażółć gęślą jaźń, STRASSE, naive cafe\u0301", "Zażolc gesla jazn"]),
    ("ΟΔΥΣΣΕΥΣ και Ὀδυσσεύς", ["οδυσσευς και ὀδυσσεύς"]),
    ("İstanbul'da ılık", ["istanbul'da ILIK"]),
    ("Быстрая коричневая лиса прыгает.", ["Быстрая бурая лисица прыгает!"]),
    ("今天天气很好，我们去公园吧。", ["今天天氣很好,我們去公園。", "今日は天気がいいので、公園に行きましょう。"]),
    ("안녕하세요 세계, 반갑습니다.", ["안녕 세계. 반가워요"]),
    ("مرحبا بالعالم، كيف الحال؟", ["مرحبا يا عالم، كيف حالك؟"]),
    ("नमस्ते दुनिया, कैसे हो?", ["नमस्ते संसार, आप कैसे हैं?"]),
    ("🦀 Rust 👩‍💻 codes 🎉🎉", ["🦀 rust 👩 codes 🎉"]),
    ("ideographic\u3000space, no\u00a0break, unit\u001fseparator, zero\u200bwidth",
     ["ideographic space, no break, unit separator, zero width"]),
    ("First line here.\nSecond line there.\n\nThird one.",
     ["Second line here.\nFirst line there.\nThird one is longer.", "First line here. Second line there."]),
    ("rain fell on the old roof\nthe old roof leaked all night",
     ["rain leaked on the old roof\nthe night was old and the roof fell"]),
    ("n1 n2 n8 n9\nn3 n1 n5 n4 n7\nn6", ["n1 n2 n3 n4 n5", "n5 n4\nn3 n2 n1"]),
    ("a a b b c c a b c", ["c b a c b a a b c", "a b c a b c a b c"]),
    ("running runners ran easily, relational conditions", ["run runner runs easy relate condition"]),
    ("The answer is 42", ["42", "forty-two", "the answer is: 42."]),
    ("x" * 40, ["x" * 30 + "y" * 10]),
    ("word " * 60, ["word " * 50 + "other " * 5]),
]

# Those of TEXTS that make a corpus, and one without four-grams.
CORPORA = [list(range(len(TEXTS))), [0, 3, 17, 29, 35], [8, 9, 10, 12], [4, 7], [8]]

# Answer, targets, options.
EXACT_MATCHES = [
    ("Paris", ["Paris"], {}),
    ("Paris", ["paris"], {}),
    ("Paris", ["paris", "London"], {"ignore_case": True}),
    ("Paris.", ["paris"], {"ignore_case": True}),
    ("Paris.", ["paris!", "x"], {"ignore_case": True, "ignore_punctuation": True}),
    ("«Paris»", ["Paris"], {"ignore_punctuation": True}),
    ("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", [""], {"ignore_punctuation": True}),
    ("room 101", ["room 7"], {"ignore_numbers": True}),
    ("room ١", ["room "], {"ignore_numbers": True}),
    (" Paris", ["Paris"], {}),
    ("Paris\n", ["Paris"], {"ignore_case": True, "ignore_punctuation": True}),
    ("", [""], {}),
    ("", ["x"], {"ignore_numbers": True}),
    ("So 18 - 4 = 14.\n#### 1,400.", ["1400"],
     {"regexes_to_ignore": [",", r"\$", r"(?s).*#### ", r"\.$"], "ignore_case": True}),
    ("$1,234", ["1234", "$1,234.0"], {"regexes_to_ignore": [",", r"\$"]}),
    ("The  answer", ["theanswer"], {"regexes_to_ignore": [r"\s+"], "ignore_case": True}),
    ("A\u001fb\u3000c", ["Abc"], {"regexes_to_ignore": [r"\s"]}),
    ("ΟΔΟΣ", ["οδος", "οδοσ"], {"ignore_case": True}),
    ("STRASSE", ["straße"], {"ignore_case": True}),
    ("Straße", ["STRAßE"], {"ignore_case": True}),
    ("answer: B2", ["ANSWER b"], {"ignore_case": True, "ignore_punctuation": True, "ignore_numbers": True}),
]

# Answer, targets.
SQUAD = [
    ("the Eiffel Tower", ["Eiffel tower!"]),
    ("An apple a day", ["apple day", "the apple"]),
    ("a an the", [""]),
    ("", [""]),
    ("", ["something"]),
    ("something", [""]),
    ("red red house", ["red house", "red red red"]),
    ("theatre anthem area", ["the atre an them a rea"]),
    ("U.S.A.", ["USA", "us a"]),
    ("half-time", ["halftime", "half time"]),
    ("x—the—y, “the” z", ["x— —y “ ” z"]),
    ("a_b the_end", ["ab theend"]),
    ("été à la plage, a là", ["été la plage là"]),
    ("42 the 3rd", ["42 3rd", "the 42"]),
    ("one\u00a0two\u3000three\u001ffour", ["one two three four"]),
    ("北京 the 天安门", ["北京 天安门"]),
    ("北京the天安门", ["北京 天安门"]),
    ("ΟΔΟΣ the", ["οδος"]),
    ("THE THE", ["the"]),
]

# Answer, targets.
CONTAINS = [
    ("It is PARIS, of course.", ["Paris"]),
    ("Bonn, then Berlin", ["Hamburg", "bonn"]),
    ("in Paris", ["in  Paris", "Rome"]),
    ("3.5 (approx.)", ["3.5 (APPROX"]),
    ("355", ["3.5"]),
    ("", [""]),
    ("", ["x"]),
    ("anything", [""]),
    ("short", ["much longer than it"]),
    ("STRASSE", ["straße"]),
    ("ſtraße", ["STRAẞE"]),
    ("Kelvin K", ["kelvin k"]),
    ("İstanbul", ["istanbul"]),
    ("ılık", ["ILIK"]),
    ("ΟΔΟΣ", ["οδος", "οδοσ"]),
    ("µ-meter", ["Μ-METER"]),
    ("ᾳ", ["ΑΙ"]),
    ("ﬅ", ["ﬆ", "st"]),
    ("ДОМ", ["дом"]),
    ("北京", ["京"]),
]

# For `strip` and `count_words`.
WHITE_SPACE = ["", " ", "a", " a ", "two  words", "\tx\u001fy\u001c", "\u3000a\u00a0b\u2003", "a\u200bb", "\x85a\x0b", "l\r\nm\n"]


def score(rouge):
    return [rouge.precision, rouge.recall, rouge.fmeasure]


def text_case(hypothesis, references):
    def bleu(**options):
        return BLEU(effective_order=True, **options).sentence_score(hypothesis, references).score

    def chrf(**options):
        return CHRF(**options).sentence_score(hypothesis, references).score

    kinds = ["rouge1", "rouge2", "rougeL", "rougeLsum"]
    rouge = rouge_scorer.RougeScorer(kinds, use_stemmer=False).score_multi(references, hypothesis)
    counts = BLEU().corpus_score([hypothesis], [[reference] for reference in references])
    return {
        "hypothesis": hypothesis,
        "references": references,
        "bleu": bleu(),
        "bleu_lowercase": bleu(lowercase=True),
        "bleu_char": bleu(tokenize="char"),
        "bleu_none": bleu(tokenize="none"),
        "bleu_counts": [counts.sys_len, counts.ref_len, counts.counts, counts.totals],
        "brevity_penalty": counts.bp,
        "chrf": chrf(),
        "chrf_plus_plus": chrf(word_order=2),
        "chrf_lowercase": chrf(lowercase=True),
        "chrf_whitespace": chrf(whitespace=True),
        "chrf_orders": chrf(char_order=3, word_order=1, beta=1),
        "rouge": {kind: score(rouge[kind]) for kind in kinds},
    }


def corpus_case(texts):
    chosen = [TEXTS[text] for text in texts]
    hypotheses = [hypothesis for hypothesis, _ in chosen]
    longest = max(len(references) for _, references in chosen)
    # A text with fewer references than another has none in the last streams.
    streams = [[r[i] if i < len(r) else None for _, r in chosen] for i in range(longest)]
    return {
        "texts": texts,
        "bleu": BLEU().corpus_score(hypotheses, streams).score,
        "bleu_char": BLEU(tokenize="char").corpus_score(hypotheses, streams).score,
        "chrf": CHRF().corpus_score(hypotheses, streams).score,
        "chrf_plus_plus": CHRF(word_order=2).corpus_score(hypotheses, streams).score,
    }


def exact_match_case(answer, targets, options):
    # As lm-eval's task does for several targets.
    share = lm_eval_metrics.exact_match_hf_evaluate(
        predictions=[answer] * len(targets), references=targets, **options
    )["exact_match"]
    return {"answer": answer, "targets": targets, "options": options, "matches": bool(share > 0)}


def squad_case(answer, targets):
    return {
        "answer": answer,
        "targets": targets,
        "normal": squad_metrics.normalize_answer(answer),
        "exact_match": bool(max(squad_metrics.compute_exact(target, answer) for target in targets)),
        "f1": float(max(squad_metrics.compute_f1(target, answer) for target in targets)),
    }


def record():
    versions = {name: version(name) for name in ["sacrebleu", "rouge-score", "lm-eval", "transformers", "numpy"]}
    return {
        "versions": {"python": platform.python_version(), **versions},
        "texts": [text_case(*text) for text in TEXTS],
        "corpora": [corpus_case(texts) for texts in CORPORA],
        "exact_match": [exact_match_case(*case) for case in EXACT_MATCHES],
        "squad": [squad_case(*case) for case in SQUAD],
        "contains": [
            {"answer": answer, "targets": targets, "contains": bool(contains_score(answer, targets))}
            for answer, targets in CONTAINS
        ],
        "spaces": [code for code in range(sys.maxunicode + 1) if chr(code).isspace()],
        "white_space": [
            {"text": text, "strip": text.strip(), "words": len(re.split(r"\s+", text))} for text in WHITE_SPACE
        ],
    }


def main():
    sections = []
    for name, section in record().items():
        if isinstance(section, list) and isinstance(section[0], dict):
            lines = ",\n".join(json.dumps(case) for case in section)
            sections.append(f"{json.dumps(name)}: [\n{lines}\n]")
        else:
            sections.append(f"{json.dumps(name)}: {json.dumps(section)}")
    path = Path(__file__).with_name("text_metrics.json")
    path.write_text("{\n" + ",\n".join(sections) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
