"""Test rows that the best layer gets right and the last one wrong."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int
from numpy import ndarray

from layerwise.reports.probing import Example
from layerwise.store.reader import Store
from layerwise.study.context import in_context
from layerwise.study.labels import Labelled

SHOWN = 12


def telling_examples(
    store: Store,
    tested: Labelled,
    best: Int[ndarray, " tested"],
    last: Int[ndarray, " tested"],
    seed: int,
) -> tuple[Example, ...]:
    """A random dozen of them, in order of the store.

    Args:
        tested: the rows of the test part.
        best, last: what the probes on these layers answer, as codes of classes.
    """
    telling = np.flatnonzero((best == tested.labels) & (last != tested.labels))
    chosen = np.random.default_rng(seed).permutation(telling)[:SHOWN]
    examples = []
    for place in chosen[np.argsort(tested.rows[chosen])].tolist():
        unit = in_context(store, int(tested.rows[place]))
        context = unit.context
        if tested.partners is not None:
            context += " ‖ " + in_context(store, int(tested.partners[place])).surface
        named = (tested.classes[code] for code in (tested.labels[place], best[place], last[place]))
        examples.append(Example(unit.text_id, unit.unit_id, unit.surface, context, unit.start, *named))
    return tuple(examples)
