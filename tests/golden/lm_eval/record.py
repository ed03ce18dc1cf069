"""Record what lm-evaluation-harness makes of the made-up rows in data/: `python record.py [MODEL]...`.

Needs lm-eval 0.4.13 with torch and transformers 4.57 (the versions that made host/runner/tests/fixtures, whose models
are made again here). Run by hand; expected/ is committed. The rows are our own, in the shape of each dataset; tasks,
prompts, few-shot draws and scores are lm-eval's, with nothing but the loading of datasets replaced.
"""

import json
import logging
import os
import sys
from importlib.metadata import version
from pathlib import Path

os.environ["DISABLE_MULTIPROC"] = "1"

import datasets
import lm_eval
import lm_eval.api.task
import torch
from lm_eval.api.group import Group
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager

HERE = Path(__file__).parent
FIXTURES = HERE.parents[2] / "host/runner/tests/fixtures"
sys.path.insert(0, str(FIXTURES))
import make_fixtures  # noqa: E402
import record_answers  # noqa: E402

MMLU = ["mmlu_abstract_algebra", "mmlu_virology", "mmlu_us_foreign_policy"]
TASKS = [
    "hellaswag", "arc_easy", "arc_challenge", "piqa", "winogrande", "boolq", "openbookqa", *MMLU, "gsm8k",
    "lambada_openai", "wikitext",
    # Our own, in tasks/: what no task above measures.
    "accuracies", "several_right", "begun_answers", "begun_choices",
]
MODELS = ["llama", "gpt2", "qwen2"]
SYSTEM = "Answer with care."

MANAGER = TaskManager(include_path=str(HERE / "tasks"))

# How a task is asked, in the words of `llm-bench`; `sampler` stands for lm-eval's own of the task where it is absent.
CASES = {
    "zero-shot": {"few_shot": 0},
    "few-shot": {"few_shot": 2},
    "first": {"few_shot": 2, "sampler": "first_n"},
    "system": {"few_shot": 1, "system": SYSTEM},
    "chat": {"few_shot": 0, "chat": True},
    "chat-turns": {"few_shot": 2, "chat": True, "system": SYSTEM},
    "chat-one-turn": {"few_shot": 2, "chat": True, "multi_turn": False},
}
# Scored by every model; the others only show their prompts.
SCORED = ["zero-shot", "few-shot", "chat"]
# The models' longest sequence is 64 tokens.
MAX_TOKENS = 16


def load_dataset(path: str, name: str | None = None, **_) -> datasets.DatasetDict:
    """The made-up rows instead of the Hub's."""
    folders = {
        "made-up/accuracies": "accuracies",
        "made-up/several_right": "several_right",
        "made-up/begun_answers": "begun_answers",
        "made-up/begun_choices": "begun_choices",
        "Rowan/hellaswag": "hellaswag",
        "allenai/ai2_arc": {"ARC-Easy": "arc_easy", "ARC-Challenge": "arc_challenge"}.get(name),
        "baber/piqa": "piqa",
        "allenai/winogrande": "winogrande",
        "aps/super_glue": "boolq",
        "allenai/openbookqa": "openbookqa",
        "cais/mmlu": f"mmlu_{name}",
        "openai/gsm8k": "gsm8k",
        "EleutherAI/lambada_openai": "lambada_openai",
        "EleutherAI/wikitext_document_level": "wikitext",
    }
    files = sorted((HERE / "data" / folders[path]).glob("*.jsonl"))
    rows = {file.stem: [json.loads(line) for line in file.read_text().splitlines()] for file in files}
    return datasets.DatasetDict({split: datasets.Dataset.from_list(rows) for split, rows in rows.items()})


def load(name: str, case: dict):
    overrides = {"fewshot_config": {"sampler": case["sampler"]}} if "sampler" in case else {}
    task = MANAGER._factory.build(MANAGER._entry(name), overrides=overrides or None, registry=MANAGER._index)
    if task.config.output_type == "generate_until":
        task.config.generation_kwargs["max_gen_toks"] = MAX_TOKENS
    return task


def cases_of(name: str) -> list[str]:
    return {"wikitext": ["zero-shot"], "several_right": ["zero-shot", "chat"]}.get(name, list(CASES))


