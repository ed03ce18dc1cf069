"""A dialogue of several turns with the model, whose last answer a second model judges: the task of `plugins/dialogue`
once more, in Python. Both ask the same and measure the same."""

import json
import re

import config
import template
import verdict
from dialogue import Dialogue, complete, greedy
from failure import failure, invalid_sample, told
from wit_world import exports
from wit_world.imports import models, types
from wit_world.imports.models import Role

DESCRIPTION = (
    "Leads a dialogue of three turns with the model and has a judge say whether its last answer is right"
)
# Whether the judge found the last answer right.
JUDGED_RIGHT = "judged_right"
# Whether the gold answer stands in the last answer: what the judge can be held against.
CONTAINS = "contains"

# Every instance starts with what was ready when the component was built.
for source in [*config.TURNS, config.JUDGE_PROMPT]:
    template.parse(source)


class Plugin(exports.Plugin):
    def describe(self) -> types.Descriptor:
        return types.Descriptor(
            name="dialogue-in-python",
            version="0.1.0",
            description=DESCRIPTION,
            config_schema=json.dumps(config.SCHEMA),
            example_config=json.dumps(config.DEFAULT),
            parts=["subject", "judge"],
            data_files=[],
        )

    @told
    def metrics(self, text: str) -> list[types.Metric]:
        settings = config.read(text)
        config.check(settings)
        for place, turn in enumerate(settings["turns"]):
            template.check(turn, f"turns[{place}]")
        template.check(settings["judge"]["prompt"], "judge.prompt")
        described = {
            JUDGED_RIGHT: "share of dialogues whose last answer the judge finds right, of those it judged",
            CONTAINS: "share of dialogues in whose last answer the gold answer stands",
        }
        return [
            types.Metric(name, None, description, types.Aggregation.MEAN, True)
            for name, description in described.items()
        ]


class Solver(exports.Solver):
    """Leads the dialogue. The row comes without its gold column."""

    @told
    def solve(self, context: types.Context, sample: types.Sample) -> types.Solution:
        settings, row = config.read(context.config), json.loads(sample.input)
        with models.open("subject") as model:
            dialogue = Dialogue(model, settings["max_tokens"], settings["until"], settings["chat"])
            if settings["instructions"] is not None:
                dialogue.system(settings["instructions"])
            answers = [dialogue.ask(template.render(turn, row)) for turn in settings["turns"]]
        detail = {"transcript": dialogue.transcript(), "answers": answers}
        return types.Solution(answers[-1], [], json.dumps(detail))


class Scorer(exports.Scorer):
    """Has the judge look at the last answer, in an instance of its own and without the model that gave it."""

    @told
    def score(
        self, context: types.Context, sample: types.Sample, solution: types.Solution, target: str
    ) -> list[types.Measurement]:
        settings = config.read(context.config)
        judge = settings["judge"]
        gold = gold_answer(json.loads(target), settings["answer"])
        if solution.answer is None:
            raise failure(types.ErrorCode.OTHER, "the solution has no answer")
        if solution.detail is None:
            raise failure(types.ErrorCode.OTHER, "the solution has no detail: is it another solver's?")

        # What the judge's prompt may show: the row, the dialogue, and the gold answer.
        shown = json.loads(sample.input) | {
            "dialogue": verdict.quoted(json.loads(solution.detail)["transcript"]),
            "last_answer": verdict.quoted(solution.answer),
            "gold": gold,
        }
        asked = template.render(judge["prompt"], shown)
        with models.open("judge") as model:
            prompt = [models.Message(Role.USER, asked)] if judge["chat"] else asked
            said = complete(model, prompt, greedy(judge["max_tokens"], judge["until"]))

        right = judge["verdicts"]["right"]
        named = verdict.one_of(said, [right, judge["verdicts"]["wrong"]])
        # An unparsable verdict is no wrong answer: the metric is undefined on this sample.
        reason = f"the judge's verdict cannot be read: {verdict.shown(said)}" if named is None else None
        judged = None if named is None else float(named == right)
        contains = re.search(re.escape(gold), solution.answer, re.IGNORECASE) is not None
        return [
            types.Measurement(JUDGED_RIGHT, None, judged, 1.0, reason),
            types.Measurement(CONTAINS, None, float(contains), 1.0, None),
        ]


def gold_answer(target: dict, column: str) -> str:
    """The gold answer; the first of several."""
    if column not in target:
        columns = ", ".join(f"`{name}`" for name in target) or "no columns"
        raise invalid_sample(f"column `{column}`: missing; the row has {columns}")
    value = target[column]
    if isinstance(value, list):
        value = value[0] if value else None
    if isinstance(value, str):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return json.dumps(value)
    odd = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    raise invalid_sample(f"column `{column}`: {odd} is neither a text nor a number")
