"""Scores of predictions, as functions of how often each group of rows is counted.

With every group counted once they are the usual scores (scikit-learn's, SciPy's); with the counts of a
resample, those of the resample. So the table and its intervals come from the same lines.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from layerwise.analysis.resampling import Metric

_ROWS = 250_000
"""Rows times rounds held at once: few enough to stay in the cache."""


def confusion(
    labels: Int[ndarray, " rows"], predictions: Int[ndarray, " rows"], classes: int
) -> Int[ndarray, "classes classes"]:
    """Rows by (label, prediction)."""
    return np.bincount(labels * classes + predictions, minlength=classes * classes).reshape(classes, classes)


def accuracy(
    labels: Int[ndarray, " rows"], predictions: Int[ndarray, " rows"], groups: Int[ndarray, " rows"]
) -> Metric:
    """Share of right answers."""
    right = np.bincount(groups, labels == predictions).astype(np.float32)
    total = np.bincount(groups).astype(np.float32)

    def score(counts: ndarray) -> ndarray:
        share: ndarray = (counts @ right) / np.maximum(counts @ total, 1)
        return share

    return score


def kappa(
    labels: Int[ndarray, " rows"], predictions: Int[ndarray, " rows"], groups: Int[ndarray, " rows"]
) -> Metric:
    """Agreement beyond that of guessing with the same shares of classes (Cohen 1960); 0 where that is full already."""
    present, codes = np.unique(np.concatenate([labels, predictions]), return_inverse=True)
    right, guess = np.split(codes, 2)
    classes, number = len(present), int(groups.max(initial=-1)) + 1
    named, answered = (_per_group(groups, one, number, classes) for one in (right, guess))
    hits = np.bincount(groups, right == guess, minlength=number)

    def score(counts: ndarray) -> ndarray:
        drawn = counts.astype(np.float64)
        labelled, guessed = drawn @ named, drawn @ answered
        total = np.maximum(labelled.sum(1), 1)
        by_guessing = (labelled * guessed).sum(1) / total**2
        beyond, room = drawn @ hits / total - by_guessing, 1 - by_guessing
        agreement: ndarray = np.divide(beyond, room, out=np.zeros_like(room), where=room > 1e-12)
        return agreement

    return score


def macro_f1(
    labels: Int[ndarray, " rows"], predictions: Int[ndarray, " rows"], groups: Int[ndarray, " rows"]
) -> Metric:
    """Mean over classes of F1; a class counts if it is among the labels or the predictions.

    A class of which a resample draws neither keeps the F1 that it has in the whole: left out, or counted as
    0, it would shift the intervals of sets with rare classes to one side.
    """
    present, codes = np.unique(np.concatenate([labels, predictions]), return_inverse=True)
    right, guess = np.split(codes, 2)
    classes, number = len(present), int(groups.max(initial=-1)) + 1
    hits = _per_group(groups[right == guess], right[right == guess], number, classes)
    named = _per_group(groups, right, number, classes) + _per_group(groups, guess, number, classes)

    whole = 2 * hits.sum(0) / named.sum(0)

    def score(counts: ndarray) -> ndarray:
        both = counts @ named
        f1 = np.where(both > 0, 2 * (counts @ hits) / np.maximum(both, 1), whole)
        scored: ndarray = f1.mean(1)
        return scored

    return score


def _per_group(
    groups: ndarray, classes: ndarray, number: int, width: int
) -> Float[ndarray, "groups classes"]:
    flat = np.bincount(groups * width + classes, minlength=number * width)
    table: ndarray = flat.reshape(number, width).astype(np.float32)
    return table


def r_squared(
    values: Float[ndarray, " rows"], predictions: Float[ndarray, " rows"], groups: Int[ndarray, " rows"]
) -> Metric:
    """1 − residual / total sum of squares, about the mean of the values."""
    centred = values - values.mean(dtype=np.float64)
    sums = [np.ones_like(centred), centred, centred**2, (predictions - values) ** 2]
    table = np.stack([np.bincount(groups, one) for one in sums], axis=1)

    def score(counts: ndarray) -> ndarray:
        count, total, square, residual = (counts.astype(np.float64) @ table).T
        spread = square - total**2 / np.maximum(count, 1)
        varies = spread > 1e-12 * square  # else rounding is all there is
        scored: ndarray = 1 - np.divide(residual, spread, out=np.full_like(spread, np.nan), where=varies)
        return scored

    return score


def pearson(
    values: Float[ndarray, " rows"], predictions: Float[ndarray, " rows"], groups: Int[ndarray, " rows"]
) -> Metric:
    """Product-moment correlation; NaN where one side does not vary."""
    return lambda counts: _by_rows(counts, groups, lambda weights: _correlation(values, predictions, weights))


def spearman(
    values: Float[ndarray, " rows"], predictions: Float[ndarray, " rows"], groups: Int[ndarray, " rows"]
) -> Metric:
    """Rank correlation with mean ranks for ties; each resample is ranked anew."""
    first, second = _Ranks(values), _Ranks(predictions)
    return lambda counts: _by_rows(
        counts, groups, lambda weights: _correlation(first(weights), second(weights), weights)
    )


class _Ranks:
    """Ranks of values under any counts of the rows, in linear time: the order is found once."""

    def __init__(self, values: Float[ndarray, " rows"]) -> None:
        _, self._block = np.unique(values, return_inverse=True)
        self._order = np.argsort(self._block, kind="stable")
        self._ends = np.append(np.flatnonzero(np.diff(self._block[self._order])), len(values) - 1)

    def __call__(self, weights: Float[ndarray, "rounds rows"]) -> Float[ndarray, "rounds rows"]:
        until = np.cumsum(weights.take(self._order, axis=1), axis=1, dtype=np.float64).take(
            self._ends, axis=1
        )
        before = np.concatenate([np.zeros_like(until[:, :1]), until[:, :-1]], axis=1)
        ranks: ndarray = ((before + until + 1) / 2).take(self._block, axis=1)
        return ranks


def _by_rows(counts: ndarray, groups: ndarray, score: Metric) -> ndarray:
    block = max(1, _ROWS // max(1, len(groups)))
    return np.concatenate(
        [score(counts[first : first + block].take(groups, axis=1)) for first in range(0, len(counts), block)]
    )


def _correlation(first: ndarray, second: ndarray, weights: ndarray) -> Float[ndarray, " rounds"]:
    total = weights.sum(1, keepdims=True, dtype=np.float64)
    a = first - (weights * first).sum(1, keepdims=True) / total
    b = second - (weights * second).sum(1, keepdims=True) / total
    both = (weights * a * b).sum(1)
    spread = np.sqrt((weights * a * a).sum(1) * (weights * b * b).sum(1))
    found: ndarray = np.divide(both, spread, out=np.full_like(both, np.nan), where=spread > 1e-12)
    return found
