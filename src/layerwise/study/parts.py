"""Which labelled rows train, develop and test: as a column says, or drawn so that no text is torn apart."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from jaxtyping import Int
from numpy import ndarray

from layerwise.analysis.resampling import FEWEST
from layerwise.analysis.split import (
    CUT,
    DEVELOPMENT,
    NAMES,
    PATTERN,
    SPELLINGS,
    TEST,
    TRAIN,
    draw_parts,
    part_in,
)
from layerwise.errors import LabelError, UsageError
from layerwise.reports.probing import Part
from layerwise.reports.wording import counted
from layerwise.store.reader import Store
from layerwise.study.labels import Labelled, require_column

MANY = 2_000
"""From so many groups on one division is enough, and folds would take five times as long."""

FEWEST_NUMBERS = 5
"""Numbers of a part below which nothing is chosen or scored by their order."""

RARE = 10
"""Test rows of a class below which its F1 is told to be rough."""

FEW = 30
"""Groups of the test part under which an interval is told to be rough."""


def divide(
    store: Store, found: Labelled, split: str | None, seed: int, folds: int | None = None
) -> tuple[tuple[Int[ndarray, " rows"], ...], tuple[str, ...]]:
    """The part of each labelled row, once or in several folds, and what a reader should know about it.

    Args:
        split: a kept column that says it; None draws the parts.
        folds: 1 for one division of 60, 20 and 20 % of the groups; 5 for five, in which each group is
            tested once. By default five if there are fewer than `MANY` groups.

    Raises:
        UsageError: there is no column `split`, or another number of folds.
        LabelError: the column has values that name no part, or a part is empty or of one class.
    """
    if folds not in (None, 1, len(PATTERN)):
        raise UsageError(f"{folds} folds were asked for: expected 1 or {len(PATTERN)}.")
    notes: list[str] = []
    if split is None:
        divisions = _drawn(found, seed, folds)
    elif folds not in (None, 1):
        raise UsageError("folds are drawn, and --split gives the parts: leave one of them out.")
    else:
        parts = _given(store, found, split)
        if (parts == DEVELOPMENT).any() and not (parts == TEST).any():
            parts[parts == DEVELOPMENT] = TEST
            notes.append(f"The column {split!r} names no test part: its development part is it.")
        if (parts == TRAIN).any() and not (parts == DEVELOPMENT).any():
            training = np.flatnonzero(parts == TRAIN)
            own_groups = np.unique(found.groups[training], return_inverse=True)[1]
            parts[training] = draw_parts(own_groups, np.zeros(own_groups.max() + 1, int), seed, CUT)
            notes.append(
                f"The column {split!r} leaves no development part: a fifth of the training part is it."
            )
        notes += _leaks(found, parts)
        divisions = (parts,)
    for parts in divisions:
        _check(found, parts, split)
    notes += _unseen(found, divisions)
    notes += _rare(found, _tested(divisions))
    groups = len(np.unique(found.groups[_tested(divisions)]))
    if len(divisions) > 1 and groups >= FEWEST:
        notes.append(
            "Each row was tested once, by a probe trained on other groups; as these probes share training rows, the "
            "intervals are somewhat too narrow (Bengio & Grandvalet 2004)."
        )
    if groups < FEW:
        what = "its intervals are rough" if groups >= FEWEST else "too few for intervals"
        notes.append(f"The test part has {counted(groups, 'group')} only: {what}.")
    return divisions, tuple(notes)


def _drawn(found: Labelled, seed: int, folds: int | None) -> tuple[Int[ndarray, " rows"], ...]:
    groups, number = int(found.groups.max()) + 1, len(PATTERN)
    if groups < number:
        raise LabelError(
            f"no test part is left: {counted(groups, 'group')} (a text with its copies, or a value of --group) cannot be "
            f"divided into training, development and test part: take more texts, at least {number}."
        )
    if folds == 1 or (folds is None and groups >= MANY):
        return (draw_parts(found.groups, _strata(found), seed),)
    of_row = draw_parts(found.groups, _strata(found), seed, tuple(range(number)))
    return tuple(
        np.where(of_row == fold, TEST, np.where(of_row == (fold + 1) % number, DEVELOPMENT, TRAIN))
        for fold in range(number)
    )


def _tested(divisions: Sequence[Int[ndarray, " rows"]]) -> ndarray:
    tested: ndarray = np.any([parts == TEST for parts in divisions], axis=0)
    return tested


def sizes(found: Labelled, divisions: Sequence[Int[ndarray, " rows"]]) -> tuple[Part, ...]:
    """Rows and groups of each part; of several folds those of the first, and of the test part all."""
    first = divisions[0]
    masks = [first == TRAIN, first == DEVELOPMENT, _tested(divisions)]
    return tuple(
        Part(name, int(mask.sum()), len(np.unique(found.groups[mask])))
        for name, mask in zip(NAMES, masks, strict=True)
    )


def _strata(found: Labelled) -> Int[ndarray, " groups"]:
    """A stratum for each group: the class that all its rows have, or a twentieth of the values.

    Groups of several classes, as texts of tagged words are, make one stratum of their own.
    """
    number = int(found.groups.max()) + 1
    of_row = found.labels
    if not found.classes:
        of_row = np.searchsorted(np.quantile(of_row, np.linspace(0, 1, 21)[1:-1]), of_row)
    low, high = np.full(number, np.iinfo(np.int64).max), np.full(number, -1)
    np.minimum.at(low, found.groups, of_row)
    np.maximum.at(high, found.groups, of_row)
    return np.where(low == high, low, -1)


def _given(store: Store, found: Labelled, split: str) -> Int[ndarray, " rows"]:
    require_column(store, split)
    column = store.to_table([split])[split].take(pa.array(found.rows)).combine_chunks().dictionary_encode()
    meanings = [_meaning(value, split) for value in column.dictionary.to_pylist()]
    if column.null_count:
        raise LabelError(f"{counted(column.null_count, 'row')} have no value in {split!r}: fill them in.")
    parts: ndarray = np.array(meanings, np.int64)[column.indices.to_numpy()]
    return parts


def _meaning(value: object, split: str) -> int:
    found = part_in(value)
    if found is None:
        raise LabelError(
            f"the column {split!r} has the value {value!r}, which names no part: expected one of {', '.join(SPELLINGS)}."
        )
    return found


def _check(found: Labelled, parts: Int[ndarray, " rows"], split: str | None) -> None:
    for part, name in enumerate(NAMES):
        own = found.labels[parts == part]
        if not len(own):
            raise LabelError(
                f"no {name} part is left: the column {split!r} has no row for it; name rows of all parts, or leave "
                "--split out."
            )
        if not found.classes and part != TRAIN and len(own) < FEWEST_NUMBERS:
            raise LabelError(
                f"the {name} part has {counted(len(own), 'row')}, and a rank correlation of so few means nothing: take "
                f"more texts, at least {FEWEST_NUMBERS} for each part."
            )
        if len(np.unique(own)) == 1:
            what = repr(found.classes[own[0]]) if found.classes else f"{own[0] + found.offset:g}"
            raise LabelError(
                f"the {name} part has one label only ({what}), so no score on it means anything: take more texts, "
                "or another --seed or --split."
            )


def _leaks(found: Labelled, parts: Int[ndarray, " rows"]) -> list[str]:
    notes = []
    for part, others, name in (
        (TEST, parts != TEST, "test part also occur in the others"),
        (DEVELOPMENT, parts == TRAIN, "development part also occur in the training part"),
    ):
        leaked = np.isin(np.unique(found.groups[parts == part]), found.groups[others]).sum()
        if leaked:
            notes.append(f"{counted(int(leaked), 'group')} (texts) of the given {name}.")
    return notes


def _rare(found: Labelled, tested: ndarray) -> list[str]:
    """Where intervals of macro-F1 hold the truth in 62 to 90 of 100 cases (17 classes by Zipf's law), not in 95."""
    counts = np.bincount(found.labels[tested]) if found.classes else np.zeros(0, int)
    rare = int(np.count_nonzero((counts > 0) & (counts < RARE)))
    return (
        [
            f"{counted(rare, 'class', 'classes')} with fewer than {RARE} test rows: the interval of macro-F1 is too narrow."
        ]
        if rare
        else []
    )


def _unseen(found: Labelled, divisions: Sequence[Int[ndarray, " rows"]]) -> list[str]:
    if not found.classes:
        return []
    missing: set[int] = set()
    for parts in divisions:
        missing |= set(found.labels[parts == TEST].tolist()) - set(found.labels[parts == TRAIN].tolist())
    names = ", ".join(repr(found.classes[code]) for code in sorted(missing)[:5])
    more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
    return (
        [f"Classes of a test part that its training part lacks count as wrong: {names}{more}."]
        if missing
        else []
    )
