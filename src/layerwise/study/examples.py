"""Test rows that the best layer gets right and the last one wrong."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int
from numpy import ndarray

from layerwise.reports.probing import Example
from layerwise.study.arranged import Arranged
from layerwise.study.context import in_context

SHOWN = 12


def telling_examples(
    rows: Arranged,
    test: slice,
    best: Int[ndarray, " test"],
    last: Int[ndarray, " test"],
    seed: int,
) -> tuple[Example, ...]:
    """A random dozen of them, in order of the store.

    Args:
        test: where the test part is among the arranged rows.
        best, last: what the probes on these layers answer, as codes of classes.
    """
    found = rows.found.only(np.arange(len(rows.found))[test])
    telling = np.flatnonzero((best == found.labels) & (last != found.labels))
    chosen = np.random.default_rng(seed).permutation(telling)[:SHOWN]
    examples = []
    for place in chosen[np.argsort(found.rows[chosen])].tolist():
        unit = in_context(rows.store, int(found.rows[place]))
        context = unit.context
        if found.partners is not None:
            context += " ‖ " + in_context(rows.store, int(found.partners[place])).surface
        named = (found.classes[code] for code in (found.labels[place], best[place], last[place]))
        examples.append(Example(unit.text_id, unit.unit_id, unit.surface, context, *named))
    return tuple(examples)
