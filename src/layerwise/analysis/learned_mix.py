"""A scalar mix learned with a probe (Peters et al. 2018, section 3.2)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

ROUNDS, STEPS = 40, 4
"""At most so many rounds of so many steps; after each, the held-out rows are looked at."""

PATIENCE = 4
"""Rounds without progress on the held-out rows after which learning ends."""

HELD_OUT = 5
"""One row in so many is held out."""

Features = Callable[[Tensor], Tensor]


def learn_shares(
    layers: Float[Tensor, "layers vectors size"],
    labels: Tensor,
    classes: int,
    l2: float,
    features: Features,
) -> Float[Tensor, " layers"]:
    """Softmax weights of the layers, learned together with a linear probe on their sum.

    Layers should come at one scale, as a share means nothing otherwise. The probe is fitted to the
    layers' mean first; then probe and weights go on together, from equal weights, until the last fifth of
    the rows is predicted no better. Without that end the weights would go to the layer whose
    vectors are remembered best, not to those that predict.

    Args:
        layers: training rows, layer by layer.
        labels: (rows,) classes as int64, or numbers as float32 if `classes` is 0.
        l2: strength of the penalty on the probe, as in `fit_logistic`.
        features: from mixed vectors to what the probe sees (rows, width).
    """
    count = len(labels) - len(labels) // HELD_OUT
    values = labels if classes else (labels - labels.mean()) / labels.std()
    with torch.no_grad():
        start = features(layers.mean(0))
        mean, deviation = start.mean(0), start.std(0)
        deviation = torch.where(deviation <= 1e-3 * deviation.median(), torch.inf, deviation)
    logits = torch.zeros(len(layers), requires_grad=True)
    weight = torch.zeros(start.shape[1], max(classes, 1), requires_grad=True)
    bias = torch.zeros(max(classes, 1), requires_grad=True)
    del start

    def error(rows: slice) -> Tensor:
        mixed = torch.einsum("l,lvd->vd", logits.softmax(0), layers)
        found = (features(mixed)[rows] - mean) / deviation @ weight + bias
        if classes:
            return functional.cross_entropy(found, values[rows])
        return 0.5 * functional.mse_loss(found[:, 0], values[rows])

    def descend(parameters: list[Tensor], steps: int) -> Callable[[], None]:
        optimiser = torch.optim.LBFGS(
            parameters, max_iter=steps, history_size=20, line_search_fn="strong_wolfe"
        )

        def loss() -> Tensor:
            optimiser.zero_grad()
            total: Tensor = error(slice(count)) + 0.5 * l2 * weight.square().sum()
            total.backward()  # type: ignore[no-untyped-call]
            return total

        return lambda: optimiser.step(loss)  # type: ignore[no-untyped-call]

    descend([weight, bias], ROUNDS)()
    go_on = descend([logits, weight, bias], STEPS)
    best, shares, waited = float("inf"), logits.detach().softmax(0), 0
    for _ in range(ROUNDS):
        with torch.no_grad():
            held = float(error(slice(count, None)))
        waited = 0 if held < best else waited + 1
        if held < best:
            best, shares = held, logits.detach().softmax(0)
        if waited == PATIENCE:
            break
        go_on()
    return shares
