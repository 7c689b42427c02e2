"""The ledger of a store: one small Parquet file a commit, in `_ledger/`.

Lance keeps no checksum and its manifest has no room for lengths of texts. So each commit first
writes a sidecar file that names the data files it belongs to; it counts only if these are in the
manifest. Writing it (temporary name, fsync, rename) before the manifest makes the pair atomic: a
run killed in between leaves a sidecar that nothing refers to, and the next run removes it. A
commit without rows (texts that are all empty) has no data files and counts by itself.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from layerwise.errors import StoreCorruptError
from layerwise.types import Ledger

FOLDER = "_ledger"
_KEY = b"layerwise"
_COLUMNS = {
    "num_tokens": np.int64,
    "num_windows": np.int32,
    "num_truncated": np.int64,
    "num_units": np.int64,
}


@dataclass(frozen=True)
class Commit:
    """What one commit added.

    Attributes:
        first_text, texts: which texts it covers.
        rows: rows it added.
        files: names of its data files under `data/`.
        checksums: column name to CRC-32 over the column's values (see `checksum`).
        ledger: lengths of its texts.
    """

    first_text: int
    texts: int
    rows: int
    files: tuple[str, ...]
    checksums: Mapping[str, int]
    ledger: Ledger

    @property
    def name(self) -> str:
        return f"{self.first_text:012d}-{self.first_text + self.texts:012d}.parquet"


def write_commit(store: Path, commit: Commit) -> None:
    """Write the sidecar of a commit, whole or not at all."""
    arrays = {name: getattr(commit.ledger, name).astype(kind) for name, kind in _COLUMNS.items()}
    texts = np.arange(commit.first_text, commit.first_text + commit.texts)
    document = {
        "first_text": commit.first_text,
        "texts": commit.texts,
        "rows": commit.rows,
        "files": list(commit.files),
        "checksums": dict(commit.checksums),
    }
    table = pa.table({"text_id": texts, **arrays})
    table = table.replace_schema_metadata({_KEY: json.dumps(document, sort_keys=True)})
    folder = store / FOLDER
    temporary = folder / (commit.name + ".tmp")
    pq.write_table(table, temporary)
    sync(temporary)
    temporary.rename(folder / commit.name)
    sync(folder)


def read_commits(store: Path, data_files: Iterable[str]) -> list[Commit]:
    """The commits of a store in order, given the data files in its manifest.

    Raises:
        StoreCorruptError: a sidecar is unreadable, or some text between commits is missing.
    """
    present = set(data_files)
    found = sorted((_read(path) for path in (store / FOLDER).glob("*.parquet")), key=_order)
    commits: list[Commit] = []
    for commit in found:
        if not present.issuperset(commit.files):
            continue  # written by a run that was killed before its manifest
        expected = commits[-1].first_text + commits[-1].texts if commits else 0
        if commit.first_text != expected:
            raise StoreCorruptError(
                f"{store}: the ledger goes on at text {commit.first_text} where text {expected} is expected; "
                "a file of _ledger/ is missing: extract again with --overwrite."
            )
        commits.append(commit)
    missing = present - {name for commit in commits for name in commit.files}
    if missing:
        raise StoreCorruptError(
            f"{store}: data file {min(missing)} is not in the ledger; was the store rewritten by another tool?"
        )
    return commits


def _order(commit: Commit) -> tuple[int, int]:
    return commit.first_text, commit.texts


def _read(path: Path) -> Commit:
    try:
        table = pq.read_table(path)
        document: dict[str, Any] = json.loads(table.schema.metadata[_KEY])
        ledger = Ledger(*(table.column(name).to_numpy() for name in _COLUMNS))
        return Commit(
            document["first_text"],
            document["texts"],
            document["rows"],
            tuple(document["files"]),
            document["checksums"],
            ledger,
        )
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
        raise StoreCorruptError(f"the ledger file {path} cannot be read ({error}).") from error


def join_ledgers(ledgers: Sequence[Ledger]) -> Ledger:
    """Several ledgers as one."""
    return Ledger(
        *(
            np.concatenate([np.zeros(0, kind), *(getattr(one, name) for one in ledgers)]).astype(kind)
            for name, kind in _COLUMNS.items()
        )
    )


def checksum(column: pa.Array | pa.ChunkedArray, start: int = 0) -> int:
    """CRC-32 of a column's values, continued from `start`, whatever the batches they come in.

    Vectors and numbers count with their little-endian bytes (nulls as zeros), everything else as
    JSON, one value a line.
    """
    for array in column.chunks if isinstance(column, pa.ChunkedArray) else [column]:
        start = zlib.crc32(_bytes(array), start)
    return start


def _bytes(array: pa.Array) -> Any:
    if pa.types.is_fixed_size_list(array.type):
        values = array.flatten().to_numpy(zero_copy_only=False)
        if array.null_count:
            whole = np.zeros((len(array), array.type.list_size), values.dtype)
            whole[array.is_valid().to_numpy(zero_copy_only=False)] = values.reshape(-1, array.type.list_size)
            values = whole
        return np.ascontiguousarray(values).data.cast("B") if values.size else b""
    if pa.types.is_integer(array.type):
        return np.ascontiguousarray(array.fill_null(0).to_numpy(zero_copy_only=False)).tobytes()
    return "".join(json.dumps(value, default=str) + "\n" for value in array.to_pylist()).encode()


def sync(path: Path) -> None:
    """fsync a file or a folder: Lance itself syncs nothing on local disks."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
