"""Nearest neighbours by cosine, streamed over batches of rows."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

_TINY = 1e-30


def cosines(
    batches: Iterable[Float[ndarray, "rows size"]], query: Float[ndarray, " size"]
) -> Float[ndarray, " all_rows"]:
    """Cosine of every row to `query`, float32; NaN for rows that are not embedded.

    Memory is one batch and four bytes a row.
    """
    target = np.asarray(query, np.float32)
    target = target / max(float(np.linalg.norm(target)), _TINY)
    parts = [np.zeros(0, np.float32)]
    for batch in batches:
        rows = np.asarray(batch, np.float32)
        parts.append((rows @ target) / np.maximum(np.sqrt(np.einsum("ij,ij->i", rows, rows)), _TINY))
    return np.concatenate(parts)


def best(scores: Float[ndarray, " rows"], groups: Int[ndarray, " rows"], k: int) -> Int[ndarray, " found"]:
    """Rows with the highest scores, best first, at most one a group, at most `k`; NaN never wins.

    Ties go to the earlier row. Only as many rows are sorted as it takes to find `k` groups.
    """
    candidates = np.flatnonzero(~np.isnan(scores))
    wanted = min(len(candidates), 16 * k)
    while True:
        top = _highest(scores, candidates, wanted)
        _, first = np.unique(groups[top], return_index=True)
        if len(first) >= k or wanted == len(candidates):
            found: Int[ndarray, " found"] = top[np.sort(first)[:k]]
            return found
        wanted = min(len(candidates), 8 * wanted)


def _highest(
    scores: Float[ndarray, " rows"], candidates: Int[ndarray, " some"], count: int
) -> Int[ndarray, " found"]:
    """At least `count` of the candidates (all that tie with the last), by falling score."""
    chosen = candidates
    if 0 < count < len(candidates):
        values = scores[candidates]
        chosen = candidates[values >= np.partition(values, -count)[-count]]
    sorted_: Int[ndarray, " found"] = chosen[np.argsort(-scores[chosen], kind="stable")]
    return sorted_
