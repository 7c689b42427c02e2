"""The streamed geometry of a layer equals the plain one."""

from __future__ import annotations

import numpy as np
import pytest

from layerwise.analysis.geometry import layer_geometry


def plain(rows: np.ndarray) -> tuple[float, float]:
    """Mean norm, and mean cosine over all pairs, pair by pair."""
    rows = rows.astype(np.float64)
    units = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    cosines = units @ units.T
    return np.linalg.norm(rows, axis=1).mean(), cosines[~np.eye(len(rows), dtype=bool)].mean()


@pytest.mark.parametrize("batch", [1, 7, 64, 1_000])
def test_equals_all_pairs(batch: int) -> None:
    rows = np.random.default_rng(0).normal(0.3, 1, (200, 16)).astype(np.float32)
    found = layer_geometry(rows[i : i + batch] for i in range(0, 200, batch))
    norm, cosine = plain(rows)
    assert found.rows == 200
    assert found.mean_norm == pytest.approx(norm, rel=1e-12)
    assert found.mean_cosine == pytest.approx(cosine, rel=1e-9)
    assert found.constant_dimensions == ()


def test_rows_that_are_not_embedded_are_left_out() -> None:
    rows = np.random.default_rng(1).normal(size=(50, 8)).astype(np.float16)
    with_gaps = np.insert(rows, [0, 10, 50], np.nan, axis=0)
    assert layer_geometry([with_gaps]) == layer_geometry([rows])
    assert layer_geometry([with_gaps[:1], with_gaps]) == layer_geometry([rows])


def test_constant_dimensions_are_found_far_from_zero() -> None:
    """A variance by Σx² − (Σx)²/n in float32 would drown at a mean of 10⁴."""
    rows = np.random.default_rng(2).normal(0, 1, (3_000, 6))
    rows[:, 1] = 10_000
    rows[:, 3] = 0
    rows[:, 4] = 10_000 + 0.0001 * rows[:, 4]
    rows[:, 5] += 10_000
    found = layer_geometry(rows[i : i + 100] for i in range(0, 3_000, 100))
    assert found.constant_dimensions == (1, 3, 4)


def test_a_dimension_that_changes_only_between_batches_is_not_constant() -> None:
    rows = np.random.default_rng(3).normal(size=(20, 3))
    rows[:10, 0], rows[10:, 0] = -1, 1
    assert layer_geometry([rows[:10], rows[10:]]).constant_dimensions == ()


def test_few_rows() -> None:
    none, one = layer_geometry([]), layer_geometry([np.ones((1, 4))])
    assert none.rows == 0 and np.isnan(none.mean_norm) and np.isnan(none.mean_cosine)
    assert one.rows == 1 and one.mean_norm == 2 and np.isnan(one.mean_cosine)
    assert none.constant_dimensions == one.constant_dimensions == ()


def test_rows_of_zeros_are_orthogonal_to_all() -> None:
    rows = np.array([[1.0, 0], [1, 0], [0, 0]])
    assert layer_geometry([rows]).mean_cosine == pytest.approx(2 / 6)
