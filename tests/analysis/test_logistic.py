"""Probes of all strengths at once against scikit-learn, one strength after the other."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import f1_score
from sklearn.preprocessing import StandardScaler

from layerwise.analysis.lbfgs import minimise
from layerwise.analysis.logistic import fit_logistic
from layerwise.analysis.principal_axes import PrincipalAxes, turn_apart
from layerwise.analysis.probe import Task, fit_probe
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


@pytest.mark.parametrize(("distinct", "size"), [(40, 150), (150, 200)])
def test_copies_of_rows_make_no_axes_of_their_own(distinct: int, size: int) -> None:
    """Rows span fewer directions than there are rows: what rounding leaves of the others is not fitted."""
    features, _ = data(distinct, size, 2)
    rows = features.repeat(3, 1)
    values = rows[:, :5].sum(1) + torch.randn(len(rows), generator=torch.Generator().manual_seed(1))
    axes = PrincipalAxes.fit(rows)
    assert axes.axes.shape[1] == distinct - 1
    assert (axes.axes.T @ axes.axes - torch.eye(distinct - 1)).abs().max() < 1e-5
    fresh = data(50, size, 2, seed=2)[0]
    weights, biases = fit_ridge(axes.apply(rows.clone()), values, STRENGTHS, axes.variance)
    exact = (
        rows.double().numpy()
    )  # scikit-learn's own float32 is off by 15 % of the deviation at the weakest strength
    scaler = StandardScaler().fit(exact)
    turned = axes.apply(fresh.clone())
    for l2, weight, bias in zip(STRENGTHS, weights, biases, strict=True):
        model = Ridge(alpha=l2 * len(rows)).fit(scaler.transform(exact), values.double().numpy())
        expected = model.predict(scaler.transform(fresh.double().numpy()))
        assert np.abs((turned @ weight.T + bias)[:, 0].numpy() - expected).max() < 1e-3 * expected.std()


def test_ridge_on_axes_of_a_sample_is_scikit_learns() -> None:
    features, _ = data(600, 30, 2)
    values = features[:, 0] + features[:, 9] + torch.randn(600, generator=torch.Generator().manual_seed(1))
    rows = PrincipalAxes.fit(features[:60]).apply(features.clone())
    rows -= rows[:400].mean(0)
    plain = rows.clone()
    variance, axes = turn_apart(rows, slice(0, 400))
    assert torch.allclose(rows, plain @ axes, atol=1e-4)
    weights, biases = fit_ridge(rows[:400], values[:400], STRENGTHS, variance)
    for l2, weight, bias in zip(STRENGTHS, weights, biases, strict=True):
        model = Ridge(alpha=l2 * 400).fit(plain[:400].numpy(), values[:400].numpy())
        expected = model.predict(plain[400:].numpy())
        assert np.abs((rows[400:] @ weight.T + bias)[:, 0].numpy() - expected).max() < 1e-3 * expected.std()


@pytest.mark.parametrize("l2", [1e-4, 1e-3])
def test_a_probe_of_rows_that_can_be_told_apart_ends_at_the_minimum(l2: float) -> None:
    """Their loss is nearly 0 long before, and other rows would get other answers."""
    random = np.random.default_rng(0)
    features, label = random.normal(size=(200, 384)).astype(np.float32), random.integers(0, 3, 200)
    rows = torch.from_numpy(features)
    axes = PrincipalAxes.fit(rows[:120])
    turned = axes.apply(rows.clone())
    task = Task("classification", label, 3, 120, 40, (l2,))
    fit = fit_probe(turned, axes.variance, task)
    scaler = StandardScaler().fit(features[:120])
    model = LogisticRegression(C=1 / (l2 * 120), tol=1e-10, max_iter=50_000)
    model.fit(scaler.transform(features[:120]), label[:120])
    expected = model.predict_proba(scaler.transform(features[160:]))
    found = torch.addmm(fit.bias, turned[160:], fit.weight.T).softmax(1).numpy()
    assert np.abs(found - expected).max() < 0.02
    held = f1_score(label[120:160], model.predict(scaler.transform(features[120:160])), average="macro")
    assert fit.development == pytest.approx(held, abs=1e-6)
