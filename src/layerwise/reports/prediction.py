"""What `predict` says of a text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Label:
    """The label of one unit.

    Attributes:
        surface: the text, or the word as it stands in it.
        start, end: half-open character offsets (Unicode code points) into the text.
        label: name of the class, or the number in regression; None for a unit that got no token.
        probability: of that class; None in regression.
    """

    surface: str
    start: int
    end: int
    label: str | float | None
    probability: float | None


@dataclass(frozen=True, slots=True)
class Prediction:
    """The labels of one text.

    Attributes:
        text_id: number of the text in the input, from 0.
        text: as given.
        unit: `text` or `word`.
        labels: one for a text, one a word otherwise.
    """

    text_id: int
    text: str
    unit: str
    labels: tuple[Label, ...]

    def to_dict(self) -> dict[str, Any]:
        """As `--json` prints it."""
        if self.unit == "text":
            label = self.labels[0]
            return {
                "text_id": self.text_id,
                "text": self.text,
                "label": label.label,
                "probability": label.probability,
            }
        words = [
            {
                "word": label.surface,
                "start": label.start,
                "end": label.end,
                "label": label.label,
                "probability": label.probability,
            }
            for label in self.labels
        ]
        return {"text_id": self.text_id, "text": self.text, "words": words}
