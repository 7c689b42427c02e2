"""Mixing: several layers to one vector a unit."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from layerwise.errors import choose
from layerwise.ops.scalar_mix import scalar_mix
from layerwise.types import MIXES

_MIXES = tuple(mix for mix in MIXES if mix != "none")


def mix_layers(
    hidden_states: Float[Tensor, "layers units size"],
    mix: str,
    weights: tuple[tuple[float, ...], float] | None = None,
) -> Float[Tensor, "units mixed"]:
    """Mix the layers of each unit: `mean`, `sum`, `concat` (layers side by side), or `scalar`.

    `weights` are for `scalar` alone: one weight a layer (before the softmax), and gamma.

    Raises:
        UsageError: an unknown mix.
    """
    choose("mix", mix, _MIXES)
    if mix == "concat":
        return hidden_states.transpose(0, 1).flatten(1)
    if mix == "scalar":
        assert weights is not None
        return scalar_mix(hidden_states, hidden_states.new_tensor(weights[0]), weights[1])
    return hidden_states.sum(0) if mix == "sum" else hidden_states.mean(0)
