"""One layer of a store as an array that stays on the disk."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

if TYPE_CHECKING:
    import torch

    from layerwise.store.reader import Store

Vectors = npt.NDArray[np.floating[Any]]


class LayerColumn:
    """One layer of a store: behaves as a NumPy array of shape (rows, hidden_size).

    `np.asarray(column)`, `column[10:20]`, `column[mask]`, `column[[3, 1], :8]` and
    `column.numpy()` read what they return; `column.batches()` reads in pieces. Rows that are not
    embedded are NaN.

    Attributes:
        name: the store's column.
        shape: (rows, hidden_size).
        dtype: float32 or float16.
    """

    ndim = 2

    def __init__(self, store: Store, name: str) -> None:
        kind = store.dataset.schema.field(name).type
        self.name = name
        self.dtype = np.dtype(kind.value_type.to_pandas_dtype())
        self.shape: tuple[int, int] = (store.num_rows, int(kind.list_size))
        self._store = store

    @property
    def size(self) -> int:
        """Number of values."""
        return self.shape[0] * self.shape[1]

    @property
    def nbytes(self) -> int:
        """Bytes of memory the whole layer takes."""
        return int(self.size * self.dtype.itemsize)

    def __len__(self) -> int:
        return self.shape[0]

    def __iter__(self) -> Iterator[Vectors]:
        for batch in self.batches():
            yield from batch

    def __repr__(self) -> str:
        return f"LayerColumn({self.name}, shape={self.shape}, dtype={self.dtype})"

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> Vectors:
        if copy is False:
            raise ValueError("a layer of a store is read from the disk: it cannot be had without a copy")
        array = self.numpy()
        return array if dtype is None else array.astype(dtype, copy=False)

    def __getitem__(self, key: Any) -> Vectors:
        """Rows by number, slice, list of numbers or mask; a second index selects dimensions."""
        rows, *rest = key if isinstance(key, tuple) else (key,)
        if isinstance(rows, int | np.integer):
            row = range(len(self))[int(rows)]
            vector: Vectors = self._take([row])[(0, *rest)]
            return vector
        if rows is Ellipsis:
            rows = slice(None)
        array = self._slice(rows) if isinstance(rows, slice) else self._take(self._numbers(rows))
        return array[(slice(None), *rest)] if rest else array

    def numpy(self) -> Vectors:
        """(rows, hidden_size), all at once."""
        return self._read(0, len(self))

    def torch(self) -> torch.Tensor:
        """(rows, hidden_size) as a torch tensor."""
        import torch

        return torch.from_numpy(self.numpy())

    def batches(self, size: int | None = None) -> Iterator[Vectors]:
        """(at most `size`, hidden_size) at a time, in order; by default about 32 MB."""
        for batch in self._store.batches([self.name], size):
            yield to_numpy(batch.column(0))

    def _slice(self, rows: slice) -> Vectors:
        wanted = range(len(self))[rows]
        if len(wanted) and wanted.step == 1:
            return self._read(wanted.start, wanted.stop)
        return self._take(wanted)

    def _numbers(self, rows: Any) -> list[int]:
        numbers = np.asarray(rows)
        if numbers.dtype == bool:
            if numbers.shape != self.shape[:1]:
                raise IndexError(f"the mask has shape {numbers.shape}: expected ({len(self)},)")
            return np.flatnonzero(numbers).tolist()
        if numbers.ndim != 1 or not (numbers.dtype.kind in "iu" or not numbers.size):
            raise IndexError(f"rows are chosen by number, slice, list of numbers or mask, not by {rows!r}")
        if numbers.size and not (-len(self) <= numbers.min() and numbers.max() < len(self)):
            raise IndexError(
                f"row {numbers[np.abs(numbers).argmax()]} is out of range: there are {len(self)}"
            )
        chosen: list[int] = np.where(numbers < 0, numbers + len(self), numbers).astype(np.int64).tolist()
        return chosen

    def _take(self, rows: Any) -> Vectors:
        return to_numpy(self._store.take(rows, [self.name]).column(0))

    def _read(self, first: int, after: int) -> Vectors:
        whole = np.empty((after - first, self.shape[1]), self.dtype)
        filled = 0
        span = None if (first, after) == (0, len(self)) else (first, after)
        for batch in self._store.batches([self.name], rows=span):
            vectors = to_numpy(batch.column(0))
            whole[filled : filled + len(vectors)] = vectors
            filled += len(vectors)
        assert filled == len(whole)
        return whole


def to_numpy(column: pa.Array | pa.ChunkedArray) -> Vectors:
    """A vector column as (rows, size); null rows are NaN."""
    if isinstance(column, pa.ChunkedArray):
        column = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
    size = column.type.list_size
    dtype = np.dtype(column.type.value_type.to_pandas_dtype())
    values: Vectors = column.flatten().to_numpy(zero_copy_only=False).reshape(-1, size)
    if not column.null_count:
        return values.astype(dtype, copy=False)
    whole = np.full((len(column), size), np.nan, dtype)
    whole[column.is_valid().to_numpy(zero_copy_only=False)] = values
    return whole
