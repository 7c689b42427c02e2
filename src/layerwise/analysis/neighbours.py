"""Nearest neighbours by cosine, streamed over batches of rows."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray


def cosines(
    batches: Iterable[Float[ndarray, "rows size"]], query: Float[ndarray, " size"]
) -> Float[ndarray, " all_rows"]:
    """Cosine of every row to `query`, float32; NaN for rows that are not embedded."""
    target = np.asarray(query, np.float32)
    target = target / max(float(np.linalg.norm(target)), 1e-30)
    parts = [np.zeros(0, np.float32)]
    for batch in batches:
        rows = np.asarray(batch, np.float32)
        parts.append((rows @ target) / np.maximum(np.linalg.norm(rows, axis=1), 1e-30))
    return np.concatenate(parts)


def best(scores: Float[ndarray, " rows"], groups: Int[ndarray, " rows"], k: int) -> Int[ndarray, " found"]:
    """Rows with the highest scores, best first, at most one a group, at most `k`; NaN never wins."""
    order = np.argsort(-np.where(np.isnan(scores), -np.inf, scores), kind="stable")
    order = order[~np.isnan(scores[order])]
    _, first = np.unique(groups[order], return_index=True)
    kept: Int[ndarray, " found"] = order[np.sort(first)[:k]]
    return kept
