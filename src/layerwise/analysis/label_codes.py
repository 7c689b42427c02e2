"""Labels as they come (strings, numbers, truth values) as numbers or as codes of classes."""

from __future__ import annotations

import re

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped
from numpy import ndarray

from layerwise.errors import LabelError

PLACEHOLDERS = 10
"""Fewer rows of -1 may come together by chance."""

MANY = 20
"""More different whole numbers than this are a quantity, not names of classes."""


def missing(labels: Shaped[ndarray, " rows"]) -> Bool[ndarray, " rows"]:
    """Which are none: null, NaN or empty."""
    return np.array([label is None or label != label or label == "" for label in labels], bool)


def equal_to(labels: Shaped[ndarray, " rows"], one: str) -> Bool[ndarray, " rows"]:
    """Which are `one`, as text or as a number: `-1` is also -1.0."""
    number = float(one) if _is_number(one) else None
    same = [
        str(label) == one or (number is not None and _is_number(label) and float(label) == number)
        for label in labels
    ]
    return np.array(same, bool)


def placeholder(labels: Shaped[ndarray, " rows"]) -> Bool[ndarray, " rows"]:
    """Rows of -1 that stand for "no label", as the Hub's copies of GLUE have them in the test part; or none.

    They are one run of rows, all other labels are numbers from 0 on, and these are not sorted: as a class or a
    quantity among others, -1 would not come so.
    """
    none = np.zeros(len(labels), bool)
    if not all(_is_number(label) for label in set(labels.tolist())):
        return none
    numbers = labels.astype(float)
    found, others = numbers == -1, numbers[numbers != -1]
    run = np.flatnonzero(found)
    if len(run) < PLACEHOLDERS or run[-1] - run[0] >= len(run) or not len(others) or others.min() < 0:
        return none
    changes = int((others[1:] != others[:-1]).sum())
    return found if changes >= len(np.unique(others)) else none


def is_quantity(labels: Shaped[ndarray, " rows"]) -> bool:
    """Whether labels are numbers of which some are not whole, or more than twenty differ.

    `0`, `1.0` or `"3"` of few kinds are names of classes; what is read from a table are strings.
    """
    different = set(labels.tolist())
    try:
        numbers = {float(one) for one in different if not isinstance(one, bool)}
    except (TypeError, ValueError):
        return False
    if len(numbers) < len({one for one in different if not isinstance(one, str)}) or not numbers:
        return False
    return any(number % 1 for number in numbers) or len(numbers) > MANY


def as_numbers(labels: Shaped[ndarray, " rows"], name: str) -> Float[ndarray, " rows"]:
    """float64 values.

    Raises:
        LabelError: one is no finite number, all are the same, or they spread too far or too little for float32.
    """
    try:
        numbers = np.array([float(one) for one in labels], np.float64)
    except (TypeError, ValueError):
        odd = next(one for one in labels if not _is_number(one))
        raise LabelError(
            f"the column {name!r} has {odd!r} in it, which is no number: pass --task classification, or correct it."
        ) from None
    if not np.isfinite(numbers).all():
        odd = labels[~np.isfinite(numbers)][0]
        raise LabelError(
            f"the column {name!r} has {odd!r} in it, which is no finite number: correct it, or leave such rows out "
            f"with --missing-label {odd}."
        )
    if (numbers == numbers[0]).all():
        raise LabelError(
            f"the column {name!r} is constant ({labels[0]} in every row): there is nothing to predict."
        )
    spread = float(np.abs(numbers / 2 - numbers[0] / 2).max())
    if not 1e-30 < spread < 1e30:
        raise LabelError(
            f"the numbers of the column {name!r} differ by {2 * spread:.0e} at most: scale them to be nearer to 1."
        )
    return numbers


def _is_number(value: object) -> bool:
    try:
        float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False
    return True


def as_classes(labels: Shaped[ndarray, " rows"], name: str) -> tuple[Int[ndarray, " rows"], tuple[str, ...]]:
    """Codes 0, 1, 2 …, and the names of the classes in natural order (`2` before `10`).

    Raises:
        LabelError: there is one class only.
    """
    names = [str(label) for label in labels]
    classes = sorted(set(names), key=_natural)
    if len(classes) == 1:
        raise LabelError(
            f"the column {name!r} is constant ({classes[0]!r} in every row): there is nothing to tell apart."
        )
    code = {one: number for number, one in enumerate(classes)}
    return np.array([code[one] for one in names], np.int64), tuple(classes)


def _natural(name: str) -> list[tuple[int, int, str]]:
    """Runs of digits by length, then as text: as numbers, however long they are."""
    parts = re.split(r"(\d+)", name)
    return [
        (0, len(part.lstrip("0")), part.lstrip("0")) if part.isdecimal() else (1, 0, part) for part in parts
    ]
