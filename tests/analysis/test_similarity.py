"""Similarity of layers against brute force, and what must not change it."""

from __future__ import annotations

import numpy as np
import pytest

from layerwise.analysis.similarity import (
    linear_cka,
    mean_cosine,
    nearest,
    neighbour_overlap,
    self_similarity,
)

RNG = np.random.default_rng(0)


def hsic(x: np.ndarray, y: np.ndarray) -> float:
    """Song et al. 2012, eq. 5, with n × n matrices."""
    n = len(x)
    k, l = x @ x.T, y @ y.T  # noqa: E741
    np.fill_diagonal(k, 0)
    np.fill_diagonal(l, 0)
    one = np.ones(n)
    total = np.trace(k @ l) + (one @ k @ one) * (one @ l @ one) / ((n - 1) * (n - 2))
    return float((total - 2 * (one @ k @ l @ one) / (n - 2)) / (n * (n - 3)))


def layers(rows: int = 60) -> list[np.ndarray]:
    first = RNG.normal(size=(rows, 7)) + 3
    second = first @ RNG.normal(size=(7, 11)) + RNG.normal(size=(rows, 11))
    return [first, second, RNG.normal(size=(rows, 5)) * 100]


def test_cka_is_that_of_brute_force_whatever_the_batches() -> None:
    data = layers()
    wanted = [[hsic(a, b) / np.sqrt(hsic(a, a) * hsic(b, b)) for b in data] for a in data]
    for parts in (1, 4):
        batches = zip(*(np.array_split(layer, parts) for layer in data), strict=True)
        np.testing.assert_allclose(linear_cka(batches), wanted, atol=1e-10)


def test_cka_ignores_rotation_scale_and_shift() -> None:
    x, y, _ = layers()
    turned = x @ np.linalg.qr(RNG.normal(size=(7, 7)))[0] * 40 - 9
    matrix = linear_cka([[x, y, turned]])
    assert matrix[0, 2] == pytest.approx(1) and matrix[0, 1] == pytest.approx(matrix[2, 1])
    assert (np.diag(matrix) == 1).all()


def test_independent_layers_are_near_zero_even_with_fewer_rows_than_dimensions() -> None:
    values = [linear_cka([[RNG.normal(size=(50, 300)), RNG.normal(size=(50, 300))]])[0, 1] for _ in range(20)]
    assert abs(np.mean(values)) < 0.02
    assert max(map(abs, values)) < 0.15


def test_constant_dimensions_count_nothing_and_a_constant_layer_is_nan() -> None:
    x, y, _ = layers()
    padded = np.hstack([x, np.full((len(x), 3), 1e4)])
    matrix = linear_cka([[x, padded, y, np.full((len(x), 4), 0.1, np.float32)]])
    assert matrix[0, 1] == pytest.approx(1)
    assert np.isnan(matrix[3]).all() and np.isnan(matrix[:, 3]).all()
    assert np.isfinite(matrix[:3, :3]).all()


def test_rows_not_embedded_are_left_out_and_three_rows_say_nothing() -> None:
    x, y, _ = layers()
    holes = x.copy()
    holes[[3, 17]] = np.nan
    kept = np.delete(np.arange(len(x)), [3, 17])
    np.testing.assert_allclose(linear_cka([[holes, y]]), linear_cka([[x[kept], y[kept]]]))
    assert np.isnan(linear_cka([[x[:3], y[:3]]])).all()


def test_neighbours_and_their_overlap() -> None:
    x, y, _ = layers()
    found = []
    for data in (x, y):
        unit = data / np.linalg.norm(data, axis=1, keepdims=True)
        cosines = unit @ unit.T - 2 * np.eye(len(unit))
        found.append([set(row) for row in np.argsort(-cosines)[:, :10].tolist()])
    near = nearest(x), nearest(y)
    assert [set(row) for row in near[0].tolist()] == found[0]
    wanted = np.mean([len(a & b) / 10 for a, b in zip(*found, strict=True)])
    assert neighbour_overlap(*near) == pytest.approx(wanted)
    assert neighbour_overlap(near[0], near[0]) == 1


def test_self_similarity_is_the_mean_over_words_of_pairwise_cosines() -> None:
    x, _, _ = layers(9)
    words = np.array([5, 5, 5, 2, 2, 7, 9, 9, 9])
    x[8] = np.nan
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    pairs = {5: [(0, 1), (0, 2), (1, 2)], 2: [(3, 4)], 9: [(6, 7)]}
    wanted = np.mean([np.mean([unit[a] @ unit[b] for a, b in places]) for places in pairs.values()])
    assert self_similarity(x, words) == pytest.approx(wanted)
    assert np.isnan(self_similarity(x[:3], np.arange(3)))
    assert mean_cosine(x[:2]) == pytest.approx(unit[0] @ unit[1])
