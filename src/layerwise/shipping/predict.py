"""`predict`: label texts, or the words of texts, with the probe that a folder was shipped with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from layerwise.errors import UsageError
from layerwise.models.encoder import Encoder
from layerwise.models.fitted import fitting_probe, request_of
from layerwise.models.shipped import read_shipped
from layerwise.ops.linear_probe import LinearProbe
from layerwise.reports.prediction import Label, Prediction
from layerwise.shipping.companions import PROBE
from layerwise.types import HiddenStates, Layer, TextRecord
from layerwise.whole_file import local_path


@dataclass(frozen=True)
class Predictor:
    """A shipped model with its probe.

    Attributes:
        encoder: the model.
        probe: what labels its vectors.
        layer: the layer the probe reads.
        words: what a word is, for a probe of words: as it was trained, unless that cannot be had.
    """

    encoder: Encoder
    probe: LinearProbe
    layer: Layer
    words: str = "tokenizer"

    @classmethod
    def load(cls, folder: str | Path, device: str = "auto", batch_tokens: int | None = None) -> Predictor:
        """Load what `layerwise ship --probe` wrote.

        Raises:
            UsageError: the folder has no probe, or one of another model.
            ModelError: it cannot be loaded.
        """
        path = local_path(folder)
        shipped = read_shipped(path) if path.is_dir() else None
        if shipped is None or not (path / PROBE).is_file():
            what = "is no folder" if not path.is_dir() else "has no probe"
            raise UsageError(
                f"{folder} {what}: expected what `layerwise ship MODEL --layer K --probe FILE -o {folder}` writes."
            )
        encoder = Encoder.from_pretrained(str(path), device=device, batch_tokens=batch_tokens)
        probe = fitting_probe(path / PROBE, encoder, shipped.layer)
        return cls(encoder, probe, shipped.layer, str(probe.document.get("words") or "tokenizer"))

    @property
    def unit(self) -> str:
        """`text` or `word`."""
        return str(self.probe.document["unit"])

    def for_texts(self, bring_words: bool) -> Predictor:
        """This predictor; or, if its words are given and the texts bring none, one that splits by UAX #29."""
        lacking = self.unit == "word" and self.words == "given" and not bring_words
        return replace(self, words="unicode") if lacking else self

    def __call__(self, texts: Iterable[str | TextRecord]) -> Iterator[Prediction]:
        """One prediction a text, in order, read as the probe's store was; memory stays bounded.

        Raises:
            SourceError: the probe wants words of the source's own, and a text brings none.
        """
        options = request_of(self.probe)
        if self.unit == "word":
            options["words"] = self.words
        for number, states in enumerate(self.encoder.stream(texts, self.layer, self.unit, **options)):
            yield self._label(number, states)

    def _label(self, number: int, states: HiddenStates) -> Prediction:
        scores = self.probe(states.layer(self.layer))
        labels = [
            self._of(row, unit.surface if self.unit == "word" else states.text, unit.start, unit.end)
            for row, unit in zip(scores, states.units, strict=True)
        ]
        return Prediction(number, states.text, self.unit, tuple(labels))

    def _of(self, row: npt.NDArray[np.floating[Any]], surface: str, start: int, end: int) -> Label:
        if np.isnan(row).any():  # a unit without a token has no vector
            return Label(surface, start, end, None, None)
        if not self.probe.classes:
            return Label(surface, start, end, float(row[0]), None)
        best = int(row.argmax())
        probabilities = _probabilities(row)
        return Label(surface, start, end, self.probe.classes[best], float(probabilities[best]))


def _probabilities(logits: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.floating[Any]]:
    """Softmax in float64."""
    wide = np.exp(logits.astype(np.float64) - logits.max())
    shares: npt.NDArray[np.floating[Any]] = wide / wide.sum()
    return shares
