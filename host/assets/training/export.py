"""Export a checkpoint: `python export.py CHECKPOINT MODEL_FOLDER` (the folder that holds the tokenizer).

Writes `model.onnx`, `config.json` and `generation_config.json`, as `optimum-cli export onnx
--task text-generation-with-past` lays them out, and checks that the exported model computes what the trained one does.
"""

import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from onnxruntime import InferenceSession
from optimum.exporters.onnx import main_export
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

from build_tokenizer import CONTEXT_LENGTH
from model import Shape, TinyLlama

TOLERANCE = 2e-3


def to_transformers(model: TinyLlama, tokenizer) -> LlamaForCausalLM:
    shape = model.shape
    config = LlamaConfig(
        vocab_size=shape.vocabulary,
        hidden_size=shape.width,
        intermediate_size=shape.feed_forward,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.heads,
        max_position_embeddings=CONTEXT_LENGTH,
        rms_norm_eps=shape.norm_epsilon,
        rope_theta=shape.rope_base,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    exported = LlamaForCausalLM(config).eval()
    missing, unexpected = exported.model.load_state_dict(model.state_dict(), strict=False)
    assert not missing and not unexpected, (missing, unexpected)
    exported.tie_weights()
    turn_end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    exported.generation_config.eos_token_id = [tokenizer.eos_token_id, turn_end]
    exported.generation_config.pad_token_id = tokenizer.pad_token_id
    return exported


class Decoder:
    """Runs the exported graph with an explicit cache."""

    def __init__(self, path: Path, shape: Shape) -> None:
        self.session = InferenceSession(path, providers=["CPUExecutionProvider"])
        self.shape = shape

    def run(self, tokens: np.ndarray, attention: np.ndarray, positions: np.ndarray, cache: list[np.ndarray] | None):
        """Logits and the new cache; `cache` of None is an empty past."""
        if cache is None:
            empty = np.zeros((len(tokens), self.shape.heads, 0, self.shape.head_width), dtype=np.float32)
            cache = [empty] * (2 * self.shape.layers)
        names = [f"past_key_values.{layer}.{part}" for layer in range(self.shape.layers) for part in ("key", "value")]
        feeds = {"input_ids": tokens, "attention_mask": attention, "position_ids": positions, **dict(zip(names, cache))}
        logits, *present = self.session.run(None, feeds)
        return logits, present


def check(decoder: Decoder, model: TinyLlama) -> None:
    """A full pass, one with a cache, and a left-padded batch must all agree with the trained model."""
    random = np.random.default_rng(0)
    length = 24
    tokens = random.integers(5, model.shape.vocabulary, (1, length))
    positions = np.arange(length)[None]
    mask = torch.ones(1, 1, length, length, dtype=torch.bool).tril()
    with torch.no_grad():
        expected = model(torch.from_numpy(tokens), torch.from_numpy(positions), mask).numpy()

    full, _ = decoder.run(tokens, np.ones_like(tokens), positions, None)
    np.testing.assert_allclose(full, expected, atol=TOLERANCE)

    cache = None
    for start, end in [(0, 10), *((i, i + 1) for i in range(10, length))]:
        step, cache = decoder.run(tokens[:, start:end], np.ones((1, end), dtype=np.int64), positions[:, start:end], cache)
        np.testing.assert_allclose(step, expected[:, start:end], atol=TOLERANCE)

    padding = 7
    padded = np.concatenate([np.zeros((1, padding), dtype=np.int64), tokens[:, : length - padding]], axis=1)
    batch = np.concatenate([tokens, padded])
    attention = np.ones_like(batch)
    attention[1, :padding] = 0
    positions = np.clip(attention.cumsum(-1) - 1, 0, None)
    first, cache = decoder.run(batch[:, :12], attention[:, :12], positions[:, :12], None)
    rest, _ = decoder.run(batch[:, 12:], attention, positions[:, 12:], cache)
    both = np.concatenate([first, rest], axis=1)
    np.testing.assert_allclose(both[0], expected[0], atol=TOLERANCE)
    np.testing.assert_allclose(both[1, padding:], expected[0, : length - padding], atol=TOLERANCE)


def main() -> None:
    checkpoint, folder = Path(sys.argv[1]), Path(sys.argv[2])
    model = TinyLlama(Shape()).eval()
    model.load_state_dict(torch.load(checkpoint)["model"])
    tokenizer = AutoTokenizer.from_pretrained(folder)
    with tempfile.TemporaryDirectory() as scratch:
        plain, onnx = Path(scratch) / "transformers", Path(scratch) / "onnx"
        to_transformers(model, tokenizer).save_pretrained(plain)
        for name in ("tokenizer.json", "tokenizer_config.json"):
            shutil.copy(folder / name, plain)
        main_export(plain, onnx, task="text-generation-with-past", library_name="transformers", do_validation=False)
        check(Decoder(onnx / "model.onnx", model.shape), model)
        for name in ("model.onnx", "config.json", "generation_config.json"):
            shutil.copy(onnx / name, folder / name)


if __name__ == "__main__":
    main()
