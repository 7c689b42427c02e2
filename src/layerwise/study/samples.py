"""Seeded samples of a store's rows, read in batches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt

from layerwise.errors import UsageError
from layerwise.store.layer_column import Vectors, to_numpy
from layerwise.store.reader import Name, Store

Rows = npt.NDArray[np.int64]

TAKEN = 2_048
"""Rows read at a time."""


SEEDS = 2**32
"""UMAP takes no more of them."""


def sample_rows(total: int, wanted: int, seed: int) -> Rows:
    """Up to `wanted` of `total` row numbers, rising: all of them if there are no more.

    Raises:
        UsageError: fewer than one row is wanted, or the seed is none.
    """
    if wanted < 1:
        raise UsageError(f"--rows is {wanted}: expected at least 1.")
    if not 0 <= seed < SEEDS:
        raise UsageError(f"--seed is {seed}: expected a whole number from 0 to {SEEDS - 1}.")
    if wanted >= total:
        return np.arange(total)
    return np.sort(np.random.default_rng(seed).choice(total, wanted, replace=False))


def read_rows(store: Store, columns: Mapping[Name, str], rows: Rows) -> Iterator[list[Vectors]]:
    """The rows of several layers, in batches; NaN where a row is not embedded."""
    for first in range(0, len(rows), TAKEN):
        table = store.take(rows[first : first + TAKEN].tolist(), list(columns.values()))
        yield [to_numpy(table.column(column)) for column in columns.values()]


def read_layer(store: Store, column: str, rows: Rows) -> Vectors:
    """The rows of one layer: (rows, hidden_size); NaN where a row is not embedded.

    Raises:
        UsageError: there are none.
    """
    if not len(rows):
        raise UsageError(f"the store {store.path} has no rows: extract texts that have some.")
    return np.concatenate([batch for [batch] in read_rows(store, {column: column}, rows)])
