"""Weights that a loss does not depend on, as poolers that no head reads: found in the graph of its gradients."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn


def leave_out_unreached(model: nn.Module, loss: Tensor) -> None:
    """Have all weights that no gradient of `loss` reaches ask for none: several processes would wait for it in vain.

    Args:
        loss: of any batch, in evaluation mode, where no block is left out by chance.
    """
    reached = _reached(loss)
    for weight in model.parameters():
        if weight not in reached:
            weight.requires_grad_(False)


def _reached(loss: Tensor) -> set[Tensor]:
    """The leaves of the graph behind a loss."""
    nodes: list[Any] = [loss.grad_fn]
    seen: set[Any] = set(nodes)
    leaves: set[Tensor] = set()
    while nodes:
        node = nodes.pop()
        if hasattr(node, "variable"):  # AccumulateGrad
            leaves.add(node.variable)
        following = {one for one, _ in node.next_functions if one is not None} - seen
        seen |= following
        nodes += following
    return leaves
