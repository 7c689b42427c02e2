"""Which labelled rows train, develop and test: as a column says, or drawn so that no text is torn apart."""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np
import pyarrow as pa
from jaxtyping import Int
from numpy import ndarray

from layerwise.analysis.split import CUT, DEVELOPMENT, NAMES, PATTERN, TEST, TRAIN, draw_parts
from layerwise.errors import LabelError, UsageError
from layerwise.reports.probing import Part
from layerwise.reports.wording import counted
from layerwise.store.reader import Store
from layerwise.study.labels import Labelled

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
}
"""What the value of a split column may be, or have in it as a word (`en_ewt-ud-train.conllu`)."""

FEW = 30
"""Groups of the test part under which an interval is told to be rough."""


def divide(
    store: Store, found: Labelled, split: str | None, seed: int
) -> tuple[Int[ndarray, " rows"], tuple[str, ...]]:
    """The part of each labelled row, and what a reader should know about it.

    Raises:
        UsageError: there is no column `split`.
        LabelError: it has values that name no part, or a part is empty or of one class.
    """
    notes: list[str] = []
    if split is None:
        parts = draw_parts(found.groups, _strata(found), seed)
    else:
        parts = _given(store, found, split)
        if (parts == TRAIN).any() and not (parts == DEVELOPMENT).any():
            training = np.flatnonzero(parts == TRAIN)
            own = found.only(training)
            own_groups = np.unique(own.groups, return_inverse=True)[1]
            parts[training] = draw_parts(own_groups, np.zeros(own_groups.max() + 1, int), seed, CUT)
            notes.append(
                f"The column {split!r} names no development part: a fifth of the training part is it."
            )
        notes += _leaks(found, parts)
    _check(found, parts, split)
    notes += _unseen(found, parts)
    groups = len(np.unique(found.groups[parts == TEST]))
    if groups < FEW:
        notes.append(f"The test part has {counted(groups, 'group')} only: its intervals are rough.")
    return parts, tuple(notes)


def sizes(found: Labelled, parts: Int[ndarray, " rows"]) -> tuple[Part, ...]:
    """Rows and groups of each part."""
    return tuple(
        Part(name, int((parts == part).sum()), len(np.unique(found.groups[parts == part])))
        for part, name in enumerate(NAMES)
    )


def _strata(found: Labelled) -> Int[ndarray, " groups"]:
    """A stratum for each group: its class if its rows have one, a twentieth of the values, or none."""
    number = int(found.groups.max()) + 1
    if number < len(found):
        return np.zeros(number, np.int64)
    of_row = found.labels
    if not found.classes:
        of_row = np.searchsorted(np.quantile(of_row, np.linspace(0, 1, 21)[1:-1]), of_row)
    strata = np.zeros(number, np.int64)
    strata[found.groups] = of_row
    return strata


def _given(store: Store, found: Labelled, split: str) -> Int[ndarray, " rows"]:
    if split not in store.kept_columns:
        there = ", ".join(store.kept_columns) or "none"
        raise UsageError(
            f"{store.path} has no column {split!r} to split by (kept columns: {there}): extract again with "
            f"--keep {split}, or leave --split out."
        )
    column = store.to_table([split])[split].take(pa.array(found.rows)).combine_chunks().dictionary_encode()
    meanings = [_meaning(value, split) for value in column.dictionary.to_pylist()]
    if column.null_count:
        raise LabelError(f"{counted(column.null_count, 'row')} have no value in {split!r}: fill them in.")
    parts: ndarray = np.array(meanings, np.int64)[column.indices.to_numpy()]
    return parts


def _meaning(value: object, split: str) -> int:
    words: Iterable[str] = re.findall(r"[a-z]+", str(value).lower())
    found = {SPELLINGS[word] for word in words if word in SPELLINGS}
    if len(found) != 1:
        raise LabelError(
            f"the column {split!r} has the value {value!r}, which names no part: expected one of {', '.join(SPELLINGS)}."
        )
    return found.pop()


def _check(found: Labelled, parts: Int[ndarray, " rows"], split: str | None) -> None:
    groups = len(np.unique(found.groups))
    if split is None and groups < len(PATTERN):
        raise LabelError(
            f"no test part is left: {counted(groups, 'group')} (texts) cannot be divided into training, development "
            f"and test part; expected at least {len(PATTERN)}."
        )
    for part, name in enumerate(NAMES):
        own = found.labels[parts == part]
        if not len(own):
            raise LabelError(
                f"no {name} part is left: the column {split!r} has no row for it; name rows of all parts, or leave "
                "--split out."
            )
        if len(np.unique(own)) == 1:
            what = found.classes[own[0]] if found.classes else own[0]
            raise LabelError(
                f"the {name} part has one label only ({what}), so no score on it means anything: take more texts, "
                "or another --seed or --split."
            )


def _leaks(found: Labelled, parts: Int[ndarray, " rows"]) -> list[str]:
    seen = np.unique(found.groups[parts != TEST])
    leaked = np.isin(np.unique(found.groups[parts == TEST]), seen).sum()
    return (
        [f"{counted(int(leaked), 'group')} (texts) of the given test part also occur in the others."]
        if leaked
        else []
    )


def _unseen(found: Labelled, parts: Int[ndarray, " rows"]) -> list[str]:
    if not found.classes:
        return []
    missing = np.setdiff1d(found.labels[parts == TEST], found.labels[parts == TRAIN])
    names = ", ".join(found.classes[code] for code in missing[:5])
    return (
        [f"Classes of the test part that the training part lacks count as wrong: {names}."]
        if len(missing)
        else []
    )
