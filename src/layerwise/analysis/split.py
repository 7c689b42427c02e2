"""Training, development and test parts; a group is never in two of them."""

from __future__ import annotations

import re

import numpy as np
from jaxtyping import Int
from numpy import ndarray

TRAIN, DEVELOPMENT, TEST = range(3)
NAMES = ("train", "development", "test")

PATTERN = (TRAIN, TRAIN, TRAIN, DEVELOPMENT, TEST)
"""Of each five groups, three are for training."""

CUT = (TRAIN, TRAIN, TRAIN, TRAIN, DEVELOPMENT)
"""What a given training part is cut into if no development part is given."""


SPELLINGS = {
    "train": TRAIN,
    "training": TRAIN,
    "dev": DEVELOPMENT,
    "development": DEVELOPMENT,
    "val": DEVELOPMENT,
    "valid": DEVELOPMENT,
    "validation": DEVELOPMENT,
    "test": TEST,
    "testing": TEST,
    "testa": DEVELOPMENT,  # as CoNLL-2002 and 2003 name their files
    "testb": TEST,
    "devtest": TEST,  # FLORES
}
"""What the value of a split column may be, or have in it as a word (`en_ewt-ud-train.conllu`)."""


def part_in(value: object) -> int | None:
    """The part that a value names, as a word of it; None if it names none, or several."""
    words = re.findall(r"[a-z]+", str(value).lower())
    if words == ["trial"]:  # of SemEval; elsewhere trials are medical, say
        return DEVELOPMENT
    found = {SPELLINGS[word] for word in words if word in SPELLINGS}
    return found.pop() if len(found) == 1 else None


def draw_parts(
    groups: Int[ndarray, " rows"],
    strata: Int[ndarray, " groups"],
    seed: int,
    pattern: tuple[int, ...] = PATTERN,
) -> Int[ndarray, " rows"]:
    """The part of each row.

    Groups are shuffled, sorted by stratum (stably), and each run of `len(pattern)` gets the parts of
    the pattern in random order: so each stratum is spread evenly, as far as its size allows.

    Args:
        groups: group of each row, 0, 1, 2 …
        strata: of each group: its class where all rows have one, a bin of its value, or 0.
    """
    random = np.random.default_rng(seed)
    count = len(strata)
    order = random.permutation(count)
    order = order[np.argsort(strata[order], kind="stable")]
    parts = np.concatenate([random.permutation(pattern) for _ in range(0, count, len(pattern))])[:count]
    of_group = np.empty(count, np.int64)
    of_group[order] = parts
    of_row: ndarray = of_group[groups]
    return of_row
