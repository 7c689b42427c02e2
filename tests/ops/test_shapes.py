"""The shapes in the signatures of `ops` are checked when the tests run (see tests/conftest.py)."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from jaxtyping import TypeCheckError

from layerwise.ops.alignment import assign, trim
from layerwise.ops.pooling import segment_sum
from layerwise.ops.scalar_mix import scalar_mix
from layerwise.ops.windows import Windows


def test_spans_with_three_columns_are_caught() -> None:
    with pytest.raises(TypeCheckError):
        trim("abc", np.zeros((1, 3), np.int64))


def test_spans_that_are_not_integers_are_caught() -> None:
    with pytest.raises(TypeCheckError):
        assign(np.zeros((1, 2), np.int64), np.zeros((1, 2), np.float64))


def test_a_number_of_weights_other_than_the_number_of_layers_is_caught() -> None:
    with pytest.raises(TypeCheckError):
        scalar_mix(torch.zeros(3, 5, 4), torch.zeros(2), 1.0)


def test_hidden_states_that_are_integers_are_caught() -> None:
    with pytest.raises(TypeCheckError):
        segment_sum(torch.zeros(3, 4, dtype=torch.int64), torch.arange(3), torch.zeros(1, dtype=torch.int64))


def test_windows_with_fewer_ends_than_starts_are_caught() -> None:
    with pytest.raises(TypeCheckError):
        Windows(np.zeros(2, np.int64), np.ones(1, np.int64), np.zeros(1, np.int64))
