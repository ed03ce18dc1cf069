"""Records how lm-evaluation-harness reads and scores texts that no model wrote: `lm_eval.json` beside this file.

    pip install lm-eval==0.4.13 transformers torch
    python record_lm_eval.py

The texts are our own. They go through the filters and `process_results` of lm-eval's tasks, of which only the loading
of datasets is replaced, and of tasks made here from its parts for what those leave out.
"""

import json
import logging
import tomllib
from importlib.metadata import version
from pathlib import Path

import datasets
from lm_eval.api.metrics import metric_max_over_ground_truths
from lm_eval.api.task import ConfigurableTask
from lm_eval.tasks import TaskManager
from lm_eval.tasks.squad_completion.task import contains_score
from transformers.data.metrics import squad_metrics

HERE = Path(__file__).parent
PRESETS = HERE.parents[3] / "host/assets/presets"
NUMBER = r"(-?[$0-9.,]{2,})|(-?[0-9]+)"


def sums(answer: str) -> dict:
    return {"answer": f"Some steps, of which 99 is one.\n#### {answer}"}


def texts_of_gsm8k() -> list[tuple]:
    stamps = [
        " Ada has 4 + 11 = 15 stamps.\n#### 15", "#### 15", "#### 15.", "#### 16", "The answer is 15", "####15",
        "#### $15", "#### 15\n#### 16", "#### 16\n#### 15", "I do not know.", "Well... fifteen", "", "\n\n",
        "#### 15\n", "#### 15\n\nQuestion: Lin has 7 stamps. How many?\nAnswer: 7", "#### 15</s>", "#### 15.0",
        "#### -15", "15 or 51", "It is 1 5", "#### １５", "#### ١٥", "答えは15です。", "15 марок, не 16",
        "#### 15 stamps of $0.50 each", "#### 1,5", "#### ,", "#### 15..", "####  15", "#### \n15", "#### 15\u3000",
    ]
    plums = ["#### 12600", "#### 12,600", "#### $12,600", "It is $12,600.", "$12,600.00", "#### 12 600", "12.600"]
    steps = ["#### -12", "#### - 12", "#### −12", "24-12", "It is -12\n", "#### 12", "so -12, not 12"]
    others = [
        (sums("0.5"), "#### 0.5"), (sums("0.5"), "#### .5"), (sums("$7"), "7"), (sums("7"), "A. 7!"),
        (sums("[Invalid]"), "no number"), (sums("3\nNo, #### 4"), "#### 4"), (sums("15\n"), "#### 15"),
        (sums("15."), "#### 15"), ({"answer": "15"}, "#### 15"),
    ]
    return [
        *((sums("15"), text) for text in stamps), *((sums("12,600"), text) for text in plums),
        *((sums("-12"), text) for text in steps), *others,
    ]


def texts_of_gsm8k_cot() -> list[tuple]:
    texts = [
        "He had 12. The answer is 18.", "The answer is 18", "The answer is 18.\n", "The answer is 18.5.",
        "The answer is 18!", "the answer is 18.", "The answer is $18.", "The answer is 18 and not 19.",
        "The answer is 8", "The answer is 180", "THE ANSWER IS 18.\n\nQ: And 3?",
    ]
    return [*((sums("18"), text) for text in texts), (sums("1,234"), "The answer is 1,234 plums.")]


def texts_of_triviaqa() -> list[tuple]:
    paris = [
        " Paris", "paris", "PARIS!", "City-of Light", "city of light.\n", "in Paris", "", "«Paris»", "\u3000Paris\u001f",
        "\u200bParis", "Paris\nLyon", "Pa ris", "London",
    ]
    others = [
        (["東京", "Tōkyō"], "東京"), (["東京", "Tōkyō"], " TŌKYŌ"), (["東京", "Tōkyō"], "東京。"), (["東京"], "京都"),
        (["οδος"], "ΟΔΟΣ"), (["οδοσ"], "ΟΔΟΣ"), (["STRASSE"], "straße"), (["!"], "?"), (["Don't", "Do it"], "dont"),
    ]
    return [({"answer": {"aliases": aliases}}, text) for aliases, text in
            [*((["Paris", "City of Light"], text) for text in paris), *others]]


def texts_of_nq_open() -> list[tuple]:
    texts = [
        "the Eiffel Tower", "The the Eiffel Tower", "Eiffel the Tower", "AN Eiffel Tower", "an eiffel tower",
        "bathe Eiffel Tower", "Eiffel Tower the", "Tower of Paris!", "tower  of Paris", "a",
    ]
    return [({"answer": ["Eiffel Tower", "the Tower of a Paris"]}, text) for text in texts]


