"""Multinomial logistic regression, all L2 strengths at once.

One product with the rows serves every strength: the weights of all strengths stand side by side, so the
rows are read once a step and the product is wide enough to run at the machine's full speed.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from layerwise.analysis.lbfgs import minimise

TOLERANCE = 1e-3
"""A strength is done when its preconditioned gradient fell to this share of the one at weights of 0.

Where a start is given, the share is multiplied by how far the loss fell on the way there: rows that
can be told apart have a small gradient long before the minimum, and other answers.
"""

COARSE = 1e-2
"""Enough to choose among strengths: scores are within 0.1 points of those at the minimum, mostly."""

BLOCK = 1_048_576
"""Logits held at once."""


def fit_logistic(
    rows: Float[Tensor, "rows rank"],
    labels: Int[Tensor, " rows"],
    classes: int,
    strengths: Sequence[float],
    variance: Float[Tensor, " rank"],
    tolerance: float = TOLERANCE,
    start: tuple[Float[Tensor, "strengths classes rank"], Float[Tensor, "strengths classes"]] | None = None,
) -> tuple[Float[Tensor, "strengths classes rank"], Float[Tensor, "strengths classes"]]:
    """Minimise mean cross-entropy + ½ · l2 · ‖W‖² for each l2 in `strengths`.

    The bias is not penalised. The problem is convex. L-BFGS runs for all strengths in step, on weights
    that are scaled by the root of the curvature that a bound on the Hessian gives each axis (Böhning 1992).

    Args:
        rows: on their principal axes.
        labels: class of each row, 0..classes-1.
        strengths: penalties l2, > 0.
        variance: of the rows along each axis.
        tolerance: how far the gradient has to fall, as a share of the one at weights of 0.
        start: weights and biases to begin at, instead of 0 and the classes' log frequencies; the result is closer
            to the minimum.

    Returns:
        Weights and biases of each strength.
    """
    penalty = torch.tensor(strengths, dtype=torch.float32)
    counts = torch.bincount(labels, minlength=classes).float()
    share = counts / counts.sum()
    curvature = max(float((share * (1 - share)).mean()), 1 / (len(rows) * classes))  # 0 of a single class
    scale = (curvature * variance + penalty[:, None]).rsqrt()[:, None, :]  # (strengths, 1, rank)
    bias_scale = curvature**-0.5
    weight = torch.zeros(len(strengths), classes, rows.shape[1])
    bias = (counts + 1).log().expand(len(strengths), -1)
    ones = torch.full_like(weight[..., :1], bias_scale)
    scales = torch.cat([scale.expand_as(weight), ones], dim=2)
    origin = torch.cat([weight, bias[..., None]], dim=2) / scales

    def evaluate(at: Tensor, which: Tensor) -> tuple[Tensor, Tensor]:
        loss, gradient = _loss(rows, labels, at * scales[which], penalty[which])
        return loss, gradient * scales[which]

    every = torch.arange(len(strengths))
    loss, gradient = evaluate(origin, every)
    goal = tolerance * gradient.flatten(1).norm(dim=1)
    point = origin
    if start is not None:
        point = torch.cat([start[0], start[1][..., None]], dim=2) / scales
        goal *= (evaluate(point, every)[0] / loss).clamp(max=1)
    best = minimise(evaluate, point, goal) * scales
    return best[..., :-1].contiguous(), best[..., -1].contiguous()


def _loss(rows: Tensor, labels: Tensor, weights: Tensor, penalty: Tensor) -> tuple[Tensor, Tensor]:
    """Loss (strengths,) and gradient of weights (strengths, classes, rank + 1), the bias last."""
    strengths, classes, _ = weights.shape
    flat = weights[..., :-1].reshape(strengths * classes, -1)
    bias = weights[..., -1].reshape(-1)
    loss = torch.zeros(strengths, dtype=torch.float64)
    gradient = torch.zeros_like(flat)
    bias_gradient = torch.zeros_like(bias)
    block = max(256, BLOCK // len(flat))
    for first in range(0, len(rows), block):
        part, right = rows[first : first + block], labels[first : first + block]
        logits = torch.addmm(bias, part, flat.T).view(-1, strengths, classes)
        log_sum = logits.logsumexp(2, keepdim=True)
        index = right[:, None, None].expand(-1, strengths, 1)
        loss += (log_sum - logits.gather(2, index)).sum((0, 2), dtype=torch.float64)
        error = logits.sub_(log_sum).exp_()
        error.scatter_add_(2, index, torch.full_like(log_sum, -1.0))
        error = error.view(len(part), -1)
        gradient.addmm_(error.T, part)
        bias_gradient += error.sum(0)
    count = len(rows)
    own = flat.view(strengths, classes, -1)
    total = (loss / count).float() + 0.5 * penalty * own.square().sum((1, 2))
    slope = gradient.view_as(own) / count + penalty[:, None, None] * own
    return total, torch.cat([slope, bias_gradient.view(strengths, classes, 1) / count], dim=2)
