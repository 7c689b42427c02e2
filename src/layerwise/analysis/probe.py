"""One linear probe: fitted on the training part, its L2 strength chosen on the development part."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int, Shaped
from numpy import ndarray
from torch import Tensor

from layerwise.analysis import scores
from layerwise.analysis.logistic import COARSE, fit_logistic
from layerwise.analysis.resampling import Metric
from layerwise.analysis.ridge import fit_ridge

STRENGTHS = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0)

MakeMetric = Callable[[ndarray, ndarray, ndarray], Metric]

METRICS: Mapping[str, Mapping[str, MakeMetric]] = {
    "classification": {"macro_f1": scores.macro_f1, "accuracy": scores.accuracy},
    "regression": {"spearman": scores.spearman, "r2": scores.r_squared},
    "similarity": {"spearman": scores.spearman, "pearson": scores.pearson},
}
"""Task to its metrics, the leading one first: by it layers are chosen, and strengths of classifiers."""

BEYOND_GUESSING: Mapping[str, MakeMetric] = {
    "classification": scores.kappa,
    "regression": scores.spearman,
}
"""Task to a metric that is 0 where answers have nothing to do with the labels, however these are distributed."""

CONTROL_METRIC = {"classification": "accuracy", "regression": "spearman"}
"""By which selectivity is measured (Hewitt & Liang 2019 use accuracy)."""


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be predicted. Rows stand in the order training, development, test part.

    Attributes:
        kind: `"classification"` or `"regression"`.
        labels: (rows,) classes 0, 1, 2 … as int64, or numbers as float32.
        classes: number of classes; 0 in regression.
        train, development: number of rows of these parts.
        strengths: the L2 strengths to choose from.
    """

    kind: str
    labels: Shaped[ndarray, " rows"]
    classes: int
    train: int
    development: int
    strengths: tuple[float, ...] = STRENGTHS

    @property
    def training(self) -> slice:
        """Rows of the training part."""
        return slice(0, self.train)

    @property
    def developing(self) -> slice:
        """Rows of the development part."""
        return slice(self.train, self.train + self.development)

    @property
    def testing(self) -> slice:
        """Rows of the test part."""
        return slice(self.train + self.development, None)

    @property
    def leading(self) -> str:
        """The metric by which strengths and layers are chosen."""
        return next(iter(METRICS[self.kind]))


@dataclass(frozen=True, slots=True)
class Fit:
    """A fitted probe.

    Attributes:
        l2: the strength chosen.
        development: leading metric on the development part.
        predictions: (test rows,) classes, or numbers.
        weight, bias: (classes, size) and (classes,) on the axes of the features.
    """

    l2: float
    development: float
    predictions: Shaped[ndarray, " test"]
    weight: Float[Tensor, "classes rank"]
    bias: Float[Tensor, " classes"]


def fit_probe(
    rows: Float[Tensor, "rows rank"], variance: Float[Tensor, " rank"], task: Task, *, exact: bool = True
) -> Fit:
    """Fit every strength on the training part and take the best on the development part.

    Of classes the leading metric decides, and between equals the log loss; of numbers the squared error, as a
    rank correlation does not see how far a probe is shrunk. Logistic probes are fitted coarsely to be compared;
    the one chosen goes on to its minimum.

    Args:
        rows: all parts, on principal axes of the training part.
        variance: of the training part along each axis.
        exact: whether the one chosen goes on; the scores of the coarse fit are within 0.1 points, mostly.
    """
    weights, biases = fit_strengths(rows[task.training], task.labels[task.training], variance, task)
    labels = task.labels[task.developing]
    reached = [
        _merit(torch.addmm(bias, rows[task.developing], weight.T), labels, task)
        for weight, bias in zip(weights, biases, strict=True)
    ]
    chosen = max(range(len(reached)), key=lambda number: (*reached[number], task.strengths[number]))
    weight, bias = weights[chosen], biases[chosen]
    if exact:
        weight, bias = finish(rows, weight, bias, task, variance, task.strengths[chosen])
    return Fit(
        task.strengths[chosen],
        point(METRICS[task.kind][task.leading], labels, predict(rows[task.developing], weight, bias, task)),
        predict(rows[task.testing], weight, bias, task),
        weight,
        bias,
    )


def _merit(answers: Tensor, labels: Shaped[ndarray, " rows"], task: Task) -> tuple[float, float]:
    """By what strengths are compared, the more the better."""
    known = torch.from_numpy(labels)
    if task.kind == "regression":
        return -float((answers[:, 0] - known).double().square().mean()), 0.0
    score = point(METRICS[task.kind][task.leading], labels, answers.argmax(1).numpy())
    return score, -float(torch.nn.functional.cross_entropy(answers.double(), known))


def finish(
    rows: Tensor, weight: Tensor, bias: Tensor, task: Task, variance: Tensor, l2: float
) -> tuple[Float[Tensor, "classes rank"], Float[Tensor, " classes"]]:
    """A probe that `fit_strengths` fitted, at its minimum: ridge is there already, logistic ones go on.

    They go on for `lbfgs.MAX_STEPS` steps at most, which a weak penalty may use up shortly before it.
    """
    if task.kind == "regression":
        return weight, bias
    known = torch.from_numpy(task.labels[task.training])
    fine = fit_logistic(
        rows[task.training], known, task.classes, (l2,), variance, start=(weight[None], bias[None])
    )
    return fine[0][0], fine[1][0]


def fit_strengths(
    rows: Float[Tensor, "rows rank"],
    labels: Shaped[ndarray, " rows"],
    variance: Tensor,
    task: Task,
    tolerance: float = COARSE,
) -> tuple[Float[Tensor, "strengths classes rank"], Float[Tensor, "strengths classes"]]:
    """Weights and biases of every strength; logistic ones near their minimum only, see `finish`."""
    target = torch.from_numpy(labels)
    if task.kind == "regression":
        return fit_ridge(rows, target, task.strengths, variance)
    return fit_logistic(rows, target, task.classes, task.strengths, variance, tolerance)


def predict(rows: Tensor, weight: Tensor, bias: Tensor, task: Task) -> Shaped[ndarray, " rows"]:
    """Classes, or numbers, that a probe gives rows."""
    found = torch.addmm(bias, rows, weight.T)
    return (found[:, 0] if task.kind == "regression" else found.argmax(1)).numpy()


def point(
    metric: MakeMetric, labels: ndarray, predictions: ndarray, groups: Int[ndarray, " rows"] | None = None
) -> float:
    """A metric with every row counted once."""
    own = np.zeros(len(labels), np.int64) if groups is None else groups
    return float(metric(labels, predictions, own)(np.ones((1, int(own.max()) + 1), np.float32))[0])
