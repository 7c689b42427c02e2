"""What pretraining begins from: random weights, or a trained BERT, with its own vocabulary or with a new one."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers

from layerwise.errors import ModelError, UsageError
from layerwise.models.dropped_blocks import drop_blocks
from layerwise.models.load import config_of, from_folder, quiet, tokenizer_of
from layerwise.models.locate import ModelFiles
from layerwise.models.packed_pretraining import BertForPreTraining
from layerwise.models.tokenization import longest_window
from layerwise.train.pretraining.shape import PretrainShape
from layerwise.train.pretraining.transfer import Transfer
from layerwise.train.run_folder import RUN

_DROPOUTS = ("hidden_dropout_prob", "attention_probs_dropout_prob")
_NEEDED = ("cls_token", "sep_token", "mask_token", "pad_token")
_VECTORS = ("bert.embeddings.word_embeddings.weight", "cls.predictions.decoder.weight")
_NUMBERS = ("cls.predictions.bias", "cls.predictions.decoder.bias")
MASKED, FOLLOWING = "the one for masked tokens", "the one for next sentences"


@dataclass(frozen=True)
class Source:
    """A trained model that pretraining goes on from, as its files have it.

    Attributes:
        files: where they are.
        stock: transformers' `BertForPreTraining` with their weights.
        absent: names of weights that they lack: those of heads, at most.
        tokenizer: the model's.
    """

    files: ModelFiles
    stock: Any
    absent: frozenset[str]
    tokenizer: Any


@dataclass(frozen=True)
class Start:
    """A model before its first step.

    Attributes:
        model: it.
        dropouts: what its config says of dropout when it is saved, for fine-tuning.
        notes: what a user should know.
    """

    model: BertForPreTraining
    dropouts: dict[str, float]
    notes: tuple[str, ...] = ()


def same_pairs(earlier: Path, document: Mapping[str, Any]) -> bool:
    """Whether the run that left its model in the folder `earlier` drew the pairs that this one will draw."""
    try:
        before = json.loads((earlier / RUN).read_text("utf-8"))
    except (OSError, ValueError):
        return False
    names = ("corpus", "seed", "max_length")
    alike = isinstance(before, dict) and all(before.get(name) == document[name] for name in names)
    return alike and document["vocab_size"] is None


def open_source(files: ModelFiles, form: PretrainShape) -> Source:
    """Load a model that pretraining is to go on from, or refuse it, before anything is written.

    Raises:
        ModelError: it is no BERT, lacks weights, or its tokenizer lacks special tokens.
        UsageError: the shape does not fit it.
    """
    config = config_of(files)
    if config.model_type != "bert" or int(config.type_vocab_size) < 2:
        kind = f"a {config.model_type} model" if config.model_type != "bert" else "without token types"
        raise ModelError(
            f"{files.name!r} is {kind}: pretraining with masked tokens and next sentences goes on from models of the BERT "
            "architecture (model_type bert, two token types)."
        )
    blocks, positions = int(config.num_hidden_layers), int(config.max_position_embeddings)
    if form.layers is not None and form.layers > blocks:
        raise UsageError(f"--layers is {form.layers}: {files.name!r} has 1 to {blocks} blocks to keep.")
    if form.max_length > positions:
        raise UsageError(
            f"max-length is {form.max_length}: the model {files.name!r} takes at most {positions} tokens."
        )
    tokenizer = tokenizer_of(files)
    lacking = [name for name in _NEEDED if getattr(tokenizer, name) is None]
    if lacking:
        raise ModelError(
            f"the tokenizer of {files.name!r} has no {', no '.join(lacking)}: expected a tokenizer as BERT's."
        )
    if len(tokenizer) > int(config.vocab_size):
        raise ModelError(
            f"the tokenizer of {files.name!r} has {len(tokenizer):,} pieces and the model {config.vocab_size:,}: they do "
            "not belong together."
        )
    if form.whole_words and not any(piece.startswith("##") for piece in tokenizer.get_vocab()):
        raise UsageError(
            f"--whole-words was given, and the tokenizer of {files.name!r} is no WordPiece one (## inside words): leave "
            "it out."
        )
    tokenizer.model_max_length = longest_window(positions, tokenizer)
    stock, info = from_folder(transformers.BertForPreTraining, files, config)
    absent = frozenset({*info["missing_keys"], *(one[0] for one in info["mismatched_keys"])})
    if bare := sorted(name for name in absent if not name.startswith(("cls.", "bert.pooler"))):
        raise ModelError(
            f"the files of {files.name!r} lack {len(bare)} weights of a BERT ({bare[0]}, …), or have them in other shapes."
        )
    return Source(files, stock, absent, tokenizer)


def at_random(form: PretrainShape, tokenizer: Any) -> Start:
    """A model with random weights. Its config will say BERT's dropout, whatever it is pretrained with."""
    with quiet():
        model = BertForPreTraining.new(form.config(len(tokenizer), tokenizer.pad_token_id))
    return Start(model, dict.fromkeys(_DROPOUTS, 0.1))


