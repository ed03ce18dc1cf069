"""Records what trec_eval makes of varied rankings: `trec_eval.json` beside this file.

    pip install pytrec-eval-terrier==0.5.11
    python record_trec_eval.py
"""

import json
import random
from importlib.metadata import version
from pathlib import Path

import pytrec_eval

CUTOFFS = [1, 3, 10]
MEASURES = {"recip_rank", "map"} | {
    f"{measure}.{','.join(map(str, CUTOFFS))}" for measure in ["ndcg_cut", "recall", "P"]
}


def case(random_, number):
    documents = [f"d{n}" for n in range(random_.randint(1, 25))]
    judged = random_.sample(documents, random_.randint(1, len(documents)))
    grades = [[0, 1], [0, 0, 0, 1], [-1, 0, 1, 2, 3], [0], [1]][number % 5]
    relevant = {document: random_.choice(grades) for document in judged}
    retrieved = random_.sample(documents, random_.randint(1, len(documents)))
    # Few scores, so that many are equal.
    passages = {document: random_.randint(0, 6) / 2 for document in retrieved}
    return {"relevant": relevant, "passages": passages}


def main():
    random_ = random.Random(20)
    cases = [case(random_, number) for number in range(40)]
    queries = {str(number): case for number, case in enumerate(cases)}
    evaluator = pytrec_eval.RelevanceEvaluator({q: case["relevant"] for q, case in queries.items()}, MEASURES)
    results = evaluator.evaluate({q: case["passages"] for q, case in queries.items()})
    for query, case_ in queries.items():
        found = results[query]
        case_["expected"] = {"mrr": found["recip_rank"], "map": found["map"]} | {
            f"{name}_at_{k}": found[f"{measure}_{k}"]
            for k in CUTOFFS
            for name, measure in [("ndcg", "ndcg_cut"), ("recall", "recall"), ("precision", "P")]
        }
    recorded = {"version": f"pytrec-eval-terrier {version('pytrec-eval-terrier')}", "cases": cases}
    path = Path(__file__).with_name("trec_eval.json")
    path.write_text(json.dumps(recorded, indent=1) + "\n")


main()
