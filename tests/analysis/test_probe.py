"""One probe, its code length, and the learned mix, on layers whose worth is known."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from layerwise.analysis.codelength import FEWEST, FRACTIONS, SMOOTHING, code_length, uniform_length
from layerwise.analysis.learned_mix import learn_shares
from layerwise.analysis.logistic import fit_logistic
from layerwise.analysis.principal_axes import PrincipalAxes
from layerwise.analysis.probe import STRENGTHS, Task, fit_probe

ROWS, SIZE = 900, 16
RANDOM = torch.Generator().manual_seed(0)
LATENT = torch.randn(ROWS, SIZE, generator=RANDOM)
LABELS = (LATENT[:, :3] + 0.3 * torch.randn(ROWS, 3, generator=RANDOM)).argmax(1).numpy()
NOISE = torch.randn(ROWS, SIZE, generator=RANDOM)
NUMBERS = (LATENT[:, 0] * 2 + 5 + 0.1 * torch.randn(ROWS, generator=RANDOM)).numpy()


def classes(labels: np.ndarray = LABELS) -> Task:
    return Task("classification", labels, 3, 500, 200)


def fitted(rows: torch.Tensor, task: Task):
    axes = PrincipalAxes.fit(rows[task.training])
    return axes, axes.apply(rows.clone())


def test_a_layer_with_the_label_is_found_and_noise_is_not() -> None:
    for rows, expected in ((LATENT, 0.85), (NOISE, 1 / 3)):
        task = classes()
        axes, turned = fitted(rows, task)
        fit = fit_probe(turned, axes.variance, task)
        assert (fit.predictions == LABELS[task.testing]).mean() == pytest.approx(expected, abs=0.12)
        assert fit.l2 in task.strengths


def test_numbers_are_predicted() -> None:
    task = Task("regression", NUMBERS, 0, 500, 200)
    axes, turned = fitted(LATENT, task)
    fit = fit_probe(turned, axes.variance, task)
    assert np.corrcoef(fit.predictions, NUMBERS[task.testing])[0, 1] > 0.98
    assert fit.predictions.mean() == pytest.approx(5, abs=0.4)


def test_test_labels_are_never_looked_at() -> None:
    spoilt = LABELS.copy()
    spoilt[700:] = 0
    results = []
    for labels in (LABELS, spoilt):
        task = classes(labels)
        axes, turned = fitted(LATENT, task)
        results.append(fit_probe(turned, axes.variance, task))
    assert (results[0].predictions == results[1].predictions).all()
    assert torch.equal(results[0].weight, results[1].weight)


def test_code_length_of_noise_is_that_of_the_uniform_code_and_of_signal_shorter() -> None:
    task = classes()
    lengths = []
    for rows in (LATENT, NOISE):
        axes, turned = fitted(rows, task)
        lengths.append(code_length(turned, axes.variance, task))
    uniform = uniform_length(task)
    assert uniform == pytest.approx(500 * math.log2(3))
    assert lengths[0] < 0.6 * uniform
    assert 0.95 * uniform < lengths[1] < 1.2 * uniform


@pytest.mark.parametrize("kind", ["classes", "numbers"])
def test_the_learned_mix_finds_the_layer_that_predicts(kind: str) -> None:
    layers = torch.stack([NOISE, LATENT, NOISE.flip(0)])
    labels = torch.from_numpy(LABELS if kind == "classes" else NUMBERS)
    shares = learn_shares(layers, labels, 3 if kind == "classes" else 0, STRENGTHS, lambda rows: rows)
    assert shares.sum() == pytest.approx(1, abs=1e-5)
    assert shares.argmax() == 1 and shares[1] > 0.6


def test_a_mix_is_learned_where_even_the_mean_tells_all_apart() -> None:
    """A weak penalty on the probe would leave the shares as they were."""
    sure = LATENT.clone()
    sure[:, :3] += 20 * torch.nn.functional.one_hot(torch.from_numpy(LABELS), 3)
    layers = torch.stack([NOISE, sure / sure.std(), NOISE.flip(0)])
    shares = learn_shares(layers, torch.from_numpy(LABELS), 3, STRENGTHS, lambda rows: rows)
    assert shares[1] > 0.6


def test_a_mix_that_does_not_help_stays_even() -> None:
    layers = torch.stack([NOISE, NOISE.flip(0), NOISE.flip(1)])[:, :100]
    shares = learn_shares(layers, torch.from_numpy(LABELS[:100]), 3, STRENGTHS, lambda rows: rows)
    assert shares.tolist() == pytest.approx([1 / 3] * 3, abs=0.05)


def test_a_huge_dimension_hides_no_layer() -> None:
    huge = LATENT.clone()
    huge[::15, 7] += 3_000
    shares = learn_shares(
        torch.stack([NOISE, huge, NOISE.flip(0)]), torch.from_numpy(LABELS), 3, STRENGTHS, lambda rows: rows
    )
    assert shares[1] > 0.6


def test_the_strength_of_a_ridge_probe_is_chosen_by_its_error() -> None:
    """One dimension orders the rows alike under any strength; a strong one shrinks what it predicts."""
    rows = LATENT[:, :1].clone()
    values = (rows[:, 0] * 3 + 0.3 * NOISE[:, 0]).numpy()
    task = Task("regression", values, 0, 500, 200)
    axes, turned = fitted(rows, task)
    found = fit_probe(turned, axes.variance, task)
    assert found.l2 < 0.1
    residual = ((found.predictions - values[task.testing]) ** 2).mean()
    assert residual < 0.05 * values.var()


def test_rows_of_one_class_are_fitted() -> None:
    """The first block of a code length, or a control task of few word types, may have no other."""
    labels = torch.zeros(50, dtype=torch.int64)
    weight, bias = fit_logistic(LATENT[:50], labels, 3, STRENGTHS, LATENT[:50].var(0))
    assert torch.isfinite(weight).all() and (bias.argmax(1) == 0).all()


def test_the_learned_mix_of_equal_layers_is_even() -> None:
    shares = learn_shares(
        torch.stack([LATENT] * 3), torch.from_numpy(LABELS), 3, STRENGTHS, lambda rows: rows
    )
    assert shares.tolist() == pytest.approx([1 / 3] * 3, abs=0.02)


def test_the_code_is_as_long_as_scikit_learns() -> None:
    """The same blocks; the strength of each by the development part."""
    random = np.random.default_rng(0)
    rows = random.normal(size=(760, 200)).astype(np.float32)
    logits = rows[:, :3] @ random.normal(size=(3, 4)) * 1.5
    labels = (logits + random.gumbel(size=logits.shape)).argmax(1)
    labels[:4] = range(4)  # scikit-learn leaves out a class that it does not see
    task = Task("classification", labels, 4, 600, 160, (1e-4, 1e-3, 1e-2, 0.1))
    axes, turned = fitted(torch.from_numpy(rows), task)
    standard = (rows - rows[:600].mean(0)) / rows[:600].std(0)

    def cost(model: LogisticRegression, part: slice) -> np.ndarray:
        share = model.predict_proba(standard[part])[np.arange(part.stop - part.start), labels[part]]
        return -np.log2((1 - SMOOTHING) * share + SMOOTHING / 4)

    ends = [end for share in FRACTIONS if (end := int(share * 600)) >= FEWEST]
    expected = ends[0] * 2.0
    for first, after in pairwise(ends):
        models = [
            LogisticRegression(C=1 / (l2 * first), max_iter=5_000, tol=1e-8).fit(
                standard[:first], labels[:first]
            )
            for l2 in task.strengths
        ]
        best = min(models, key=lambda model: cost(model, slice(600, 760)).mean())
        expected += cost(best, slice(first, after)).sum()
    assert code_length(turned, axes.variance, task) == pytest.approx(expected, rel=0.003)
