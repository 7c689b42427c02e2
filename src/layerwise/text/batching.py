"""Batches of texts of like length, so that little of a forward pass is spent on padding."""

from __future__ import annotations

from collections.abc import Callable, Sequence


def by_tokens(lengths: Sequence[int], max_tokens: int) -> list[list[int]]:
    """Indices of `lengths`, longest first, cut so that a batch sums to at most `max_tokens`.

    A text longer than `max_tokens` is a batch of its own. Equal lengths keep their order, so the
    result depends on nothing but the arguments.
    """
    return _cut(lengths, max_tokens, lambda longest, number, total: total)


def padded(lengths: Sequence[int], max_tokens: int) -> list[list[int]]:
    """The same for batches padded to their longest text: texts times longest ≤ `max_tokens`."""
    return _cut(lengths, max_tokens, lambda longest, number, total: longest * number)


def _cut(lengths: Sequence[int], max_tokens: int, cost: Callable[[int, int, int], int]) -> list[list[int]]:
    """Greedy cut of the sorted indices; `cost(longest, number, total)` is what a batch takes."""
    batches: list[list[int]] = []
    total = 0
    # Longest first: a batch that is too large for the memory fails at once, not after an hour.
    for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        length = lengths[index]
        if batches and cost(lengths[batches[-1][0]], len(batches[-1]) + 1, total + length) <= max_tokens:
            batches[-1].append(index)
            total += length
        else:
            batches.append([index])
            total = length
    return batches
