"""Spectra against NumPy's own; halves of texts that find each other, or do not."""

from __future__ import annotations

import numpy as np
import pytest

from layerwise.analysis.spectrum import Halves, Moments

RNG = np.random.default_rng(1)


def moments(rows: np.ndarray, parts: int = 3) -> Moments:
    made = Moments(rows.shape[1])
    for part in np.array_split(rows, parts):
        made.add(part)
    return made


def exp_entropy(values: np.ndarray) -> float:
    shares = values[values > 1e-9] / values.sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))


def test_ranks_are_those_of_the_singular_values() -> None:
    rows = RNG.normal(size=(80, 6)) * [1, 2, 3, 4, 5, 0] + 7
    made = moments(rows)
    centred = np.linalg.svd(rows - rows.mean(0), compute_uv=False)
    assert made.effective_rank() == pytest.approx(exp_entropy(centred**2))
    assert made.rank_me() == pytest.approx(exp_entropy(np.linalg.svd(rows, compute_uv=False)))
    np.testing.assert_allclose(made.covariance(), np.cov(rows.T, bias=True), atol=1e-9)
    np.testing.assert_allclose(made.mean, rows.mean(0))


def test_a_round_cloud_has_full_rank_and_a_line_rank_one() -> None:
    assert moments(RNG.normal(size=(20_000, 8))).effective_rank() == pytest.approx(8, abs=0.05)
    line = RNG.normal(size=(50, 1)) * np.arange(1, 6)
    assert moments(line).effective_rank() == pytest.approx(1)
    assert moments(line).rank_me() == pytest.approx(1)


def test_a_constant_layer_has_no_effective_rank() -> None:
    assert np.isnan(moments(np.full((9, 4), 0.1, np.float32)).effective_rank())
    assert np.isnan(moments(np.zeros((9, 4))).rank_me())


def test_mean_cosine_is_over_all_pairs_and_rows_of_nan_are_left_out() -> None:
    rows = RNG.normal(size=(9, 4)) + 1
    rows[2] = np.nan
    kept = np.delete(rows, 2, axis=0)
    unit = kept / np.linalg.norm(kept, axis=1, keepdims=True)
    wanted = (unit @ unit.T)[~np.eye(8, dtype=bool)].mean()
    made = moments(rows)
    assert made.rows == 8 and made.mean_cosine() == pytest.approx(wanted)


def halves(topics: float) -> Halves:
    text = np.repeat(np.arange(40), 8)
    rows = RNG.normal(size=(40, 12))[text] * topics + RNG.normal(size=(320, 12)) + 5
    made = Halves(40, 12)
    made.add(rows, text, np.arange(320) % 2)
    return made


def test_halves_of_a_text_with_a_topic_find_each_other() -> None:
    mean = np.full(12, 5.0)
    assert halves(10.0).two_views(mean).found == 1
    assert halves(10.0).two_views(mean).chance == 1 / 40
    assert halves(0.0).two_views(mean).found < 0.2


def test_texts_without_two_halves_do_not_take_part() -> None:
    made = Halves(3, 2)
    made.add(
        np.array([[1.0, 0], [1, 0], [0, 1], [np.nan, 1]]), np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])
    )
    found = made.two_views(np.zeros(2))
    assert found.texts == 1 and np.isnan(found.found)


def test_a_constant_layer_finds_nothing() -> None:
    made = Halves(3, 2)
    made.add(np.ones((6, 2)), np.repeat(np.arange(3), 2), np.arange(6) % 2)
    assert np.isnan(made.two_views(np.ones(2)).found)
