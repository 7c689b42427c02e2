"""What a task learns from: columns of the data, the examples that are in them, and the sequences of an example."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Protocol, TypeVar

import numpy.typing as npt
from torch import Tensor

from layerwise.ops.bio import Span
from layerwise.types import TextRecord

Array = npt.NDArray[Any]
T = TypeVar("T")


@dataclass(frozen=True)
class DataColumns:
    """Columns of the data; None: those that the task looks for.

    Attributes:
        text: of the text (questions, for `qa`).
        pair: of the second text of a pair (contexts; targets, for `seq2seq`).
        label: of the class, tags, score or answers.
        words: with a list of words, for `ner`.
        id: of the user's own identifier, which `predict` hands on.
        format: how the source is read, whatever its ending.
        split: that says `train` or `dev`.
    """

    text: str | None = None
    pair: str | None = None
    label: str | None = None
    words: str | None = None
    id: str | None = None
    format: str | None = None
    split: str | None = None


@dataclass(frozen=True)
class Example:
    """One example.

    Attributes:
        record: the text, its pair and its words; where it stands.
        target: what a model is to say of it: a label, tags, a score, answers, a text; None where nobody knows.
        part: what the column that splits the data says of it.
        spans: entities in characters, where they are given so; the words of the record, which have the tags, end where
            they do.
    """

    record: TextRecord
    target: Any = None
    part: Any = None
    spans: tuple[Span, ...] | None = None

    @property
    def classes(self) -> tuple[str, ...]:
        """Its label or tags, where the target is that."""
        return self.target if isinstance(self.target, tuple) else (self.target,)

    @property
    def place(self) -> str:
        """Where it stands, for messages."""
        return self.record.place or f"the text {self.record.text[:40]!r}"


@dataclass
class Feature:
    """One sequence as a model takes it.

    Attributes:
        input_ids, token_type_ids: (seq,)
        places: positions whose states or logits are read.
        target: what the loss takes: a number, one a place, or two positions; None where there is no label.
        other: the second text of a pair that is encoded apart.
        owner: for assembling: what of the example is here (the numbers of its words, the first token, …).
        states: (layers, hidden_size), one a place if there are several; kept where the encoder is frozen.
    """

    input_ids: Array
    token_type_ids: Array
    places: Array
    target: Any = None
    other: Feature | None = None
    owner: Any = None
    states: Tensor | None = field(default=None, repr=False)

    @property
    def longest(self) -> int:
        """Tokens of the longer text of a pair that is encoded apart, to which both are padded; else all."""
        return max(len(self.input_ids), 0 if self.other is None else self.other.longest)

    def __len__(self) -> int:
        return len(self.input_ids) + (len(self.other) if self.other is not None else 0)


class Prediction(Protocol):
    """What a task says of an example."""

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        ...

    def lines(self) -> list[str]:
        """For people."""
        ...


def batched(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Lists of `size` items, the last one shorter."""
    iterator = iter(items)
    while piece := list(islice(iterator, size)):
        yield piece
