"""Ridge regression, all L2 strengths at once: on principal axes it is a division."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor


def fit_ridge(
    rows: Float[Tensor, "rows rank"],
    values: Float[Tensor, " rows"],
    strengths: Sequence[float],
    variance: Float[Tensor, " rank"],
) -> tuple[Float[Tensor, "strengths 1 rank"], Float[Tensor, "strengths 1"]]:
    """Minimise mean squared error + l2 · ‖w‖² for each l2 in `strengths`; the bias is not penalised.

    Args:
        rows: on their principal axes, so centred and uncorrelated.
        values: what is to be predicted.
        variance: of the rows along each axis.

    Returns:
        Weights and biases of each strength.
    """
    mean = values.mean(dtype=torch.float64).float()
    covariance = rows.T @ (values - mean) / len(rows)
    weights = covariance / (variance + torch.tensor(strengths, dtype=torch.float32)[:, None])
    return weights[:, None, :], mean.expand(len(strengths), 1)
