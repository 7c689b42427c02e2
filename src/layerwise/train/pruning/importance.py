"""Which heads and which blocks matter least, measured on data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch

from layerwise.errors import UsageError
from layerwise.models.anatomy import blocks_of
from layerwise.models.dropped_blocks import can_drop, without_block
from layerwise.models.removed_heads import gates
from layerwise.train.subject import EncoderSubject, Subject


def head_importance(subject: Subject, say: Callable[[str], None]) -> list[list[float]]:
    """For each block, the importance of each head, scaled so that a block's squares sum to 1.

    I_h = E |∂L/∂ξ_h| over batches, with ξ_h a gate of 1 on what the head hands on (Michel et al. 2019, §4.1, equation 2).
    A bare encoder has no loss of its own, and no gradient where it agrees with itself: there it is how far the vectors
    move when the head is shut.
    """
    with gates(subject.encoder) as masks:
        found = (
            _ablated(subject, masks, say)
            if isinstance(subject, EncoderSubject)
            else _gradients(subject, masks, say)
        )
    scaled = [one / one.norm().clamp(min=1e-20) for one in found]
    return [one.tolist() for one in scaled]


def _gradients(subject: Subject, masks: list[torch.Tensor], say: Callable[[str], None]) -> list[torch.Tensor]:
    say("measuring the heads")
    sums = [torch.zeros_like(mask) for mask in masks]
    for batch in subject.batches():
        with torch.enable_grad():
            loss = subject.loss(dict(batch))
            for total, gradient in zip(sums, torch.autograd.grad(loss, masks), strict=True):
                total += gradient.abs()
    return sums


def _ablated(subject: Subject, masks: list[torch.Tensor], say: Callable[[str], None]) -> list[torch.Tensor]:
    moved = [torch.zeros(len(mask)) for mask in masks]
    for block, mask in enumerate(masks):
        say(f"measuring the heads of block {block + 1} of {len(masks)}")
        for head in range(len(mask)):
            with torch.no_grad():
                mask[head] = 0.0
                moved[block][head] = subject.mean_loss()
                mask[head] = 1.0
    return moved


def least_important(
    importance: list[list[float]], share: float, gone: Mapping[int, Sequence[int]] | None = None
) -> dict[int, list[int]]:
    """The least important heads over all blocks, in all `share` of them; one at least stays in each block.

    Args:
        gone: heads that were removed before, by block.
    """
    before = gone or {}
    ranked = sorted(
        (value, block, head)
        for block, row in enumerate(importance, 1)
        for head, value in enumerate(row)
        if head not in before.get(block, ())
    )
    wanted = round(share * len(ranked))
    removed: dict[int, list[int]] = {}
    for _, block, head in ranked:
        if sum(map(len, removed.values())) == wanted:
            break
        taken = len(removed.get(block, ())) + len(before.get(block, ()))
        if taken + 1 < len(importance[block - 1]):
            removed.setdefault(block, []).append(head)
    return {block: sorted(heads) for block, heads in sorted(removed.items())}


def least_useful_blocks(subject: Subject, count: int, say: Callable[[str], None]) -> list[int]:
    """Drop, one after the other, the block without which the loss is lowest; numbers as they were at first."""
    numbers = list(range(1, len(blocks_of(subject.encoder)) + 1))
    dropped: list[int] = []
    for _ in range(count):
        losses = {}
        for place in range(len(numbers)):
            if can_drop(subject.encoder, place + 1):
                with without_block(subject.encoder, place + 1):
                    losses[place] = subject.mean_loss()
        if not losses:
            raise UsageError(
                f"--least-useful is {count}: after {len(dropped)} no block of {type(subject.encoder).__name__} can go, "
                "since those that are left are built in different ways."
            )
        place = min(losses, key=losses.__getitem__)
        say(f"without block {numbers[place]} the loss is {losses[place]:.4f}, the lowest")
        subject.drop([place + 1])
        dropped.append(numbers.pop(place))
    return sorted(dropped)
