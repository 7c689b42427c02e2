"""Online code length (Voita & Titov 2020, section 2.2): how few bits it takes to send the labels.

Sender and receiver have the vectors. The labels of the first rows are sent by a uniform code; each next
block by a probe trained on what is known so far. A layer from which little data already predicts well
gives a short code, so quality and effort of the probe are one number.
"""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from layerwise.analysis.logistic import TOLERANCE
from layerwise.analysis.probe import Task, fit_strengths

FRACTIONS = (0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.0625, 0.125, 0.25, 0.5, 1.0)
"""Shares of the training part at which the probe is trained anew (their appendix)."""

FEWEST = 16
"""No probe is trained on fewer rows."""

SMOOTHING = 1e-3
"""Share of a uniform code mixed in, so that a class not seen so far has a finite length."""


def code_length(rows: Float[Tensor, "rows rank"], variance: Float[Tensor, " rank"], task: Task) -> float:
    """Bits for the labels of the training part; L2 is chosen for each block on the development part.

    Args:
        rows: all parts, on principal axes; those of the training part in random order of their groups.
    """
    labels = torch.from_numpy(task.labels)
    ends = sorted({end for share in FRACTIONS if (end := int(share * task.train)) >= FEWEST} | {task.train})
    bits = ends[0] * math.log2(task.classes)
    developing, known = rows[task.developing], labels[task.developing]
    for first, after in pairwise(ends):
        # Bits are of probabilities, which are wrong by far more than the answers of a coarse fit.
        weights, biases = fit_strengths(rows[:first], task.labels[:first], variance, task, TOLERANCE)
        cost = [
            float(_bits(developing, known, weight, bias).mean())
            for weight, bias in zip(weights, biases, strict=True)
        ]
        best = int(np.argmin(cost))
        bits += float(_bits(rows[first:after], labels[first:after], weights[best], biases[best]).sum())
    return bits


def uniform_length(task: Task) -> float:
    """Bits for the same labels without looking at the vectors."""
    return task.train * math.log2(task.classes)


def _bits(rows: Tensor, labels: Tensor, weight: Tensor, bias: Tensor) -> Float[Tensor, " rows"]:
    share = torch.addmm(bias, rows, weight.T).double().softmax(1).gather(1, labels[:, None])[:, 0]
    return -((1 - SMOOTHING) * share + SMOOTHING / len(bias)).log2()
