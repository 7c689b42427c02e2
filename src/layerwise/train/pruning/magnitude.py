"""The smallest weights set to 0 (Han et al. 2015, §3.1): of all linear layers of the blocks, taken together."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.prune import L1Unstructured, global_unstructured, remove

from layerwise.errors import UsageError
from layerwise.models.anatomy import dissect
from layerwise.models.removed_heads import attention_of, removed_heads


def zero_smallest(encoder: Any, share: float) -> None:
    """Zero a share of the weights; those of heads that were removed before are no part of it.

    Raises:
        UsageError: the share is less than one weight.
    """
    blocks = dissect(encoder, encoder.config).blocks
    linears = [module for block in blocks for module in block.modules() if isinstance(module, nn.Linear)]
    scores = {(module, "weight"): module.weight.detach().abs() for module in linears}
    for module, gone in _of_removed_heads(encoder):
        scores[module, "weight"] = scores[module, "weight"].masked_fill(gone, torch.inf)
    there = sum(int(torch.isfinite(score).sum()) for score in scores.values())
    if not (amount := min(round(share * there), there)):
        raise UsageError(
            f"--magnitude is {share:g} of {there:,} weights, which is none: expected a larger share."
        )
    weights = [(module, "weight") for module in linears]
    global_unstructured(weights, L1Unstructured, importance_scores=scores, amount=amount)
    for module, name in weights:
        remove(module, name)  # type: ignore[no-untyped-call]


def _of_removed_heads(encoder: Any) -> list[tuple[nn.Linear, Tensor]]:
    """Projections with removed heads, and which of their weights are zeros for it."""
    found = []
    for block, heads in removed_heads(encoder.config).items():
        attention = attention_of(encoder, block)
        gone = torch.zeros(attention.heads, dtype=torch.bool)
        gone[heads] = True
        rows = gone.repeat_interleave(attention.head_size)
        for place, (holder, name) in enumerate(attention.holders):
            found.append((getattr(holder, name), rows if place == 3 else rows[:, None]))
    return found
