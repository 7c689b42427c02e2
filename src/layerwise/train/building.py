"""The model that is fine-tuned: an encoder, cut or not, under a head of transformers, of layerwise, or a decoder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from layerwise.errors import UsageError
from layerwise.models.anatomy import dissect
from layerwise.models.cut import cut
from layerwise.models.heads import new_head
from layerwise.models.layered import LayeredModel, PairModel
from layerwise.models.load import load
from layerwise.models.locate import ModelFiles
from layerwise.models.self_check import build_engine
from layerwise.models.tokenization import longest_window
from layerwise.shipping.base_modules import read_base_modules
from layerwise.train.choices import NEW, FinetuneChoices
from layerwise.train.doubts import doubts
from layerwise.train.encoder_decoder import covers, join
from layerwise.train.tasks.example import Example
from layerwise.train.tasks.seq2seq import Generation
from layerwise.train.tasks.task import Task
from layerwise.types import Layer

FROZEN_LR = 1e-2
"""Of a head alone, without the model under it."""

BERT_WIDTH = 768


def build(
    kind: type[Task],
    name: str,
    find: Callable[[str], ModelFiles],
    chosen: FinetuneChoices,
    train: list[Example],
    note: Callable[[str], None],
) -> tuple[Any, Task]:
    """The model, whose head has random weights, and its task.

    Args:
        kind: of the task.
        name: of the model.
        find: its files, and those of a decoder, by name.
        train: the training data, which has the classes.
        note: told what a user should know.

    Raises:
        UsageError: a choice does not fit the model.
        ModelError: the model cannot be loaded, or has no such head.
        LabelError: there is one class only.
    """
    files = find(name)
    loaded = load(files)
    encoder = loaded.model
    longest = longest_window(dissect(encoder, encoder.config).max_positions, loaded.tokenizer)
    length = _length(chosen.max_length, longest, name)
    if chosen.blocks is not None:
        encoder = _first_blocks(encoder, chosen.blocks, loaded.missing, name)
    labels = kind.labels_of(train)
    for text in doubts(kind, labels, train):
        note(text)
    task = kind(loaded.tokenizer, length, labels)
    task.prepare(train)
    if chosen.class_weights:
        task.weigh_classes(train)
    if isinstance(task, Generation):
        decoder = chosen.decoder or (name if covers(task) else NEW)
        if chosen.decoder is None and decoder == NEW:
            note(
                f"{task.writing.lost:.1%} of the target's words are unknown to {name!r}, or not with their accents, so the "
                "decoder begins new, with a vocabulary of the targets (--decoder new)."
            )
        return join(encoder, task, decoder, find, train, chosen.frozen), task
    if chosen.mix == "scalar" or chosen.frozen or task.head == "pair":
        outputs = {"question": 2, "pair": None}.get(task.head, len(labels))
        if task.head == "pair":
            for text in _other_vectors(files.folder, name):
                note(text)
        layered = PairModel if task.head == "pair" else LayeredModel
        layers = _layers(encoder, chosen.mix)
        return layered(encoder, layers, outputs, pooled=task.pooled, frozen=chosen.frozen), task
    return new_head(encoder, task.head, labels, f"{name!r}"), task


def _other_vectors(folder: Path, name: str) -> Iterator[str]:
    """Where sentence-transformers makes another vector of a text than the mean of its tokens."""
    base = read_base_modules(folder)
    others = [*([base.pooling] if base.pooling not in ("", "mean_with_special") else []), *base.trained]
    if others:
        yield (
            f"{name!r} makes its vectors with {' and '.join(others)}, and here a text is the mean of its tokens: the score "
            "before training is not that of the model as it was."
        )


def _length(given: int | None, longest: int, name: str) -> int:
    if given is not None and not 8 <= given <= longest:
        raise UsageError(f"max-length is {given}: the model {name!r} takes 8 to {longest} tokens.")
    return given or min(longest, 512)


def _layers(encoder: Any, mix: str) -> tuple[Layer, ...]:
    number = int(encoder.config.num_hidden_layers)
    if mix == "scalar":
        return tuple(range(number + 1))
    return ("final",) if build_engine(encoder, "auto")[0].has_final else (number,)


def _first_blocks(encoder: Any, blocks: int, missing: tuple[str, ...], name: str) -> Any:
    number = int(encoder.config.num_hidden_layers)
    if not 1 <= blocks <= number:
        raise UsageError(f"--layers is {blocks}: {name!r} has 1 to {number} blocks to keep.")
    return encoder if blocks == number else cut(encoder, blocks, missing)[0]


def usual_rate(model: Any, task: Task) -> float:
    """The learning rate where none is given: the task's at BERT's width, in proportion to 1 / width (Yang et al. 2021).

    BERT's small sisters were fine-tuned with up to 3e-4 where BERT takes up to 5e-5 (Turc et al. 2019).
    """
    if isinstance(model, LayeredModel) and model.frozen:
        return FROZEN_LR
    config = model.encoder.config if task.head == "seq2seq" else model.config
    return task.lr * BERT_WIDTH / int(config.hidden_size)
