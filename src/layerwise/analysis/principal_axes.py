"""Features standardised and turned onto their principal axes, on which every probe here is fitted.

A penalty on the norm of the weights does not change under a rotation, so the probe is the same, but the
axes are uncorrelated: ridge regression is a division, and the curvature of the logistic loss is nearly
diagonal, so L-BFGS needs some tens of steps where it needs hundreds on raw features.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

CONSTANT = 1e-3
"""A dimension counts as constant if its deviation is below this share of the median one: it becomes 0."""

NEGLIGIBLE = 1e-10
"""Axes with less than this share of the largest variance are left out: in float32 they are noise."""

BLOCK_ROWS = 2_048

COLUMNS = 1_024


@dataclass(frozen=True, slots=True)
class PrincipalAxes:
    """How vectors are standardised and rotated.

    Attributes:
        mean: (size,) of the rows it was fitted on.
        scale: (size,) what each dimension is multiplied by: 1 / deviation, 0 for constant ones.
        axes: (size, rank) orthonormal columns, by falling variance.
        variance: (rank,) of the standardised rows along each axis.
        total: variance of the rows along all axes, also those left out.
    """

    mean: Float[Tensor, " size"]
    scale: Float[Tensor, " size"]
    axes: Float[Tensor, "size rank"]
    variance: Float[Tensor, " rank"]
    total: float

    @classmethod
    def fit(cls, rows: Float[Tensor, "rows size"], rank: int | None = None) -> PrincipalAxes:
        """Fit on training rows: every axis that they span, or the first `rank` of them.

        The axes come from the smaller of covariance and Gram matrix, which is summed in float64. In float32,
        directions that the rows do not have (of copies, say) come out with a variance of their own, and those of
        little variance are not uncorrelated.
        """
        count, size = rows.shape
        total = torch.zeros(size, dtype=torch.float64)
        for block in _blocks(rows):  # PyTorch makes a copy of what it sums in another type
            total += block.sum(0, dtype=torch.float64)
        mean = (total / count).float()
        square = torch.zeros_like(total)
        for block in _blocks(rows):
            square += (block - mean).square_().sum(0, dtype=torch.float64)
        deviation = (square / count).sqrt().float()
        scale = _scale(deviation)
        if count < size:
            variance, axes = _from_gram(rows, mean, scale, rank)
        else:
            covariance = torch.zeros(size, size, dtype=torch.float64)
            for block in _blocks(rows):
                standard = (block - mean).mul_(scale).double()
                covariance.addmm_(standard.T, standard, alpha=1 / count)
            variance, axes = torch.linalg.eigh(covariance)
            kept = _kept(variance, rank)
            variance, axes = variance[kept].float(), axes[:, kept].float()
        return cls(
            mean,
            scale,
            axes,
            variance,
            float((deviation * scale).square().sum()),
        )

    def apply(self, rows: Float[Tensor, "rows size"]) -> Float[Tensor, "rows rank"]:
        """Rows on the axes. What is returned lies in the memory of `rows`, which are lost."""
        count, rank = len(rows), self.axes.shape[1]
        turned = rows.view(-1)[: count * rank].view(count, rank)
        for first in range(0, count, BLOCK_ROWS):  # a block ends in memory before the next one begins
            block = (rows[first : first + BLOCK_ROWS] - self.mean).mul_(self.scale)
            torch.mm(block, self.axes, out=turned[first : first + BLOCK_ROWS])
        return turned

    def unfold(
        self, weight: Float[Tensor, "classes rank"], bias: Float[Tensor, " classes"]
    ) -> tuple[Float[Tensor, "classes size"], Float[Tensor, " classes"]]:
        """The same linear map for vectors as they come: (weight, bias)."""
        raw = weight @ self.axes.T * self.scale
        return raw, bias - raw @ self.mean


def turn_apart(
    rows: Float[Tensor, "rows rank"], training: slice
) -> tuple[Float[Tensor, " rank"], Float[Tensor, "rank rank"]]:
    """Turn rows, in their own memory, so that those of the training part are uncorrelated.

    Principal axes of a sample leave correlations in the whole, which ridge regression here must not have.

    Args:
        rows: centred on the training part.

    Returns:
        Variance along each new axis, and the axes.
    """
    known = rows[training]
    variance, axes = torch.linalg.eigh(known.T @ known / len(known))
    for block in _blocks(rows):
        block.copy_(block @ axes)
    return variance.clamp(min=0), axes


def _scale(deviation: Tensor) -> Tensor:
    constant = deviation <= CONSTANT * deviation.median()
    return torch.where(constant, 0.0, 1.0 / deviation.masked_fill(constant, 1.0))


def _from_gram(rows: Tensor, mean: Tensor, scale: Tensor, rank: int | None) -> tuple[Tensor, Tensor]:
    """Variance and axes by way of the (rows, rows) products, some columns at a time.

    An axis is a sum of rows over the root of its variance, so what float32 rounds off would turn the
    axes of little variance towards those of much.
    """
    count, size = rows.shape
    gram = torch.zeros(count, count, dtype=torch.float64)
    columns = [slice(first, first + COLUMNS) for first in range(0, size, COLUMNS)]
    for some in columns:
        standard = (rows[:, some].double() - mean[some]) * scale[some]
        gram.addmm_(standard, standard.T, alpha=1 / count)
    variance, left = torch.linalg.eigh(gram)
    kept = _kept(variance, rank)
    left = left[:, kept] / (variance[kept].clamp(min=1e-30) * count).sqrt()
    parts = [((rows[:, some].double() - mean[some]) * scale[some]).T @ left for some in columns]
    return variance[kept].float(), torch.cat(parts).float()


def _kept(variance: Tensor, rank: int | None) -> Tensor:
    """Numbers of the axes to keep, by falling variance; one at least, also of rows that never vary."""
    count = max(1, int((variance > NEGLIGIBLE * variance[-1]).sum()))
    return torch.arange(len(variance)).flip(0)[: count if rank is None else min(rank, count)]


def _blocks(rows: Tensor) -> Iterator[Tensor]:
    for first in range(0, len(rows), BLOCK_ROWS):
        yield rows[first : first + BLOCK_ROWS]
