"""Layers put together for a probe: their mean, a learned scalar mix, their concatenation.

One pass over the layers collects the mean and a sample of training rows, from which the mix is
learned; a pass each then builds the concatenation and the mix of all rows. No two layers are held at once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from layerwise.analysis.learned_mix import learn_shares
from layerwise.analysis.principal_axes import CONSTANT, PrincipalAxes
from layerwise.analysis.probe import Task
from layerwise.reports.probing import ScalarMix
from layerwise.store.reader import Name
from layerwise.study.arranged import Arranged

SAMPLE_VALUES = 1 << 25
"""Numbers in the sample, all layers together (128 MB)."""

CONCAT_VALUES = 96_000_000
"""Numbers in the concatenation (384 MB); if it has more, it is reduced to principal components."""

CONCAT_AXES = 2_048
"""Most components of a reduced concatenation, and width above which it is reduced."""

AXES_ROWS = 4_096
"""Rows of the sample that principal components are found from."""


class Mixtures:
    """What is known of the layers so far.

    Use: `see` each layer in order, then `mean`, `learn`, `concat`, `scalar`.
    """

    def __init__(self, rows: Arranged, task: Task, layers: Sequence[Name]) -> None:
        self._rows, self._task, self._layers = rows, task, tuple(layers)
        self._sum: Tensor | None = None
        self._sample: Tensor | None = None
        self._scales: list[float] = []
        self._shares: Float[Tensor, " layers"]

    def see(self, vectors: Float[Tensor, "vectors size"]) -> None:
        """Take a layer into the mean, and its training rows into the sample at scale 1."""
        each = 1 if self._rows.found.partners is None else 2
        if self._sum is None or self._sample is None:
            self._sum = torch.zeros_like(vectors)
            fit = max(1, SAMPLE_VALUES // (each * len(self._layers) * vectors.shape[1]))
            count = min(self._task.train, fit)
            self._sample = torch.empty(len(self._layers), each * count, vectors.shape[1])
        self._sum += vectors
        own = self._sample[len(self._scales)]
        count = len(own) // each
        for member, part in enumerate(vectors.chunk(each)):
            own[member * count : (member + 1) * count] = part[:count]
        self._scales.append(_scale(own))
        own *= self._scales[-1]

    def mean(self) -> Float[Tensor, "rows width"]:
        """Features of the layers' mean, unscaled, as `mix="mean"` makes it. The sum is given up."""
        assert self._sum is not None
        mean, self._sum = self._sum.div_(len(self._layers)), None
        return self._rows.features(mean)

    def learn(self) -> ScalarMix:
        """Learn the scalar mix on the sample."""
        assert self._sample is not None
        task = self._task
        count = self._sample.shape[1] // (1 if self._rows.found.partners is None else 2)
        labels = torch.from_numpy(task.labels[:count])
        self._shares = learn_shares(self._sample, labels, task.classes, task.strengths, self._rows.features)
        unscaled = self._shares * torch.tensor(self._scales)
        gamma = float(unscaled.sum().clamp(min=1e-30))
        return ScalarMix(
            layers=self._layers,
            shares=tuple(self._shares.tolist()),
            weights=tuple((unscaled / gamma).clamp(min=1e-30).log().tolist()),
            gamma=gamma,
            rows=count,
        )

    def concat(self) -> tuple[Float[Tensor, "rows width"], str]:
        """Features of the concatenation, and a note if it was reduced. The sample is given up."""
        assert self._sample is not None
        rows, task = self._rows, self._task
        width = rows.features(self._sample[0]).shape[1]
        reduced = self._axes(width)
        self._sample = None
        vectors: Tensor | None = None
        joined = torch.zeros(len(rows.found), reduced.axes.shape[1] if reduced else width * len(self._layers))
        for number, (layer, scale) in enumerate(zip(self._layers, self._scales, strict=True)):
            vectors = rows.read(layer, vectors).mul_(scale)
            features, own = rows.features(vectors), slice(number * width, (number + 1) * width)
            if reduced is None:
                joined[:, own] = features
                continue
            for first in range(0, len(features), AXES_ROWS):
                part = (features[first : first + AXES_ROWS] - reduced.mean[own]).mul_(reduced.scale[own])
                joined[first : first + AXES_ROWS].addmm_(part, reduced.axes[own])
        if reduced is None:
            return joined, ""
        share = float(joined[task.training].var(0).sum()) / reduced.total
        note = (
            f"The concatenation ({width * len(self._layers):,} dimensions) was probed on its first "
            f"{joined.shape[1]:,} principal components, which hold {share:.1%} of its variance."
        )
        return joined, note

    def scalar(self) -> Float[Tensor, "rows width"]:
        """Features of the learned mix."""
        scaled = (self._shares * torch.tensor(self._scales)).tolist()
        return self._rows.features(self._rows.mix(dict(zip(self._layers, scaled, strict=True))))

    def _axes(self, width: int) -> PrincipalAxes | None:
        """Principal axes of the concatenation if it is too large to be probed as it is."""
        rows, total = len(self._rows.found), width * len(self._layers)
        if rows * total <= CONCAT_VALUES and min(self._task.train, total) <= CONCAT_AXES * 2:
            return None
        assert self._sample is not None
        pair = self._rows.found.partners is not None
        parts = []
        for layer in self._sample:
            some = torch.cat([half[:AXES_ROWS] for half in layer.chunk(2)]) if pair else layer[:AXES_ROWS]
            parts.append(self._rows.features(some))
        return PrincipalAxes.fit(torch.cat(parts, 1), min(CONCAT_AXES, CONCAT_VALUES // rows))


def _scale(vectors: Float[Tensor, "vectors size"]) -> float:
    """What makes a layer as large as others: 1 / (typical deviation of a dimension · √size), 0 if none varies.

    The median deviation is not moved by the few dimensions of massive activations (Sun et al. 2024), which the
    norm would measure and nothing else.
    """
    deviations = vectors.double().std(0)
    varying = deviations[deviations > CONSTANT * deviations.median()]
    typical = float(varying.median()) if len(varying) else 0.0
    return 1 / (typical * math.sqrt(vectors.shape[1])) if typical else 0.0


def mean_mix(mixes: Sequence[ScalarMix]) -> ScalarMix:
    """The mean of the mixes that several folds learned."""
    scaled = [mix.gamma * torch.tensor(mix.weights).softmax(0) for mix in mixes]
    unscaled = torch.stack(scaled).mean(0)
    shares = torch.tensor([mix.shares for mix in mixes]).mean(0)
    gamma = float(unscaled.sum())
    return ScalarMix(
        layers=mixes[0].layers,
        shares=tuple(shares.tolist()),
        weights=tuple((unscaled / gamma).clamp(min=1e-30).log().tolist()),
        gamma=gamma,
        rows=min(mix.rows for mix in mixes),
    )
