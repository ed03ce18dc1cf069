"""Run lm-eval's command line and say how long its model was at work: `python time_requests.py TIMES.json ARGUMENTS …`.

The time runs from the first request to the last answer, tokenization included; loading the model, building the prompts
and computing the metrics are not part of it.
"""

import functools
import json
import sys
import time
from pathlib import Path

import torch
from lm_eval.__main__ import cli_evaluate
from lm_eval.models.huggingface import HFLM


def timed(function, spent: list[float]):
    @functools.wraps(function)
    def wrapper(*arguments, **named):
        start = time.perf_counter()
        try:
            return function(*arguments, **named)
        finally:
            spent.append(time.perf_counter() - start)

    return wrapper


def main() -> None:
    times, *arguments = sys.argv[1:]
    spent: list[float] = []
    for name in ("loglikelihood", "loglikelihood_rolling"):
        setattr(HFLM, name, timed(getattr(HFLM, name), spent))
    sys.argv = ["lm_eval", *arguments]
    cli_evaluate()
    Path(times).write_text(json.dumps({"requests_s": sum(spent), "threads": torch.get_num_threads()}))


if __name__ == "__main__":
    main()
