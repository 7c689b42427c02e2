"""Reading a store: one layer of all texts, or every layer of one text."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lance
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from layerwise.errors import LayerSelectionError, NotAStoreError, StoreError, UsageError
from layerwise.store.commits import Commit, join_ledgers, read_commits
from layerwise.store.schema import METADATA_KEY
from layerwise.store.writer import data_files
from layerwise.types import Ledger, Unit, column_name

if TYPE_CHECKING:
    import torch

BATCH_ROWS = 8_192

Name = int | str
Vectors = npt.NDArray[np.floating[Any]]


def open_store(path: str | Path) -> Store:
    """Open a store for reading.

    Raises:
        NotAStoreError: nothing is there, or something else.
        StoreError: it cannot be opened.
    """
    folder = Path(path)
    if not folder.exists():
        raise NotAStoreError(
            f"there is no store {folder}: expected a folder that `layerwise extract -o` wrote."
        )
    try:
        dataset = lance.dataset(folder)
    except (OSError, ValueError) as error:
        if not (folder / "_versions").is_dir():
            raise NotAStoreError(f"{folder} is not a layerwise store: expected a Lance dataset.") from error
        raise StoreError(
            f"the store {folder} cannot be opened: {' '.join(str(error).split())[:300]}"
        ) from error
    if METADATA_KEY not in (dataset.schema.metadata or {}):
        raise NotAStoreError(
            f"{folder} is a Lance dataset that layerwise did not write: it has no 'layerwise' metadata."
        )
    return Store(folder, dataset)


@dataclass(frozen=True, slots=True)
class StoredText:
    """One text of a store.

    Attributes:
        layers: names of the layers along the first axis.
        units: what the rows are.
        hidden_states: (num_layers, num_units, hidden_size); NaN where a unit is not embedded.
        kept: kept columns, one value a unit.
    """

    layers: tuple[Name, ...]
    units: tuple[Unit, ...]
    hidden_states: Vectors
    kept: dict[str, list[Any]]


class Store:
    """A finished or growing store.

    Attributes:
        path: its folder.
        dataset: the Lance dataset itself.
        metadata: the document of FORMAT.md.
    """

    def __init__(self, path: Path, dataset: lance.LanceDataset) -> None:
        self.path = path
        self.dataset = dataset
        self.metadata: dict[str, Any] = json.loads(dataset.schema.metadata[METADATA_KEY])

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that hold vectors, in order."""
        return tuple(field.name for field in self.dataset.schema if field.name.startswith("layer_"))

    @property
    def layers(self) -> tuple[Name, ...]:
        """The layers stored: numbers, `"final"`, or `"mix"`."""
        names = [column.removeprefix("layer_") for column in self.columns]
        return tuple(int(name) if name.isdigit() else name for name in names)

    @property
    def kept_columns(self) -> tuple[str, ...]:
        """The columns copied from the source."""
        own = {"text_id", "unit_id", "sequence_id", "word_id", "id", "unit", "start", "end", *self.columns}
        return tuple(field.name for field in self.dataset.schema if field.name not in own)

    @property
    def unit(self) -> str:
        """What a row is: `text`, `word` or `token`."""
        return str(self.metadata["unit"])

    @cached_property
    def num_rows(self) -> int:
        """Number of units."""
        return int(self.dataset.count_rows())

    @cached_property
    def num_not_embedded(self) -> int:
        """Units that got no token: their vectors are null."""
        if not self.num_rows:
            return 0
        return int(self.dataset.count_rows(f"{self.columns[0]} IS NULL"))

    @cached_property
    def commits(self) -> list[Commit]:
        """The commits the store was written in."""
        return read_commits(self.path, data_files(self.dataset))

    @property
    def num_texts(self) -> int:
        """Number of texts, those without rows included."""
        return sum(commit.texts for commit in self.commits)

    def __len__(self) -> int:
        return self.num_rows

    def ledger(self) -> Ledger:
        """Length of every text: tokens, windows, what was cut, units."""
        return join_ledgers([commit.ledger for commit in self.commits])

    def layer(self, layer: Name) -> LayerColumn:
        """One layer of all rows; read from the disk as it is used.

        Raises:
            LayerSelectionError: the layer was not extracted.
        """
        return LayerColumn(self, self.column(layer))

    def column(self, layer: Name) -> str:
        """The store's column of a layer; negative numbers count from the model's last layer."""
        wanted = layer
        if isinstance(layer, str) and layer.lstrip("-").isdigit():
            wanted = int(layer)
        if isinstance(wanted, int) and wanted < 0:
            wanted += int(self.metadata["num_hidden_layers"]) + 1
        if wanted == "final" and "final" not in self.layers:
            wanted = int(self.metadata["num_hidden_layers"])
        if wanted not in self.layers:
            raise LayerSelectionError(
                f"layer {layer} is not in the store {self.path}: it holds {', '.join(map(str, self.layers))}."
            )
        return column_name(wanted)  # type: ignore[arg-type]

    def text(self, text_id: int) -> StoredText:
        """One text with all its units, at every layer.

        Raises:
            UsageError: there is no such text.
        """
        bounds = self._row_bounds
        if not 0 <= text_id < len(bounds) - 1:
            raise UsageError(
                f"there is no text {text_id} in {self.path}: it holds texts 0 to {len(bounds) - 2}."
            )
        first, after = int(bounds[text_id]), int(bounds[text_id + 1])
        table = (
            self.dataset.take(list(range(first, after)))
            if after > first
            else self.dataset.schema.empty_table()
        )
        layers = [to_numpy(table.column(column)) for column in self.columns]
        return StoredText(
            self.layers,
            units(table, self.columns[0]),
            np.stack(layers),
            {name: table.column(name).to_pylist() for name in self.kept_columns},
        )

    def units(self) -> pa.Table:
        """Every column but the vectors."""
        names = [field.name for field in self.dataset.schema if field.name not in self.columns]
        return self.dataset.to_table(columns=names)

    def batches(self, columns: Sequence[str], size: int = BATCH_ROWS) -> Iterator[pa.RecordBatch]:
        """Rows of some columns, in order, `size` at a time: memory stays bounded."""
        yield from self.dataset.to_batches(columns=list(columns), batch_size=size, scan_in_order=True)

    @cached_property
    def _row_bounds(self) -> npt.NDArray[np.int64]:
        return np.concatenate(([0], np.cumsum(self.ledger().num_units)))


