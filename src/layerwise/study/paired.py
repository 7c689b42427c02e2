"""Scores of features on the same resamples of the same test rows, and what lies between two of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float, Int, Shaped
from numpy import ndarray

from layerwise.analysis.probe import MakeMetric, point
from layerwise.analysis.resampling import (
    FEWEST,
    ROUNDS,
    in_blocks,
    interval,
    of_the_chosen,
    resamples,
    two_sided,
)
from layerwise.errors import LabelError
from layerwise.reports.probing import Difference, Feature, Score


def highest(scores: Mapping[Feature, float]) -> Feature:
    """The feature with the highest score, the first of equals; one without a score (NaN) is never it.

    Raises:
        LabelError: none has a score.
    """
    known = {feature: score for feature, score in scores.items() if score == score}
    if not known:
        raise LabelError(
            "no layer has a score, as its vectors, or what is predicted from them, do not vary: look at the store with "
            "`layerwise inspect`."
        )
    return max(known, key=lambda feature: known[feature])


class PairedScores:
    """What features score, and in each resample.

    Fewer than `FEWEST` groups have no intervals and no p-values, as their resamples say nothing.
    """

    def __init__(
        self, labels: Shaped[ndarray, " rows"], groups: Int[ndarray, " rows"], leading: str, seed: int
    ) -> None:
        """Draw resamples of the groups, numbered 0, 1, 2 …; features are compared by the metric `leading`."""
        self._labels, self._groups, self._leading = labels, groups, leading
        number = int(groups.max()) + 1
        self._counts = resamples(number, seed) if number >= FEWEST else None
        self._draws: dict[Feature, Float[ndarray, " rounds"]] = {}
        self._values: dict[Feature, float] = {}

    def score(
        self, feature: Feature, name: str, make: MakeMetric, answers: Shaped[ndarray, " rows"]
    ) -> Score:
        """Score a feature's answers by the metric called `name`."""
        value, draws = self._measure(make, answers)
        if name == self._leading:
            self._draws[feature], self._values[feature] = draws, value
        return Score(value, *interval(draws))

    def once(self, make: MakeMetric, answers: Shaped[ndarray, " rows"]) -> Score:
        """Score answers by a metric without keeping what could be compared."""
        value, draws = self._measure(make, answers)
        return Score(value, *interval(draws))

    def _measure(
        self, make: MakeMetric, answers: Shaped[ndarray, " rows"]
    ) -> tuple[float, Float[ndarray, " rounds"]]:
        value = point(make, self._labels, answers)
        if self._counts is None:
            return value, np.full(ROUNDS, np.nan)
        return value, in_blocks(make(self._labels, answers, self._groups), self._counts)

    def difference(self, first: Feature, second: Feature, among: Sequence[Feature] = ()) -> Difference:
        """Compare two features on the same resamples.

        Args:
            among: where `first` was chosen as the best on the very rows that are scored, what it was chosen
                among; interval and p-value then allow for the choice.
        """
        value = self._values[first] - self._values[second]
        candidates = [one for one in among if one != second]
        if first == second or len(candidates) < 2:
            draws = self._draws[first] - self._draws[second]
            return Difference(first, second, self._leading, value, *interval(draws), two_sided(draws))
        draws = np.stack([self._draws[one] - self._draws[second] for one in candidates])
        values = np.array([self._values[one] - self._values[second] for one in candidates])
        found = of_the_chosen(draws, values, candidates.index(first))
        return Difference(first, second, self._leading, value, *found)

    def enough(self, layers: Sequence[Feature], best: Feature, among: Sequence[Feature] = ()) -> Feature:
        """The first of `layers` that is not significantly worse than `best`; this one where nothing can be told."""
        return next(one for one in layers if one == best or self.difference(best, one, among).low <= 0)
