"""How alike vectors are by their cosines: neighbours in common, self-similarity of words."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

BLOCK = 2_048
"""Rows taken at a time."""

DIGITS = 1e12
"""Cosines count as equal when they agree so far: finer differences are the rounding of float64."""


def nearest(rows: Float[ndarray, "rows size"], k: int = 10) -> Int[ndarray, "rows k"]:
    """The k nearest other rows of each row by cosine, in no order. Of equally near ones the first are taken:
    where rows are repeated, a layer then has the same neighbours as its own rotation.

    In float64, as rows around a large mean differ in digits of the cosine that float32 does not have.
    Memory is the rows, and at most 2,048 × rows × 24 bytes.

    Args:
        rows: no NaN among them, and more than `k` of them.
    """
    count = len(rows)
    assert count > k
    unit, numbers = _unit(rows), np.arange(count)
    found = np.empty((count, k), np.int64)
    for first in range(0, count, BLOCK):
        own = numbers[first : first + BLOCK]
        cosines = unit[own] @ unit.T
        cosines *= -DIGITS
        distance = np.rint(cosines, out=cosines).astype(np.int64)
        distance *= count
        distance += numbers
        distance[np.arange(len(own)), own] = np.iinfo(np.int64).max  # a row is no neighbour of itself
        found[own] = np.argpartition(distance, k - 1, axis=1)[:, :k]
    return found


def neighbour_overlap(first: Int[ndarray, "rows k"], second: Int[ndarray, "rows k"]) -> float:
    """Mean share of a row's k nearest neighbours that two layers have in common: 0 to 1.

    By chance it is k / (rows − 1).
    """
    both = np.sort(np.concatenate([first, second], axis=1), axis=1)
    return float((both[:, 1:] == both[:, :-1]).sum() / first.size)


def recall(
    full: Float[ndarray, "rows size"], reduced: Float[ndarray, "rows dim"], count: int = 10
) -> float | None:
    """Share of each row's `count` nearest by cosine that are still among its nearest when reduced.

    A row is no neighbour of itself. None where there are fewer than five times as many rows, as chance alone
    then keeps more than a fifth.
    """
    if len(full) < 5 * count:
        return None
    return neighbour_overlap(nearest(full, count), nearest(reduced, count))


def self_similarity(rows: Float[ndarray, "rows size"], words: Int[ndarray, " rows"]) -> float:
    """Mean over words of the mean cosine between two occurrences of the word (Ethayarajh 2019, section 3.2).

    Args:
        words: which word a row is; words of one occurrence do not count, nor do rows of NaN.

    Returns:
        NaN where no word occurs twice. Anisotropy is still in it: take `mean_cosine` of random rows off.
    """
    there = ~np.isnan(rows).any(axis=1)
    unit, (_, number) = _unit(rows[there]), np.unique(words[there], return_inverse=True)
    counts = np.bincount(number) if len(number) else np.zeros(0, int)
    sums = np.zeros((len(counts), rows.shape[1]))
    np.add.at(sums, number, unit)
    selves = np.bincount(number, weights=(unit**2).sum(1), minlength=len(counts))
    several = counts > 1
    if not several.any():
        return float("nan")
    pairs = counts[several] * (counts[several] - 1)
    return float((((sums[several] ** 2).sum(1) - selves[several]) / pairs).mean())


def mean_cosine(rows: Float[ndarray, "rows size"], middle: Float[ndarray, " size"] | None = None) -> float:
    """Mean cosine of two different rows: anisotropy (Ethayarajh 2019, section 3.3); rows of NaN left out.

    Args:
        middle: taken off each row first, in float64: float16 has too few digits for a large mean.
    """
    total, selves, count = np.zeros(rows.shape[1]), 0.0, 0
    for first in range(0, len(rows), BLOCK):
        part = np.asarray(rows[first : first + BLOCK], np.float64)
        part = part[~np.isnan(part).any(axis=1)]
        unit = _unit(part if middle is None else part - middle)
        total += unit.sum(0)
        selves += float((unit**2).sum())
        count += len(unit)
    return float("nan") if count < 2 else (float(total @ total) - selves) / (count * (count - 1))


def _unit(rows: Float[ndarray, "rows size"]) -> Float[ndarray, "rows size"]:
    wide = np.asarray(rows, np.float64)
    lengths = np.linalg.norm(wide, axis=1, keepdims=True)
    return wide / np.where(lengths > 0, lengths, 1)
