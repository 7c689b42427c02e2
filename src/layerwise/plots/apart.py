"""Marks that would lie on each other, moved apart."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from numpy import ndarray

ROUNDS = 1_000

STEP = 0.1
"""Share of an overlap that a round takes away: small, so that a crowd does not fly apart."""


def apart(
    places: Float[ndarray, "marks 2"], radii: Float[ndarray, " marks"], size: tuple[float, float]
) -> Float[ndarray, "marks 2"]:
    """Where round marks go so that none lies on another; those that have room stay.

    Pairs that overlap are pushed apart a little each round, until none does. The same places give the same
    answer.

    Args:
        places, radii, size: in one unit; marks stay within (0, 0) and `size` as far as they began there.
    """
    low = np.minimum(places, radii[:, None])
    high = np.maximum(places, np.array(size) - radii[:, None])
    moved = places.astype(float)
    turns = 2.399963 * np.arange(len(places))  # the golden angle: no two marks start in the same direction
    away = np.stack([np.cos(turns), np.sin(turns)], axis=1)
    wanted = radii[:, None] + radii[None, :]
    np.fill_diagonal(wanted, 0.0)
    for turn in range(ROUNDS):
        between = moved[:, None] - moved[None, :]
        far = np.linalg.norm(between, axis=2)
        missing = np.maximum(wanted - far, 0.0)
        if (missing <= 0.01 * wanted).all():
            break
        if not turn:  # out of the line that they may stand on, along which there is little room
            moved = moved + away * np.where(missing.any(axis=1), 0.1 * radii, 0.0)[:, None]
            continue
        direction = between / np.maximum(far, 1e-9)[:, :, None]
        moved = moved + (direction * missing[:, :, None]).sum(1) * STEP
        moved = np.clip(moved, low, high)
    return moved
