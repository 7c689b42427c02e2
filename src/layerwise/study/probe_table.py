"""The table of a probe: scores and intervals of each feature over all test rows, and comparisons."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float, Shaped
from numpy import ndarray

from layerwise.analysis.probe import CONTROL_METRIC, METRICS, point
from layerwise.analysis.resampling import in_blocks, interval, number_groups, resamples, two_sided
from layerwise.reports.probing import Difference, Feature, FeatureScore, Score
from layerwise.study.folds import Fold, FoldFit, test_rows
from layerwise.study.labels import Labelled


class ProbeTable:
    """Scores, feature by feature; every feature is scored on the same resamples of the same test rows.

    Attributes:
        tested: (tested,) the labelled rows that are tested, over all folds.
        labels: (tested,) their labels.
        rows: feature to its row of the table.
        predictions: feature to what its probes answered, (tested,).
    """

    def __init__(self, found: Labelled, folds: Sequence[Fold], seed: int) -> None:
        self._folds = folds
        self._kind, self._leading = folds[0].task.kind, folds[0].task.leading
        self.tested = test_rows(folds)
        self.labels = found.labels[self.tested]
        self._groups = number_groups(found.groups[self.tested])
        self._counts = resamples(int(self._groups.max()) + 1, seed)
        self._draws: dict[Feature, Float[ndarray, " rounds"]] = {}
        self.rows: dict[Feature, FeatureScore] = {}
        self.predictions: dict[Feature, Shaped[ndarray, " tested"]] = {}

    def add(self, feature: Feature, fits: Sequence[FoldFit]) -> None:
        """Score a feature that was fitted in every fold."""
        answers = self.predictions[feature] = np.concatenate([one.fit.predictions for one in fits])
        found = {}
        for name, make in METRICS[self._kind].items():
            draws = in_blocks(make(self.labels, answers, self._groups), self._counts)
            if name == self._leading:
                self._draws[feature] = draws
            found[name] = Score(point(make, self.labels, answers), *interval(draws))
        row = FeatureScore(
            feature, found, float(np.mean([one.fit.development for one in fits])), _usual(fits)
        )
        self.rows[feature] = self._with_control(self._with_code(row, fits), fits)

    def _with_control(self, row: FeatureScore, fits: Sequence[FoldFit]) -> FeatureScore:
        answers = [one.control for one in fits if one.control is not None]
        if not answers:
            return row
        name = CONTROL_METRIC[self._kind]
        tasks = [fold.control for fold in self._folds if fold.control is not None]
        labels = np.concatenate([task.labels[task.testing] for task in tasks])
        control = point(METRICS[self._kind][name], labels, np.concatenate(answers))
        return replace(row, control=control, selectivity=row.scores[name].value - control)

    def _with_code(self, row: FeatureScore, fits: Sequence[FoldFit]) -> FeatureScore:
        bits = [one.bits for one in fits if one.bits is not None]
        if not bits:
            return row
        uniform = [one.uniform_bits or 0.0 for one in fits]
        return replace(
            row, code_length=float(np.mean(bits)), compression=float(np.sum(uniform) / np.sum(bits))
        )

    def best(self, features: Iterable[Feature]) -> Feature:
        """The feature with the highest score on the development part; the lower layer of equals."""
        return max(features, key=lambda feature: np.nan_to_num(self.rows[feature].development, nan=-np.inf))

    def difference(self, first: Feature, second: Feature) -> Difference:
        """Compare two features on the same resamples."""
        draws = self._draws[first] - self._draws[second]
        one, two = (self.rows[feature].scores[self._leading].value for feature in (first, second))
        return Difference(first, second, self._leading, one - two, *interval(draws), two_sided(draws))

    def enough(self, layers: Iterable[Feature], best: Feature) -> Feature:
        """The first of `layers` that is not significantly worse than `best`."""
        return next(layer for layer in layers if layer == best or self.difference(best, layer).low <= 0)

    def majority(self) -> Mapping[str, float]:
        """Scores of answering the training part's most frequent class, or its mean, for every row."""
        answers = []
        for fold in self._folds:
            known = fold.task.labels[fold.task.training]
            one = np.bincount(known).argmax() if self._kind == "classification" else known.mean()
            answers.append(np.full(len(fold.tested), one, known.dtype))
        constant = np.concatenate(answers)
        return {name: point(make, self.labels, constant) for name, make in METRICS[self._kind].items()}


def _usual(fits: Sequence[FoldFit]) -> float:
    """The strength that most folds chose, the strongest of equals."""
    counts = Counter(one.fit.l2 for one in fits)
    return max(counts, key=lambda l2: (counts[l2], l2))
