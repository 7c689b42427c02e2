"""One division of labelled rows into parts, and the probes fitted under it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int, Shaped
from numpy import ndarray
from torch import Tensor

from layerwise.analysis.codelength import code_length, uniform_length
from layerwise.analysis.control import control_labels
from layerwise.analysis.principal_axes import PrincipalAxes, turn_apart
from layerwise.analysis.probe import Fit, Task, finish, fit_probe, fit_strengths
from layerwise.analysis.split import DEVELOPMENT, TEST, TRAIN
from layerwise.store.reader import Store
from layerwise.study.arranged import Arranged
from layerwise.study.labels import Labelled


@dataclass(frozen=True, slots=True)
class FoldFit:
    """What one feature came to in one fold.

    Attributes:
        fit: the probe, on the axes of the training part.
        control: (test rows,) what the control task's probe answered; None without one.
        bits, uniform_bits: online and uniform code length; None if it was not asked for.
        weight, bias: the probe for vectors as they are stored (of components, for these).
    """

    fit: Fit
    control: Shaped[ndarray, " test"] | None
    bits: float | None
    uniform_bits: float | None
    weight: Float[ndarray, "classes size"]
    bias: Float[ndarray, " classes"]


@dataclass(frozen=True)
class Fold:
    """Labelled rows, divided.

    Attributes:
        rows: arranged by part.
        task: labels in that order.
        control: the control task in that order, or None.
        tested: (test rows,) numbers of the test part's rows among the labelled rows.
    """

    rows: Arranged
    task: Task
    control: Task | None
    tested: Int[ndarray, " test"]

    @classmethod
    def of(
        cls,
        store: Store,
        found: Labelled,
        parts: Int[ndarray, " rows"],
        strengths: Sequence[float],
        control: bool,
        seed: int,
    ) -> Fold:
        """Arrange the rows; with `control`, draw a control task if they have word types."""
        rows, order = Arranged.of(store, found, parts, seed)
        kind = "classification" if found.classes else "regression"
        train, development = (int((parts == part).sum()) for part in (TRAIN, DEVELOPMENT))
        task = Task(kind, rows.found.labels, len(found.classes), train, development, tuple(strengths))
        other = None
        if control and found.types is not None:
            drawn = control_labels(found.types, found.labels, seed)[order]
            other = replace(task, labels=drawn, strengths=tuple(strengths)[::2])
        return cls(rows, task, other, order[rows.parts == TEST])

    def fit(self, features: Float[Tensor, "rows width"], *, codelength: bool) -> FoldFit:
        """Probe a feature. It is turned onto its principal axes in its own memory, so it is lost."""
        axes = PrincipalAxes.fit(features[self.task.training])
        found = self._fit(axes.apply(features), axes.variance, codelength)
        weight, bias = axes.unfold(found.fit.weight, found.fit.bias)
        return replace(found, weight=weight.numpy(), bias=bias.numpy())

    def fit_components(self, components: Float[Tensor, "rows rank"], *, codelength: bool) -> FoldFit:
        """Probe a feature that is on principal axes already; it is centred in its own memory."""
        training = self.task.training
        components -= components[training].mean(0)
        if self.task.kind == "classification":
            return self._fit(components, components[training].square().mean(0), codelength)
        variance, axes = turn_apart(components, training)
        found = self._fit(components, variance, codelength)
        return replace(found, weight=found.weight @ axes.numpy().T)

    def _fit(self, turned: Tensor, variance: Tensor, codelength: bool) -> FoldFit:
        fit = fit_probe(turned, variance, self.task)
        control = None
        if (
            self.control is not None
        ):  # with a strength of its own: the task's may keep it from learning by heart
            control = fit_probe(turned, variance, self.control, exact=False).predictions
        bits = code_length(turned, variance, self.task) if codelength else None
        uniform = uniform_length(self.task) if codelength else None
        return FoldFit(fit, control, bits, uniform, fit.weight.numpy(), fit.bias.numpy())


def fit_on_all(
    rows: Arranged, vectors: Float[Tensor, "rows width"], task: Task, l2: float
) -> tuple[Float[ndarray, "classes width"], Float[ndarray, " classes"]]:
    """The probe that all rows train, of one strength: (weight, bias) for vectors as they are stored."""
    whole = replace(task, train=len(rows.found), development=0, strengths=(l2,))
    axes = PrincipalAxes.fit(vectors)
    turned = axes.apply(vectors)
    weights, biases = fit_strengths(turned, whole.labels, axes.variance, whole)
    weight, bias = axes.unfold(*finish(turned, weights[0], biases[0], whole, axes.variance, l2))
    return weight.numpy(), bias.numpy()


def test_rows(folds: Sequence[Fold]) -> Int[ndarray, " tested"]:
    """Numbers of the labelled rows that are tested, fold after fold; none comes twice."""
    return np.concatenate([fold.tested for fold in folds])
