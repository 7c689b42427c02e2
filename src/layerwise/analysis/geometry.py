"""The geometry of a layer: norms, mean cosine, constant dimensions; streamed, in float64."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

CONSTANT = 1e-3
"""A dimension counts as constant if its deviation is below this share of the layer's median one."""


@dataclass(frozen=True, slots=True)
class LayerGeometry:
    """What `layerwise inspect` says about one layer.

    Attributes:
        rows: vectors counted; rows that are not embedded are left out.
        mean_norm: mean Euclidean norm.
        mean_cosine: mean cosine of two different rows, over all pairs (Ethayarajh 2019's
            anisotropy); NaN for fewer than two rows.
        constant_dimensions: dimensions that (almost) never change; whoever divides by their
            deviation gets noise or NaN.
    """

    rows: int
    mean_norm: float
    mean_cosine: float
    constant_dimensions: tuple[int, ...]


def layer_geometry(batches: Iterable[Float[ndarray, "rows size"]]) -> LayerGeometry:
    """Describe one layer from its batches; memory is one batch.

    The mean cosine is exact without visiting pairs: with unit vectors u, the sum over ordered
    pairs of u·v is ‖Σu‖² − Σ‖u‖². Variances are merged batch by batch (Chan et al. 1983), which does not
    cancel as Σx² − (Σx)²/n does.
    """
    count, norms, selves = 0, 0.0, 0.0
    mean = deviation = direction = np.zeros(0)
    for batch in batches:
        rows = _embedded(batch)
        if not len(rows):
            continue
        if not count:
            mean = deviation = direction = np.zeros(rows.shape[1])
        lengths = np.linalg.norm(rows, axis=1)
        norms += float(lengths.sum())
        direction = direction + (rows / np.where(lengths > 0, lengths, 1)[:, None]).sum(0)
        selves += float(np.count_nonzero(lengths))  # ‖u‖² is 1, or 0 for a row of zeros
        fresh = rows.mean(0)
        total = count + len(rows)
        deviation = deviation + ((rows - fresh) ** 2).sum(0)
        deviation = deviation + (fresh - mean) ** 2 * (count * len(rows) / total)
        mean = mean + (fresh - mean) * (len(rows) / total)
        count = total
    if not count:
        return LayerGeometry(0, float("nan"), float("nan"), ())
    cosine = (float(direction @ direction) - selves) / (count * (count - 1)) if count > 1 else float("nan")
    return LayerGeometry(
        count, norms / count, cosine, _constant(np.sqrt(deviation / count)) if count > 1 else ()
    )


def _constant(deviation: Float[ndarray, " size"]) -> tuple[int, ...]:
    return tuple(np.flatnonzero(deviation <= CONSTANT * np.median(deviation)).tolist())


def _embedded(batch: Float[ndarray, "rows size"]) -> ndarray[Any, np.dtype[np.float64]]:
    rows = np.asarray(batch, np.float64)
    return rows[~np.isnan(rows[:, 0])]
