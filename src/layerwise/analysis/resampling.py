"""Bootstrap over groups: how sure a score is, and a difference of two scores.

Words of one text are no independent observations, so whole groups are drawn (cluster bootstrap, Efron &
Tibshirani 1993, chapter 8). Scores are computed from sums a group, for many resamples at once.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Int, UInt8
from numpy import ndarray

ROUNDS = 1_000

FEWEST = 10
"""Groups below which there is no interval: those of five hold the truth four times in five, of two every other."""

Counts = UInt8[ndarray, "rounds groups"]
Metric = Callable[[Float[ndarray, "rounds groups"]], Float[ndarray, " rounds"]]
"""How often each group was drawn, to the score of that resample."""


def resamples(groups: int, seed: int, rounds: int = ROUNDS) -> Counts:
    """How often each group is drawn in each round: `groups` draws with replacement."""
    random = np.random.default_rng(seed)
    counts = np.empty((rounds, groups), np.uint8)
    for one in counts:
        one[:] = np.minimum(np.bincount(random.integers(0, groups, groups), minlength=groups), 255)
    return counts


def in_blocks(metric: Metric, counts: Counts, block: int = 50) -> Float[ndarray, " rounds"]:
    """A metric of every round, some rounds at a time."""
    parts = [
        metric(counts[first : first + block].astype(np.float32)) for first in range(0, len(counts), block)
    ]
    return np.concatenate(parts)


def interval(scores: Float[ndarray, " rounds"]) -> tuple[float, float]:
    """95 % percentile interval; NaN if some resample has no score."""
    low, high = np.quantile(scores, [0.025, 0.975])
    return float(low), float(high)


def two_sided(differences: Float[ndarray, " rounds"]) -> float:
    """p-value of "no difference": twice the share of resamples on the other side of 0, at least 1 / (rounds + 1).

    Differences of 0 count as on either side, so two features that answer alike have p = 1. NaN if some
    resample has no difference.
    """
    if np.isnan(differences).any():
        return float("nan")
    rounds = len(differences)
    below, above = np.count_nonzero(differences <= 0), np.count_nonzero(differences >= 0)
    return float(min(1.0, 2 * (min(below, above) + 1) / (rounds + 1)))


def of_the_chosen(
    differences: Float[ndarray, "candidates rounds"], values: Float[ndarray, " candidates"], chosen: int
) -> tuple[float, float, float]:
    """Interval and p-value of a difference that was chosen, as the largest, on the rows it is measured on.

    The best of many is ahead by chance alone. So its difference is held against the largest that any candidate
    shows in a resample, each in units of its own deviation (max-t; Westfall & Young 1993, section 2.6; for
    models White 2000, "A reality check for data snooping").

    Args:
        differences: of each candidate to one reference; those with NaN do not count.
        values: the same of the whole.

    Returns:
        Low and high of the 95 % interval, simultaneous for all candidates, and p; NaN if the chosen one has none.
    """
    known = ~np.isnan(differences).any(axis=1)
    if not known[chosen]:
        return float("nan"), float("nan"), float("nan")
    deviations = differences.std(axis=1, keepdims=True)
    apart = np.abs(differences - values[:, None])[known] / np.maximum(deviations[known], 1e-12)
    largest = apart.max(axis=0)
    value, deviation = float(values[chosen]), float(deviations[chosen, 0])
    half = float(np.quantile(largest, 0.95)) * deviation
    reached = np.count_nonzero(largest * deviation >= abs(value))
    return value - half, value + half, float((reached + 1) / (len(largest) + 1))


def number_groups(keys: Int[ndarray, " rows"]) -> Int[ndarray, " rows"]:
    """Groups as 0, 1, 2 … in order of their first row, whatever the keys are."""
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    order = np.empty(len(first), np.int64)
    order[np.argsort(first)] = np.arange(len(first))
    numbers: ndarray = order[inverse]
    return numbers


def joined(first: Int[ndarray, " rows"], second: Int[ndarray, " rows"]) -> Int[ndarray, " rows"]:
    """Groups of rows that are tied to each other by equal keys, also by way of other rows.

    A key is any number that is in `first` or `second`; each row ties its two. So pairs of texts that share one
    come together (a number stands for the same in both), as connected components do.
    """
    keys, both = np.unique(np.concatenate([first, second]), return_inverse=True)
    one, other = np.split(both.reshape(-1), 2)
    root = np.arange(len(keys))
    while True:  # the smallest number wins over its neighbours, and over those that it led already
        low = np.minimum(root[one], root[other])
        if (low == np.maximum(root[one], root[other])).all():
            return number_groups(root[one])
        for side in (one, other):
            np.minimum.at(root, root[side], low)
        while (root != root[root]).any():
            root = root[root]