def texts_of_xquad() -> list[tuple]:
    cases = [
        ("the Eiffel Tower", "Eiffel tower!"), ("Eiffel Tower in Paris", "Eiffel Tower"), ("", "Paris"), ("the", ""),
        ("\n", "a"), ("a tower, a tower", "Tower"), ("in the year 1889\n", "1889"), ("東京 タワー", "東京タワー"),
        ("Zoë’s the-atre", "Zoë’s theatre"), ("x y z", "z x w"), ("Lyon", "Paris"),
    ]
    return [({"answers": {"text": [right], "answer_start": [0]}}, text) for text, right in cases]


def texts_of_several() -> list[tuple]:
    targets = ["the red house", "a Barn (1889)", "東京"]
    texts = ["Red house.", "red red barn", "barn 1889", "It is A BARN (1889), surely", "東京 tower", "", "THE", "shed"]
    return [({"answer": targets}, text) for text in texts]


def most(doc: dict, results: list) -> dict:
    """SQuAD's scores of the best target, as lm-eval takes the best of several."""
    targets, answer = doc["answer"], results[0]
    return {
        "em": metric_max_over_ground_truths(squad_metrics.compute_exact, answer, targets),
        "f1": metric_max_over_ground_truths(squad_metrics.compute_f1, answer, targets),
        "contains": contains_score(answer, targets),
    }


# Filters beside the defaults of a task, the options of `exact_match`, and right answer and text of each case.
MADE_UP = {
    "as-it-is": ([], {}, [
        ("Paris", "Paris"), ("Paris", " Paris"), ("Paris", "Paris\n"), ("Paris", "paris"), ("", ""), ("", "\n"),
        (42, "42"), (42, "42.0"), (4.5, "4.5"), (-3, "-3"), (-3, "3"),
    ]),
    "lenient": ([], {"ignore_case": True, "ignore_punctuation": True, "ignore_numbers": True}, [
        ("Room 7b", "room 101 B"), ("Room 7b", "ROOM b."), ("Room 7b", "room7b"), ("٧ Uhr", "7 UHR"), ("--", "12"),
    ]),
    "last-full-stop": ([], {"regexes_to_ignore": [r"\.$"]}, [
        ("15", "15."), ("15\n", "15.\n"), ("15.", "15"), ("15", "15..")
    ]),
    "last-number": ([{"name": "maybe", "regex": "[0-9]*", "select": -1},
                     {"name": "sure", "regex": "[0-9]+", "select": -1}], {}, [
        ("12", "I say 12"), ("12", "I say 12."), ("", "12 or 13"), ("13", "12 or 13"), ("[invalid]", "neither"),
    ]),
    "to-the-end": ([{"name": "rest", "regex": r"answer is (.*?)\.?$"},
                    {"name": "letter", "regex": r"(?i)answer is \(?([A-D])\b"}], {"ignore_case": True}, [
        ("b", "The answer is B."), ("b", "The answer is B"), ("b", "The answer is  B .\n"), ("b", "The answer is B.\n"),
        ("b", "The answer is B.\nOr C."), ("B", "the ANSWER is (b)"), ("b", "The answer is Bonn."),
    ]),
    "groups": ([{"name": "either", "regex": "answer:([0-9]*)([a-z]*)", "fallback": " none "},
                {"name": "second", "regex": NUMBER, "select": 1, "fallback": ""}], {}, [
        ("7", "answer:7b answer:8"), ("b", "answer:b 7 8"), ("none", "answer: 1 2"), (" none ", "nothing"),
        ("", "none"), ("8", "7 8 9"), ("$8", "$7 $8 "),
    ]),
    "japanese": ([{"name": "strict", "regex": r"答えは(\-?[0-9\.\,]+)です。"}], {}, [
        ("11", "5+6=11。答えは11です。"), ("11", "答えは11。"), ("-1,5", "答えは-1,5です。"), ("十一", "答えは十一です。"),
    ]),
}


def filter_of(ours: dict) -> dict:
    taken = {"regex_pattern": ours["regex"], "group_select": ours.get("select", 0)}
    fallback = {"fallback": ours["fallback"]} if "fallback" in ours else {}
    return {"name": ours["name"], "filter": [{"function": "regex", **taken, **fallback}, {"function": "take_first"}]}


def rows(gold: dict):
    return lambda **_: datasets.DatasetDict(dict.fromkeys(
        ["train", "validation", "test"], datasets.Dataset.from_list([{"question": "?", "context": "", **gold}])
    ))


