"""Small tokenizers trained here on a few sentences, and tiny random models that go with them.

One of each kind that encoders use: WordPiece as BERT's, byte-level BPE as RoBERTa's, Unigram as
XLM-R's. Nothing is read from disk or from the network, and all is built once a process.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    BertConfig,
    BertModel,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaModel,
    XLMRobertaConfig,
    XLMRobertaModel,
)

from layerwise import Encoder

KINDS = ("wordpiece", "bpe", "unigram")
MAX_LENGTH = 64
NUM_LAYERS = 3

SENTENCES = (
    "The quick brown fox jumps over the lazy dog.",
    "I don't know whether she'll come tomorrow, but we hope so.",
    "Every layer of every encoder: extract it, understand it, ship the best one.",
    "A tokenizer cuts words into pieces, and pieces into smaller pieces.",
    "The cat sat on the mat while the dog slept under the table.",
    "In 1994 there were 3,141 of them; in 2024 only 59 were left.",
    "She said: 'Nothing is ever cut silently', and nobody believed her.",
    "Windows overlap, so that each token has context on both sides.",
    "Reading is to the mind what walking is to the body.",
    "the and of to in is that it was for on are as with his they at be this from have or by one had",
    "我爱这本书，因为它讲了一个很好的故事。",
    "今天天气很好，我们去公园散步吧。",
    "北京是中华人民共和国的首都，上海是最大的城市。",
    "学而时习之，不亦说乎？有朋自远方来，不亦乐乎？",
    "東京は日本の首都です。私は本を読みます。",
    "これはペンです。カタカナとひらがなと漢字があります。",
    "أحب القراءة والكتابة في المساء.",
    "القاهرة هي عاصمة مصر وأكبر مدنها.",
    "Où est la bibliothèque ? Le café est fermé à Noël.",
    "Die Straße nach Köln führt über die Brücke der großen Stadt.",
    "Быстрая коричневая лиса прыгает через ленивую собаку.",
    "Η γρήγορη αλεπού πηδά πάνω από το σκυλί.",
    "שלום עולם, זה ספר טוב מאוד.",
    "यह एक अच्छी किताब है और मुझे पसंद है।",
    "Emoji such as 😀 and 👩‍👧 and 🇩🇪 stand between words ❤️ too.",
)
"""What the tokenizers are trained on; also a handy list of texts in several scripts."""


def _wordpiece() -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    trainer = trainers.WordPieceTrainer(vocab_size=700, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator(SENTENCES, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(token, tokenizer.token_to_id(token)) for token in ("[CLS]", "[SEP]")],
    )
    tokenizer.decoder = decoders.WordPiece()
    names = {"pad": "[PAD]", "unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}
    return _wrap(tokenizer, names)


def _bpe(add_prefix_space: bool = False) -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=800,
        special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(SENTENCES, trainer)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=add_prefix_space)
    ends = (("</s>", tokenizer.token_to_id("</s>")), ("<s>", tokenizer.token_to_id("<s>")))
    tokenizer.post_processor = processors.RobertaProcessing(*ends, add_prefix_space=add_prefix_space)
    tokenizer.decoder = decoders.ByteLevel()
    return _wrap(tokenizer, _ROBERTA_NAMES)


def _unigram() -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(prepend_scheme="always")]
    )
    trainer = trainers.UnigramTrainer(
        vocab_size=700,
        unk_token="<unk>",
        special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"],
        show_progress=False,
    )
    tokenizer.train_from_iterator(SENTENCES, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B </s>",
        special_tokens=[(token, tokenizer.token_to_id(token)) for token in ("<s>", "</s>")],
    )
    tokenizer.decoder = decoders.Metaspace()
    return _wrap(tokenizer, _ROBERTA_NAMES)


_ROBERTA_NAMES = {
    "pad": "<pad>",
    "unk": "<unk>",
    "cls": "<s>",
    "sep": "</s>",
    "mask": "<mask>",
    "bos": "<s>",
    "eos": "</s>",
}
_TOKENIZERS = {"wordpiece": _wordpiece, "bpe": _bpe, "unigram": _unigram}
_MODELS: dict[str, tuple[Any, Any, int]] = {  # position ids of the RoBERTa line start at padding + 1
    "wordpiece": (BertConfig, BertModel, 0),
    "bpe": (RobertaConfig, RobertaModel, 2),
    "unigram": (XLMRobertaConfig, XLMRobertaModel, 2),
}


def _wrap(tokenizer: Tokenizer, names: dict[str, str]) -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=MAX_LENGTH,
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
        **{f"{name}_token": token for name, token in names.items()},
    )


@cache
def tiny_tokenizer(kind: str) -> PreTrainedTokenizerFast:
    """The tokenizer of one kind; shared, so leave it unchanged."""
    return _TOKENIZERS[kind]()


@cache
def splitting_tokenizer(kind: str) -> PreTrainedTokenizerFast:
    """The same for `is_split_into_words`, where byte-level BPE needs a space before each word."""
    return _bpe(add_prefix_space=True) if kind == "bpe" else tiny_tokenizer(kind)


@cache
def tiny_model(kind: str) -> Any:
    """A random model that reads the tokens of `kind`, with eager attention: the reference."""
    config_class, model_class, reserved = _MODELS[kind]
    tokenizer = tiny_tokenizer(kind)
    torch.manual_seed(0)
    config = config_class(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=NUM_LAYERS,
        num_attention_heads=2,
        intermediate_size=48,
        max_position_embeddings=MAX_LENGTH + reserved,
        type_vocab_size=2 if kind == "wordpiece" else 1,
        pad_token_id=tokenizer.pad_token_id,
        initializer_range=0.15,  # so that the context is seen in the vectors
        attn_implementation="eager",
    )
    return model_class(config).eval()


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """For the module that imports it: so small a model only loses time between two threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def tiny_encoder(folder: Path, kind: str, **options: Any) -> Encoder:
    """Save model and tokenizer of one kind in `folder` and load them from there."""
    tiny_model(kind).save_pretrained(folder)
    tiny_tokenizer(kind).save_pretrained(folder)
    return Encoder.from_pretrained(str(folder), **{"device": "cpu", **options})


def tiny_folder(path: Path) -> Path:
    """The folder of a tiny model, in `path`."""
    tiny_encoder(path / "base", "wordpiece")
    return path / "base"


@cache
def shared_encoder(kind: str, engine: str = "auto") -> Encoder:
    """The encoder of one kind (or `"minilm"`), loaded once for all tests."""
    if kind == "minilm":
        return Encoder.from_pretrained("minilm", device="cpu", engine=engine)
    with tempfile.TemporaryDirectory() as folder:
        return tiny_encoder(Path(folder), kind, engine=engine)


def reference_states(kind: str, input_ids: Any, token_type_ids: Any = None) -> npt.NDArray[np.float32]:
    """What transformers gives for one sequence: (layers, seq, hidden_size)."""
    inputs = {"input_ids": torch.as_tensor(np.asarray(input_ids))[None]}
    inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
    if token_type_ids is not None and kind == "wordpiece":
        inputs["token_type_ids"] = torch.as_tensor(np.asarray(token_type_ids))[None]
    with torch.inference_mode():
        states = tiny_model(kind)(**inputs, output_hidden_states=True).hidden_states
    return torch.stack(states)[:, 0].numpy()
