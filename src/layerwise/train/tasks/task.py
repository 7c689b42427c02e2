"""What is the same in every task, and what a task says of itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from layerwise.errors import SourceError, UsageError
from layerwise.models.encoded_text import EncodedText
from layerwise.models.tokenization import Tokenization
from layerwise.reports.wording import counted
from layerwise.text.sources import SourceOptions
from layerwise.train.tasks.example import Array, DataColumns, Example, Feature, batched
from layerwise.types import TextRecord

PIECE = 512
"""Examples that are tokenised at once."""

MOST_UNKNOWN = 0.02
"""Share of tokens unknown to the vocabulary from which on a note says so."""

IGNORED = -100
"""The label that no loss looks at, as in torch and transformers."""


def cut_note(number: int, length: int) -> str:
    """That texts are longer than their model takes."""
    return f"{counted(number, 'text is', 'texts are')} longer than {length} tokens and cut at the end."


class Task(ABC):
    """A task, with what it learned of its data: labels, lengths.

    Attributes:
        name: as on the command line.
        head: the kind of head (`models.heads.CLASSES`), or `pair`.
        metric: the score that early stopping looks at; more is better.
        pooled: whether a head of layerwise's own reads one vector a text.
        lr, enough: the usual learning rate for a model 768 wide, and steps that are enough to learn something.
        beams: of the search, where texts are generated: rows that one takes in a batch.
        tokenizer, max_length: of the model.
        numbers: of the labels.
    """

    name: ClassVar[str]
    head: ClassVar[str]
    metric: ClassVar[str]
    pooled: ClassVar[bool] = False
    lr: ClassVar[float] = 5e-5
    enough: ClassVar[int] = 200
    beams: int = 1

    tokenization: Tokenization

    def __init__(self, tokenizer: Any, max_length: int, labels: Sequence[str] = ()) -> None:
        self.tokenizer = tokenizer
        self.max_length = max_length
        self.labels = tuple(labels)
        self.numbers: dict[str, int] = {}
        for number, label in enumerate(self.labels):
            self.numbers.setdefault(label, number)
        self.truncated = self._tokens = self._unknown = 0

    @classmethod
    @abstractmethod
    def source(cls, columns: DataColumns, with_target: bool) -> SourceOptions:
        """How to read the data."""

    @classmethod
    @abstractmethod
    def example(cls, record: TextRecord, columns: DataColumns, with_target: bool) -> Example:
        """An example of one record.

        Raises:
            SourceError: its target is missing or does not fit.
        """

    @classmethod
    def labels_of(cls, examples: Sequence[Example], column: str = "label") -> tuple[str, ...]:
        """The classes of the training data; `column` is what messages call them.

        Raises:
            LabelError: there is one only.
        """
        return ()

    def features(self, example: Example, encoded: EncodedText) -> list[Feature]:
        """The sequences of an example, with targets if it has one; for tasks that leave `featurise` as it is.

        Raises:
            SourceError: a label that was not seen in training.
        """
        raise NotImplementedError

    def featurise(self, examples: Sequence[Example]) -> Iterator[list[Feature]]:
        """The sequences of each example; texts that are cut at their end are counted.

        Raises:
            SourceError: a label that was not seen in training.
        """
        for piece in batched(examples, PIECE):
            encoded = self.tokenization.encode([example.record for example in piece])
            for example, one in zip(piece, encoded, strict=True):
                self.count(one)
                yield self.features(example, one)

    @property
    def classes(self) -> tuple[str, ...]:
        """What is told apart, in people's words: the labels, if there are any."""
        return self.labels

    @abstractmethod
    def loss(self, outputs: Mapping[str, Tensor], labels: Tensor, num_items_in_batch: Any = None) -> Tensor:
        """Sum over the labels in the batch, divided by `num_items_in_batch`: those of the whole step."""

    def fitting(self, example: Example) -> Example:
        """The example as the model is asked about it, without what the answer would give away.

        Raises:
            UsageError: it is none that the model can be asked about.
        """
        return example

    def notes(self) -> list[str]:
        """What one should know of the texts that were seen, in sentences: how many were cut, how much was unknown."""
        notes = []
        if self.truncated:
            notes.append(cut_note(self.truncated, self.max_length))
        if self._unknown > MOST_UNKNOWN * self._tokens:
            notes.append(
                f"{self._unknown / self._tokens:.0%} of the tokens are unknown to the model's vocabulary, which cannot tell "
                "them apart: take a model for this language."
            )
        return notes

    def count(self, encoded: EncodedText) -> None:
        """Count what is cut and what is unknown in a text that goes into the model."""
        self.truncated += encoded.num_truncated > 0
        for window in encoded.sequences:
            self._tokens += len(window)
            self._unknown += int((window.input_ids == self.tokenizer.unk_token_id).sum())

    def run(self, model: Any, inputs: Mapping[str, Tensor]) -> Any:
        """A forward pass to predict."""
        return model(**inputs)

    @abstractmethod
    def read(
        self, outputs: Mapping[str, Tensor], features: Sequence[Feature], from_states: bool
    ) -> list[Array]:
        """What the model says of each feature, on the CPU."""

    @abstractmethod
    def assemble(
        self, number: int, example: Example, features: Sequence[Feature], said: Sequence[Array]
    ) -> Any:
        """A prediction from what was said of the features of an example."""

    @abstractmethod
    def scores(self, examples: Sequence[Example], predictions: Sequence[Any]) -> dict[str, float]:
        """The task's metrics, `metric` among them."""

    @abstractmethod
    def baseline(self, examples: Sequence[Example]) -> float | None:
        """What `metric` is for one who always gives the most frequent answer; None where that means nothing."""

    def document(self) -> dict[str, Any]:
        """What has to be kept beside the weights, for JSON."""
        return {"task": self.name, "labels": list(self.labels), "max_length": self.max_length}

    def configure(self, document: Mapping[str, Any]) -> None:  # noqa: B027
        """Take over what `document` kept beyond labels and lengths."""

    def prepare(self, examples: Sequence[Example]) -> None:  # noqa: B027
        """Look at the training data before anything else."""

    def learn_from(self, features: Sequence[Feature]) -> None:  # noqa: B027
        """Look at the sequences of the training data before they are learned."""

    def weigh_classes(self, examples: Sequence[Example]) -> None:
        """Have rare classes count more.

        Raises:
            UsageError: the task has no classes.
        """
        raise UsageError(f"{self.name} has no classes to weigh.")

    def codes(self, example: Example) -> list[int]:
        """Numbers of the labels of an example.

        Raises:
            SourceError: one was not seen in training.
        """
        return [self.code(label, example) for label in example.classes]

    def code(self, label: str, example: Example) -> int:
        """Number of a label.

        Raises:
            SourceError: it was not seen in training.
        """
        try:
            return self.numbers[label]
        except KeyError:
            shown = ", ".join(map(repr, self.labels[:10])) + (", …" if len(self.labels) > 10 else "")
            raise SourceError(
                f"{example.place}: the label {label!r} was not seen in training, which had {shown}: correct it, "
                "train on data that has it, or leave such rows out with --skip-bad."
            ) from None


def mean_over(total: Tensor, items: Any, count: int) -> Tensor:
    """A sum over labels as a mean: over those of the whole step, or of the batch where that is not known."""
    return total / (items if items is not None else max(count, 1))


def cross_entropy(logits: Tensor, labels: Tensor, items: Any, weight: Tensor | None = None) -> Tensor:
    """Cross entropy over the labels that are not ignored; `weight` is one a class."""
    flat = labels.reshape(-1)
    weight = None if weight is None else weight.to(logits.device, torch.float32)
    total = torch.nn.functional.cross_entropy(
        logits.float().reshape(-1, logits.shape[-1]), flat, weight, ignore_index=IGNORED, reduction="sum"
    )
    return mean_over(total, items, int((flat != IGNORED).sum()) if items is None else 1)


def most_frequent(values: Iterable[Any]) -> Any:
    """The most frequent value; of equals the first seen."""
    return Counter(values).most_common(1)[0][0]
