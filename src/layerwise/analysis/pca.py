"""Principal components from the covariance."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from numpy import ndarray


def pca(
    rows: Float[ndarray, "rows size"], count: int = 2
) -> tuple[Float[ndarray, "rows count"], Float[ndarray, " count"]]:
    """Rows on their first principal axes, and the share of variance of each axis.

    The sign of an axis is such that its largest entry is positive, so results do not flip between
    machines. A constant array gives zeros, and shares of NaN.
    """
    centred = np.asarray(rows, np.float64) - np.mean(rows, axis=0, dtype=np.float64)
    values, vectors = np.linalg.eigh(centred.T @ centred)
    total = float(np.trace(centred.T @ centred))
    energy = float((np.asarray(rows, np.float64) ** 2).sum())
    if total <= 1e-10 * energy:
        return np.zeros((len(rows), count)), np.full(count, np.nan)
    axes = vectors[:, ::-1][:, :count]
    axes = axes * np.sign(axes[np.abs(axes).argmax(0), np.arange(axes.shape[1])])
    shares = np.maximum(values[::-1][:count], 0) / total
    if axes.shape[1] < count:  # one dimension only
        axes = np.pad(axes, ((0, 0), (0, count - axes.shape[1])))
        shares = np.pad(shares, (0, count - len(shares)))
    return centred @ axes, shares