def trained(source: Source, form: PretrainShape, tokenizer: Any) -> Start:
    """A trained model that goes on: the first blocks of it, or all.

    Heads that its files lack begin anew, and vectors of new pieces that its vocabulary cannot spell at random.

    Args:
        tokenizer: the model's, or another, to which its vectors go over.
    """
    stock, name = source.stock, source.files.name
    if form.layers is not None and form.layers < stock.config.num_hidden_layers:
        drop_blocks(stock.bert, range(form.layers + 1, stock.config.num_hidden_layers + 1))
    notes = [*_begin_heads(source)]
    config, weights = stock.config, stock.state_dict()
    if form.vocab_size is not None:
        transfer = Transfer.between(source.tokenizer, tokenizer)
        embeddings = transfer.vectors(weights[_VECTORS[0]])
        for key in _VECTORS:
            tied = weights[key].data_ptr() == weights[_VECTORS[0]].data_ptr()
            weights[key] = embeddings if tied else transfer.vectors(weights[key])
        weights |= {key: transfer.numbers(weights[key]) for key in _NUMBERS}
        config.vocab_size, config.pad_token_id = len(tokenizer), tokenizer.pad_token_id
        notes.append(
            f"of the {len(tokenizer):,} new pieces {transfer.kept:,} are in the vocabulary of {name!r}, "
            f"{transfer.made:,} begin as the mean of its pieces, {transfer.random:,} at random"
        )
    dropouts = {key: float(getattr(config, key)) for key in _DROPOUTS}
    for key in _DROPOUTS:
        setattr(config, key, form.dropout)
    with quiet():
        model = BertForPreTraining.new(config)
    model.load_state_dict(weights)
    return Start(model, dropouts, tuple(notes))


def _begin_heads(source: Source) -> Iterator[str]:
    """Make something of heads that were never trained, and say so.

    That for masked tokens compares the state itself with the vectors of the pieces. With random weights it would have to
    find the way back first. MiniLM with a new vocabulary of two languages told 13.7 % of the masked
    tokens of its second 94,000 tokens right, with random weights in this place 5.1 %.
    """
    head, embeddings = source.stock.cls.predictions, source.stock.bert.embeddings.word_embeddings.weight
    transform = any(name.startswith("cls.predictions.transform.dense") for name in source.absent)
    with torch.no_grad():
        if transform:
            torch.nn.init.eye_(head.transform.dense.weight)
            head.transform.dense.bias.zero_()
        if "cls.predictions.decoder.weight" in source.absent and head.decoder.weight is not embeddings:
            head.decoder.weight.copy_(embeddings)
            head.decoder.bias.zero_()
    following = "cls.seq_relationship.weight" in source.absent
    untrained = [words for absent, words in ((transform, MASKED), (following, FOLLOWING)) if absent]
    if untrained:
        begins = "begins" if len(untrained) == 1 else "begin"
        yield f"{source.files.name!r} has no trained head: {' and '.join(untrained)} {begins} anew"
