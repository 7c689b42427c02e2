"""Features standardised and turned onto their principal axes, on which every probe here is fitted.

A penalty on the norm of the weights does not change under a rotation, so the probe is the same, but the
axes are uncorrelated: ridge regression is a division, and the curvature of the logistic loss is nearly
diagonal, so L-BFGS needs some tens of steps where it needs hundreds on raw features.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

CONSTANT = 1e-3
"""A dimension counts as constant if its deviation is below this share of the median one: it becomes 0."""

NEGLIGIBLE = 1e-7
"""Axes with less than this share of the largest variance are left out: in float32 they are noise."""


@dataclass(frozen=True, slots=True)
class PrincipalAxes:
    """How vectors are standardised and rotated.

    Attributes:
        mean: (size,) of the rows it was fitted on.
        scale: (size,) what each dimension is multiplied by: 1 / deviation, 0 for constant ones.
        axes: (size, rank) orthonormal columns, by falling variance.
        variance: (rank,) of the standardised rows along each axis.
    """

    mean: Float[Tensor, " size"]
    scale: Float[Tensor, " size"]
    axes: Float[Tensor, "size rank"]
    variance: Float[Tensor, " rank"]

    @classmethod
    def fit(cls, rows: Float[Tensor, "rows size"]) -> PrincipalAxes:
        """Fit on training rows: every axis that they span, from the smaller of covariance and Gram matrix."""
        mean = rows.mean(0, dtype=torch.float64).float()
        deviation = (rows - mean).square_().mean(0, dtype=torch.float64).sqrt().float()
        constant = deviation <= CONSTANT * deviation.median()
        scale = torch.where(constant, 0.0, 1.0 / deviation.masked_fill(constant, 1.0))
        count, size = rows.shape
        standard = (rows - mean).mul_(scale)
        if count < size:
            variance, left = torch.linalg.eigh(standard @ standard.T / count)
            axes = standard.T @ left
        else:
            variance, axes = torch.linalg.eigh(standard.T @ standard / count)
        kept = (variance > NEGLIGIBLE * variance[-1]).nonzero().flatten().flip(0)
        axes = axes[:, kept]
        return cls(mean, scale, axes / axes.norm(dim=0), variance[kept])

    @property
    def rank(self) -> int:
        """Number of axes."""
        return self.axes.shape[1]

    def apply(self, rows: Float[Tensor, "rows size"]) -> Float[Tensor, "rows rank"]:
        """Rows on the axes."""
        turned: Tensor = (rows - self.mean).mul_(self.scale) @ self.axes
        return turned

    def unfold(
        self, weight: Float[Tensor, "classes rank"], bias: Float[Tensor, " classes"]
    ) -> tuple[Float[Tensor, "classes size"], Float[Tensor, " classes"]]:
        """The same linear map for vectors as they come: (weight, bias)."""
        raw = weight @ self.axes.T * self.scale
        return raw, bias - raw @ self.mean
