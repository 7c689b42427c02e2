"""`inspect --check`: read everything and compare it with what was written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import lance
import numpy as np
import pyarrow as pa

from layerwise.errors import StoreCorruptError
from layerwise.store.commits import Commit, checksum
from layerwise.store.reader import BATCH_ROWS, Store, to_numpy


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What was verified: commits, texts, rows and columns of each."""

    commits: int
    texts: int
    rows: int
    columns: int


def check(store: Store) -> CheckReport:
    """Read every column of every commit.

    Verifies the checksums, the counts, that vectors are finite, and that texts and units are
    complete and in order.

    Raises:
        StoreCorruptError: names the column and the commit that differ.
    """
    fragments = {
        file.path: fragment for fragment in store.dataset.get_fragments() for file in fragment.metadata.files
    }
    for commit in store.commits:
        _order(store, commit, fragments)
        for column, expected in commit.checksums.items():
            _column(store, commit, fragments, column, expected)
    counts = store.metadata.get("counts")
    found = {"rows": store.num_rows, "texts": store.num_texts}
    if counts is not None and any(counts[name] != value for name, value in found.items()):
        raise StoreCorruptError(f"{store.path}: the metadata counts {counts}, and {found} were found.")
    return CheckReport(len(store.commits), store.num_texts, store.num_rows, len(store.dataset.schema))


def _column(
    store: Store, commit: Commit, fragments: dict[str, lance.LanceFragment], column: str, expected: int
) -> None:
    found, rows = 0, 0
    for array in _read(store, commit, fragments, [column]):
        values = array.column(0)
        found = checksum(values, found)
        rows += len(values)
        if column.startswith("layer_"):
            vectors = to_numpy(values)[values.is_valid().to_numpy(zero_copy_only=False)]
            if vectors.size and not np.isfinite(vectors).all():
                raise _corrupt(store, commit, column, "holds NaN or infinity")
    if rows != commit.rows:
        raise _corrupt(store, commit, column, f"has {rows} rows, and {commit.rows} were written")
    if found != expected:
        raise _corrupt(store, commit, column, "does not have the checksum it was written with")


def _order(store: Store, commit: Commit, fragments: dict[str, lance.LanceFragment]) -> None:
    ledger = commit.ledger
    texts = np.repeat(np.arange(commit.first_text, commit.first_text + commit.texts), ledger.num_units)
    starts = np.repeat(np.cumsum(ledger.num_units) - ledger.num_units, ledger.num_units)
    units = np.arange(len(texts)) - starts
    first = 0
    for batch in _read(store, commit, fragments, ["text_id", "unit_id"]):
        rows = slice(first, first + batch.num_rows)
        same = np.array_equal(batch.column("text_id"), texts[rows]) and np.array_equal(
            batch.column("unit_id"), units[rows]
        )
        if not same:
            raise _corrupt(store, commit, "text_id", "is not in the order of the ledger")
        first += batch.num_rows


def _read(
    store: Store, commit: Commit, fragments: dict[str, lance.LanceFragment], columns: list[str]
) -> Iterator[pa.RecordBatch]:
    for name in commit.files:
        try:
            yield from fragments[name].to_batches(columns=columns, batch_size=BATCH_ROWS)
        except StoreCorruptError:
            raise
        except BaseException as error:  # damaged files make Lance panic, which is no Exception
            if isinstance(error, KeyboardInterrupt | SystemExit | GeneratorExit):
                raise
            raise _corrupt(
                store, commit, columns[0], f"cannot be read ({' '.join(str(error).split())[:200]})"
            ) from error


def _corrupt(store: Store, commit: Commit, column: str, what: str) -> StoreCorruptError:
    last = commit.first_text + commit.texts - 1
    return StoreCorruptError(
        f"{store.path}: column {column} of the commit of texts {commit.first_text} to {last} {what}: "
        "the store is damaged; extract again with --overwrite, or restore it from a copy."
    )
