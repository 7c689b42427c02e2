"""The labels of a store: one a row, or one a pair of rows, with the groups that must not be torn apart."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from jaxtyping import Int, Shaped
from numpy import ndarray

from layerwise.analysis.label_codes import (
    as_classes,
    as_numbers,
    equal_to,
    is_quantity,
    missing,
    placeholder,
)
from layerwise.analysis.resampling import number_groups
from layerwise.errors import LabelError, UsageError, choose
from layerwise.reports.wording import counted
from layerwise.store.layer_column import to_numpy
from layerwise.store.reader import Store
from layerwise.study.grouping import group_rows

TASKS = ("auto", "classification", "regression")


@dataclass(frozen=True, slots=True)
class Labelled:
    """Rows of a store that have a label and a vector.

    Attributes:
        rows: (rows,) number of each row in the store; of pairs the first text's.
        partners: (rows,) number of the row of the second text; None without pairs.
        labels: (rows,) codes of classes as int64, or numbers less `offset` as float32.
        classes: their names, in order of the codes; empty in regression.
        groups: (rows,) 0, 1, 2 …; rows of one group stay together.
        types: (rows,) word type of each row, 0, 1, 2 … in alphabetical order; None where rows are texts.
        notes: what was left out, a sentence each.
        offset: the mean of numbers, taken off: float32 has no room for both a date and its seconds.
    """

    rows: Int[ndarray, " rows"]
    partners: Int[ndarray, " rows"] | None
    labels: Shaped[ndarray, " rows"]
    classes: tuple[str, ...]
    groups: Int[ndarray, " rows"]
    types: Int[ndarray, " rows"] | None
    notes: tuple[str, ...]
    offset: float = 0.0

    def __len__(self) -> int:
        return len(self.rows)

    def only(self, kept: ndarray, note: str = "") -> Labelled:
        """Some of the rows, by mask or number."""
        partners, types = self.partners, self.types
        return replace(
            self,
            rows=self.rows[kept],
            partners=None if partners is None else partners[kept],
            labels=self.labels[kept],
            groups=self.groups[kept],
            types=None if types is None else types[kept],
            notes=(*self.notes, note) if note else self.notes,
        )

    def sample(self, most: int, seed: int) -> Labelled:
        """Whole groups in random order, as far as each still fits into `most` rows; all if there are no more.

        Classes that are drawn less than twice are left out.
        """
        if most >= len(self):
            return self
        sizes, room, drawn = np.bincount(self.groups), most, []
        for group in np.random.default_rng(seed).permutation(len(sizes)).tolist():
            if sizes[group] <= room:
                drawn.append(group)
                room -= sizes[group]
        kept = np.isin(self.groups, drawn)
        found = self.only(kept, f"A sample of {kept.sum():,} of {len(self):,} rows, in whole groups.")
        found = replace(found, groups=number_groups(found.groups))
        if not self.classes:
            return found
        found = found.only(np.bincount(found.labels, minlength=len(self.classes))[found.labels] > 1)
        there, labels = np.unique(found.labels, return_inverse=True)
        return replace(
            found,
            labels=labels,
            classes=tuple(self.classes[code] for code in there),
            groups=number_groups(found.groups),
        )


def read_labels(
    store: Store,
    label: str,
    *,
    task: str = "auto",
    group: str | None = None,
    pair: bool = False,
    min_count: int | None = None,
    skip_missing: bool = False,
    missing_label: str | None = None,
) -> Labelled:
    """Read and check the labels of a store.

    Args:
        label: a kept column.
        task: `"classification"`, `"regression"` or `"auto"`: numbers are a quantity if some are not whole or
            more than twenty differ.
        group: a kept column whose equal values stay together, beside the text and all its copies.
        pair: whether the two texts of a pair are one row.
        min_count: leave out rows of classes with fewer; by default a class with one row is an error.
        skip_missing: leave out rows without a label.
        missing_label: a value that stands for no label, such as `"-1"`; its rows are left out.

    Raises:
        UsageError: a column that is not there, or a store of another kind.
        LabelError: labels that are missing, constant, or of one example.
    """
    choose("task", task, TASKS)
    for column in (label, *([] if group is None else [group])):
        require_column(store, column)
    first, second = _pairs(store) if pair else (np.arange(len(store)), None)
    table = store.to_table(
        [
            label,
            *([] if store.unit == "text" else ["unit"]),
            *(["word_id"] if store.unit == "token" else []),
        ]
    ).take(pa.array(first))
    found = Labelled(
        rows=first,
        partners=second,
        labels=np.array(table[label].to_pylist(), dtype=object),
        classes=(),
        groups=np.zeros(len(first), np.int64),
        types=None if store.unit == "text" else _types(table["unit"]),
        notes=(),
    )
    found = _without_vectorless(store, found)
    if store.unit == "token":
        outside = np.isin(found.rows, first[table["word_id"].is_null().to_numpy()])
        if outside.any():
            found = found.only(
                ~outside, f"{counted(int(outside.sum()), 'token')} that belong to no word left out."
            )
    found = _without_missing(_without_placeholders(found, label, missing_label), label, skip_missing)
    found = _encode(found, label, task, min_count)
    if not pair and store.unit == "text" and "sequence_id" in store.dataset.schema.names:
        note = "The rows are the single texts of pairs, each with the label of its pair: pass --pair to compare the two."
        found = replace(found, notes=(*found.notes, note))
    groups, note = group_rows(store, found.rows, found.partners, group, trained=bool(found.classes))
    return replace(found, groups=groups, notes=(*found.notes, note) if note else found.notes)


def require_column(store: Store, column: str) -> None:
    """Refuse a column that cannot be used.

    Raises:
        UsageError: the store kept no such column of its source.
        LabelError: it holds lists and the like.
    """
    if column not in store.kept_columns:
        if column in store.dataset.schema.names:
            raise UsageError(
                f"{column!r} is a column that layerwise made, not one of the source: name one that was kept "
                f"({', '.join(store.kept_columns) or 'none was: extract again with --keep'})."
            )
        kept = ", ".join(store.kept_columns)
        there = f"it has {kept}; name one of these, or" if kept else "it kept none of its source:"
        raise UsageError(
            f"{store.path} has no column {column!r}: {there} extract again with --keep {column}."
        )
    kind = store.dataset.schema.field(column).type
    if pa.types.is_nested(kind) or pa.types.is_binary(kind):
        raise LabelError(
            f"the column {column!r} holds {kind} and not one value a row: lists of labels need --unit word and the "
            "words they were made for when the store is extracted."
        )


def _pairs(store: Store) -> tuple[ndarray, ndarray]:
    """Rows of the first and of the second texts.

    Raises:
        UsageError: the store has no pairs of rows.
    """
    if store.unit != "text" or "sequence_id" not in store.dataset.schema.names:
        raise UsageError(
            f"{store.path} has no two rows a pair, which --pair compares: extract pairs with --unit text "
            "--pairs separate."
        )
    table = store.to_table(["text_id", "sequence_id"])
    text, member = (table[name].to_numpy() for name in ("text_id", "sequence_id"))
    first, second = np.flatnonzero(member == 0), np.flatnonzero(member == 1)
    both, a, b = np.intersect1d(text[first], text[second], return_indices=True)
    if not len(both):
        raise UsageError(f"{store.path} has no pair of texts, only single ones: leave --pair out.")
    return first[a], second[b]


def _types(units: pa.ChunkedArray) -> Int[ndarray, " rows"]:
    coded = units.combine_chunks().dictionary_encode()
    place = np.argsort(np.argsort(np.array(coded.dictionary.to_pylist(), dtype=object)))
    types: ndarray = place[coded.indices.to_numpy()]
    return types


def _without_vectorless(store: Store, found: Labelled) -> Labelled:
    if not store.num_not_embedded:
        return found
    valid = np.concatenate(
        [~np.isnan(to_numpy(batch.column(0))[:, 0]) for batch in store.batches([store.columns[0]])]
    )
    kept = valid[found.rows]
    if found.partners is not None:
        kept &= valid[found.partners]
    missing = int((~kept).sum())
    return found.only(kept, f"{counted(missing, 'row')} without a vector left out.") if missing else found


def _without_placeholders(found: Labelled, label: str, value: str | None) -> Labelled:
    if value is not None:
        gone = equal_to(found.labels, value)
        if not gone.any():
            raise UsageError(f"no row has the label {value!r} in {label!r}: leave --missing-label out.")
        return found.only(~gone, f"{counted(int(gone.sum()), 'row')} with the label {value!r} left out.")
    none = placeholder(found.labels)
    if none.any():
        raise LabelError(
            f"{none.sum():,} rows, all in one run, have the label {found.labels[none.argmax()]} in {label!r}, which "
            "published sets write where there is no label: pass --missing-label -1 to leave them out, or give the "
            "class another name if it is one."
        )
    return found


def _without_missing(found: Labelled, label: str, skip: bool) -> Labelled:
    without = missing(found.labels)
    if not without.any():
        return found
    if not skip and not without.all():
        raise LabelError(
            f"{without.sum():,} of {len(found):,} rows have no label in {label!r} (the first is row "
            f"{found.rows[without.argmax()]}): fill them in the source, or pass --skip-missing to leave them out."
        )
    return found.only(~without, f"{counted(int(without.sum()), 'row')} without a label left out.")


def _encode(found: Labelled, label: str, task: str, min_count: int | None) -> Labelled:
    if not len(found):
        raise LabelError(f"no row has both a vector and a label in {label!r}: there is nothing to probe.")
    if is_quantity(found.labels) if task == "auto" else task == "regression":
        numbers = as_numbers(found.labels, label)
        note = (
            f"The labels are taken as numbers, as {len(np.unique(numbers))} different whole ones occur: if they are names "
            "of classes, pass --task classification."
        )
        unsure = task == "auto" and (numbers % 1 == 0).all()
        middle = float(numbers.mean())
        return replace(
            found,
            labels=(numbers - middle).astype(np.float32),
            offset=middle,
            notes=(*found.notes, note) if unsure else found.notes,
        )
    codes, classes = as_classes(found.labels, label)
    counts = np.bincount(codes)
    rare = counts < (min_count or 2)
    if not rare.any():
        return replace(found, labels=codes, classes=classes)
    if min_count is None:
        names = ", ".join(repr(classes[code]) for code in np.flatnonzero(rare)[:5])
        raise LabelError(
            f"{rare.sum()} of {len(classes)} classes in {label!r} have one example only ({names}"
            f"{', …' if rare.sum() > 5 else ''}): correct them, or pass --min-count 2 to leave such rows out."
        )
    gone = rare[codes]
    note = (
        f"{counted(int(gone.sum()), 'row')} of {counted(int(rare.sum()), 'rare class', 'rare classes')} (fewer than "
        f"{min_count} examples) left out."
    )
    if gone.all():
        raise LabelError(f"no class in {label!r} has {min_count} examples: pass a smaller --min-count.")
    found = found.only(~gone, note)
    return _encode(found, label, "classification", None)
