"""How alike vectors are by their cosines: neighbours in common, self-similarity of words."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray


def nearest(rows: Float[ndarray, "rows size"], k: int = 10) -> Int[ndarray, "rows k"]:
    """The k nearest other rows of each row by cosine, in no order. Memory is rows² × 4 bytes.

    Args:
        rows: no NaN among them, and more than `k` of them.
    """
    assert len(rows) > k
    unit = _unit(rows).astype(np.float32)
    cosines = unit @ unit.T
    np.fill_diagonal(cosines, -np.inf)
    return np.argpartition(-cosines, k - 1, axis=1)[:, :k]


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


def mean_cosine(rows: Float[ndarray, "rows size"]) -> float:
    """Mean cosine of two different rows: anisotropy (Ethayarajh 2019, section 3.3); rows of NaN left out."""
    return self_similarity(rows, np.zeros(len(rows), np.int64))


def _unit(rows: Float[ndarray, "rows size"]) -> Float[ndarray, "rows size"]:
    wide = np.asarray(rows, np.float64)
    lengths = np.linalg.norm(wide, axis=1, keepdims=True)
    return wide / np.where(lengths > 0, lengths, 1)
