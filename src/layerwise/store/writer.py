"""Writing a store: commits hold whole texts only, and are on the disk before they count."""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import lance
import pyarrow as pa
from lance.fragment import write_fragments

from layerwise.errors import NotAStoreError, StoreError, StoreFullError, StoreMismatchError
from layerwise.store.commits import FOLDER, Commit, checksum, join_ledgers, read_commits, sync, write_commit
from layerwise.store.schema import (
    FORMAT_VERSION,
    METADATA_KEY,
    VECTOR_TYPES,
    build_schema,
    encode_document,
    kept_types,
    to_table,
)
from layerwise.types import Chunk

COMMIT_BYTES = 128 << 20
"""Rows are committed once this much is waiting."""

MUST_AGREE = (
    *(
        "model",
        "revision",
        "weights_sha256",
        "tokenizer_sha256",
        "dtype",
        "layers",
        "unit",
        "words",
        "pooling",
    ),
    *("mix", "mix_weights", "max_length", "stride", "long_text", "store_dtype", "source", "keep"),
)
"""What a resumed run must have in common with the run it goes on from."""


class StoreWriter:
    """Appends chunks to a store.

    Attributes:
        path: the store's folder.
        committed_texts: number of texts that are safe; a resumed run goes on after them.
        bytes_written: size of the data files written by this writer.
    """

    def __init__(self, path: Path, run: Mapping[str, Any], shape: _Shape, lock: IO[str] | None) -> None:
        self.path = path
        self.bytes_written = 0
        self._run, self._shape, self._lock = dict(run), shape, lock
        self._dataset: lance.LanceDataset | None = None
        self._commits: list[Commit] = []
        self._waiting: list[tuple[Chunk, pa.Table]] = []
        self._texts_without_rows: list[Chunk] = []

    @classmethod
    def open(
        cls,
        path: str | Path,
        run: Mapping[str, Any],
        columns: Mapping[str, int],
        *,
        store_dtype: str = "float32",
        unit: str = "text",
        pairs: bool = False,
        ids: bool = False,
        resume: bool = True,
        overwrite: bool = False,
    ) -> StoreWriter:
        """Open a store for writing: a new one, or with `resume` one that an earlier run left.

        Args:
            path: the store's folder.
            run: what the run is, JSON-ready; goes into the metadata.
            columns: store column to the size of its vectors.
            store_dtype, unit, pairs, ids: what the schema depends on.
            resume: go on in a store of the same run.
            overwrite: remove a store that is there first; never anything else.

        Raises:
            NotAStoreError: the path is something else.
            StoreMismatchError: the store there was made by another run.
            StoreError: the store is there and neither `resume` nor `overwrite` is set, or
                another process is writing it.
        """
        folder = Path(path)
        shape = _Shape(dict(columns), store_dtype, unit, pairs, ids)
        kind = _what_is(folder)
        if kind == "other":
            raise NotAStoreError(
                f"the output {folder} exists and is not a layerwise store: choose another name, or remove it yourself."
            )
        if kind == "store" and not (resume or overwrite):
            raise StoreError(f"the store {folder} exists: resume it or overwrite it (--resume, --overwrite).")
        with _full_disk(folder):
            (folder / FOLDER).mkdir(parents=True, exist_ok=True)
            lock = _lock(folder)
            writer = cls(folder, run, shape, lock)
            if kind != "new" and overwrite:
                _empty(folder)
            elif kind == "store":
                writer._resume()
        return writer

    @property
    def committed_texts(self) -> int:
        return self._commits[-1].first_text + self._commits[-1].texts if self._commits else 0

    def append(self, chunk: Chunk) -> None:
        """Add whole texts; they are committed when enough is waiting, or by `commit`.

        Raises:
            NumericError: NaN, or values that do not fit; nothing of the chunk is kept.
            StoreFullError: the disk is full; what was committed stays valid.
        """
        if self._dataset is None:
            self._dataset = self._create(chunk)
        table = to_table(chunk, self._dataset.schema, self._shape.store_dtype, self._shape.unit)
        self._waiting.append((chunk, table))
        if sum(table.nbytes for _, table in self._waiting) >= COMMIT_BYTES:
            self.commit()

    def commit(self) -> None:
        """Put everything appended so far on the disk, as one atomic commit."""
        if not self._waiting:
            return
        with _full_disk(self.path):
            self._commit([chunk for chunk, _ in self._waiting], pa.concat_tables(t for _, t in self._waiting))
        self._waiting = []

    def finish(self) -> None:
        """Commit the rest and write the counts into the metadata."""
        self.commit()
        if self._dataset is None:
            return
        counts = {
            "texts": self.committed_texts,
            "rows": sum(commit.rows for commit in self._commits),
            "tokens": int(sum(int(commit.ledger.num_tokens.sum()) for commit in self._commits)),
        }
        document = {**self._document(), "counts": counts, "complete": True}
        if self._dataset.schema.metadata[METADATA_KEY] != encode_document(document):
            with _full_disk(self.path):
                self._dataset.update_schema_metadata(
                    {METADATA_KEY.decode(): encode_document(document).decode()}
                )
                self._sync_manifest()

    def close(self) -> None:
        """Give up the lock; what is not committed is dropped."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _document(self) -> dict[str, Any]:
        return {**self._run, "format_version": FORMAT_VERSION, "complete": False}

    def _create(self, chunk: Chunk) -> lance.LanceDataset:
        shape = self._shape
        kept = kept_types(chunk, shape.unit)
        schema = build_schema(
            shape.columns, shape.store_dtype, shape.unit, shape.pairs, shape.ids, kept, self._document()
        )
        with _full_disk(self.path):
            dataset = lance.write_dataset(schema.empty_table(), self.path, schema=schema, mode="create")
            self._dataset = dataset
            self._sync_manifest()
        return dataset

    def _commit(self, chunks: list[Chunk], table: pa.Table) -> None:
        assert self._dataset is not None
        fragments = []
        if table.num_rows:
            fragments = write_fragments(table, self.path, schema=self._dataset.schema, mode="append")
        names = tuple(file.path for fragment in fragments for file in fragment.files)
        for name in names:
            file = self.path / "data" / name
            sync(file)
            self.bytes_written += file.stat().st_size
        if names:
            sync(self.path / "data")
        commit = Commit(
            first_text=chunks[0].first_text,
            texts=sum(len(chunk.ledger) for chunk in chunks),
            rows=table.num_rows,
            files=names,
            checksums={name: checksum(table.column(name)) for name in table.column_names},
            ledger=join_ledgers([chunk.ledger for chunk in chunks]),
        )
        write_commit(self.path, commit)
        if fragments:
            self._dataset = lance.LanceDataset.commit(
                self.path, lance.LanceOperation.Append(fragments), read_version=self._dataset.version
            )
            self._sync_manifest()
        self._commits.append(commit)

    def _sync_manifest(self) -> None:
        for folder in (self.path / "_transactions", self.path / "_versions"):
            if folder.is_dir():
                for file in sorted(folder.iterdir())[-2:]:
                    sync(file)
                sync(folder)
        sync(self.path)

    def _resume(self) -> None:
        dataset = lance.dataset(self.path)
        stored = json.loads(dataset.schema.metadata[METADATA_KEY])
        asked = json.loads(encode_document(self._document()))
        differences = [
            f"{key} is {_short(stored.get(key))} there and {_short(asked.get(key))} now"
            for key in MUST_AGREE
            if stored.get(key) != asked.get(key)
        ]
        if differences:
            raise StoreMismatchError(
                f"the store {self.path} was made by another run ({'; '.join(differences)}): "
                "give the same options to go on, choose another output, or pass --overwrite to start again."
            )
        files = data_files(dataset)
        self._dataset = dataset
        self._commits = read_commits(self.path, files)
        self._remove_leftovers(set(files))

    def _remove_leftovers(self, files: set[str]) -> None:
        """Delete what a killed run wrote and never committed."""
        for file in (self.path / "data").glob("*.lance"):
            if file.name not in files:
                file.unlink()
        known = {commit.name for commit in self._commits}
        for file in (self.path / FOLDER).glob("*.parquet*"):
            if file.name not in known:
                file.unlink()


class _Shape:
    """What the schema depends on, apart from the run's description."""

    def __init__(self, columns: dict[str, int], store_dtype: str, unit: str, pairs: bool, ids: bool) -> None:
        assert store_dtype in VECTOR_TYPES
        self.columns, self.store_dtype, self.unit, self.pairs, self.ids = (
            columns,
            store_dtype,
            unit,
            pairs,
            ids,
        )


