"""Records statistics of the reference implementations: `statistics.json` beside this file.

    pip install lm-eval==0.4.13 scipy==1.17.1 numpy torch transformers
    python record_statistics.py
"""

import json
import math
import os
import platform
import random
from importlib.metadata import version
from pathlib import Path

# Without it lm-eval starts a pool of processes for every bootstrap; the numbers are the same.
os.environ["DISABLE_MULTIPROC"] = "1"

import numpy as np
from lm_eval.api import metrics
from scipy import stats

DRAW = random.Random(2024)

AGGREGATIONS = {
    "mean": metrics.mean,
    "median": metrics.median,
    "perplexity": metrics.perplexity,
    "weighted-perplexity": metrics.weighted_perplexity,
    "bits-per-byte": metrics.bits_per_byte,
}


def log_likelihoods(count):
    return [-DRAW.expovariate(0.4) for _ in range(count)]


def bits(count, share):
    return [float(DRAW.random() < share) for _ in range(count)]


def aggregate(aggregation, values, weights=None):
    """What lm-eval's evaluator makes of a metric with its default of 100,000 replicates."""
    function = AGGREGATIONS[aggregation]
    items = values if weights is None else list(zip(values, weights))
    stderr = metrics.stderr_for_metric(function, bootstrap_iters=100_000)
    return {
        "aggregation": aggregation,
        "values": values,
        "weights": weights or [1.0] * len(values),
        "value": function(items),
        "stderr": stderr(items) if stderr and len(items) > 1 else None,
    }


def aggregates():
    weights = [float(DRAW.randint(1, 40)) for _ in range(12)]
    return [
        aggregate("mean", bits(37, 0.6)),
        aggregate("mean", [DRAW.random() for _ in range(10)]),
        aggregate("mean", [1e9 + DRAW.random() for _ in range(10)]),
        aggregate("mean", [1.0]),
        aggregate("mean", [0.0] * 5),
        aggregate("median", [DRAW.random() for _ in range(8)]),
        aggregate("median", [DRAW.random() for _ in range(7)]),
        aggregate("median", [3.0]),
        aggregate("perplexity", log_likelihoods(9)),
        aggregate("perplexity", [-2.5]),
        aggregate("weighted-perplexity", log_likelihoods(12), weights),
        aggregate("bits-per-byte", log_likelihoods(12), weights),
    ]


def bootstrap(name, function, values, replicates):
    stderr = metrics.bootstrap_stderr(function, values, iters=replicates)
    return {"estimate": name, "values": values, "replicates": replicates, "stderr": stderr}


def bootstraps():
    values = log_likelihoods(23)
    return [
        bootstrap("perplexity", metrics.perplexity, values, 100),
        bootstrap("perplexity", metrics.perplexity, values, 2_000),
        bootstrap("perplexity", metrics.perplexity, values, 2_999),
        bootstrap("median", metrics.median, values, 150),
        bootstrap("median", metrics.median, values[:8], 3_000),
        bootstrap("mean", metrics.mean, values[:2], 1_000),
    ]


def group(values, stderrs, sizes):
    return {
        "values": values,
        "stderrs": stderrs,
        "sizes": sizes,
        "value": metrics.aggregate_subtask_metrics(values, sizes),
        "stderr": float(metrics.pooled_sample_stderr(stderrs, sizes)),
    }


def groups():
    return [
        group([0.25, 0.5, 0.9], [0.04, 0.03, 0.01], [100, 265, 1_534]),
        group([0.5, 0.75], [0.5, 0.25], [2, 4]),
        group([0.31], [0.02], [500]),
        group([0.0, 1.0, 0.4], [0.0, 0.0, 0.1], [3, 5, 25]),
    ]


def paired(first, second):
    result = stats.ttest_rel(second, first)
    difference = float(np.mean(np.subtract(second, first)))
    return {
        "first": first,
        "second": second,
        "means": [float(np.mean(first)), float(np.mean(second))],
        "difference": difference,
        "stderr": difference / float(result.statistic),
    }


def pairs():
    first = bits(60, 0.5)
    second = [bit if DRAW.random() < 0.8 else 1.0 - bit for bit in first]
    scores = [DRAW.random() for _ in range(25)]
    return [
        paired(first, second),
        paired(scores, [score + DRAW.gauss(0.05, 0.1) for score in scores]),
        paired([1.0, 0.0], [0.0, 0.5]),
        paired([1e6 + score for score in scores], [1e6 + score * 1.1 for score in scores]),
    ]


def ratio_pairs():
    """Ratios of sums; the standard error is the delta method's over the samples' covariance matrix."""
    count = 15
    weights = [[float(DRAW.randint(5, 60)) for _ in range(count)] for _ in range(2)]
    cases = []
    for first_weights, second_weights in [(weights[0], weights[0]), (weights[0], weights[1])]:
        first = [-2.1 * weight + DRAW.gauss(0, 3) for weight in first_weights]
        second = [-1.9 * weight + DRAW.gauss(0, 3) for weight in second_weights]
        sums = [sum(first), sum(first_weights), sum(second), sum(second_weights)]
        gradient = np.array(
            [-1 / sums[1], sums[0] / sums[1] ** 2, 1 / sums[3], -sums[2] / sums[3] ** 2]
        )
        covariance = np.cov([first, first_weights, second, second_weights], ddof=1) * count
        cases.append({
            "first": first, "first_weights": first_weights, "second": second, "second_weights": second_weights,
            "ratios": [sums[0] / sums[1], sums[2] / sums[3]],
            "difference": sums[2] / sums[3] - sums[0] / sums[1],
            "stderr": math.sqrt(gradient @ covariance @ gradient),
        })
    return cases


def mcnemar(only_first, only_second):
    discordant = only_first + only_second
    exact = stats.binomtest(min(only_first, only_second), discordant, 0.5).pvalue if discordant else 1.0
    case = {"only_first": only_first, "only_second": only_second, "exact": float(exact)}
    if only_first != only_second:
        case["statistic"] = (abs(only_first - only_second) - 1) ** 2 / discordant
        case["chi_square"] = float(stats.chi2.sf(case["statistic"], 1))
    return case


def mcnemars():
    counts = [(0, 0), (0, 1), (1, 0), (1, 1), (0, 5), (5, 1), (10, 2), (8, 9), (12, 12), (4, 20), (4, 21), (30, 31),
              (25, 25), (59, 6), (150, 86), (1_000, 1_100), (700, 1_100), (30_000, 30_500), (3, 5_000)]
    return [mcnemar(*pair) for pair in counts]


def record():
    return {
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ["lm-eval", "numpy", "scipy"]},
        },
        "aggregates": aggregates(),
        "bootstraps": bootstraps(),
        "groups": groups(),
        "pairs": pairs(),
        "ratio_pairs": ratio_pairs(),
        "mcnemar": mcnemars(),
    }


def main():
    sections = []
    for name, section in record().items():
        if isinstance(section, list):
            lines = ",\n".join(json.dumps(case) for case in section)
            sections.append(f"{json.dumps(name)}: [\n{lines}\n]")
        else:
            sections.append(f"{json.dumps(name)}: {json.dumps(section)}")
    Path(__file__).with_name("statistics.json").write_text("{\n" + ",\n".join(sections) + "\n}\n")


if __name__ == "__main__":
    main()
