"""Which labelled rows must stay together: those of one text, of its copies, of one value of a column."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
from jaxtyping import Int
from numpy import ndarray

from layerwise.analysis.resampling import joined, number_groups
from layerwise.store.reader import Store

MOST = 0.2
"""Share of the rows that may hang together through copies of texts; with more, no parts could be drawn."""

Keys = Int[ndarray, " rows"]


def group_rows(
    store: Store, rows: Keys, partners: Keys | None, column: str | None, trained: bool
) -> tuple[Keys, str]:
    """A group for each labelled row, 0, 1, 2 …, and what a reader should know about it ("" for nothing).

    Rows of one text, or of texts that consist of the same units, are one group; with a column, also rows that
    are equal in it (null is equal to nothing). Pairs are one group if they share a text.

    Where copies would tie more than a fifth of the rows to each other (`ok` is in every conversation), the text
    alone decides, or the column, or the two texts of a pair, and the note says so.
    """
    texts = _text_keys(store)
    own = texts[rows]
    table = store.to_table(["text_id", *([column] if column else [])]).take(pa.array(rows))
    record = table["text_id"].to_numpy()
    if column is not None:
        given = -1 - _own_if_null(table[column])  # not to be taken for a text's number
        alone = joined(record, given)
        tied = joined(number_groups(own if partners is None else joined(own, texts[partners])), given)
        why = f"Copies of a text are in several groups of {column!r} and may be in different parts"
    elif partners is not None:
        other = texts[partners]
        alone = number_groups(_unordered(own, other))
        tied = joined(own, other)
        why = (
            "Pairs that share a text may be in different parts"
            if trained
            else "Pairs that share a text count as independent, so intervals are too narrow"
        )
    else:
        alone = number_groups(record)
        tied = joined(number_groups(own), -1 - alone) if _has_pairs(store) else number_groups(own)
        why = "Copies of a text may be in different parts"
    if _largest(tied) <= max(MOST, _largest(alone)):
        return tied, ""
    return alone, f"{why}: kept together, they would be {_largest(tied):.0%} of the rows in one group."


def _own_if_null(column: pa.ChunkedArray) -> Keys:
    """A number for each value; every null has one of its own."""
    numbers, null = codes(column), column.is_null().to_numpy()
    numbers[null] = len(numbers) + np.arange(null.sum())
    return numbers


def _unordered(first: Keys, second: Keys) -> Keys:
    """A number for each pair of numbers, whichever comes first."""
    _, pair = np.unique(np.sort(np.stack([first, second], 1), axis=1), axis=0, return_inverse=True)
    return pair.reshape(-1)


def _largest(groups: Keys) -> float:
    return float(np.bincount(groups).max(initial=0) / max(1, len(groups)))


def hashes(surfaces: pa.Array, of: Callable[[str], str] = str) -> Int[ndarray, " rows"]:
    """The 64-bit hash of each surface, of what `of` makes of it."""
    coded = surfaces.dictionary_encode()
    keys = np.array([hash(of(surface)) for surface in coded.dictionary.to_pylist()], np.int64)
    found: ndarray = keys[coded.indices.to_numpy()]
    return found


def _text_keys(store: Store) -> Int[ndarray, " store_rows"]:
    """A number for each row of the store, equal in texts that consist of the same units.

    The two texts of a pair are two texts.
    """
    pairs = _has_pairs(store)
    table = store.to_table(["text_id", "unit", *(["sequence_id"] if pairs else [])])
    # Chunk by chunk: all texts together may be more than one array of strings can hold.
    surface = np.concatenate([np.zeros(0, np.int64), *map(hashes, table["unit"].chunks)])
    text: ndarray = table["text_id"].to_numpy()
    if not len(text):
        return text
    new = text[1:] != text[:-1]
    if pairs:
        member = table["sequence_id"].to_numpy()
        new |= member[1:] != member[:-1]
    starts = np.flatnonzero(np.concatenate(([True], new)))
    length = np.diff(np.append(starts, len(text)))
    place = np.arange(len(text)) - np.repeat(starts, length)
    with np.errstate(over="ignore"):  # a polynomial hash, modulo 2^64
        powers = np.cumprod(np.full(int(length.max()) + 1, 1_000_003, np.int64))
        whole = np.add.reduceat(surface * powers[place], starts)
    return np.repeat(whole, length)


def _has_pairs(store: Store) -> bool:
    return "sequence_id" in store.dataset.schema.names


def codes(column: pa.ChunkedArray) -> Keys:
    """A number for each value, 0, 1, 2 … in order of their first row; null is a value."""
    coded = column.combine_chunks().dictionary_encode(null_encoding="encode")
    return number_groups(coded.indices.to_numpy().astype(np.int64))