def data_files(dataset: lance.LanceDataset) -> list[str]:
    """Names of the data files in the manifest."""
    return [file.path for fragment in dataset.get_fragments() for file in fragment.metadata.files]


def _what_is(folder: Path) -> str:
    """`"new"`, `"store"`, `"started"` (a run killed before its first manifest) or `"other"`."""
    if not folder.exists() and not folder.is_symlink():
        return "new"
    if not folder.is_dir():
        return "other"
    names = {entry.name for entry in folder.iterdir()}
    if not names:
        return "new"
    if (folder / "_versions").is_dir() and any((folder / "_versions").glob("*.manifest")):
        try:
            metadata = lance.dataset(folder).schema.metadata or {}
        except (OSError, ValueError) as error:
            raise StoreError(f"the store {folder} cannot be opened ({error}).") from error
        return "store" if METADATA_KEY in metadata else "other"
    return (
        "started" if FOLDER in names and names <= {FOLDER, "data", "_versions", "_transactions"} else "other"
    )


def _empty(folder: Path) -> None:
    """Remove a store's own folders; the lock stays held."""
    for name in ("_versions", "_transactions", "data", "_indices", "_deletions"):
        shutil.rmtree(folder / name, ignore_errors=True)
    for file in (folder / FOLDER).glob("*.parquet*"):
        file.unlink()


def _lock(folder: Path) -> IO[str] | None:
    """One writer at a time; the lock dies with its process, even by kill -9."""
    try:
        import fcntl
    except ImportError:  # not on Windows
        return None
    handle = (folder / FOLDER / "lock").open("w")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        handle.close()
        raise StoreError(
            f"the store {folder} is being written by another process: wait for it to end."
        ) from None
    return handle


@contextmanager
def _full_disk(folder: Path) -> Iterator[None]:
    """Say in words that the disk is full, or that writing is not allowed."""
    try:
        yield
    except OSError as error:
        said = str(error)
        if error.errno == errno.ENOSPC or "No space left" in said or "os error 28" in said:
            raise StoreFullError(
                f"the disk of {folder} is full: what was committed stays valid; make room and run the same command "
                "again to go on."
            ) from error
        if isinstance(error, PermissionError) or "Permission denied" in said:
            raise StoreError(f"the store {folder} cannot be written: permission denied.") from error
        raise StoreError(f"the store {folder} cannot be written: {' '.join(said.split())[:300]}") from error


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else text[:77] + "…"
