"""The table of a probe: a fit, scores and intervals for each feature, and comparisons between them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from layerwise.analysis.codelength import code_length, uniform_length
from layerwise.analysis.control import control_labels
from layerwise.analysis.principal_axes import PrincipalAxes
from layerwise.analysis.probe import CONTROL_METRIC, METRICS, Fit, Task, fit_probe, point
from layerwise.analysis.resampling import in_blocks, interval, number_groups, resamples, two_sided
from layerwise.reports.probing import Difference, Feature, FeatureScore, Score
from layerwise.study.arranged import Arranged


class ProbeTable:
    """Fits and scores, feature by feature; every feature is scored on the same resamples.

    Attributes:
        fits: feature to its fitted probe.
        rows: feature to its row of the table.
        maps: feature to (weight, bias) for vectors as they are stored.
    """

    def __init__(self, rows: Arranged, task: Task, *, control: bool, codelength: bool, seed: int) -> None:
        self._task, self._codelength = task, codelength
        self.labels = task.labels[task.testing]
        self.groups = number_groups(rows.found.groups[task.testing])
        self._counts = resamples(int(self.groups.max()) + 1, seed)
        self._draws: dict[Feature, Float[ndarray, " rounds"]] = {}
        self._control = None
        if control and rows.found.types is not None:
            self._control = replace(task, labels=control_labels(rows.found.types, task.labels, seed))
        self.fits: dict[Feature, Fit] = {}
        self.rows: dict[Feature, FeatureScore] = {}
        self.maps: dict[Feature, tuple[ndarray, ndarray]] = {}

    def add(self, feature: Feature, vectors: Float[Tensor, "rows width"], *, on_axes: bool = False) -> None:
        """Probe a feature; with `on_axes` it is on principal axes already and is not standardised again."""
        task = self._task
        axes = PrincipalAxes.fit(vectors[task.training], standardise=not on_axes)
        turned = axes.apply(vectors)
        fit = fit_probe(turned, axes.variance, task)
        self.fits[feature] = fit
        weight, bias = axes.unfold(fit.weight, fit.bias)
        self.maps[feature] = (weight.numpy(), bias.numpy())
        row = FeatureScore(feature, self._scores(feature, fit), fit.development, fit.l2)
        if self._control is not None:
            row = self._with_control(row, turned, axes)
        if self._codelength:
            bits = code_length(turned, axes.variance, task)
            row = replace(row, code_length=bits, compression=uniform_length(task) / bits)
        self.rows[feature] = row

    def _scores(self, feature: Feature, fit: Fit) -> Mapping[str, Score]:
        found = {}
        for name, make in METRICS[self._task.kind].items():
            metric = make(self.labels, fit.predictions, self.groups)
            draws = in_blocks(metric, self._counts)
            if name == self._task.leading:
                self._draws[feature] = draws
            found[name] = Score(point(make, self.labels, fit.predictions), *interval(draws))
        return found

    def _with_control(self, row: FeatureScore, turned: Tensor, axes: PrincipalAxes) -> FeatureScore:
        """The control task with the strength that the task itself chose."""
        assert self._control is not None and row.l2 is not None
        task = replace(self._control, strengths=(row.l2,))
        fit, name = fit_probe(turned, axes.variance, task), CONTROL_METRIC[task.kind]
        control = point(METRICS[task.kind][name], task.labels[task.testing], fit.predictions)
        return replace(row, control=control, selectivity=row.scores[name].value - control)

    def best(self, features: Iterable[Feature]) -> Feature:
        """The feature with the highest score on the development part; the lower layer of equals."""
        return max(features, key=lambda feature: np.nan_to_num(self.rows[feature].development, nan=-np.inf))

    def difference(self, first: Feature, second: Feature) -> Difference:
        """Compare two features on the same resamples."""
        name = self._task.leading
        draws = self._draws[first] - self._draws[second]
        value = self.rows[first].scores[name].value - self.rows[second].scores[name].value
        return Difference(first, second, name, value, *interval(draws), two_sided(draws))

    def enough(self, layers: Iterable[Feature], best: Feature) -> Feature:
        """The first of `layers` that is not significantly worse than `best`."""
        return next(layer for layer in layers if layer == best or self.difference(best, layer).low <= 0)

    def majority(self) -> Mapping[str, float]:
        """Scores of answering the training part's most frequent class, or its mean, for every row."""
        known = self._task.labels[self._task.training]
        answer = np.bincount(known).argmax() if self._task.kind == "classification" else known.mean()
        constant = np.full_like(self.labels, answer)
        return {name: point(make, self.labels, constant) for name, make in METRICS[self._task.kind].items()}
