"""What `layerwise probe` finds: scores of layers, how sure they are, and which layer to take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

EVEN = 1e-6
"""Shares of a mix that differ by less are equal: float32 has hardly more digits."""

Feature = int | str
"""What a row of the table was probed on: a layer (number or `"final"`), `"mean"`, `"concat"`, `"scalar"`."""


@dataclass(frozen=True, slots=True)
class Score:
    """A value with its 95 % interval, from a bootstrap over groups of the test part."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class FeatureScore:
    """One row of the table.

    Attributes:
        feature: what was probed.
        scores: metric to its value on the test part.
        development: the leading metric on the development part, by which L2 and the best layer are chosen.
        l2: the strength chosen (penalty ½ · l2 · ‖W‖² beside the mean loss, standardised features);
            None where nothing is trained.
        control: the control task's score on the test part (accuracy, or Spearman); None if it was not run.
        selectivity: the same metric of the task itself, minus `control` (Hewitt & Liang 2019).
        code_length: online code length of the training part, in bits; None if it was not asked for.
        compression: length of the uniform code divided by `code_length` (Voita & Titov 2020).
    """

    feature: Feature
    scores: Mapping[str, Score]
    development: float
    l2: float | None
    control: float | None = None
    selectivity: float | None = None
    code_length: float | None = None
    compression: float | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """Two features of the table compared on the same test rows, by a bootstrap over groups.

    Attributes:
        first, second: the features.
        metric: what is compared.
        value, low, high: score of `first` minus score of `second`, and its 95 % interval.
        p: two-sided p-value of "no difference".
    """

    first: Feature
    second: Feature
    metric: str
    value: float
    low: float
    high: float
    p: float


@dataclass(frozen=True, slots=True)
class ScalarMix:
    """The learned scalar mix (Peters et al. 2018).

    Attributes:
        layers: the layers mixed.
        shares: softmax weight of each, after every layer was scaled to the same deviation of a typical (the
            median) dimension. All are equal where no mix predicted held-out rows better than the mean.
        weights, gamma: the same mix of unscaled layers, as `extract --mix scalar --mix-weights` takes it
            (weights before the softmax).
        rows: training rows that it was learned on.
    """

    layers: tuple[Feature, ...]
    shares: tuple[float, ...]
    weights: tuple[float, ...]
    gamma: float
    rows: int

    @property
    def even(self) -> bool:
        """Whether all shares are equal: nothing was learned."""
        return max(self.shares) - min(self.shares) < EVEN


@dataclass(frozen=True, slots=True)
class Part:
    """Size of the training, development or test part."""

    name: str
    rows: int
    groups: int


@dataclass(frozen=True, slots=True)
class Example:
    """A test row with what two layers made of it.

    Attributes:
        text_id, unit_id: where it is in the store.
        surface: the unit; context: the units around it; start: where in these it begins.
        label: what is right; best, last: what the best and the last layer's probes said.
    """

    text_id: int
    unit_id: int
    surface: str
    context: str
    start: int
    label: str
    best: str
    last: str


@dataclass(frozen=True, slots=True)
class ProbeReport:
    """What `layerwise probe` finds.

    Attributes:
        store: path of the store; model: the name of its model.
        label: the column probed; task: `classification`, `regression` or `similarity`.
        unit: what a row is.
        metrics: those of the table, the leading one first.
        classes: class to its number of rows (classification).
        folds: how many times the rows were divided; each row is in at most one test part.
        parts: training, development and test part; of several folds the first's, and the test rows of all.
        table: a row a feature: the layers in order, then `mean`, `concat`, `scalar`.
        majority: scores of answering the most frequent class of the training part (its mean, in regression).
        best: the layer with the highest score on the development part.
        last: the last layer.
        enough: the lowest layer that is not significantly worse than `best`: cheaper, and not proven to be as
            good; `best_against_enough` says by how much it may be worse.
        beyond_guessing: of the layer that is best on the development part (of several folds, each one's own): Cohen's
            κ on the test part, or Spearman's correlation of numbers. Answers that have nothing to do with the labels
            have 0.
        best_against_last, best_against_enough: paired comparisons on the test part.
        scalar_mix: the learned mix, if several layers are there.
        confusion: rows of the test part by (right class, the best layer's answer); empty in regression.
        examples: rows that the best layer gets right and the last one wrong.
        control: what the control task was; empty if there was none, `notes` say why.
        seed: what splits, bootstrap and control were drawn with.
        seconds: of the whole run.
        notes: what a reader should know before trusting the numbers, a sentence each.
        metadata: the store's document.
        versions: of what computed this.
    """

    store: str
    model: str
    label: str
    task: str
    unit: str
    metrics: tuple[str, ...]
    classes: Mapping[str, int]
    folds: int
    parts: tuple[Part, ...]
    table: tuple[FeatureScore, ...]
    majority: Mapping[str, float]
    best: Feature
    last: Feature
    enough: Feature
    beyond_guessing: Score
    best_against_last: Difference | None
    best_against_enough: Difference | None
    scalar_mix: ScalarMix | None
    confusion: tuple[tuple[int, ...], ...]
    examples: tuple[Example, ...]
    control: str
    seed: int
    seconds: float
    notes: tuple[str, ...]
    metadata: Mapping[str, Any]
    versions: Mapping[str, str]

    def row(self, feature: Feature) -> FeatureScore:
        """The row of the table for a feature."""
        return next(row for row in self.table if row.feature == feature)

    def to_dict(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return asdict(self)
