"""`probe`: which layer of a store carries a label, how sure that is, and beside what."""

from __future__ import annotations

import math
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from layerwise.analysis.probe import METRICS, STRENGTHS, Task
from layerwise.analysis.scores import confusion
from layerwise.analysis.split import TEST
from layerwise.errors import UsageError
from layerwise.ops.linear_probe import LinearProbe
from layerwise.reports.probing import Feature, ProbeReport, ScalarMix
from layerwise.store.reader import Name, Store
from layerwise.study.arranged import Arranged
from layerwise.study.examples import telling_examples
from layerwise.study.labels import Labelled, read_labels
from layerwise.study.mixtures import Mixtures
from layerwise.study.parts import divide, sizes
from layerwise.study.probe_table import ProbeTable
from layerwise.study.similarity import Cosines, SimilarityTable
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


def probe(
    store: Store,
    label: str,
    *,
    task: str = "auto",
    layers: str | int | Sequence[int | str] = "all",
    group: str | None = None,
    split: str | None = None,
    pair: bool = False,
    min_count: int | None = None,
    skip_missing: bool = False,
    control: bool = True,
    codelength: bool = False,
    strengths: Sequence[float] | None = None,
    seed: int = 0,
    progress: Progress = lambda doing: None,
) -> Probed:
    """Probe every layer of a store for a label, and beside them their mean, concatenation and learned mix.

    Multinomial logistic regression (ridge regression for numbers) on standardised vectors. Its L2
    strength and the best layer are chosen on the development part; all scores are of the test part,
    with 95 % intervals from a bootstrap over groups.

    Args:
        store: of texts, words or tokens.
        label: a kept column.
        task: `"classification"`, `"regression"`, or `"auto"`: what the labels look like.
        layers: which of the store's layers.
        group: a kept column; rows with equal values are never torn apart. Default: the text.
        split: a kept column that says train, dev and test; default: 60, 20 and 20 % of the groups.
        pair: compare the two texts of a pair (a store made with `pairs="separate"`): for numbers the
            cosine of their vectors, without any training; for classes a probe on |u − v| and u ∘ v.
        min_count: leave out rows of classes with fewer; by default a class with one row is an error.
        skip_missing: leave out rows without a label.
        control: also probe a control task (Hewitt & Liang 2019), where rows are words or tokens.
        codelength: also compute the online code length (Voita & Titov 2020); classification only.
        strengths: L2 strengths to choose from; 1e-5, 1e-4 … 10 by default.
        seed: of split, bootstrap, control task and examples.
        progress: called with what is being done.

    Raises:
        UsageError: a column or an option that is not there or does not fit.
        LabelError: labels that are missing, constant or of one example; no part to train or test on.
    """
    begun = time.perf_counter()
    strengths = STRENGTHS if strengths is None else tuple(strengths)
    _check(strengths, seed)
    chosen = list(store.select(layers))
    found = read_labels(
        store, label, task=task, group=group, pair=pair, min_count=min_count, skip_missing=skip_missing
    )
    study = _Study(store, label, chosen, seed, begun, progress)
    if codelength and not found.classes:
        raise UsageError("a code length is of classes, and the labels are numbers: leave --codelength out.")
    if pair and not found.classes:
        return study.similarity(found, split)
    return study.probe(found, split, strengths, control, codelength)


def _check(strengths: Sequence[float], seed: int) -> None:
    if not strengths or not all(math.isfinite(one) and one > 0 for one in strengths):
        raise UsageError(f"the L2 strengths are {tuple(strengths)}: expected at least one number above 0.")
    if seed < 0:
        raise UsageError(f"the seed is {seed}: expected a whole number from 0 on.")


