"""Make a model of the peer benchmarks: `python make_models.py NAME FOLDER`.

It is a Llama with random weights, in one folder as Transformers reads it (for lm-eval) and as ONNX (for llm-bench), so
that both sides compute with the same weights. What it says means nothing; how long that takes does.
"""

import math
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch
from optimum.exporters.onnx import main_export
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from made_up import Language

MAX_LENGTH = 2048
END = "<|endoftext|>"


@dataclass(frozen=True)
class Shape:
    vocabulary: int
    hidden: int
    layers: int
    heads: int
    key_value_heads: int
    feed_forward: int


MODELS = {
    "llama-1m": Shape(vocabulary=2048, hidden=128, layers=4, heads=4, key_value_heads=2, feed_forward=344),
    # SmolLM-135M's shape.
    "llama-135m": Shape(vocabulary=49152, hidden=576, layers=30, heads=9, key_value_heads=3, feed_forward=1536),
}


def corpus(shape: Shape):
    """Texts to learn a tokenizer from: the common words often, and enough rare ones to fill the vocabulary."""
    language = Language(seed=1)
    for _ in range(2000):
        yield language.text(300)
        yield f"Question: {language.phrase(8)}?\nAnswer: {language.phrase(3)}\n\n"
    rare = language.rare[: shape.vocabulary]
    for start in range(0, len(rare), 50):
        yield " ".join(rare[start : start + 50] * 3)


def tokenizer(shape: Shape) -> PreTrainedTokenizerFast:
    learned = Tokenizer(models.BPE())
    learned.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    learned.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=shape.vocabulary,
        special_tokens=[END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    learned.train_from_iterator(corpus(shape), trainer)
    assert learned.get_vocab_size() == shape.vocabulary, learned.get_vocab_size()
    return PreTrainedTokenizerFast(
        tokenizer_object=learned,
        bos_token=END,
        eos_token=END,
        pad_token=END,
        model_max_length=MAX_LENGTH,
        clean_up_tokenization_spaces=False,
    )


def llama(shape: Shape, end: int) -> LlamaForCausalLM:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=shape.vocabulary,
        hidden_size=shape.hidden,
        intermediate_size=shape.feed_forward,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.key_value_heads,
        max_position_embeddings=MAX_LENGTH,
        rms_norm_eps=1e-5,
        rope_theta=10000.0,
        tie_word_embeddings=True,
        bos_token_id=end,
        eos_token_id=end,
        pad_token_id=end,
        # The usual 0.02 gives logits that hardly differ. This gives them a standard deviation near 1.5, and
        # activations that depend on the context more than on the last token; with more, the rounding of 30 layers
        # would show in the sums.
        initializer_range=1.5 / math.sqrt(shape.hidden),
    )
    return LlamaForCausalLM(config).eval()


def main() -> None:
    name, folder = sys.argv[1], Path(sys.argv[2])
    shape = MODELS[name]
    tokens = tokenizer(shape)
    model = llama(shape, tokens.eos_token_id)
    model.save_pretrained(folder)
    tokens.save_pretrained(folder)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        main_export(
            folder, scratch, task="text-generation-with-past", library_name="transformers", do_validation=False
        )
        for file in Path(scratch).glob("model.onnx*"):
            shutil.move(file, folder / file.name)
    print(f"{name}: {sum(weight.numel() for weight in model.parameters()) / 1e6:.1f} M parameters")


if __name__ == "__main__":
    main()
