"""Writing a store: commits hold whole texts only, and are on the disk before they count.

What is committed must survive a kill or a power cut at any moment, so each commit goes in four
steps, each durable before the next: the data files, the sidecar of the ledger that names them,
the manifest (the step that makes them count), and its folder.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import reduce
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import lance
import pyarrow as pa
from lance.fragment import write_fragments

from layerwise.errors import NotAStoreError, StoreError
from layerwise.store.commits import (
    Commit,
    DataFile,
    checksum,
    data_files,
    file_checksum,
    join_ledgers,
    read_commits,
    refuse_lost_files,
    write_commit,
)
from layerwise.store.faults import reading, writing
from layerwise.store.folder import LEDGER, Kind, Manifests, clear, kind_of, lock, remove_lock, sync
from layerwise.store.kept import kept_names, kept_types
from layerwise.store.resume import refuse_other_run, remove_leftovers, resumed_document
from layerwise.store.rows import to_table
from layerwise.store.schema import (
    FORMAT_VERSION,
    VECTOR_TYPES,
    build_schema,
    decode_document,
    schema_metadata,
)
from layerwise.types import Chunk
from layerwise.whole_file import local_path

COMMIT_BYTES = 64 << 20
"""Rows are committed once this much is waiting."""

CLEAN_EVERY, CLEAN_AGE = 100, timedelta(minutes=10)
"""Every so many versions, manifests of this age are removed: each names all data files, so in a run of
weeks they would outgrow the vectors."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What a store holds, texts without rows included."""

    texts: int
    rows: int
    tokens: int

    def plus(self, commit: Commit) -> Counts:
        """The same with one more commit."""
        return Counts(
            self.texts + commit.texts,
            self.rows + commit.rows,
            self.tokens + int(commit.ledger.num_tokens.sum()),
        )


@dataclass(frozen=True, slots=True)
class Shape:
    """What the schema depends on, apart from kept columns and the run's description."""

    columns: Mapping[str, int]
    store_dtype: str
    unit: str
    pairs: bool
    ids: bool

    def schema(self, kept: Mapping[str, pa.DataType], document: Mapping[str, Any]) -> pa.Schema:
        return build_schema(self.columns, self.store_dtype, self.unit, self.pairs, self.ids, kept, document)


