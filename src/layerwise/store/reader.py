"""Reading a store: one layer of all texts, or every layer of one text."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import lance
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from layerwise.errors import NotAStoreError, UsageError
from layerwise.reports.runs import Totals
from layerwise.store.commits import Commit, data_files, join_ledgers, read_commits
from layerwise.store.faults import read_through, reading
from layerwise.store.folder import Kind, kind_of
from layerwise.store.kept import kept_names
from layerwise.store.layer_column import LayerColumn, Vectors, to_numpy
from layerwise.store.resume import refuse_later_format
from layerwise.store.schema import METADATA_KEY, decode_document, vector_columns
from layerwise.types import LayerSelection, Ledger, Unit, place_of
from layerwise.whole_file import local_path

BATCH_BYTES = 32 << 20
"""A batch holds about this much; Lance reads a few ahead."""

MAX_BATCH_ROWS = 65_536
READ_AHEAD = 2

Name = int | str
"""A layer as users name it: its number, `"final"` or the name of a mix."""

Columns = Mapping[Name, str]
"""Layer to store column."""


def open_store(path: str | Path) -> Store:
    """Open a store for reading.

    Raises:
        NotAStoreError: nothing is there, or something else.
        StoreCorruptError: it cannot be opened.
        StoreError: a later version of layerwise wrote it.
    """
    if not isinstance(path, str | Path):
        raise UsageError(f"a store is {path!r}: expected the name of its folder, a string or a path.")
    folder = local_path(path)
    kind = kind_of(folder)
    if kind is Kind.NEW:
        raise NotAStoreError(
            f"there is no store {folder}: expected a folder that `layerwise extract -o` wrote."
        )
    if kind is Kind.STARTED:
        raise NotAStoreError(
            f"the store {folder} is empty: the run that began it wrote nothing yet; run its command again."
        )
    if kind is Kind.OTHER:
        raise NotAStoreError(
            f"{folder} is not a layerwise store: expected a Lance dataset with 'layerwise' metadata, "
            "as `layerwise extract -o` writes it."
        )
    with reading(folder):
        dataset = lance.dataset(folder)
        assert METADATA_KEY in dataset.schema.metadata
        store = Store(folder, dataset)
    refuse_later_format(folder, store.metadata)
    return store


@dataclass(frozen=True, slots=True)
class StoredText:
    """One text of a store.

    Attributes:
        text_id: its number, from 0.
        layers: names of the layers along the first axis.
        units: what the rows are.
        hidden_states: (num_layers, num_units, hidden_size); NaN where a unit is not embedded.
        kept: kept columns, one value a unit.
        id: the user's identifier, if the run had an id column (and the text has units).
    """

    text_id: int
    layers: tuple[Name, ...]
    units: tuple[Unit, ...]
    hidden_states: Vectors
    kept: dict[str, list[Any]]
    id: str | None = None

    def __len__(self) -> int:
        return len(self.units)


class Store:
    """A finished or growing store, as it was when it was opened.

    Attributes:
        path: its folder.
        dataset: the Lance dataset itself.
        metadata: the document of FORMAT.md.
    """

    def __init__(self, path: Path, dataset: lance.LanceDataset) -> None:
        self.path = path
        self.dataset = dataset
        self.metadata: dict[str, Any] = decode_document(dataset.schema, path)

    def __repr__(self) -> str:
        return f"Store({str(self.path)!r}, {self.num_rows} {self.unit}s, layers {', '.join(map(str, self.layers))})"

    def __len__(self) -> int:
        return self.num_rows

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that hold vectors, in order."""
        return vector_columns(self.dataset.schema)

    @property
    def unit_columns(self) -> tuple[str, ...]:
        """All other columns, in order."""
        return tuple(name for name in self.dataset.schema.names if name not in self.columns)

    @property
    def kept_columns(self) -> tuple[str, ...]:
        """The columns copied from the source."""
        return kept_names(self.dataset.schema)

    @property
    def num_hidden_layers(self) -> int:
        """Number of blocks of the model (N), whatever layers are stored."""
        return int(self.metadata.get("num_hidden_layers", 0))

    @property
    def has_final(self) -> bool:
        """Whether the model has a final norm: `"final"` is then no name of layer N."""
        return bool(self.metadata.get("has_final", "final" in self.layers))

    @property
    def layers(self) -> tuple[Name, ...]:
        """The layers stored: numbers, `"final"`, or `"mix"`."""
        names = [column.removeprefix("layer_") for column in self.columns]
        return tuple(int(name) if name.isdigit() else name for name in names)

    @property
    def unit(self) -> str:
        """What a row is: `text`, `word` or `token`."""
        return str(self.metadata["unit"])

    @cached_property
    def num_rows(self) -> int:
        """Number of units."""
        return int(self.dataset.count_rows())

    @property
    def num_not_embedded(self) -> int:
        """Units that got no token: their vectors are null."""
        return sum(commit.not_embedded for commit in self.commits)

    @cached_property
    def commits(self) -> list[Commit]:
        """The commits the store was written in."""
        return read_commits(self.path, data_files(self.dataset))

    @property
    def num_texts(self) -> int:
        """Number of texts, those without rows included."""
        return sum(commit.texts for commit in self.commits)

    def ledger(self) -> Ledger:
        """Length of every text: tokens, windows, what was cut, units."""
        return join_ledgers([commit.ledger for commit in self.commits])

    def totals(self) -> Totals:
        """What it holds, counted over its rows and its ledger."""
        ledger = self.ledger()
        return Totals(
            path=str(self.path),
            texts=len(ledger),
            rows=self.num_rows,
            tokens=int(ledger.num_tokens.sum()),
            not_embedded=self.num_not_embedded,
            windowed_texts=int((ledger.num_windows > 1).sum()),
            truncated_texts=int((ledger.num_truncated > 0).sum()),
            truncated_tokens=int(ledger.num_truncated.sum()),
            bytes=sum(file.stat().st_size for file in self.path.rglob("*") if file.is_file()),
        )

    def layer(self, layer: Name) -> LayerColumn:
        """One layer of all rows, (rows, hidden_size); read from the disk as it is used.

        Raises:
            LayerSelectionError: the layer was not extracted.
        """
        return LayerColumn(self, self.column(layer))

    def column(self, layer: Name) -> str:
        """The store's column of a layer; negative numbers count from the model's last layer.

        Raises:
            LayerSelectionError: the layer was not extracted.
        """
        place = place_of(layer, self.layers, self.num_hidden_layers, self.has_final)
        return self.columns[place]

    def select(self, layers: str | int | Sequence[int | str] | None = "all") -> dict[Name, str]:
        """Layers by a selection as in `extract`, with their columns; None is all of the store.

        Raises:
            LayerSelectionError: a layer is not in the store, or the selection cannot be read.
        """
        if layers is None or layers == "all":
            return dict(zip(self.layers, self.columns, strict=True))
        if self.layers == ("mix",):
            return {"mix": self.column(str(layers))}
        selection = LayerSelection.parse(layers, self.num_hidden_layers, self.has_final)
        return {layer: self.column(layer) for layer in selection.layers}

    def text(self, text_id: int) -> StoredText:
        """One text with all its units, at every layer.

        Raises:
            UsageError: there is no such text.
        """
        bounds = self._row_bounds
        if not hasattr(text_id, "__index__"):
            raise UsageError(f"a text is {text_id!r}: expected its number, from 0.")
        if not 0 <= text_id < len(bounds) - 1:
            holds = f"texts 0 to {len(bounds) - 2}" if len(bounds) > 1 else "no text"
            raise UsageError(f"there is no text {text_id} in {self.path}: it holds {holds}.")
        table = self.take(range(int(bounds[text_id]), int(bounds[text_id + 1])))
        ids = table.column("id").to_pylist() if "id" in table.column_names else []
        return StoredText(
            text_id,
            self.layers,
            units_of(table, self.unit, self.columns[0]),
            np.stack([to_numpy(table.column(column)) for column in self.columns]),
            {name: table.column(name).to_pylist() for name in self.kept_columns},
            ids[0] if ids else None,
        )

    def take(self, rows: Sequence[int], columns: Sequence[str] | None = None) -> pa.Table:
        """Rows by number, in the order given, of some columns or of all.

        Raises:
            UsageError: there is no such row or column.
        """
        names, numbers = self._names(columns), [operator.index(row) for row in rows]
        if not numbers:
            return self.dataset.schema.empty_table().select(names)
        if min(numbers) < 0 or max(numbers) >= self.num_rows:
            wrong = next(number for number in numbers if not 0 <= number < self.num_rows)
            raise UsageError(
                f"there is no row {wrong} in {self.path}: it holds rows 0 to {self.num_rows - 1}."
            )
        with reading(self.path):
            return self.dataset.take(numbers, columns=names)

    def units(self) -> pa.Table:
        """Every column but the vectors, of all rows (`.to_pandas()` gives a data frame)."""
        return self.to_table(self.unit_columns)

    def to_table(self, columns: Sequence[str] | None = None) -> pa.Table:
        """Some columns of all rows at once, or all of them."""
        names = self._names(columns)
        with reading(self.path):
            return self.dataset.to_table(columns=names)

    def _names(self, columns: Sequence[str] | None) -> list[str]:
        """Columns asked for, or all.

        Raises:
            UsageError: one is not there.
        """
        there = self.dataset.schema.names
        names = [columns] if isinstance(columns, str) else list(there if columns is None else columns)
        for name in names:
            if name not in there:
                raise UsageError(f"there is no column {name!r} in {self.path}: it has {', '.join(there)}.")
        return names

    def batches(
        self,
        columns: Sequence[str] | None = None,
        size: int | None = None,
        rows: tuple[int, int] | None = None,
    ) -> Iterator[pa.RecordBatch]:
        """Rows of some columns, in order: memory stays bounded.

        Args:
            columns: names, or all.
            size: most rows at a time; by default what makes batches of about 32 MB.
            rows: half-open range of rows, or all.
        """
        names = self._names(columns)
        if size is not None and (not isinstance(size, int | np.integer) or size < 1):
            raise UsageError(f"the size of batches is {size!r}: expected a number of rows, 1 or more.")
        first, after = rows or (0, self.num_rows)
        if after <= first:
            return
        with reading(self.path):
            found = self.dataset.to_batches(
                columns=names,
                batch_size=self._batch_rows(names) if size is None else min(int(size), self.num_rows),
                batch_readahead=READ_AHEAD,
                fragment_readahead=1,
                io_buffer_size=4 * BATCH_BYTES,
                scan_in_order=True,
                offset=None if rows is None else first,
                limit=None if rows is None else after - first,
            )
        yield from read_through(found, self.path)

    def _batch_rows(self, names: Sequence[str]) -> int:
        row = sum(_bytes_of(self.dataset.schema.field(name).type) for name in names)
        return max(1, min(MAX_BATCH_ROWS, BATCH_BYTES // max(1, row)))

    @cached_property
    def _row_bounds(self) -> npt.NDArray[np.int64]:
        return np.concatenate(([0], np.cumsum(self.ledger().num_units)))


def _bytes_of(kind: pa.DataType) -> int:
    if pa.types.is_fixed_size_list(kind):
        return int(kind.list_size * kind.value_type.bit_width // 8)
    return 32


def units_of(table: pa.Table, unit: str, vector_column: str) -> tuple[Unit, ...]:
    """The rows of a table of one text as units."""
    surface, start, end = (table.column(name).to_pylist() for name in ("unit", "start", "end"))
    names, count = table.column_names, table.num_rows
    members = table.column("sequence_id").to_pylist() if "sequence_id" in names else [0] * count
    words: list[int | None]
    if unit == "token":
        words = table.column("word_id").to_pylist()
    elif unit == "word":  # numbered within each text of a pair
        first: dict[int, int] = {}
        words = [row - first.setdefault(member, row) for row, member in enumerate(members)]
    else:
        words = [None] * count
    valid = table.column(vector_column).is_valid().to_pylist()
    return tuple(Unit(*row) for row in zip(surface, start, end, words, members, valid, strict=True))
