"""Exports that are arrays: NumPy, safetensors, HDF5, Zarr."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from layerwise.errors import StoreError, require
from layerwise.store.layer_column import LayerColumn
from layerwise.store.reader import Columns, Store
from layerwise.store.schema import encode_document

_CHUNK_BYTES = 4 << 20


def write_npy(column: LayerColumn, path: Path) -> None:
    """One layer as a `.npy` file: a header, then the values as they are read."""
    header = {
        "descr": np.lib.format.dtype_to_descr(column.dtype),
        "fortran_order": False,
        "shape": column.shape,
    }
    with path.open("wb") as stream:
        np.lib.format.write_array_header_1_0(stream, header)
        for batch in column.batches():
            stream.write(np.ascontiguousarray(batch).data)


def write_safetensors(store: Store, columns: Columns, path: Path) -> None:
    """One tensor a layer, and the numbers of the units (`word_id` -1 for none).

    The format is a length, a JSON header and the tensors' bytes, so it can be written as it
    streams: https://github.com/huggingface/safetensors#format. 8-byte tensors come first, which
    keeps all of them aligned.
    """
    views = {column: store.layer(layer) for layer, column in columns.items()}
    numbers = [field for field in store.dataset.schema if field.name in _NUMBERS and field.name not in views]
    shapes: dict[str, tuple[str, tuple[int, ...], int]] = {}
    for field in numbers:
        width = field.type.bit_width // 8
        shapes[field.name] = (f"I{8 * width}", (store.num_rows,), width)
    for name, view in views.items():
        shapes[name] = ("F16" if view.dtype == np.float16 else "F32", view.shape, view.dtype.itemsize)
    order = sorted(shapes, key=lambda name: -shapes[name][2])
    header: dict[str, Any] = {"__metadata__": {"layerwise": encode_document(store.metadata).decode()}}
    first = 0
    for name in order:
        kind, shape, width = shapes[name]
        after = first + int(np.prod(shape)) * width
        header[name] = {"dtype": kind, "shape": list(shape), "data_offsets": [first, after]}
        first = after
    encoded = json.dumps(header, separators=(",", ":")).encode()
    encoded += b" " * (-len(encoded) % 8)
    with path.open("wb") as stream:
        stream.write(len(encoded).to_bytes(8, "little") + encoded)
        for name in order:
            for array in views[name].batches() if name in views else _numbers(store, name):
                stream.write(np.ascontiguousarray(array).data)


_NUMBERS = ("text_id", "unit_id", "sequence_id", "word_id", "start", "end")


def _numbers(store: Store, name: str) -> Any:
    for batch in store.batches([name]):
        yield batch.column(0).fill_null(-1).to_numpy(zero_copy_only=False)


def write_hdf5(store: Store, columns: Columns, path: Path) -> None:
    """One dataset a column; the store's metadata is the file's attribute `layerwise`.

    Raises:
        StoreError: a string has a NUL character in it.
    """
    h5py = require("h5py", "h5py>=3.11", "exporting to .h5")
    with h5py.File(path, "w") as file:
        file.attrs["layerwise"] = encode_document(store.metadata).decode()
        text = h5py.string_dtype()

        def create(name: str, shape: tuple[int, ...], dtype: Any) -> Any:
            return file.create_dataset(name, shape, text if dtype is str else dtype)

        try:
            _fill(store, columns, create)
        except ValueError as error:
            if "NULL" not in str(error):
                raise
            raise StoreError(
                f"{store.path} has a NUL character in a text or a kept column, and the strings of HDF5 end there: "
                "export to another format, such as .zarr or .parquet."
            ) from error


def write_zarr(store: Store, columns: Columns, path: Path) -> None:
    """One Zarr 3 array a column; the store's metadata is the group's attribute `layerwise`."""
    zarr = require("zarr", "zarr>=3", "exporting to .zarr")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zarr 3 warns that its strings have no final specification
        group = zarr.open_group(path, mode="w", attributes={"layerwise": store.metadata})

        def create(name: str, shape: tuple[int, ...], dtype: Any) -> Any:
            width = np.dtype("U8" if dtype is str else dtype).itemsize * int(np.prod(shape[1:]))
            rows = max(1, min(shape[0], _CHUNK_BYTES // width))
            return group.create_array(name, shape=shape, dtype=dtype, chunks=(rows, *shape[1:]))

        _fill(store, columns, create)


def _fill(store: Store, columns: Columns, create: Callable[[str, tuple[int, ...], Any], Any]) -> None:
    """Create an array a column and fill it batch by batch.

    Of the units' columns, integers without nulls, floats and bools keep their type (`word_id` has -1
    for none), strings have "" for null, and the rest is JSON text.
    """
    for name in store.unit_columns:
        kind = store.dataset.schema.field(name).type
        dtype, convert = _plain(kind, name, store)
        array, first = create(name, (store.num_rows,), dtype), 0
        for batch in store.batches([name]):
            values = convert(batch.column(0))
            array[first : first + len(values)] = values
            first += len(values)
    for layer, column in columns.items():
        view = store.layer(layer)
        array, first = create(column, view.shape, view.dtype), 0
        for rows in view.batches():
            array[first : first + len(rows)] = rows
            first += len(rows)


def _plain(kind: pa.DataType, name: str, store: Store) -> tuple[Any, Callable[[pa.Array], Any]]:
    if name in _NUMBERS:
        return kind.to_pandas_dtype(), lambda array: array.fill_null(-1).to_numpy(zero_copy_only=False)
    if pa.types.is_float64(kind):
        return np.float64, lambda array: array.to_numpy(zero_copy_only=False)
    if pa.types.is_string(kind):
        return str, lambda array: np.array([value or "" for value in array.to_pylist()], object)
    if (pa.types.is_integer(kind) or pa.types.is_boolean(kind)) and not _has_null(store, name):
        return kind.to_pandas_dtype(), lambda array: array.to_numpy(zero_copy_only=False)
    return str, lambda array: np.array([_json(value) for value in array.to_pylist()], object)


def _has_null(store: Store, name: str) -> bool:
    return any(batch.column(0).null_count for batch in store.batches([name]))


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
