"""Debiased linear CKA against brute force, and what must not change it."""

from __future__ import annotations

import numpy as np
import pytest

from layerwise.analysis.cka import Cka, linear_cka

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


def cka(*data: np.ndarray, parts: int = 1, **options: int) -> Cka:
    def read() -> list[list[np.ndarray]]:
        return [list(batch) for batch in zip(*(np.array_split(layer, parts) for layer in data), strict=True)]

    return linear_cka(read, [layer.shape[1] for layer in data], **options)


def test_cka_is_that_of_brute_force_whatever_the_batches() -> None:
    data = layers()
    wanted = [[hsic(a, b) / np.sqrt(hsic(a, a) * hsic(b, b)) for b in data] for a in data]
    for parts in (1, 4):
        np.testing.assert_allclose(cka(*data, parts=parts).matrix, wanted, atol=1e-10)


def test_cka_ignores_rotation_scale_and_shift() -> None:
    x, y, _ = layers()
    turned = x @ np.linalg.qr(RNG.normal(size=(7, 7)))[0] * 40 - 9
    matrix = cka(x, y, turned).matrix
    assert matrix[0, 2] == pytest.approx(1) and matrix[0, 1] == pytest.approx(matrix[2, 1])
    assert (np.diag(matrix) == 1).all()


def test_independent_layers_are_near_zero_even_with_fewer_rows_than_dimensions() -> None:
    values = [cka(RNG.normal(size=(50, 300)), RNG.normal(size=(50, 300))).matrix[0, 1] for _ in range(20)]
    assert abs(np.mean(values)) < 0.02
    assert max(map(abs, values)) < 0.15


def test_constant_dimensions_count_nothing_and_a_constant_layer_is_nan() -> None:
    x, y, _ = layers()
    padded = np.hstack([x, np.full((len(x), 3), 1e4)])
    matrix = cka(x, padded, y, np.full((len(x), 4), 0.1, np.float32)).matrix
    assert matrix[0, 1] == pytest.approx(1)
    assert np.isnan(matrix[3]).all() and np.isnan(matrix[:, 3]).all()
    assert np.isfinite(matrix[:3, :3]).all()


def test_rows_not_embedded_are_left_out_and_three_rows_say_nothing() -> None:
    x, y, _ = layers()
    holes = x.copy()
    holes[[3, 17]] = np.nan
    kept = np.delete(np.arange(len(x)), [3, 17])
    np.testing.assert_allclose(cka(holes, y).matrix, cka(x[kept], y[kept]).matrix)
    assert np.isnan(cka(x[:3], y[:3]).matrix).all()


@pytest.mark.parametrize("memory", [1, 8 * 7 * 11, 2**20])
def test_little_memory_reads_the_rows_again_and_finds_the_same(memory: int) -> None:
    data = layers()
    np.testing.assert_array_equal(cka(*data, parts=3, memory=memory).matrix, cka(*data, parts=3).matrix)


def test_two_models_are_compared_with_each_other_only() -> None:
    data = [*layers(), *layers()]
    found, whole = cka(*data, across=2), cka(*data)
    np.testing.assert_array_equal(found.matrix, whole.matrix[:2, 2:])
    assert found.constant.shape == (6,) and found.rows == 60
