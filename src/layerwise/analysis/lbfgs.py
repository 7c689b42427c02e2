"""L-BFGS for many small problems in step, each with its own step sizes; those that are done drop out."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor

MAX_STEPS = 200
HISTORY = 10
DECREASE = 1e-4
"""Share of the promised descent that a step has to bring (Armijo)."""

ROUNDING = 1e-7
"""Share of the loss below which float32 tells nothing."""

Points = Float[Tensor, "problems *shape"]
Evaluate = Callable[[Tensor, Int[Tensor, " problems"]], tuple[Tensor, Tensor]]
"""(points, which problems they belong to) to losses (problems,) and gradients (problems, *shape)."""


def minimise(evaluate: Evaluate, start: Points, goal: Float[Tensor, " problems"]) -> Points:
    """Minimise each problem along the first axis (Nocedal & Wright 2006, algorithms 3.1 and 7.5).

    A problem is done when the norm of its gradient fell to its `goal`, or when float32 sees no further
    descent; none takes more than `MAX_STEPS` steps.
    """
    result, point = start.clone(), start
    active = torch.arange(len(start))
    loss, gradient = evaluate(point, active)
    past: list[tuple[Tensor, Tensor, Tensor]] = []
    for step in range(MAX_STEPS):
        going = _norm(gradient) > goal
        result[active] = point
        if not going.all():
            active, point, loss, gradient, goal = (x[going] for x in (active, point, loss, gradient, goal))
            past = [(change[going], turn[going], rate[going]) for change, turn, rate in past]
        if not len(active):
            break
        direction = -_two_loops(gradient, past)
        size = torch.ones(len(active)) if step else (1 / _norm(gradient)).clamp(max=1.0)
        moved, new_loss, new_gradient = _search(evaluate, active, point, direction, loss, gradient, size)
        change, turn = moved - point, new_gradient - gradient
        curved = _dot(change, turn)
        past.append((change, turn, torch.where(curved > 0, 1 / curved, 0.0)))
        del past[:-HISTORY]
        goal = torch.where(new_loss < loss, goal, torch.inf)
        better = _wide(new_loss < loss, point)
        point, gradient = torch.where(better, moved, point), torch.where(better, new_gradient, gradient)
        loss = torch.minimum(loss, new_loss)
    result[active] = point
    return result


def _search(
    evaluate: Evaluate,
    active: Tensor,
    point: Tensor,
    direction: Tensor,
    loss: Tensor,
    gradient: Tensor,
    size: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """Backtracking, each problem with a step of its own: (point, loss, gradient)."""
    slope = _dot(direction, gradient)
    moved = point + _wide(size, point) * direction
    new_loss, new_gradient = evaluate(moved, active)
    for _ in range(20):
        enough = loss + DECREASE * size * slope + ROUNDING * loss.abs()
        bad = (~(new_loss <= enough)).nonzero().flatten()
        if not len(bad):
            break
        size[bad] *= 0.3
        moved[bad] = point[bad] + _wide(size[bad], point) * direction[bad]
        new_loss[bad], new_gradient[bad] = evaluate(moved[bad], active[bad])
    return moved, new_loss, new_gradient


def _two_loops(gradient: Tensor, past: list[tuple[Tensor, Tensor, Tensor]]) -> Tensor:
    """The inverse Hessian's approximation times the gradient."""
    direction = gradient.clone()
    alphas = []
    for change, turn, rate in reversed(past):
        alpha = rate * _dot(change, direction)
        direction -= _wide(alpha, direction) * turn
        alphas.append(alpha)
    if past:
        _, turn, rate = past[-1]
        square = rate * _dot(turn, turn)
        direction *= _wide(torch.where(square > 0, 1 / square, 1.0), direction)
    for (change, turn, rate), alpha in zip(past, reversed(alphas), strict=True):
        direction += _wide(alpha - rate * _dot(turn, direction), direction) * change
    return direction


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).flatten(1).sum(1)


def _norm(a: Tensor) -> Tensor:
    return _dot(a, a).sqrt()


def _wide(per_problem: Tensor, like: Tensor) -> Tensor:
    return per_problem.view(-1, *[1] * (like.dim() - 1))