class LayerColumn:
    """One layer of a store, as an array that stays on the disk until it is used.

    `np.asarray(column)`, `column[10:20]` and `column.numpy()` read; `column.batches()` reads in
    pieces. Rows that are not embedded are NaN.
    """

    def __init__(self, store: Store, column: str) -> None:
        self._store, self._column = store, column
        kind = store.dataset.schema.field(column).type
        self.dtype = np.dtype(kind.value_type.to_pandas_dtype())
        self.shape = (store.num_rows, kind.list_size)
        self.ndim = 2

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        return f"LayerColumn({self._column}, shape={self.shape}, dtype={self.dtype})"

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> Vectors:
        array = self.numpy()
        return array if dtype is None else array.astype(dtype)

    def __getitem__(self, key: Any) -> Vectors:
        rows, rest = (key[0], key[1:]) if isinstance(key, tuple) else (key, ())
        index = np.arange(self.shape[0])[rows]
        taken = self._store.dataset.take(np.atleast_1d(index).tolist(), columns=[self._column])
        array = to_numpy(taken.column(self._column))
        array = array[0] if index.ndim == 0 else array
        return array[(*(() if index.ndim == 0 else (slice(None),)), *rest)] if rest else array

    def numpy(self) -> Vectors:
        """(rows, hidden_size), all at once."""
        whole = np.empty(self.shape, self.dtype)
        first = 0
        for batch in self.batches():
            whole[first : first + len(batch)] = batch
            first += len(batch)
        return whole

    def torch(self) -> torch.Tensor:
        """(rows, hidden_size) as a torch tensor."""
        import torch

        return torch.from_numpy(self.numpy())

    def batches(self, size: int = BATCH_ROWS) -> Iterator[Vectors]:
        """(up to `size`, hidden_size) at a time, in order."""
        for batch in self._store.batches([self._column], size):
            yield to_numpy(batch.column(0))


def to_numpy(column: pa.Array | pa.ChunkedArray) -> Vectors:
    """A vector column as (rows, size); null rows are NaN."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], array.type)
    size = array.type.list_size
    dtype = np.dtype(array.type.value_type.to_pandas_dtype())
    values: Vectors = array.flatten().to_numpy(zero_copy_only=False).reshape(-1, size)
    if not array.null_count:
        return values.astype(dtype, copy=False)
    whole = np.full((len(array), size), np.nan, dtype)
    whole[array.is_valid().to_numpy(zero_copy_only=False)] = values
    return whole


def units(table: pa.Table, vector_column: str) -> tuple[Unit, ...]:
    """The rows of a table as units."""
    columns = {name: table.column(name).to_pylist() for name in ("unit", "start", "end", "unit_id")}
    count = table.num_rows
    members = table.column("sequence_id").to_pylist() if "sequence_id" in table.column_names else [0] * count
    words = table.column("word_id").to_pylist() if "word_id" in table.column_names else columns["unit_id"]
    valid = table.column(vector_column).is_valid().to_pylist()
    rows = zip(columns["unit"], columns["start"], columns["end"], words, members, valid, strict=True)
    return tuple(Unit(*row) for row in rows)
