"""Sums and maxima of segments, against loops over numpy arrays and against themselves alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from layerwise.ops.pooling import segment_max, segment_sum

Pool = Callable[[Tensor, Tensor, Tensor], Tensor]

POOLS = pytest.mark.parametrize("pool", [segment_sum, segment_max])
DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
SIZES = pytest.mark.parametrize("size", [1, 7, 16, 384])


def batch(seed: int, size: int, dtype: torch.dtype = torch.float32) -> tuple[Tensor, list[list[int]]]:
    """Hidden states of 40 tokens, and 30 units of 1 to 12 of them; a token may be in several units."""
    random = np.random.default_rng(seed)
    hidden = torch.from_numpy(random.normal(size=(40, size)) * 100).to(dtype)
    units = [sorted(random.choice(40, random.integers(1, 13), replace=False).tolist()) for _ in range(30)]
    return hidden, units


def edges(units: list[list[int]]) -> tuple[Tensor, Tensor]:
    """`token` and `first` of the units."""
    lengths = [len(unit) for unit in units]
    token = torch.tensor([token for unit in units for token in unit], dtype=torch.int64)
    return token, torch.tensor(np.cumsum([0, *lengths])[:-1], dtype=torch.int64)


def same_bits(one: Tensor, other: Tensor) -> bool:
    return one.dtype == other.dtype and one.numpy().tobytes() == other.numpy().tobytes()


@DTYPES
@SIZES
@pytest.mark.parametrize("seed", range(3))
def test_a_sum_is_float32_and_runs_in_token_order(seed: int, size: int, dtype: torch.dtype) -> None:
    hidden, units = batch(seed, size, dtype)
    expected = np.zeros((len(units), size), np.float32)
    for row, unit in enumerate(units):
        for token in unit:
            expected[row] += hidden[token].float().numpy()
    assert same_bits(segment_sum(hidden, *edges(units)), torch.from_numpy(expected))


@DTYPES
@SIZES
@pytest.mark.parametrize("seed", range(3))
def test_a_maximum_is_that_of_each_dimension(seed: int, size: int, dtype: torch.dtype) -> None:
    hidden, units = batch(seed, size, dtype)
    expected = np.stack([hidden[unit].float().numpy().max(axis=0) for unit in units])
    assert same_bits(segment_max(hidden, *edges(units)), torch.from_numpy(expected))


def test_a_long_sum_of_bfloat16_does_not_stall() -> None:
    """In bfloat16, 256 + 1 is 256."""
    hidden = torch.ones(1000, 2, dtype=torch.bfloat16)
    assert segment_sum(hidden, *edges([list(range(1000))])).tolist() == [[1000.0, 1000.0]]


def test_a_sum_of_float16_does_not_overflow() -> None:
    """The largest float16 is 65504."""
    hidden = torch.full((4, 1), 60000.0, dtype=torch.float16)
    assert segment_sum(hidden, *edges([[0, 1, 2, 3]])).tolist() == [[240000.0]]


def test_a_maximum_of_negative_values_is_negative() -> None:
    hidden = torch.tensor([[-3.0, -1.0], [-2.0, -5.0]])
    assert segment_max(hidden, *edges([[0, 1], [0]])).tolist() == [[-2.0, -1.0], [-3.0, -1.0]]


@POOLS
@SIZES
@pytest.mark.parametrize("seed", range(3))
def test_a_unit_does_not_depend_on_the_others_in_the_batch(pool: Pool, seed: int, size: int) -> None:
    hidden, units = batch(seed, size)
    together = pool(hidden, *edges(units))
    for row, unit in enumerate(units):
        alone = pool(hidden[unit], *edges([list(range(len(unit)))]))
        assert same_bits(alone[0], together[row])


@POOLS
def test_the_order_of_units_does_not_matter(pool: Pool) -> None:
    hidden, units = batch(5, 48)
    forwards, backwards = pool(hidden, *edges(units)), pool(hidden, *edges(units[::-1]))
    assert same_bits(forwards, backwards.flip(0))


@POOLS
def test_a_unit_of_one_token_is_that_token(pool: Pool) -> None:
    hidden, _ = batch(6, 48)
    assert same_bits(pool(hidden, *edges([[token] for token in range(40)])), hidden)


@POOLS
@DTYPES
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_nan_shows_in_its_own_unit_and_dimension_alone(pool: Pool, dtype: torch.dtype, place: int) -> None:
    hidden = torch.arange(15, dtype=torch.float32).reshape(5, 3).to(dtype)
    hidden[place, 1] = torch.nan
    pooled = pool(hidden, *edges([[0, 1, 2], [3, 4]]))
    assert pooled.isnan().tolist() == [[False, True, False], [False, False, False]]


@POOLS
@pytest.mark.parametrize("value", [torch.inf, -torch.inf])
def test_an_infinite_value_stays_in_its_unit(pool: Pool, value: float) -> None:
    hidden = torch.tensor([[1.0], [value], [2.0]])
    expected = value if pool is segment_sum else max(1.0, value)
    assert pool(hidden, *edges([[0, 1], [2]])).tolist() == [[expected], [2.0]]


def test_a_maximum_over_both_infinities_is_no_nan() -> None:
    hidden = torch.tensor([[torch.inf], [-torch.inf]])
    assert segment_max(hidden, *edges([[0, 1]])).tolist() == [[torch.inf]]


@POOLS
def test_no_units_are_no_rows(pool: Pool) -> None:
    assert pool(torch.ones(3, 4), *edges([])).shape == (0, 4)


@POOLS
def test_the_hidden_states_are_not_changed(pool: Pool) -> None:
    hidden, units = batch(7, 16)
    before = hidden.clone()
    pool(hidden, *edges(units))
    assert same_bits(hidden, before)
