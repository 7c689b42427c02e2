"""The streamed search equals the plain one."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from layerwise.analysis.neighbours import best, cosines


def test_cosines_of_batches() -> None:
    rows = np.random.default_rng(0).normal(size=(100, 8)).astype(np.float32)
    rows[7] = np.nan
    found = cosines((rows[i : i + 9] for i in range(0, 100, 9)), rows[3] * 5)
    plain = rows @ rows[3] / np.linalg.norm(rows, axis=1) / np.linalg.norm(rows[3])
    assert found.dtype == np.float32 and np.isnan(found[7])
    assert np.allclose(found, plain, atol=1e-6, equal_nan=True)
    assert found[3] == pytest.approx(1)


def test_a_zero_row_or_query_is_no_error() -> None:
    assert cosines([np.zeros((1, 2))], np.ones(2)).tolist() == [0]
    assert cosines([np.ones((1, 2))], np.zeros(2)).tolist() == [0]
    assert cosines([], np.ones(2)).shape == (0,)


def plain_best(scores: list[float], groups: list[int], k: int) -> list[int]:
    found: list[int] = []
    rows = [row for row in range(len(scores)) if not math.isnan(scores[row])]
    for row in sorted(rows, key=lambda row: (-scores[row], row)):
        if groups[row] not in [groups[other] for other in found]:
            found.append(row)
    return found[:k]


@given(
    st.lists(
        st.tuples(st.sampled_from([0.1, 0.2, 0.3, -1.0, float("nan")]), st.integers(0, 40)), max_size=300
    ),
    st.integers(1, 12),
)
def test_best_equals_sorting(rows: list[tuple[float, int]], k: int) -> None:
    scores, groups = [row[0] for row in rows], [row[1] for row in rows]
    found = best(np.array(scores, np.float32), np.array(groups, np.int64), k)
    assert found.tolist() == plain_best(scores, groups, k)


def test_best_looks_further_when_one_group_fills_the_top() -> None:
    scores = np.linspace(1, 0, 10_000, dtype=np.float32)
    groups = np.where(np.arange(10_000) < 9_990, 1, np.arange(10_000))
    assert best(scores, groups, 3).tolist() == [0, 9_990, 9_991]
