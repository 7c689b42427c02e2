"""Control tasks (Hewitt & Liang 2019): can a probe learn labels that mean nothing?

Every word type gets one label at random. A probe that scores high on them remembers words; the
difference of its score on the real task is its selectivity.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Int, Shaped
from numpy import ndarray


def control_labels(
    types: Int[ndarray, " rows"], labels: Shaped[ndarray, " rows"], seed: int
) -> ndarray[Any, Any]:
    """A label for each row that depends on its word type alone, drawn as often as `labels` has it.

    Args:
        types: word type of each row, 0, 1, 2 … in an order that does not depend on that of the rows.
        labels: of the real task: classes, or numbers.
    """
    random = np.random.default_rng(seed)
    drawn: ndarray[Any, Any] = random.choice(np.sort(labels), int(types.max(initial=-1)) + 1)[types]
    return drawn
