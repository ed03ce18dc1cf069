"""Records how bm25s, with the method "lucene", scores random documents. `pip install bm25s==0.3.16 numpy`"""

import json
import random
from importlib.metadata import version
from pathlib import Path

import bm25s

WORDS = "a an ant bee cat cow dog elk fox gnu hen owl pig rat yak".split()


def text(most):
    # Words of the beginning are frequent.
    return [WORDS[min(int(random.expovariate(0.25)), len(WORDS) - 1)] for _ in range(random.randint(1, most))]


random.seed(7)
cases = []
for _ in range(20):
    documents = [text(20) for _ in range(random.randint(1, 8))]
    query = text(5)
    k1, b = random.choice([0.0, 0.9, 1.2, 2.0]), random.choice([0.0, 0.4, 0.75, 1.0])
    model = bm25s.BM25(method="lucene", k1=k1, b=b, dtype="float64")
    model.index(documents, show_progress=False)
    known = [word for word in query if any(word in document for document in documents)]
    scores = model.get_scores(known).tolist() if known else [0.0] * len(documents)
    texts = [" ".join(document) for document in documents]
    cases.append({"query": " ".join(query), "documents": texts, "k1": k1, "b": b, "scores": scores})
golden = {"version": f"bm25s {version('bm25s')}", "cases": cases}
Path(__file__).with_name("bm25s.json").write_text(json.dumps(golden, indent=1) + "\n")