def made_up(name: str, gold: dict, metrics: list[dict], **settings) -> ConfigurableTask:
    return ConfigurableTask(config={
        "task": name, "output_type": "generate_until", "test_split": "test", "custom_dataset": rows(gold),
        "doc_to_text": "question", "doc_to_target": "answer", "generation_kwargs": {"until": ["\n"]},
        "metric_list": [{"aggregation": "mean", "higher_is_better": True, **metric} for metric in metrics], **settings,
    })


def score(task, config: dict, texts: list[tuple]) -> list[dict]:
    """What each filter reads in each text, and what the metrics of the task say of that."""
    docs = [{"question": "?", "context": "", **gold} for gold, _ in texts]
    task._instances = [
        task.construct_requests(doc, "", metadata=(task.task_name, number, 1)) for number, doc in enumerate(docs)
    ]
    for instance, (_, text) in zip(task._instances, texts, strict=True):
        instance.resps = [text]
    task.apply_filters()
    filters = [one.name for one in task._filters]
    assert [one["name"] for one in config.get("filters", [])] in (filters, []), config

    def reading(instance, doc: dict, name: str) -> dict:
        read = instance.filtered_resps[name]
        # lm-eval's task of XQuAD gives SQuAD's `em` the name of another metric.
        names = {"exact_match": "em"} if "em" in config["metrics"] else {}
        values = task.process_results(doc, [read])
        return {"text": read, "values": {names.get(key, key): float(value) for key, value in values.items()}}

    return [
        {"gold": gold, "answer": text, "readings": [reading(instance, doc, name) for name in filters]}
        for instance, doc, (gold, text) in zip(task._instances, docs, texts, strict=True)
    ]


def record() -> list[dict]:
    lenient = {"metrics": ["exact_match"], "ignore_case": True, "ignore_punctuation": True}
    gsm8k = tomllib.loads((PRESETS / "gsm8k.toml").read_text())["config"]
    cot = gsm8k | {"target": "{{ answer.split('####')[-1].strip() }}", "until": ["Q:", "</s>", "<|im_end|>"]}
    cot["filters"] = [
        {"name": "strict-match", "regex": r"The answer is (\-?[0-9\.\,]+)."}, *gsm8k["filters"][1:]
    ]
    articles = {"regexes_to_ignore": [r"\b(?:The |the |An |A |The |a |an )"]}
    squad = {"answer": "answers", "answer_entry": "text", "metrics": ["em", "f1"], "strip": False}
    own = {
        "gsm8k": (gsm8k, texts_of_gsm8k()), "gsm8k_cot": (cot, texts_of_gsm8k_cot()),
        "triviaqa": (lenient | {"answer_entry": "aliases"}, texts_of_triviaqa()),
        "nq_open": (lenient | articles, texts_of_nq_open()), "xquad_en": (squad, texts_of_xquad()),
    }
    manager = TaskManager()
    tasks = []
    for name, (config, texts) in own.items():
        overrides = {"custom_dataset": rows(texts[0][0])}
        task = manager._factory.build(manager._entry(name), overrides=overrides, registry=manager._index)
        tasks.append({"name": name, "config": config, "cases": score(task, config, texts)})
    texts = texts_of_several()
    config = {"metrics": ["em", "f1", "contains"], "strip": False}
    metrics = [{"metric": metric} for metric in config["metrics"]]
    task = made_up("several", texts[0][0], metrics, process_results=most)
    tasks.append({"name": "several", "config": config, "cases": score(task, config, texts)})
    for name, (filters, options, cases) in MADE_UP.items():
        texts = [({"answer": right}, text) for right, text in cases]
        lists = {"filter_list": [filter_of(one) for one in filters]} if filters else {}
        task = made_up(name, texts[0][0], [{"metric": "exact_match", **options}], **lists)
        config = {"metrics": ["exact_match"], "strip": False, **options, **({"filters": filters} if filters else {})}
        tasks.append({"name": name, "config": config, "cases": score(task, config, texts)})
    return tasks


def main() -> None:
    logging.disable(logging.WARNING)
    tasks = []
    for task in record():
        cases = ",\n".join(json.dumps(case, ensure_ascii=False) for case in task.pop("cases"))
        tasks.append(f'{json.dumps(task, ensure_ascii=False)[:-1]}, "cases": [\n{cases}\n]}}')
    by = json.dumps(f"lm-evaluation-harness {version('lm_eval')}")
    text = f'{{"reference": {by}, "tasks": [\n' + ",\n".join(tasks) + "\n]}\n"
    (HERE / "lm_eval.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
