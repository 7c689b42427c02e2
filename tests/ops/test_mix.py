"""Mixing layers, against numpy and against the formula of the paper."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from layerwise.errors import UsageError
from layerwise.ops.mix import mix_layers
from layerwise.ops.scalar_mix import scalar_mix
from layerwise.types import MIXES

WEIGHTS = [(0.0, 0.0, 0.0, 0.0), (0.3, -1.2, 2.0, 0.1), (100.0, -100.0, 0.0, 99.0), (1e4, 0.0, 1e4, -1e4)]


def hidden_states(layers: int = 4, units: int = 5, size: int = 6) -> Tensor:
    return torch.from_numpy(np.random.default_rng(0).normal(size=(layers, units, size)).astype(np.float32))


def by_the_formula(hidden: Tensor, weights: tuple[float, ...], gamma: float) -> np.ndarray:
    """Peters et al. 2018, equation 1: gamma · Σ_j s_j · h_j with s = softmax(weights), in float64."""
    powers = np.exp(np.array(weights) - max(weights))
    mixed = np.zeros(hidden.shape[1:])
    for share, layer in zip(powers / powers.sum(), hidden.double().numpy(), strict=True):
        mixed += share * layer
    return gamma * mixed


@pytest.mark.parametrize("mix", ["mean", "sum"])
def test_mean_and_sum_are_those_of_numpy(mix: str) -> None:
    hidden = hidden_states()
    expected = getattr(np, mix)(hidden.double().numpy(), axis=0)
    np.testing.assert_allclose(mix_layers(hidden, mix).numpy(), expected, rtol=1e-5, atol=1e-6)


def test_concat_puts_the_layers_of_a_unit_side_by_side_in_order() -> None:
    hidden = hidden_states()
    assert np.array_equal(mix_layers(hidden, "concat").numpy(), np.concatenate(hidden.numpy(), axis=1))


@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("gamma", [1.0, 0.0, -2.5])
def test_scalar_is_the_formula_of_the_paper(weights: tuple[float, ...], gamma: float) -> None:
    hidden = hidden_states()
    expected = by_the_formula(hidden, weights, gamma)
    np.testing.assert_allclose(mix_layers(hidden, "scalar", (weights, gamma)), expected, rtol=1e-5, atol=1e-6)
    mixed = scalar_mix(hidden, torch.tensor(weights), gamma)
    np.testing.assert_allclose(mixed, expected, rtol=1e-5, atol=1e-6)


def test_scalar_with_equal_weights_is_the_mean() -> None:
    hidden = hidden_states()
    mixed = mix_layers(hidden, "scalar", ((0.7,) * 4, 1.0))
    torch.testing.assert_close(mixed, mix_layers(hidden, "mean"))


def test_the_same_added_to_each_weight_changes_nothing() -> None:
    hidden, weights = hidden_states(), torch.tensor(WEIGHTS[1])
    torch.testing.assert_close(scalar_mix(hidden, weights + 3, 1.0), scalar_mix(hidden, weights, 1.0))


def test_weights_and_gamma_can_be_learned() -> None:
    weights, gamma = torch.zeros(4, requires_grad=True), torch.ones((), requires_grad=True)
    scalar_mix(hidden_states(), weights, gamma).square().sum().backward()
    assert weights.grad is not None and weights.grad.abs().min() > 0
    assert gamma.grad is not None and gamma.grad != 0


@pytest.mark.parametrize("mix", ["mean", "sum", "concat", "scalar"])
def test_one_layer_is_itself(mix: str) -> None:
    hidden = hidden_states(layers=1)
    assert torch.equal(mix_layers(hidden, mix, ((5.0,), 1.0)), hidden[0])


@pytest.mark.parametrize("mix", ["mean", "sum", "concat", "scalar"])
def test_a_unit_does_not_depend_on_the_others(mix: str) -> None:
    hidden = hidden_states(layers=4, units=9, size=32)
    weights = (WEIGHTS[1], 1.5)
    together = mix_layers(hidden, mix, weights)
    for unit in range(9):
        alone = mix_layers(hidden[:, unit : unit + 1], mix, weights)
        torch.testing.assert_close(alone[0], together[unit])


@pytest.mark.parametrize("mix", ["mean", "sum", "concat", "scalar"])
def test_no_units_are_no_rows(mix: str) -> None:
    mixed = mix_layers(hidden_states(units=0), mix, (WEIGHTS[1], 1.0))
    assert mixed.shape == (0, 24 if mix == "concat" else 6)


@pytest.mark.parametrize("mix", ["median", "Mean", "", "none"])
def test_an_unknown_mix_is_a_usage_error_that_lists_the_known_ones(mix: str) -> None:
    with pytest.raises(UsageError, match="mean, sum, concat, scalar"):
        mix_layers(hidden_states(), mix)


def test_every_mix_of_the_project_but_none_is_known_here() -> None:
    for mix in set(MIXES) - {"none"}:
        mix_layers(hidden_states(), mix, (WEIGHTS[1], 1.0))