class StoreWriter:
    """Appends chunks to a store. Use `open`, and as a context manager.

    Attributes:
        path: the store's folder.
        bytes_written: size of the data files committed by this writer.
        first: values of the kept columns that a new store has their types from; by default those of its first chunk.
    """

    def __init__(self, path: Path, run: Mapping[str, Any], shape: Shape, commit_bytes: int) -> None:
        self.path = path
        self.bytes_written = 0
        self._run, self._shape, self._commit_bytes = dict(run), shape, commit_bytes
        self._lock: IO[str] | None = None
        self._dataset: lance.LanceDataset | None = None
        self._overwrite = False
        self._declared: Mapping[str, pa.DataType] = {}
        self.first: Mapping[str, Sequence[Any]] = {}
        self._counts = Counts(0, 0, 0)
        self._waiting: list[tuple[Chunk, pa.Table]] = []
        self._resumed = self._failed = False

    @classmethod
    def open(
        cls,
        path: str | Path,
        run: Mapping[str, Any],
        columns: Mapping[str, int],
        *,
        store_dtype: str = "float32",
        unit: str = "text",
        kept: Mapping[str, pa.DataType] | None = None,
        pairs: bool = False,
        ids: bool = False,
        resume: bool = False,
        overwrite: bool = False,
        commit_bytes: int | None = None,
    ) -> StoreWriter:
        """Open a store for writing: a new one, or with `resume` one that an earlier run left.

        Args:
            path: the store's folder.
            run: what the run is, JSON-ready; goes into the metadata.
            columns: store column to the size of its vectors.
            store_dtype, unit, pairs, ids: what the schema depends on.
            kept: types of kept columns where the source declares them; else those of the `first` values.
            resume: go on in a store of the same run.
            overwrite: remove a store that is there once the first texts are here; never anything else.
            commit_bytes: commit when this much is waiting; default `COMMIT_BYTES`.

        Raises:
            NotAStoreError: the path is something else.
            StoreMismatchError: the store there was made by another run.
            StoreError: the store is there and neither `resume` nor `overwrite` is set, or
                another process is writing it, or it cannot be written.
        """
        folder = local_path(path)
        assert store_dtype in VECTOR_TYPES
        _refuse(folder, resume, overwrite)
        shape = Shape(dict(columns), store_dtype, unit, pairs, ids)
        writer = cls(folder, run, shape, COMMIT_BYTES if commit_bytes is None else commit_bytes)
        writer._declared = kept or {}
        try:
            with writing(folder):
                (folder / LEDGER).mkdir(parents=True, exist_ok=True)
                writer._lock = lock(folder)
                # Only now is it ours: look again, another run may have ended in between.
                kind = _refuse(folder, resume, overwrite)
                writer._overwrite = kind is Kind.STARTED or overwrite
                if kind is Kind.STORE and not overwrite:
                    writer._resume()
        except BaseException:
            writer.close()
            raise
        return writer

    @property
    def committed_texts(self) -> int:
        """Number of texts that are safe: a resumed run goes on after them."""
        return self._counts.texts

    @property
    def counts(self) -> Counts:
        """What is committed."""
        return self._counts

    def append(self, chunk: Chunk) -> None:
        """Add whole texts; they are committed when enough is waiting, or by `commit`.

        Raises:
            NumericError: NaN, or values that do not fit; nothing of the chunk is kept.
            SourceError: kept values of different types; nothing of the chunk is kept.
            StoreFullError: the disk is full; what was committed stays valid.
        """
        waiting = sum(len(chunk.ledger) for chunk, _ in self._waiting)
        assert chunk.first_text == self.committed_texts + waiting, "texts come in order"
        if self._dataset is not None:  # an empty one is falsy
            table = to_table(chunk, self._dataset.schema, self._shape.unit)
        else:  # a first chunk that is refused makes no store, and costs none that is to be overwritten
            kept = kept_types(chunk, self._shape.unit, self._declared, self.first)
            schema = self._shape.schema(kept, self._document())
            table = to_table(chunk, schema, self._shape.unit)
            self._create(schema)
        self._waiting.append((chunk, table))
        if sum(table.nbytes for _, table in self._waiting) >= self._commit_bytes:
            self.commit()

    def commit(self) -> None:
        """Put everything appended so far on the disk, as one atomic commit.

        Raises:
            StoreFullError, StoreError: it cannot be written. The store stays as it was; open it
                again to go on.
        """
        if not self._waiting:
            return
        if self._failed:
            raise StoreError(f"an earlier commit to {self.path} failed: run the same command again to go on.")
        try:
            with writing(self.path):
                self._mark_unfinished()
                self._commit(
                    [chunk for chunk, _ in self._waiting], pa.concat_tables(t for _, t in self._waiting)
                )
        except BaseException:
            # Whether the manifest was written is not known here, so a second try could repeat rows.
            self._failed = True
            self._make_room()
            raise
        self._waiting = []

    def finish(self, limit: int | None = None) -> Counts:
        """Commit the rest and write the counts into the metadata, and the `limit` of texts, if any.

        A store that is complete already, and got nothing new, is not touched.
        """
        self.commit()
        dataset = self._dataset
        if dataset is None:
            dataset = self._create(self._shape.schema({}, self._document()))
        stored = decode_document(dataset.schema, self.path)
        counts = self.counts
        document = {
            **{key: value for key, value in stored.items() if key != "limit"},
            **({} if limit is None else {"limit": limit}),
            "complete": True,
            "counts": {"texts": counts.texts, "rows": counts.rows, "tokens": counts.tokens},
        }
        if document != stored:
            self._write_document(document)
        return counts

    def close(self) -> None:
        """Give up the lock; what is not committed is dropped. A store never begun leaves no trace."""
        self._waiting = []
        if self._lock is not None:
            if self._dataset is None:
                remove_lock(self.path)
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

    def _create(self, schema: pa.Schema) -> lance.LanceDataset:
        with writing(self.path):
            if self._overwrite:  # not before: a source that cannot be read must not cost the store there
                clear(self.path)
            self._manifests = Manifests(self.path)
            try:
                dataset = lance.write_dataset(schema.empty_table(), self.path, schema=schema, mode="create")
                self._manifests.sync()
            except BaseException:  # half of one would be taken for somebody else's
                clear(self.path)
                raise
            self._dataset = dataset
        return dataset

    def _commit(self, chunks: list[Chunk], table: pa.Table) -> None:
        assert self._dataset is not None
        fragments = []
        if table.num_rows:
            fragments = write_fragments(table, self.path, schema=self._dataset.schema, mode="append")
        files = tuple(self._synced(file.path) for fragment in fragments for file in fragment.files)
        if files:
            sync(self.path / "data")
        commit = Commit(
            first_text=chunks[0].first_text,
            texts=sum(len(chunk.ledger) for chunk in chunks),
            rows=table.num_rows,
            not_embedded=sum(int((~chunk.embedded).sum()) for chunk in chunks),
            files=files,
            checksums={name: checksum(table.column(name)) for name in table.column_names},
            ledger=join_ledgers([chunk.ledger for chunk in chunks]),
        )
        write_commit(self.path, commit)
        if fragments:
            self._dataset = lance.LanceDataset.commit(
                self.path, lance.LanceOperation.Append(fragments), read_version=self._dataset.version
            )
            self._manifests.sync()
            if self._dataset.version % CLEAN_EVERY == 0:
                self._dataset.cleanup_old_versions(older_than=CLEAN_AGE, error_if_tagged_old_versions=False)
        self._counts = self._counts.plus(commit)
        self.bytes_written += sum(file.bytes for file in files)

    def _synced(self, name: str) -> DataFile:
        file = self.path / "data" / name
        sync(file)
        return DataFile(name, file.stat().st_size, file_checksum(file))

    def _mark_unfinished(self) -> None:
        """A complete store that gets more texts (a higher `--limit`) is not complete meanwhile.

        What differs in a resumed run without changing its rows, such as versions, is added.
        """
        if not self._resumed:
            return
        assert self._dataset is not None
        stored = decode_document(self._dataset.schema, self.path)
        document = resumed_document(stored, self._document())
        if document != stored:
            self._write_document(document)
        self._resumed = False

    def _write_document(self, document: Mapping[str, Any]) -> None:
        assert self._dataset is not None
        with writing(self.path):
            self._dataset.update_schema_metadata(schema_metadata(document))
            self._manifests.sync()

    def _resume(self) -> None:
        with reading(self.path):
            dataset = lance.dataset(self.path)
            names = data_files(dataset)
        commits = read_commits(self.path, names)
        if not commits:  # begun and nothing more: of no run's use, and no reason to refuse another
            self._overwrite = True
            return
        kept = {name: dataset.schema.field(name).type for name in kept_names(dataset.schema)}
        refuse_other_run(self.path, dataset.schema, self._document(), self._shape.schema(kept, {}))
        refuse_lost_files(self.path, commits)
        self._counts = reduce(Counts.plus, commits, self._counts)
        self._dataset, self._resumed = dataset, True
        self._manifests = Manifests(self.path)
        remove_leftovers(self.path, names, commits)

    def _make_room(self) -> None:
        """After a failed commit: remove what it wrote, unless it is in the manifest after all."""
        with contextlib.suppress(OSError, StoreError):
            names = data_files(lance.dataset(self.path))
            remove_leftovers(self.path, names, read_commits(self.path, names))


def _refuse(folder: Path, resume: bool, overwrite: bool) -> Kind:
    kind = kind_of(folder)
    if kind is Kind.OTHER:
        raise NotAStoreError(
            f"the output {folder} exists and is not a layerwise store: choose another name, or remove it yourself."
        )
    if kind is Kind.STORE and not (resume or overwrite):
        raise StoreError(f"the store {folder} exists: resume it or overwrite it (--resume, --overwrite).")
    return kind
