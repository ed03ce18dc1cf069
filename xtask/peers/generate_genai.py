"""Greedy decoding by onnxruntime-genai: `python generate_genai.py MODEL PROMPTS.jsonl TOKENS THREADS RESULT.json`.

Prompt by prompt, batch 1. The result has a list `samples` of `text`, `tokens`, `prefill_s` (to the first token) and
`decode_s` (the steps after it); tokenization is not part of either.
"""

import json
import sys
import time
from pathlib import Path

import onnxruntime_genai


def generate(model, tokenizer, prompt: str, tokens: int) -> dict:
    ids = tokenizer.encode(prompt)
    parameters = onnxruntime_genai.GeneratorParams(model)
    parameters.set_search_options(do_sample=False, max_length=len(ids) + tokens)
    start = time.perf_counter()
    generator = onnxruntime_genai.Generator(model, parameters)
    generator.append_tokens(ids)
    generator.generate_next_token()
    first = time.perf_counter()
    while not generator.is_done():
        generator.generate_next_token()
    end = time.perf_counter()
    new = generator.get_sequence(0)[len(ids) :]
    return {
        "text": tokenizer.decode(new),
        "tokens": len(new),
        "prefill_s": first - start,
        "decode_s": end - first,
    }


def main() -> None:
    folder, prompts, tokens, threads, result = sys.argv[1:]
    config = onnxruntime_genai.Config(folder)
    config.overlay(json.dumps({"model": {"decoder": {"session_options": {"intra_op_num_threads": int(threads)}}}}))
    model = onnxruntime_genai.Model(config)
    tokenizer = onnxruntime_genai.Tokenizer(model)
    rows = [json.loads(line) for line in Path(prompts).read_text().splitlines()]
    samples = [generate(model, tokenizer, row["prompt"], int(tokens)) for row in rows]
    Path(result).write_text(json.dumps({"version": onnxruntime_genai.__version__, "samples": samples}))


if __name__ == "__main__":
    main()
