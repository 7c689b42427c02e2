"""A scalar mix learned with a probe (Peters et al. 2018, section 3.2)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

MAX_STEPS = 100
Features = Callable[[Tensor], Tensor]


def learn_shares(
    layers: Float[Tensor, "layers vectors size"],
    labels: Tensor,
    classes: int,
    l2: float,
    features: Features,
) -> Float[Tensor, " layers"]:
    """Softmax weights of the layers, learned together with a linear probe on their sum.

    Layers should come at one scale, as a share means nothing otherwise. L-BFGS from equal shares; the
    problem is not convex in weights and probe together, so this is the minimum next to the mean.

    Args:
        layers: training rows, layer by layer.
        labels: (rows,) classes as int64, or numbers as float32 if `classes` is 0.
        l2: strength of the penalty on the probe, as in `fit_logistic`.
        features: from mixed vectors to what the probe sees (rows, width).
    """
    with torch.no_grad():
        start = features(layers.mean(0))
        mean, deviation = start.mean(0), start.std(0).clamp(min=1e-6)
        deviation = torch.where(deviation < 1e-3 * deviation.median(), torch.inf, deviation)
    values = labels if classes else (labels - labels.mean()) / labels.std()
    logits = torch.zeros(len(layers), requires_grad=True)
    weight = torch.zeros(start.shape[1], max(classes, 1), requires_grad=True)
    bias = torch.zeros(max(classes, 1), requires_grad=True)
    optimiser = torch.optim.LBFGS(
        [logits, weight, bias], max_iter=MAX_STEPS, history_size=20, line_search_fn="strong_wolfe"
    )

    def loss() -> Tensor:
        optimiser.zero_grad()
        mixed = torch.einsum("l,lvd->vd", logits.softmax(0), layers)
        found = (features(mixed) - mean) / deviation @ weight + bias
        error = (
            functional.cross_entropy(found, values)
            if classes
            else 0.5 * functional.mse_loss(found[:, 0], values)
        )
        total: Tensor = error + 0.5 * l2 * weight.square().sum()
        total.backward()  # type: ignore[no-untyped-call]
        return total

    optimiser.step(loss)  # type: ignore[no-untyped-call]
    return logits.detach().softmax(0)
