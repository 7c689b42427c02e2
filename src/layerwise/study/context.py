"""A row of a store with the units around it."""

from __future__ import annotations

from dataclasses import dataclass

from layerwise.store.reader import Store

AROUND = 5
"""Units shown on each side."""


@dataclass(frozen=True, slots=True)
class InContext:
    """A unit, where it is, its surroundings within its text, and where in these it begins."""

    text_id: int
    unit_id: int
    surface: str
    context: str
    start: int


def in_context(store: Store, row: int) -> InContext:
    """Read a row and its neighbours; units that do not touch have a space between them."""
    around = range(max(0, row - AROUND), min(len(store), row + AROUND + 1))
    rows = store.take(around, ["text_id", "unit_id", "unit", "start", "end"]).to_pylist()
    own = rows[row - around.start]
    context, reached, start = "", 0, 0
    for other in rows:
        if other["text_id"] != own["text_id"] or (store.unit == "text" and other is not own):
            continue  # the two texts of a pair have one number
        context += " " if context and other["start"] != reached else ""
        start = len(context) if other is own else start
        context, reached = context + other["unit"], other["end"]
    return InContext(own["text_id"], own["unit_id"], own["unit"], context, start)
