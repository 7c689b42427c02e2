"""What pretraining begins from: random weights, or a trained BERT, with its own vocabulary or with a new one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import transformers

from layerwise.errors import ModelError, UsageError
from layerwise.models.load import config_of, from_folder, quiet, tokenizer_of
from layerwise.models.locate import ModelFiles
from layerwise.models.packed_pretraining import BertForPreTraining
from layerwise.models.pruned import drop_blocks
from layerwise.models.tokenization import longest_window
from layerwise.train.pretraining.shape import Shape
from layerwise.train.pretraining.transfer import Transfer

_DROPOUTS = ("hidden_dropout_prob", "attention_probs_dropout_prob")
_NEEDED = ("cls_token", "sep_token", "mask_token", "pad_token")
_VECTORS = ("bert.embeddings.word_embeddings.weight", "cls.predictions.decoder.weight")
_NUMBERS = ("cls.predictions.bias", "cls.predictions.decoder.bias")
_HEADS = {
    "cls.predictions": "the one for masked tokens",
    "cls.seq_relationship": "the one for next sentences",
}


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


def check_start(files: ModelFiles, form: Shape) -> Any:
    """Refuse, before anything is written, a model that pretraining cannot go on from; return its tokenizer.

    Raises:
        ModelError: it is no BERT, or its tokenizer lacks special tokens.
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
    absent = [name for name in _NEEDED if getattr(tokenizer, name) is None]
    if absent:
        raise ModelError(
            f"the tokenizer of {files.name!r} has no {', no '.join(absent)}: expected a tokenizer as BERT's."
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
    return tokenizer


def at_random(form: Shape, tokenizer: Any) -> Start:
    """A model with random weights. Its config will say BERT's dropout, whatever it is pretrained with."""
    with quiet():
        model = BertForPreTraining.new(form.config(len(tokenizer), tokenizer.pad_token_id))
    return Start(model, dict.fromkeys(_DROPOUTS, 0.1))


def _hand_on(transform: Any) -> None:
    """Let a head for masked tokens that was never trained compare the state itself with the vectors of the pieces.

    With random weights it would have to find the way back first. MiniLM with a new vocabulary of two languages, after
    190,000 tokens: 13.7 % of the masked tokens are told right, with random weights in this place 5.1 %.
    """
    with torch.no_grad():
        torch.nn.init.eye_(transform.dense.weight)
        transform.dense.bias.zero_()


def trained(files: ModelFiles, form: Shape, tokenizer: Any) -> Start:
    """A trained model that goes on: the first blocks of it, or all.

    Heads that its files lack begin anew, and vectors of new pieces that its vocabulary cannot spell at random.

    Args:
        tokenizer: the model's, or another, to which its vectors go over.

    Raises:
        ModelError: weights are missing, or have other shapes than its config says.
    """
    stock, info = from_folder(transformers.BertForPreTraining, files, config_of(files))
    wrong = sorted({*info["missing_keys"], *(one[0] for one in info["mismatched_keys"])})
    if bare := [name for name in wrong if not name.startswith(("cls.", "bert.pooler"))]:
        raise ModelError(
            f"the files of {files.name!r} lack {len(bare)} weights of a BERT ({bare[0]}, …), or have them in other shapes."
        )
    if form.layers is not None and form.layers < stock.config.num_hidden_layers:
        drop_blocks(stock.bert, range(form.layers + 1, stock.config.num_hidden_layers + 1))
    config, weights, notes = stock.config, stock.state_dict(), []
    untrained = [words for head, words in _HEADS.items() if any(name.startswith(head) for name in wrong)]
    if untrained:
        begins = "begins" if len(untrained) == 1 else "begin"
        notes.append(f"{files.name!r} has no trained head: {' and '.join(untrained)} {begins} anew")
    if any(name.startswith("cls.predictions.transform") for name in wrong):
        _hand_on(stock.cls.predictions.transform)
    if form.vocab_size is not None:
        transfer = Transfer.between(tokenizer_of(files), tokenizer)
        embeddings = transfer.vectors(weights[_VECTORS[0]])
        for name in _VECTORS:
            tied = weights[name].data_ptr() == weights[_VECTORS[0]].data_ptr()
            weights[name] = embeddings if tied else transfer.vectors(weights[name])
        weights |= {name: transfer.numbers(weights[name]) for name in _NUMBERS}
        config.vocab_size, config.pad_token_id = len(tokenizer), tokenizer.pad_token_id
        notes.append(
            f"of the {len(tokenizer):,} new pieces {transfer.kept:,} are in the vocabulary of {files.name!r}, "
            f"{transfer.made:,} begin as the mean of its pieces, {transfer.random:,} at random"
        )
    dropouts = {name: float(getattr(config, name)) for name in _DROPOUTS}
    for name in _DROPOUTS:
        setattr(config, name, form.dropout)
    with quiet():
        model = BertForPreTraining.new(config)
    model.load_state_dict(weights)
    return Start(model, dropouts, tuple(notes))
