"""`inspect --check`: read everything and compare it with what was written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import lance
import numpy as np
import pyarrow as pa

from layerwise.errors import StoreCorruptError
from layerwise.store.commits import Commit, DataFile, checksum, file_checksum
from layerwise.store.faults import first_line, read_through, reading
from layerwise.store.layer_column import to_numpy
from layerwise.store.reader import READ_AHEAD, Store

_ROWS = 4_096


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What was verified: commits, texts, rows, columns of each row, bytes of data files."""

    commits: int
    texts: int
    rows: int
    columns: int
    bytes: int


def check(store: Store) -> CheckReport:
    """Read every byte of every data file, and every column of every commit.

    Verifies the checksums of files and of columns, the counts, that vectors are finite, and that
    texts and units are complete and in order.

    Raises:
        StoreCorruptError: names the column and the commit that differ.
    """
    fragments = {
        file.path: fragment for fragment in store.dataset.get_fragments() for file in fragment.metadata.files
    }
    for commit in store.commits:
        damaged = [file for file in commit.files if not _is_intact(store, commit, file)]
        _order(store, commit, fragments)
        for column in store.dataset.schema.names:
            _column(store, commit, fragments, column)
        if damaged:
            raise _corrupt(store, commit, f"the file data/{damaged[0].name} has changed where no value is")
    _counts(store)
    size = sum(file.bytes for commit in store.commits for file in commit.files)
    return CheckReport(len(store.commits), store.num_texts, store.num_rows, len(store.dataset.schema), size)


def _counts(store: Store) -> None:
    found = {"rows": store.num_rows, "texts": store.num_texts, "tokens": int(store.ledger().num_tokens.sum())}
    ledger = sum(commit.rows for commit in store.commits)
    if ledger != store.num_rows:
        raise StoreCorruptError(
            f"{store.path}: the ledger counts {ledger} rows, and there are {store.num_rows}."
        )
    counts = store.metadata.get("counts")
    if counts is not None and any(counts.get(name) != value for name, value in found.items()):
        raise StoreCorruptError(f"{store.path}: the metadata counts {counts}, and {found} were found.")


def _is_intact(store: Store, commit: Commit, file: DataFile) -> bool:
    path = store.path / "data" / file.name
    if not path.is_file():
        raise _corrupt(store, commit, f"the file data/{file.name} is missing")
    size = path.stat().st_size
    if size != file.bytes:
        raise _corrupt(
            store, commit, f"the file data/{file.name} has {size} bytes, and {file.bytes} were written"
        )
    with reading(path, "this file"):
        return file_checksum(path) == file.crc32


def _column(store: Store, commit: Commit, fragments: dict[str, lance.LanceFragment], column: str) -> None:
    found, rows, nulls = 0, 0, 0
    for values in _read(store, commit, fragments, column):
        found = checksum(values, found)
        rows += len(values)
        if column in store.columns:
            nulls += values.null_count
            vectors = to_numpy(values.drop_null())
            if vectors.size and not np.isfinite(vectors).all():
                raise _corrupt(store, commit, f"column {column} holds NaN or infinity")
    if rows != commit.rows:
        raise _corrupt(store, commit, f"column {column} has {rows} rows, and {commit.rows} were written")
    if commit.rows and found != commit.checksums.get(column):
        raise _corrupt(store, commit, f"column {column} does not have the checksum it was written with")
    if column in store.columns and nulls != commit.not_embedded:
        raise _corrupt(store, commit, f"column {column} has {nulls} null rows, not {commit.not_embedded}")


def _order(store: Store, commit: Commit, fragments: dict[str, lance.LanceFragment]) -> None:
    lengths = commit.ledger.num_units
    first_rows = np.cumsum(lengths) - lengths
    texts = np.repeat(np.arange(commit.first_text, commit.after), lengths)
    expected = {"text_id": texts, "unit_id": np.arange(len(texts)) - np.repeat(first_rows, lengths)}
    for column, numbers in expected.items():
        first = 0
        for values in _read(store, commit, fragments, column):
            if not np.array_equal(values.to_numpy(), numbers[first : first + len(values)]):
                raise _corrupt(store, commit, f"column {column} is not in the order of the ledger")
            first += len(values)


def _read(
    store: Store, commit: Commit, fragments: dict[str, lance.LanceFragment], column: str
) -> Iterator[pa.Array]:
    try:
        for file in commit.files:
            with reading(store.path):
                found = fragments[file.name].to_batches(
                    columns=[column], batch_size=_ROWS, batch_readahead=READ_AHEAD
                )
            yield from (batch.column(0) for batch in read_through(found, store.path))
    except StoreCorruptError as error:
        cause = error.__cause__ or error
        raise _corrupt(store, commit, f"column {column} cannot be read ({first_line(cause)})") from cause


def _corrupt(store: Store, commit: Commit, what: str) -> StoreCorruptError:
    return StoreCorruptError(
        f"{store.path}: in the commit of texts {commit.first_text} to {commit.after - 1}, {what}: "
        "the store is damaged; extract again with --overwrite, or restore it from a copy."
    )
