"""A store in other formats. Everything streams: memory is one batch of rows, not the store."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from layerwise.errors import StoreError, UsageError, require
from layerwise.store.export_text import write_csv, write_jsonl
from layerwise.store.reader import BATCH_ROWS, Name, Store
from layerwise.types import LayerSelection

Columns = Mapping[Name, str]


def export(store: Store, target: str | Path, layers: str = "all", *, overwrite: bool = False) -> list[Path]:
    """Write a store as its ending says; returns the files written.

    `.npy` gives one file a layer (`name_layer_07.npy`) and the units as `name_units.csv`; the other
    formats hold all selected layers and the units in one file.

    Raises:
        UsageError: an ending there is no format for.
        StoreError: the target exists, or cannot be written.
        LayerSelectionError: a layer is not in the store.
    """
    path = Path(target)
    if path.suffix not in _FORMATS:
        raise UsageError(
            f"cannot export to {path.name!r}: the name must end in one of {', '.join(_FORMATS)}."
        )
    if not path.parent.is_dir():
        raise StoreError(f"the folder {path.parent} of the target does not exist: make it first.")
    columns = select(store, layers)
    return _FORMATS[path.suffix](store, path, columns, overwrite)


def select(store: Store, layers: str) -> dict[Name, str]:
    """Layers of a store by selection: name to column."""
    if layers.strip() == "all":
        return dict(zip(store.layers, store.columns, strict=True))
    if store.layers == ("mix",):
        return {"mix": store.column(layers)}
    selection = LayerSelection.parse(
        layers, int(store.metadata["num_hidden_layers"]), "final" in store.layers
    )
    return {layer: store.column(layer) for layer in selection.layers}


@contextmanager
def _whole(path: Path, overwrite: bool) -> Iterator[Path]:
    """A temporary name that takes the place of `path` only when everything is written."""
    if path.exists() and not overwrite:
        raise StoreError(f"the target {path} exists: choose another name or pass --overwrite.")
    temporary = path.with_name(f".{path.name}.part{path.suffix}")
    _remove(temporary)
    try:
        yield temporary
        _remove(path)
        temporary.rename(path)
    except OSError as error:
        raise StoreError(f"the target {path} cannot be written: {error}.") from error
    finally:
        _remove(temporary)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _npy(store: Store, path: Path, columns: Columns, overwrite: bool) -> list[Path]:
    written = []
    for layer, column in columns.items():
        view = store.layer(layer)
        target = path.with_name(f"{path.stem}_{column}.npy")
        with _whole(target, overwrite) as temporary:
            array = np.lib.format.open_memmap(temporary, "w+", view.dtype, view.shape)
            first = 0
            for batch in view.batches():
                array[first : first + len(batch)] = batch
                first += len(batch)
            array.flush()
            del array
        written.append(target)
    names = path.with_name(f"{path.stem}_units.csv")
    with _whole(names, overwrite) as temporary:
        write_csv(store, temporary, {})
    return [*written, names]


def _safetensors(store: Store, path: Path, columns: Columns, overwrite: bool) -> list[Path]:
    """The format is a length, a JSON header and the tensors' bytes: written as it streams.

    Specification: https://github.com/huggingface/safetensors#format
    """
    kinds = {"float16": "F16", "float32": "F32"}
    header: dict[str, Any] = {"__metadata__": {"layerwise": json.dumps(store.metadata, sort_keys=True)}}
    first = 0
    views = {column: store.layer(layer) for layer, column in columns.items()}
    for column, view in views.items():
        after = first + view.shape[0] * view.shape[1] * view.dtype.itemsize
        header[column] = {
            "dtype": kinds[str(view.dtype)],
            "shape": list(view.shape),
            "data_offsets": [first, after],
        }
        first = after
    for name in ("text_id", "unit_id", "start", "end"):
        size = 8 if name == "text_id" else 4
        after = first + store.num_rows * size
        header[name] = {"dtype": f"I{size * 8}", "shape": [store.num_rows], "data_offsets": [first, after]}
        first = after
    encoded = json.dumps(header, separators=(",", ":")).encode()
    encoded += b" " * (-len(encoded) % 8)
    with _whole(path, overwrite) as temporary, temporary.open("wb") as stream:
        stream.write(len(encoded).to_bytes(8, "little") + encoded)
        for view in views.values():
            for batch in view.batches():
                stream.write(np.ascontiguousarray(batch).tobytes())
        for name in ("text_id", "unit_id", "start", "end"):
            for rows in store.batches([name]):
                stream.write(rows.column(0).to_numpy().tobytes())
    return [path]


def _hdf5(store: Store, path: Path, columns: Columns, overwrite: bool) -> list[Path]:
    h5py = require("h5py", "h5py>=3.11", "exporting to .h5")
    with _whole(path, overwrite) as temporary, h5py.File(temporary, "w") as file:
        file.attrs["layerwise"] = json.dumps(store.metadata, sort_keys=True)
        strings = h5py.string_dtype()
        _fill(
            store,
            columns,
            lambda name, shape, dtype: file.create_dataset(name, shape, strings if dtype is str else dtype),
        )
    return [path]


def _zarr(store: Store, path: Path, columns: Columns, overwrite: bool) -> list[Path]:
    zarr = require("zarr", "zarr>=3", "exporting to .zarr")
    with _whole(path, overwrite) as temporary:
        group = zarr.open_group(temporary, mode="w", attributes={"layerwise": store.metadata})

        def create(name: str, shape: tuple[int, ...], dtype: Any) -> Any:
            chunks = (max(1, min(BATCH_ROWS, shape[0])), *shape[1:])
            return group.create_array(name, shape=shape, dtype=dtype, chunks=chunks)

        _fill(store, columns, create)
    return [path]


def _fill(store: Store, columns: Columns, create: Callable[[str, tuple[int, ...], Any], Any]) -> None:
    """Create and fill an array a column, batch by batch: vectors, units and kept columns of text."""
    plain = {"text_id": np.int64, "unit_id": np.int32, "unit": str, "start": np.int32, "end": np.int32}
    for name, dtype in plain.items():
        array, first = create(name, (store.num_rows,), dtype), 0
        for batch in store.batches([name]):
            values = batch.column(0)
            array[first : first + len(values)] = (
                np.array(values.to_pylist(), object) if dtype is str else values.to_numpy()
            )
            first += len(values)
    for layer, column in columns.items():
        view = store.layer(layer)
        array, first = create(column, view.shape, view.dtype), 0
        for rows in view.batches():
            array[first : first + len(rows)] = rows
            first += len(rows)


def _parquet(store: Store, path: Path, columns: Columns, overwrite: bool) -> list[Path]:
    names = [
        field.name
        for field in store.dataset.schema
        if field.name not in store.columns or field.name in columns.values()
    ]
    schema = store.dataset.schema
    chosen = schema.empty_table().select(names).schema
    with (
        _whole(path, overwrite) as temporary,
        pq.ParquetWriter(temporary, chosen, compression="zstd") as writer,
    ):
        for batch in store.batches(names):
            writer.write_batch(batch.select(names).replace_schema_metadata(chosen.metadata))
    return [path]


def _csv(store: Store, path: Path, columns: Columns, overwrite: bool) -> list[Path]:
    with _whole(path, overwrite) as temporary:
        write_csv(store, temporary, columns)
    return [path]


def _jsonl(store: Store, path: Path, columns: Columns, overwrite: bool) -> list[Path]:
    with _whole(path, overwrite) as temporary:
        write_jsonl(store, temporary, columns)
    return [path]


_FORMATS: dict[str, Callable[[Store, Path, Columns, bool], list[Path]]] = {
    ".npy": _npy,
    ".safetensors": _safetensors,
    ".h5": _hdf5,
    ".zarr": _zarr,
    ".parquet": _parquet,
    ".csv": _csv,
    ".jsonl": _jsonl,
}
