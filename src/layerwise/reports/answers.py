"""What a fine-tuned model says of an example: labels, entities, answers, similarities, texts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np


def flat(text: str) -> str:
    """On one line, without tabs: these separate."""
    return " ".join(text.split()) if any(mark in text for mark in "\t\n\r\v\f\x85\u2028\u2029") else text


def _document(prediction: Any) -> dict[str, Any]:
    """For JSON, without an identifier, a second text or entities where there are none."""
    optional = ("id", "text_pair", "entities")
    return {
        name: value for name, value in asdict(prediction).items() if value is not None or name not in optional
    }


class Shares(Mapping[str, float]):
    """Probabilities by class, in four bytes each: of many classes and texts dicts would fill the memory."""

    __slots__ = ("_numbers", "_values")

    def __init__(self, numbers: Mapping[str, int], values: np.ndarray) -> None:
        self._numbers, self._values = numbers, values

    def __getitem__(self, label: str) -> float:
        return float(self._values[self._numbers[label]])

    def __iter__(self) -> Iterator[str]:
        return iter(self._numbers)

    def __len__(self) -> int:
        return len(self._numbers)

    def __repr__(self) -> str:
        return repr(dict(self))


@dataclass(frozen=True, slots=True)
class TextLabel:
    """The class of a text.

    Attributes:
        text_id: number of the text, from 0, rows that were left out not counted.
        id: the user's own identifier, if a column with it was named.
        text, text_pair: as given.
        label: the most probable class.
        probability: of that class.
        probabilities: of every class.
    """

    text_id: int
    id: str | None
    text: str
    text_pair: str | None
    label: str
    probability: float
    probabilities: Mapping[str, float]

    def to_dict(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return {**_document(self), "probabilities": dict(self.probabilities)}

    def lines(self) -> list[str]:
        """Label, probability, text."""
        texts = [self.text] if self.text_pair is None else [self.text, self.text_pair]
        return ["\t".join((flat(self.label), f"{self.probability:.4f}", *map(flat, texts)))]


@dataclass(frozen=True, slots=True)
class TaggedWord:
    """A word with its tag; `start` and `end` are half-open offsets (code points) into the text.

    A word that got no token has no label (None), where there is no tag that stands for none (`O`).
    """

    word: str
    start: int
    end: int
    label: str | None
    probability: float | None


@dataclass(frozen=True, slots=True)
class Entity:
    """An entity: `text[start:end]`, half-open offsets in code points, and the mean probability of its words' tags."""

    text: str
    start: int
    end: int
    label: str
    probability: float


@dataclass(frozen=True, slots=True)
class TaggedText:
    """The words of a text with their tags, and the entities that these stand for.

    Attributes:
        entities: None where the tags are no spans (parts of speech).
    """

    text_id: int
    id: str | None
    text: str
    words: tuple[TaggedWord, ...]
    entities: tuple[Entity, ...] | None

    def to_dict(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return _document(self)

    def lines(self) -> list[str]:
        """An entity a line with start, end, label, probability and text; else a word a line. Then an empty line."""
        shown: list[str] = []
        for one in self.words if self.entities is None else self.entities:
            surface = one.word if isinstance(one, TaggedWord) else one.text
            share = "_" if one.probability is None else f"{one.probability:.4f}"
            shown.append(
                "\t".join((str(one.start), str(one.end), flat(one.label or "_"), share, flat(surface)))
            )
        return [*shown, ""]


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer to a question: `context[start:end]`, or none.

    Attributes:
        id: of the question, or its number.
        answer: the answer as it stands in the context; empty where there is none.
        start, end: half-open offsets (code points) into the context; None where there is no answer.
        probability: of the span among all spans of the context, "no answer" among them.
        no_answer: probability that the context holds no answer; None for a model that was trained on none such.
    """

    id: str
    question: str
    answer: str
    start: int | None
    end: int | None
    probability: float
    no_answer: float | None

    def to_dict(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return asdict(self)

    def lines(self) -> list[str]:
        """Answer, start, end, probability, question."""
        place = ("_", "_") if self.start is None else (str(self.start), str(self.end))
        return ["\t".join((flat(self.answer) or "_", *place, f"{self.probability:.4f}", flat(self.question)))]


@dataclass(frozen=True, slots=True)
class Similarity:
    """Cosine of two texts, and the same on the scale of the training scores."""

    text_id: int
    id: str | None
    text: str
    text_pair: str
    cosine: float
    score: float

    def to_dict(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return _document(self)

    def lines(self) -> list[str]:
        """Score, cosine, texts."""
        return ["\t".join((f"{self.score:.4f}", f"{self.cosine:.4f}", flat(self.text), flat(self.text_pair)))]


@dataclass(frozen=True, slots=True)
class GeneratedText:
    """A text made from a text: a translation, a summary."""

    text_id: int
    id: str | None
    text: str
    output: str

    def to_dict(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return _document(self)

    def lines(self) -> list[str]:
        """The output alone, as other tools for translation print it."""
        return [flat(self.output)]


@dataclass(frozen=True, slots=True)
class FilledMask:
    """The most probable tokens for each mask of a text.

    Attributes:
        masks: for each mask, from the left, (token, probability), the most probable first.
    """

    text_id: int
    id: str | None
    text: str
    masks: tuple[tuple[tuple[str, float], ...], ...]

    def to_dict(self) -> dict[str, Any]:
        """As `--json` prints it."""
        masks = [[{"token": token, "probability": share} for token, share in mask] for mask in self.masks]
        return {**_document(self), "masks": masks}

    def lines(self) -> list[str]:
        """A line a mask: its tokens with their probabilities."""
        return [" ".join(f"{token} {share:.4f}" for token, share in mask) for mask in self.masks] or [""]
