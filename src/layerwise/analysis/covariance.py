"""Mean and covariance of vectors that come in batches, in float64."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from layerwise.errors import UsageError


@dataclass(frozen=True, slots=True)
class Moments:
    """What a stream of vectors has in common.

    Attributes:
        rows: vectors counted; left_out: rows that are not embedded (NaN).
        mean: (size,) float64.
        covariance: (size, size) float64, divided by `rows`.
    """

    rows: int
    left_out: int
    mean: Float[ndarray, " size"]
    covariance: Float[ndarray, "size size"]


def moments(batches: Iterable[Float[ndarray, "rows size"]]) -> Moments:
    """Mean and covariance in one pass; memory is one batch and the covariance.

    Sums run over differences from the first batch's mean, so that what a layer's few large dimensions
    have in common does not drown what varies (Chan, Golub and LeVeque 1983, "shifted data").

    Raises:
        UsageError: there is no vector.
    """
    rows = left_out = 0
    shift: ndarray[Any, Any] | None = None
    total: Any = 0.0
    products: Any = 0.0
    for batch in batches:
        embedded = ~np.isnan(batch).any(axis=1)
        vectors = batch[embedded].astype(np.float64)
        left_out += len(batch) - len(vectors)
        if not len(vectors):
            continue
        shift = vectors.mean(axis=0) if shift is None else shift
        vectors -= shift
        rows += len(vectors)
        total = total + vectors.sum(axis=0)
        products = products + vectors.T @ vectors
    if shift is None:
        raise UsageError("there is no vector: no row of this layer is embedded.")
    offset = total / rows
    return Moments(rows, left_out, shift + offset, products / rows - np.outer(offset, offset))


def recall(
    full: Float[ndarray, "rows size"], reduced: Float[ndarray, "rows dim"], count: int = 10
) -> float | None:
    """Share of each row's `count` nearest by cosine that are still among its nearest when reduced.

    A row is no neighbour of itself. None where there are fewer than five times as many rows, as chance alone
    then keeps more than a fifth.
    """
    if len(full) < 5 * count:
        return None
    kept = 0
    for first, second in zip(_nearest(full, count), _nearest(reduced, count), strict=True):
        kept += len(np.intersect1d(first, second, assume_unique=True))
    return kept / (len(full) * count)


def _nearest(vectors: ndarray[Any, Any], count: int) -> ndarray[Any, Any]:
    """(rows, count) numbers of the nearest other rows by cosine."""
    wide = vectors.astype(np.float64)
    norms = np.linalg.norm(wide, axis=1, keepdims=True)
    unit = wide / np.where(norms > 0, norms, 1)
    cosine = unit @ unit.T
    np.fill_diagonal(cosine, -np.inf)
    return np.argpartition(-cosine, count, axis=1)[:, :count]