@dataclass(frozen=True)
class _Study:
    """One run of `probe`."""

    store: Store
    label: str
    layers: list[Name]
    seed: int
    begun: float
    progress: Progress

    def probe(
        self,
        found: Labelled,
        split: str | None,
        strengths: tuple[float, ...],
        control: bool,
        codelength: bool,
    ) -> Probed:
        parts, notes = divide(self.store, found, split, self.seed)
        rows = Arranged.of(self.store, found, parts, self.seed)
        kind = "classification" if found.classes else "regression"
        train, development = (int((parts == part).sum()) for part in (0, 1))
        task = Task(kind, rows.found.labels, len(found.classes), train, development, strengths)
        if control and found.types is None:
            notes += ("There is no control task: it gives each word type a label, and the rows are texts.",)
        table = ProbeTable(rows, task, control=control, codelength=codelength, seed=self.seed)
        mix, reduced = self._fill(table, rows, task)
        best, last = table.best(self.layers), self.layers[-1]
        enough = table.enough(self.layers, best)
        several = len(self.layers) > 1
        report = ProbeReport(
            **self._head(found, kind),
            parts=sizes(found, parts),
            table=tuple(table.rows.values()),
            majority=table.majority(),
            best=best,
            last=last,
            enough=enough,
            best_against_last=table.difference(best, last) if several and best != last else None,
            best_against_enough=table.difference(best, enough) if several and best != enough else None,
            scalar_mix=mix,
            confusion=self._confusion(table, best, len(found.classes)),
            examples=telling_examples(
                rows, task.testing, table.fits[best].predictions, table.fits[last].predictions, self.seed
            )
            if found.classes
            else (),
            control=_CONTROL if control and found.types is not None else "",
            seconds=time.perf_counter() - self.begun,
            notes=(*found.notes, *notes, *reduced),
        )
        return Probed(report, {} if found.partners is not None else self._probes(report, table))

    def _fill(
        self, table: ProbeTable, rows: Arranged, task: Task
    ) -> tuple[ScalarMix | None, tuple[str, ...]]:
        """Probe the layers, and what is made of them; one layer is held at a time."""
        mixtures = Mixtures(rows, task, self.layers) if len(self.layers) > 1 else None
        vectors: Tensor | None = None
        for number, layer in enumerate(self.layers, 1):
            self.progress(f"layer {layer} ({number} of {len(self.layers)})")
            vectors = rows.read(layer, vectors)
            table.add(layer, rows.features(vectors))
            if mixtures:
                mixtures.see(vectors)
        del vectors
        if mixtures is None:
            return None, ()
        self.progress("mean of the layers")
        table.add("mean", mixtures.mean())
        self.progress("learning the scalar mix")
        l2 = table.fits[table.best(self.layers)].l2
        mix = mixtures.learn(l2)
        mixed, joined, note = mixtures.build()
        self.progress("concatenation of the layers")
        table.add("concat", joined, on_axes=bool(note))
        del joined
        self.progress("scalar mix of the layers")
        table.add("scalar", mixed)
        return mix, (note,) if note else ()

    def similarity(self, found: Labelled, split: str | None) -> Probed:
        notes: tuple[str, ...] = ("Nothing is trained, so every pair is a test pair.",)
        parts = np.full(len(found), TEST)
        if split is not None:
            parts, notes = divide(self.store, found, split, self.seed)
        pairs = Arranged.of(self.store, found, parts, self.seed)
        table, cosines = SimilarityTable(pairs, self.seed), Cosines()
        vectors: Tensor | None = None
        for layer in self.layers:
            self.progress(f"layer {layer}")
            vectors = pairs.read(layer, vectors)
            table.add(layer, cosines.see(vectors))
        several = len(self.layers) > 1
        if several:
            table.add("mean", cosines.mean())
            table.add("concat", cosines.concat())
            notes += ("There is no scalar mix, as cosines are compared without training.",)
        tries = len(self.layers) - 1
        best, last = table.best(self.layers), self.layers[-1]
        differences = {layer: table.difference(best, layer, tries) for layer in self.layers}
        enough = next(layer for layer in self.layers if layer == best or differences[layer].low <= 0)
        report = ProbeReport(
            **self._head(found, "similarity"),
            parts=tuple(part for part in sizes(found, parts) if part.rows),
            table=tuple(table.rows.values()),
            majority={},
            best=best,
            last=last,
            enough=enough,
            best_against_last=differences[last] if best != last else None,
            best_against_enough=differences[enough] if best != enough else None,
            scalar_mix=None,
            confusion=(),
            examples=(),
            control="",
            seconds=time.perf_counter() - self.begun,
            notes=(*found.notes, *notes),
        )
        return Probed(report, {})

    def _head(self, found: Labelled, task: str) -> dict[str, Any]:
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
            "seed": self.seed,
            "metadata": self.store.metadata,
            "versions": {
                "layerwise": __version__,
                "python": platform.python_version(),
                "numpy": np.__version__,
                "torch": torch.__version__,
            },
        }

    def _confusion(self, table: ProbeTable, best: Feature, classes: int) -> tuple[tuple[int, ...], ...]:
        if not classes:
            return ()
        counts = confusion(table.labels, table.fits[best].predictions, classes)
        return tuple(tuple(row) for row in counts.tolist())

    def _probes(self, report: ProbeReport, table: ProbeTable) -> dict[Feature, LinearProbe]:
        known = (
            "unit",
            "pooling",
            "words",
            "mix",
            "model",
            "revision",
            "weights_sha256",
            "num_hidden_layers",
        )
        shared = {name: self.store.metadata.get(name) for name in known}
        probes = {}
        for layer in self.layers:
            row, (weight, bias) = report.row(layer), table.maps[layer]
            document = {
                **shared,
                "label": self.label,
                "task": report.task,
                "layer": layer,
                "l2": row.l2,
                "scores": {name: [score.value, score.low, score.high] for name, score in row.scores.items()},
                "parts": {part.name: part.rows for part in report.parts},
                "seed": self.seed,
                "versions": dict(report.versions),
            }
            probes[layer] = LinearProbe(weight, bias, tuple(report.classes), document)
        return probes


_CONTROL = (
    "Each word type got one label at random, drawn as often as the real labels occur (Hewitt & Liang 2019); "
    "a probe that scores high on it remembers words."
)
