"""One run of `probe`: what it was asked, and what every report of it begins with."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from layerwise.analysis.probe import METRICS
from layerwise.errors import UsageError
from layerwise.ops.linear_probe import LinearProbe
from layerwise.reports.probing import Feature, ProbeReport
from layerwise.reports.verdict import name_of
from layerwise.store.reader import Name, Store
from layerwise.study.labels import Labelled
from layerwise.version import __version__

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Probed:
    """What `probe` finds.

    Attributes:
        report: the table, the choice, and all that is needed to judge them.
        probes: layer to its trained probe, as `save` writes it and `ship` takes it; empty for pairs.
    """

    report: ProbeReport
    probes: Mapping[Feature, LinearProbe]

    def probe(self, layer: Feature | None = None) -> LinearProbe:
        """The trained probe of a layer; by default of the best.

        Raises:
            UsageError: there is none, as for pairs.
        """
        wanted = self.report.best if layer is None else layer
        if wanted not in self.probes:
            there = ", ".join(map(str, self.probes)) or "none, as pairs are compared"
            raise UsageError(f"there is no trained probe of layer {wanted} to save: there are {there}.")
        return self.probes[wanted]


@dataclass(frozen=True)
class ProbeRun:
    """What was asked of which store.

    Attributes:
        store, label, seed, progress: as in `probe`.
        layers: those probed, in order.
        candidates: those of them that may be chosen.
        begun: when, on `time.perf_counter`'s clock.
    """

    store: Store
    label: str
    layers: list[Name]
    candidates: list[Name]
    seed: int
    progress: Progress
    begun: float = field(default_factory=time.perf_counter)

    @property
    def last(self) -> Name:
        """The last layer."""
        return self.layers[-1]

    @property
    def notes(self) -> tuple[str, ...]:
        """What is special about the store or the choice."""
        found = []
        if not self.store.metadata.get("complete"):
            found.append("The store is not finished: its source has more texts than it.")
        beside = [layer for layer in self.layers if layer not in self.candidates]
        if beside:
            names = ", ".join(map(name_of, beside)).capitalize()
            found.append(f"{names}: compared only, the best is chosen among the other layers.")
        return tuple(found)

    @property
    def seconds(self) -> float:
        """Since it began."""
        return time.perf_counter() - self.begun

    def head(self, found: Labelled, task: str) -> dict[str, Any]:
        """What the report says of store, label and run."""
        counts = np.bincount(found.labels, minlength=len(found.classes)).tolist() if found.classes else []
        return {
            "store": str(self.store.path),
            "model": str(self.store.metadata.get("model")),
            "label": self.label,
            "task": task,
            "unit": self.store.unit,
            "metrics": tuple(METRICS[task]),
            "classes": dict(zip(found.classes, counts, strict=True)),
            "last": self.last,
            "seed": self.seed,
            "metadata": self.store.metadata,
            "versions": {
                "layerwise": __version__,
                "python": platform.python_version(),
                "numpy": np.__version__,
                "torch": torch.__version__,
            },
        }
