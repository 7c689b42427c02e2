"""Batches by length: sequences of like length together, cut by a budget of tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence


def by_tokens(lengths: Sequence[int], max_tokens: int) -> list[list[int]]:
    """Batches whose lengths add up to at most `max_tokens` (one sequence may exceed it alone).

    Returns the positions in `lengths`, longest first; equal lengths keep their order.
    """
    return _cut(lengths, max_tokens, lambda count, longest, total: total)


def padded(lengths: Sequence[int], max_tokens: int) -> list[list[int]]:
    """As `by_tokens`, with padding counted: sequences times the longest."""
    return _cut(lengths, max_tokens, lambda count, longest, total: count * longest)


def _cut(
    lengths: Sequence[int], max_tokens: int, cost: Callable[[int, int, int], int]
) -> list[list[int]]:
    batches: list[list[int]] = []
    batch: list[int] = []
    total = 0
    for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        if batch and cost(len(batch) + 1, lengths[batch[0]], total + lengths[index]) > max_tokens:
            batches.append(batch)
            batch, total = [], 0
        batch.append(index)
        total += lengths[index]
    return [*batches, batch] if batch else batches
