"""Numbers in sentences, and sentences that are said in several places."""

from __future__ import annotations

import math


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """`1 layer`, `1,200 layers`, `2 classes`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


NOTHING_MIXED = (
    "No mix of the layers predicted held-out rows better than their mean, so all shares are equal."
)


def without_nan(value: object) -> object:
    """NaN and infinity have no place in JSON: null instead."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: without_nan(item) for key, item in value.items()}
    return [without_nan(item) for item in value] if isinstance(value, list | tuple) else value
