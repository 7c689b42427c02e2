"""The scalar mix of Peters et al. 2018 (ELMo), section 3.2, equation 1."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def scalar_mix(
    hidden_states: Float[Tensor, "layers units size"],
    weights: Float[Tensor, " layers"],
    gamma: float | Tensor,
) -> Float[Tensor, "units size"]:
    """gamma · Σ_k softmax(weights)_k · h_k."""
    return gamma * torch.einsum("l,lus->us", weights.softmax(0), hidden_states)
