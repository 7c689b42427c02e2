"""Probes of all strengths at once against scikit-learn, one strength after the other."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.preprocessing import StandardScaler

from layerwise.analysis.lbfgs import minimise
from layerwise.analysis.logistic import fit_logistic
from layerwise.analysis.principal_axes import PrincipalAxes
from layerwise.analysis.ridge import fit_ridge

STRENGTHS = (1e-3, 1e-2, 0.1, 1.0)


def data(rows: int, size: int, classes: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Correlated features of very different scales, one of them constant, and noisy labels."""
    random = torch.Generator().manual_seed(seed)
    latent = torch.randn(rows, size, generator=random) * torch.arange(1, size + 1) ** -0.7
    turn = torch.linalg.qr(torch.randn(size, size, generator=random))[0]
    features = latent @ turn * torch.logspace(-1, 1, size) + 3
    features[:, 2] = 0.25
    gumbel = -torch.rand(rows, classes, generator=random).log().neg().log()
    labels = (latent @ torch.randn(size, classes, generator=random) * 3 + gumbel).argmax(1)
    labels[:classes] = torch.arange(classes)
    return features, labels


@pytest.mark.parametrize(("rows", "size", "classes"), [(400, 20, 2), (500, 30, 5), (60, 100, 3)])
def test_same_minimum_as_scikit_learn(rows: int, size: int, classes: int) -> None:
    features, labels = data(rows, size, classes)
    axes = PrincipalAxes.fit(features)
    weights, biases = fit_logistic(axes.apply(features.clone()), labels, classes, STRENGTHS, axes.variance)
    standard = StandardScaler().fit_transform(features.numpy())
    for l2, weight, bias in zip(STRENGTHS, weights, biases, strict=True):
        # Of two classes scikit-learn has one vector w, and we two, ±w/2, whose squares sum to half.
        model = LogisticRegression(C=(2 if classes == 2 else 1) / (l2 * rows), tol=1e-8, max_iter=20_000)
        model.fit(standard, labels.numpy())
        raw, offset = axes.unfold(weight, bias)
        ours = (features @ raw.T + offset).softmax(1).numpy()
        assert np.abs(ours - model.predict_proba(standard)).max() < 0.01
        assert (ours.argmax(1) == model.predict(standard)).mean() > 0.99


def test_a_strength_does_not_depend_on_its_company() -> None:
    features, labels = data(300, 20, 4)
    axes = PrincipalAxes.fit(features)
    rows = axes.apply(features.clone())
    together, _ = fit_logistic(rows, labels, 4, STRENGTHS, axes.variance)
    alone, _ = fit_logistic(rows, labels, 4, STRENGTHS[1:2], axes.variance)
    assert torch.allclose(together[1], alone[0], atol=1e-3)


def test_a_class_that_training_lacks_is_never_predicted() -> None:
    features, labels = data(300, 10, 3)
    axes = PrincipalAxes.fit(features)
    weights, biases = fit_logistic(axes.apply(features.clone()), labels, 4, (0.1,), axes.variance)
    found = (axes.apply(features.clone()) @ weights[0].T + biases[0]).argmax(1)
    assert not (found == 3).any()


def test_ridge_is_scikit_learns() -> None:
    features, _ = data(200, 12, 2)
    values = features @ torch.linspace(-1, 1, 12) + torch.randn(
        200, generator=torch.Generator().manual_seed(1)
    )
    axes = PrincipalAxes.fit(features)
    weights, biases = fit_ridge(axes.apply(features.clone()), values, STRENGTHS, axes.variance)
    standard = StandardScaler().fit_transform(features.numpy())
    for l2, weight, bias in zip(STRENGTHS, weights, biases, strict=True):
        model = Ridge(alpha=l2 * 200).fit(standard, values.numpy())
        raw, offset = axes.unfold(weight, bias)
        ours = (features @ raw.T + offset)[:, 0].numpy()
        assert np.allclose(ours, model.predict(standard), atol=1e-2)


def test_constant_dimensions_weigh_nothing_and_make_no_nan() -> None:
    features, labels = data(200, 12, 3)
    axes = PrincipalAxes.fit(features)
    assert axes.scale[2] == 0 and torch.isfinite(axes.axes).all()
    weights, biases = fit_logistic(axes.apply(features.clone()), labels, 3, (0.01,), axes.variance)
    raw, offset = axes.unfold(weights[0], biases[0])
    assert torch.isfinite(raw).all() and torch.isfinite(offset).all()
    assert (raw[:, 2] == 0).all()


def test_more_dimensions_than_rows_lose_nothing() -> None:
    features, _ = data(30, 50, 2)
    axes = PrincipalAxes.fit(features)
    assert axes.axes.shape[1] <= 29
    standard = (features - axes.mean) * axes.scale
    turned = axes.apply(features.clone())
    assert torch.allclose(turned @ turned.T, standard @ standard.T, atol=1e-2)
    assert torch.allclose(axes.axes.T @ axes.axes, torch.eye(axes.axes.shape[1]), atol=1e-4)


def test_all_problems_are_minimised_each_to_its_own_minimum() -> None:
    """Quadratics of very different condition, some begun at their minimum."""
    curvature = torch.stack([torch.logspace(0, power, 8) for power in (0, 2, 4)])
    goal = torch.arange(24.0).view(3, 8)

    def evaluate(at: torch.Tensor, which: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        apart = at - goal[which]
        return 0.5 * (curvature[which] * apart**2).sum(1), curvature[which] * apart

    start = torch.zeros(3, 8)
    start[1] = goal[1]
    assert torch.allclose(minimise(evaluate, start, torch.full((3,), 1e-4)), goal, atol=1e-2)
