"""Pairs of texts with a score: how well the cosine of their vectors orders them. Nothing is trained."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from layerwise.analysis.probe import METRICS, point
from layerwise.analysis.resampling import FEWEST as FEWEST_GROUPS
from layerwise.analysis.resampling import number_groups
from layerwise.analysis.split import TEST
from layerwise.errors import LabelError
from layerwise.reports.probing import Difference, Feature, FeatureScore, ProbeReport
from layerwise.reports.wording import counted
from layerwise.study.arranged import Arranged
from layerwise.study.labels import Labelled
from layerwise.study.paired import PairedScores, highest
from layerwise.study.parts import FEW, divide, sizes
from layerwise.study.probe_run import Probed, ProbeRun

FEWEST = 5
"""Pairs below which no correlation is given."""

_METRICS = METRICS["similarity"]
_LEADING = next(iter(_METRICS))


class SimilarityTable:
    """Scores of cosines, feature by feature; every feature is scored on the same resamples.

    Attributes:
        rows: feature to its row of the table.
    """

    def __init__(self, pairs: Arranged, seed: int) -> None:
        test = pairs.parts == TEST
        self._test, self._others = test, ~test
        self._labels = pairs.found.labels
        groups = number_groups(pairs.found.groups[test])
        self._paired = PairedScores(self._labels[test], groups, _LEADING, seed)
        self.rows: dict[Feature, FeatureScore] = {}

    def add(self, feature: Feature, cosines: Float[ndarray, " rows"]) -> None:
        """Score the cosines of a feature."""
        found = {
            name: self._paired.score(feature, name, make, cosines[self._test])
            for name, make in _METRICS.items()
        }
        chosen_by = found[_LEADING].value
        if self._others.any():
            chosen_by = point(_METRICS[_LEADING], self._labels[self._others], cosines[self._others])
        self.rows[feature] = FeatureScore(feature, found, chosen_by, None)

    def best(self, features: Iterable[Feature]) -> Feature:
        """The highest score on the rows that are not tested; on all where all are."""
        return highest({feature: self.rows[feature].development for feature in features})

    def compared(
        self, layers: Sequence[Feature], best: Feature, last: Feature
    ) -> tuple[Difference, Difference, Feature]:
        """The best layer against the last, and against the lowest that cannot be told from it, and this one.

        Where all pairs are test pairs, the best was chosen on them, and the comparisons allow for it.
        """
        among = () if self._others.any() else layers
        enough = self._paired.enough(layers, best, among)
        against_last, against_enough = (
            self._paired.difference(best, other, among) for other in (last, enough)
        )
        return against_last, against_enough, enough


class Cosines:
    """Cosines of the pairs by layer, and of the layers' mean and concatenation, which are built on the way."""

    def __init__(self) -> None:
        self._sum: Tensor | None = None
        self._parts = torch.zeros(3, 1, dtype=torch.float64)

    def see(self, vectors: Float[Tensor, "vectors size"]) -> Float[ndarray, " rows"]:
        """Cosines at a layer: of its first half of vectors with its second half."""
        first, second = vectors.chunk(2)
        products = [
            (a * b).sum(1, dtype=torch.float64)
            for a, b in ((first, second), (first, first), (second, second))
        ]
        self._parts = self._parts + torch.stack(products)
        self._sum = vectors.clone() if self._sum is None else self._sum.add_(vectors)
        return _cosine(*products)

    def mean(self) -> Float[ndarray, " rows"]:
        """Cosines of the mean of the layers."""
        assert self._sum is not None
        first, second = self._sum.chunk(2)
        return _cosine((first * second).sum(1), first.square().sum(1), second.square().sum(1))

    def concat(self) -> Float[ndarray, " rows"]:
        """Cosines of the concatenation: its products are the sums of those of the layers."""
        return _cosine(*self._parts)


def _cosine(product: Tensor, first: Tensor, second: Tensor) -> Float[ndarray, " rows"]:
    found: ndarray = (product / (first * second).sqrt().clamp(min=1e-30)).double().numpy()
    return found


def probe_similarity(run: ProbeRun, found: Labelled, split: str | None) -> Probed:
    """Score the cosines of all pairs, or of those of the test part if a column says which they are."""
    notes: tuple[str, ...] = ("Nothing is trained, so every pair is a test pair.",)
    parts = np.full(len(found), TEST)
    if split is not None:
        (parts,), notes = divide(run.store, found, split, run.seed)
    tested = int((parts == TEST).sum())
    if tested < FEWEST:
        raise LabelError(
            f"{counted(tested, 'pair')} {'is' if tested == 1 else 'are'} left to test on: a rank correlation of so few "
            f"means nothing; expected at least {FEWEST}."
        )
    if split is None and tested < FEW:
        what = "the intervals are rough" if tested >= FEWEST_GROUPS else "too few for intervals"
        notes += (f"There are {tested} pairs only: {what}.",)
    pairs, _ = Arranged.of(run.store, found, parts, run.seed)
    table, cosines = SimilarityTable(pairs, run.seed), Cosines()
    vectors: Tensor | None = None
    for layer in run.layers:
        run.progress(f"layer {layer}")
        vectors = pairs.read(layer, vectors)
        table.add(layer, cosines.see(vectors))
    if len(run.layers) > 1:
        table.add("mean", cosines.mean())
        table.add("concat", cosines.concat())
        notes += ("There is no scalar mix, as cosines are compared without training.",)
    best = table.best(run.candidates)
    against_last, against_enough, enough = table.compared(run.candidates, best, run.last)
    report = ProbeReport(
        **run.head(found, "similarity"),
        folds=1,
        parts=tuple(part for part in sizes(found, (parts,)) if part.rows),
        table=tuple(table.rows.values()),
        majority={},
        best=best,
        enough=enough,
        beyond_guessing=table.rows[best].scores[_LEADING],
        best_against_last=against_last if best != run.last else None,
        best_against_enough=against_enough if best != enough else None,
        scalar_mix=None,
        confusion=(),
        examples=(),
        control="",
        seconds=run.seconds,
        notes=(*found.notes, *run.notes, *notes),
    )
    return Probed(report, {})
