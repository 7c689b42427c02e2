"""Windows over a text longer than the model, and which window each token is taken from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int
from numpy import ndarray

from layerwise.errors import UsageError


@dataclass(frozen=True)
class Windows:
    """Windows over the tokens of one text.

    Attributes:
        start, end: (windows,) half-open token ranges; neighbours overlap.
        owner: (tokens,) the window from which each token is taken.
    """

    start: Int[ndarray, " windows"]
    end: Int[ndarray, " windows"]
    owner: Int[ndarray, " tokens"]

    def __len__(self) -> int:
        return len(self.start)


def default_stride(capacity: int) -> int:
    """Overlap of windows when none is given: a quarter of the window, at most 64 tokens."""
    return min(64, capacity // 4)


def plan(num_tokens: int, capacity: int, stride: int) -> Windows:
    """Cover `num_tokens` with windows of `capacity` tokens that overlap by at least `stride`.

    What fits is one window. The last window is moved left to be full, so that its tokens have as
    much context as any. Each token is taken from the window in which it is furthest from a cut
    (an edge of the window that is not an edge of the text); ties go to the earlier window. So a
    token has at least `stride // 2` tokens between itself and any cut of its window.

    Raises:
        UsageError: `stride` is not in 0..capacity-1.
    """
    if not 0 <= stride < capacity:
        raise UsageError(
            f"windows of {capacity} tokens cannot overlap by {stride}: expected a stride of 0 to {capacity - 1}."
        )
    if num_tokens <= capacity:
        zero = np.zeros(1, np.int64)
        return Windows(zero, zero + num_tokens, np.zeros(num_tokens, np.int64))
    step = capacity - stride
    count = 1 + -(-(num_tokens - capacity) // step)
    start = np.minimum(np.arange(count, dtype=np.int64) * step, num_tokens - capacity)
    return Windows(start, start + capacity, _owners(start, start + capacity, num_tokens))


def _owners(
    start: Int[ndarray, " windows"], end: Int[ndarray, " windows"], num_tokens: int
) -> Int[ndarray, " tokens"]:
    """The window in which each token has most context on its poorer side.

    Between neighbours a token changes hands where its distance to the later window's left edge
    exceeds its distance to the earlier window's right edge: past the middle of their overlap.
    """
    handover = (start[1:] + end[:-1] - 1) // 2 + 1  # first token of the later window's share
    share = np.diff(np.concatenate(([0], handover, [num_tokens])))
    return np.repeat(np.arange(len(start)), share)
