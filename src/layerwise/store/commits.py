"""The ledger of a store: one small Parquet file a commit, in `_ledger/`.

Lance keeps no checksum and its manifest has no room for lengths of texts. So each commit first
writes a sidecar file that names the data files it belongs to; it counts only if these are in the
manifest. Writing it (temporary name, fsync, rename) before the manifest makes the pair atomic: a
run killed in between leaves a sidecar that nothing refers to, and the next run removes it. A
commit without rows (texts that are all empty) has no data files: it counts if it goes on where
the one before it ended.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import lance
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from layerwise.errors import StoreCorruptError
from layerwise.store.faults import first_line
from layerwise.store.folder import LEDGER, sync
from layerwise.store.schema import METADATA_KEY
from layerwise.types import Ledger

_COLUMNS = {
    "num_tokens": np.int64,
    "num_windows": np.int32,
    "num_truncated": np.int64,
    "num_units": np.int64,
}
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class DataFile:
    """A data file as it was written: name under `data/`, size in bytes, CRC-32 of all its bytes."""

    name: str
    bytes: int
    crc32: int


@dataclass(frozen=True, slots=True)
class Commit:
    """What one commit added.

    Attributes:
        first_text, texts: which texts it covers.
        rows: rows it added.
        not_embedded: rows among them whose vectors are null.
        files: its data files, in the order of their rows.
        checksums: column name to CRC-32 over the column's values (see `checksum`).
        ledger: lengths of its texts.
    """

    first_text: int
    texts: int
    rows: int
    not_embedded: int
    files: tuple[DataFile, ...]
    checksums: Mapping[str, int]
    ledger: Ledger

    @property
    def after(self) -> int:
        """The first text that is not in it."""
        return self.first_text + self.texts

    @property
    def file_name(self) -> str:
        """Name of its sidecar."""
        return f"{self.first_text:012d}-{self.after:012d}.parquet"


def write_commit(store: Path, commit: Commit) -> None:
    """Write the sidecar of a commit, whole or not at all."""
    arrays = {name: getattr(commit.ledger, name).astype(kind) for name, kind in _COLUMNS.items()}
    document = {
        "first_text": commit.first_text,
        "texts": commit.texts,
        "rows": commit.rows,
        "not_embedded": commit.not_embedded,
        "files": [asdict(file) for file in commit.files],
        "checksums": dict(commit.checksums),
    }
    table = pa.table({"text_id": np.arange(commit.first_text, commit.after), **arrays})
    table = table.replace_schema_metadata({METADATA_KEY: json.dumps(document, sort_keys=True)})
    folder = store / LEDGER
    temporary = folder / (commit.file_name + ".tmp")
    pq.write_table(table, temporary, write_page_checksum=True)
    sync(temporary)
    temporary.rename(folder / commit.file_name)
    sync(folder)


def read_commits(store: Path, in_manifest: Iterable[str]) -> list[Commit]:
    """The commits of a store in order, given the data files in its manifest.

    Raises:
        StoreCorruptError: a sidecar is unreadable, or some text between commits is missing.
    """
    present = set(in_manifest)
    found = sorted((_read(path) for path in (store / LEDGER).glob("*.parquet")), key=_order)
    commits: list[Commit] = []
    for commit in found:
        if not present.issuperset(file.name for file in commit.files):
            continue  # of a run that was killed before its manifest, or of a writer at work
        if len(commit.ledger.num_units) != commit.texts:
            raise StoreCorruptError(
                f"{store}: a file of {LEDGER}/ has {len(commit.ledger.num_units)} texts, and {commit.texts} were written: "
                "restore it from a copy, or extract again with --overwrite."
            )
        expected = commits[-1].after if commits else 0
        if commit.first_text != expected:
            if not commit.files:
                continue
            raise StoreCorruptError(
                f"{store}: the ledger goes on at text {commit.first_text} where text {expected} is expected; "
                f"a file of {LEDGER}/ is missing: restore it from a copy, or extract again with --overwrite."
            )
        commits.append(commit)
    missing = present - {file.name for commit in commits for file in commit.files}
    if missing:
        raise StoreCorruptError(
            f"{store}: the data file {min(missing)} is not in the ledger: a file of {LEDGER}/ is missing, or "
            "another tool rewrote the store; restore it from a copy, or extract again with --overwrite."
        )
    return commits


def refuse_lost_files(store: Path, commits: Iterable[Commit]) -> None:
    """Look, without reading them, whether the data files are there and as long as they were written.

    Raises:
        StoreCorruptError: one is not.
    """
    for file in (file for commit in commits for file in commit.files):
        path = store / "data" / file.name
        size = path.stat().st_size if path.is_file() else None
        if size != file.bytes:
            found = "is missing" if size is None else f"has {size} bytes, and {file.bytes} were written"
            raise StoreCorruptError(
                f"{store}: the file data/{file.name} {found}: restore it from a copy, or extract again with --overwrite."
            )


def data_files(dataset: lance.LanceDataset) -> list[str]:
    """Names of the data files in the manifest."""
    return [file.path for fragment in dataset.get_fragments() for file in fragment.metadata.files]


def _order(commit: Commit) -> tuple[int, int]:
    return commit.first_text, commit.texts


def _read(path: Path) -> Commit:
    try:
        table = pq.read_table(path, page_checksum_verification=True)
        document: dict[str, Any] = json.loads(table.schema.metadata[METADATA_KEY])
        return Commit(
            document["first_text"],
            document["texts"],
            document["rows"],
            document["not_embedded"],
            tuple(DataFile(**file) for file in document["files"]),
            document["checksums"],
            Ledger(*(table.column(name).to_numpy() for name in _COLUMNS)),
        )
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
        raise StoreCorruptError(
            f"the ledger file {path} cannot be read ({first_line(error)}): restore it from a copy, "
            "or extract again with --overwrite."
        ) from error


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

    Vectors count with their little-endian bytes, a null vector as NaNs (which are never stored);
    signed integers likewise, null as their smallest; everything else as JSON, one value a line.
    """
    for array in column.chunks if isinstance(column, pa.ChunkedArray) else [column]:
        start = zlib.crc32(_bytes(array), start)
    return start


def file_checksum(path: Path) -> int:
    """CRC-32 of a file's bytes."""
    found = 0
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            found = zlib.crc32(block, found)
    return found


def _bytes(array: pa.Array) -> Any:
    if pa.types.is_fixed_size_list(array.type):
        values = array.flatten().to_numpy(zero_copy_only=False)
        if array.null_count:
            whole = np.full((len(array), array.type.list_size), np.nan, values.dtype)
            whole[array.is_valid().to_numpy(zero_copy_only=False)] = values.reshape(-1, array.type.list_size)
            values = whole
        return np.ascontiguousarray(values).reshape(-1).view(np.uint8).data if values.size else b""
    if pa.types.is_signed_integer(array.type):
        kind = np.dtype(array.type.to_pandas_dtype())
        return array.fill_null(int(np.iinfo(kind).min)).to_numpy(zero_copy_only=False).astype(kind).tobytes()
    return "".join(json.dumps(value, default=str) + "\n" for value in array.to_pylist()).encode()
