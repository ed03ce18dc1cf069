"""Train the byte-level BPE tokenizer: `python build_tokenizer.py OUTPUT_FOLDER`."""

import json
import sys
from pathlib import Path
from random import Random

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from documents import BOS, EOS, TURN_END, TURN_START, document
from vocabulary import COLOURS, NAMES, OBJECTS, PLACES

VOCABULARY_SIZE = 1024
SAMPLE_DOCUMENTS = 30_000
CONTEXT_LENGTH = 512
PAD = "<|pad|>"

CHAT_TEMPLATE = (
    "{{ bos_token }}"
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


def train() -> Tokenizer:
    """Digits stand alone, so that numbers line up; every word of the small worlds becomes one token."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY_SIZE,
        special_tokens=[PAD, BOS, EOS, TURN_START, TURN_END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    random = Random("tokenizer")
    special = {BOS, EOS, TURN_START, TURN_END}

    def texts():
        for _ in range(SAMPLE_DOCUMENTS):
            text = "".join(text for text, _ in document(random, progress=1.0))
            for token in special:
                text = text.replace(token, "\n")
            yield text
        # A name also starts a sentence, where no space precedes it.
        for word in (*NAMES, *PLACES, *OBJECTS, *COLOURS):
            yield from [f"{word}\n {word}"] * 300

    tokenizer.train_from_iterator(texts(), trainer)
    tokenizer.post_processor = processors.Sequence(
        [
            processors.ByteLevel(trim_offsets=False),
            processors.TemplateProcessing(
                single=f"{BOS} $A",
                pair=f"{BOS} $A {BOS} $B",
                special_tokens=[(BOS, tokenizer.token_to_id(BOS))],
            ),
        ]
    )
    return tokenizer


def tokenizer_config() -> dict:
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": BOS,
        "eos_token": EOS,
        "pad_token": PAD,
        "padding_side": "left",
        "model_max_length": CONTEXT_LENGTH,
        "clean_up_tokenization_spaces": False,
        "chat_template": CHAT_TEMPLATE,
    }


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    train().save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer_config(), indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
