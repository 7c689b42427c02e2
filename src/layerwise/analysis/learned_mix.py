"""A scalar mix learned with a probe (Peters et al. 2018, section 3.2)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from layerwise.analysis.principal_axes import CONSTANT

PENALTIES = (1e-2, 1e-3, 1e-4)
"""Penalties on the squares of the weights before the softmax, the strongest first (Peters et al. 2018, section 5.1:
a strong one makes the mix an average, a weak one lets the weights vary)."""

WEAKEST = 1e-2
"""Weakest penalty on the probe: under a weaker one it makes up for any mix by large weights of its own."""

STEPS = 30
"""Steps of L-BFGS for one penalty, from where the one before ended."""

HELD_OUT = 5
"""One row in so many is held out."""

Features = Callable[[Tensor], Tensor]


def learn_shares(
    layers: Float[Tensor, "layers vectors size"],
    labels: Tensor,
    classes: int,
    strengths: Sequence[float],
    features: Features,
) -> Float[Tensor, " layers"]:
    """Softmax weights of the layers, learned together with a linear probe on their sum.

    The last fifth of the rows is held out, and decides twice. First on the L2 strength of the probe, which is
    fitted to the layers' mean: a probe that learns rows by heart would give the weight to the layer that is
    learned most easily. Then on how far the weights may leave the mean, from a strong penalty to weak ones. Where
    no mix predicts the held-out rows better than the mean, the shares are equal.

    The mix is kept at one variance, as a sum of layers that differ has less of it, and the penalty on the probe
    would favour one layer for that alone.

    Args:
        layers: training rows, layer by layer, of one scale, as a share means nothing otherwise.
        labels: (rows,) classes as int64, or numbers as float32 if `classes` is 0.
        strengths: penalties on the probe to choose from, as in `fit_logistic`.
        features: from mixed vectors to what the probe sees (rows, width).
    """
    count, number = len(labels) - len(labels) // HELD_OUT, len(layers)
    known, held_out = slice(count), slice(count, None)
    values = labels if classes else (labels - labels.mean()) / labels.std()
    products = _products(layers)
    equal = torch.full((number,), 1 / number)
    with torch.no_grad():
        start = features(layers.mean(0))
        mean, deviation = start.mean(0), start.std(0)
        deviation = torch.where(deviation <= CONSTANT * deviation.median(), torch.inf, deviation)
        start = (start - mean) / deviation
    logits = torch.zeros(number, requires_grad=True)
    weight = torch.zeros(start.shape[1], max(classes, 1), requires_grad=True)
    bias = torch.zeros(max(classes, 1), requires_grad=True)

    def of_the_mean() -> Tensor:
        return start @ weight + bias

    def of_the_mix() -> Tensor:
        shares = logits.softmax(0)
        scale = ((equal @ products @ equal) / (shares @ products @ shares)).sqrt()
        mixed = torch.einsum("l,lvd->vd", shares * scale, layers)
        return (features(mixed) - mean) / deviation @ weight + bias

    def error(answers: Tensor, rows: slice) -> Tensor:
        if classes:
            return functional.cross_entropy(answers[rows], values[rows])
        return 0.5 * functional.mse_loss(answers[rows, 0], values[rows])

    def descend(parameters: list[Tensor], answer: Callable[[], Tensor], l2: float, penalty: float) -> float:
        """Go on to the minimum; the error on the held-out rows there."""
        optimiser = torch.optim.LBFGS(
            parameters, max_iter=STEPS, history_size=20, line_search_fn="strong_wolfe"
        )

        def loss() -> Tensor:
            optimiser.zero_grad()
            total: Tensor = error(answer(), known) + 0.5 * l2 * weight.square().sum()
            total = total + penalty * logits.square().sum()
            total.backward()  # type: ignore[no-untyped-call]
            return total

        optimiser.step(loss)  # type: ignore[no-untyped-call]
        with torch.no_grad():
            return float(error(answer(), held_out))

    best, chosen, fitted = float("inf"), WEAKEST, (weight.detach().clone(), bias.detach().clone())
    for l2 in sorted({max(l2, WEAKEST) for l2 in strengths}, reverse=True):
        held = descend([weight, bias], of_the_mean, l2, 0.0)
        if not held < best:
            break
        best, chosen, fitted = held, l2, (weight.detach().clone(), bias.detach().clone())
    with torch.no_grad():
        weight.copy_(fitted[0])
        bias.copy_(fitted[1])
    shares = equal
    for penalty in PENALTIES:
        held = descend([logits, weight, bias], of_the_mix, chosen, penalty)
        if held < best:
            best, shares = held, logits.detach().softmax(0)
    return shares


def _products(layers: Float[Tensor, "layers vectors size"]) -> Float[Tensor, "layers layers"]:
    """Mean products of the layers' vectors about their means: the variance of a mix is shares @ this @ shares.

    Dimensions count alike, else the few that are far larger than the others would be all that is measured.
    """
    deviation = layers.mean(0).std(0)
    varying = deviation > CONSTANT * deviation.median()
    factor = torch.where(varying, 1 / deviation.masked_fill(~varying, 1.0).square(), 0.0)
    centred = [layer - layer.mean(0) for layer in layers]
    rows = [torch.stack([(one * other).mean(0) @ factor for other in centred]) for one in centred]
    return torch.stack(rows)