def prompts(name: str, case: dict) -> list[dict]:
    """The requests of each document; a chat as its messages, which no template has joined yet."""
    task = load(name, case)
    task.set_config("num_fewshot", case["few_shot"])
    task.set_fewshot_seed(1234)

    def messages(chat: list, add_generation_prompt: bool) -> str:
        return json.dumps({"messages": chat, "continue_final": not add_generation_prompt})

    chat = case.get("chat", False)
    task.build_all_requests(
        rank=0,
        world_size=1,
        system_instruction=case.get("system"),
        apply_chat_template=chat,
        fewshot_as_multiturn=case.get("multi_turn", chat),
        chat_template=messages if chat else None,
    )
    documents: list[dict] = []
    for instance in task.instances:
        if instance.doc_id == len(documents):
            # Where choices stand in the question, that is what tells the right one.
            target = task.doc_to_text if task.multiple_input else task.doc_to_target
            documents.append({"target": target(instance.doc), "requests": []})
        prompt, *rest = instance.args
        # Without a question there is no chat: mutual information asks so.
        request = {"prompt": json.loads(prompt) if chat and prompt else prompt}
        if task.config.output_type == "generate_until":
            request["until"] = rest[0]["until"]
        elif rest:
            request["continuation"] = rest[0]
        documents[instance.doc_id]["requests"].append(request)
    return documents


def scores(model: HFLM, names: list[str | Group], case: dict) -> dict:
    results = lm_eval.simple_evaluate(
        model,
        tasks=names,
        num_fewshot=case["few_shot"],
        system_instruction=case.get("system"),
        apply_chat_template=case.get("chat", False),
        fewshot_as_multiturn=case.get("multi_turn", True),
        gen_kwargs={"max_gen_toks": MAX_TOKENS} if names == ["gsm8k"] else None,
        task_manager=MANAGER,
        log_samples=True,
    )
    assert results is not None
    return results


def mmlu() -> Group:
    """The group of that name with the subjects that have rows here."""
    config = {"group": "mmlu", "aggregate_metric_list": [{"metric": "acc", "weight_by_size": True}]}
    group = Group.from_config(config)
    for name in MMLU:
        group.add(MANAGER.load(name)["tasks"][name])
    return group


def scored_task(results: dict, name: str) -> dict:
    metrics = {
        key: value for key, value in results["results"][name].items() if "," in key and value != "N/A"
    }
    # With several filters each document comes once for each; their responses are the same.
    first = results["samples"][name][0]["filter"]
    samples = [sample["resps"] for sample in results["samples"][name] if sample["filter"] == first]
    return {"metrics": metrics, "responses": [[answer for [answer] in resps] for resps in samples]}


def model_of(name: str) -> HFLM:
    words, model = make_fixtures.seeded(name)
    record_answers.known_model(FIXTURES / name, words, model, None)
    return record_answers.harness(words, model)


def write(path: Path, content) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def main() -> None:
    logging.disable(logging.WARNING)
    # The models are tiny: more threads only wait for each other.
    torch.set_num_threads(1)
    lm_eval.api.task.datasets.load_dataset = load_dataset
    by = f"lm-evaluation-harness {version('lm_eval')}"
    for name in TASKS:
        cases = {case: CASES[case] | {"documents": prompts(name, CASES[case])} for case in cases_of(name)}
        write(HERE / "expected/prompts" / f"{name}.json", {"reference": by, "cases": cases})
    for model in sys.argv[1:] or MODELS:
        reference = model_of(model)
        tasks: dict[str, dict] = {name: {} for name in TASKS}
        for case in SCORED:
            for name in (name for name in TASKS if case in cases_of(name)):
                tasks[name][case] = scored_task(scores(reference, [name], CASES[case]), name)
        together = scores(reference, [mmlu()], CASES["few-shot"])["groups"]["mmlu"]
        together = {key: value for key, value in together.items() if "," in key}
        write(HERE / "expected/scores" / f"{model}.json", {"reference": by, "tasks": tasks, "mmlu": together})


if __name__ == "__main__":
    with torch.no_grad():
        main()
