"""The table of a probe: scores and intervals of each feature over all test rows, and comparisons."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Shaped
from numpy import ndarray

from layerwise.analysis.probe import BEYOND_GUESSING, CONTROL_METRIC, METRICS, point
from layerwise.analysis.resampling import FEWEST, number_groups
from layerwise.reports.probing import Difference, Feature, FeatureScore, Score
from layerwise.reports.verdict import name_of
from layerwise.study.folds import Fold, FoldFit, test_rows
from layerwise.study.labels import Labelled
from layerwise.study.paired import PairedScores, highest


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
        groups = number_groups(found.groups[self.tested])
        self._number = int(groups.max()) + 1
        self._paired = PairedScores(self.labels, groups, self._leading, seed)
        self.rows: dict[Feature, FeatureScore] = {}
        self.predictions: dict[Feature, Shaped[ndarray, " tested"]] = {}

    def add(self, feature: Feature, fits: Sequence[FoldFit]) -> None:
        """Score a feature that was fitted in every fold."""
        answers = self.predictions[feature] = np.concatenate([one.fit.predictions for one in fits])
        if self._kind == "regression" and not any(map(_varies, fits)):
            answers = np.zeros_like(answers)
        found = {
            name: self._paired.score(feature, name, make, answers)
            for name, make in METRICS[self._kind].items()
        }
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
        """The feature with the highest score on the development part; see `highest`."""
        return highest({feature: self.rows[feature].development for feature in features})

    def compared(
        self, layers: Sequence[Feature], best: Feature, last: Feature
    ) -> tuple[Difference, Difference, Feature]:
        """The best layer against the last, and against the lowest that cannot be told from it, and this one.

        Development parts of several folds are test parts of others, so the best was chosen on the rows
        that are scored, and the comparisons allow for it.
        """
        among = layers if len(self._folds) > 1 else ()
        enough = self._paired.enough(layers, best, among)
        against_last, against_enough = (
            self._paired.difference(best, other, among) for other in (last, enough)
        )
        return against_last, against_enough, enough

    def faultless(self, feature: Feature) -> str:
        """What an interval without width means, if the feature answers every row right; else nothing."""
        if self._number < FEWEST or self._kind != "classification":
            return ""
        if (self.predictions[feature] != self.labels).any():
            return ""
        return (
            f"{name_of(feature).capitalize()} answers every test row right, so its interval has no width. It may still "
            f"be wrong in up to {min(1.0, 3 / self._number):.1%} of such groups (95 %, rule of three)."
        )

    def chosen_anew(self, answers: Shaped[ndarray, " tested"]) -> float:
        """The leading score of what `answers_of_the_chosen` gives."""
        return point(METRICS[self._kind][self._leading], self.labels, answers)

    def beyond_guessing(self, answers: Shaped[ndarray, " tested"]) -> Score:
        """How far the same answers go beyond guessing: Cohen's κ, or Spearman's correlation of numbers."""
        return self._paired.once(BEYOND_GUESSING[self._kind], answers)

    def answers_of_the_chosen(
        self, fits: Mapping[Feature, Sequence[FoldFit]], layers: Sequence[Feature]
    ) -> Shaped[ndarray, " tested"]:
        """Answers where each fold is answered by the layer that is best on its own development part."""
        answers = []
        for number in range(len(self._folds)):
            own = {layer: fits[layer][number].fit for layer in layers}
            best = highest({layer: own[layer].development for layer in layers})
            answers.append(own[best].predictions)
        return np.concatenate(answers)

    def majority(self) -> Mapping[str, float]:
        """Scores of answering the training part's most frequent class, or its mean, for every row.

        A constant orders nothing: it has no rank correlation, nor have the constants of several folds.
        """
        answers = []
        for fold in self._folds:
            known = fold.task.labels[fold.task.training]
            one = np.bincount(known).argmax() if self._kind == "classification" else known.mean()
            answers.append(np.full(len(fold.tested), one, known.dtype))
        constant = np.concatenate(answers)
        return {
            name: float("nan") if name == "spearman" else point(make, self.labels, constant)
            for name, make in METRICS[self._kind].items()
        }


def _varies(fit: FoldFit) -> bool:
    """Whether a probe of numbers answers different rows differently: between folds even constants differ."""
    answers = fit.fit.predictions
    return bool(np.ptp(answers) > 1e-6 * max(1e-30, float(np.abs(answers).max())))


def _usual(fits: Sequence[FoldFit]) -> float:
    """The strength that most folds chose, the strongest of equals."""
    counts = Counter(one.fit.l2 for one in fits)
    return max(counts, key=lambda l2: (counts[l2], l2))
