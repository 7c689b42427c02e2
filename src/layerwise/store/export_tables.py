"""Exports that are tables or lines: Parquet, CSV, and the lines of Google's `extract_features.py`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.csv as pc
import pyarrow.parquet as pq

from layerwise.store.layer_column import to_numpy
from layerwise.store.reader import Columns, Store


def write_parquet(store: Store, columns: Columns, path: Path) -> None:
    """The store's own columns and metadata; a row group is a batch. A vector is a list of no fixed size:
    pyarrow 24 and older write no null among lists of a fixed size.
    """
    vectors = set(columns.values())
    fields = [field for field in store.dataset.schema if field.name in {*store.unit_columns, *vectors}]
    names = [field.name for field in fields]
    schema = pa.schema(
        [
            pa.field(field.name, pa.list_(field.type.value_type)) if field.name in vectors else field
            for field in fields
        ],
        metadata=store.dataset.schema.metadata,
    )
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for batch in store.batches(names):
            arrays = [
                _as_list(batch.column(name)) if name in vectors else batch.column(name) for name in names
            ]
            writer.write_table(pa.Table.from_arrays(arrays, names=names).cast(schema))


def _as_list(vectors: pa.FixedSizeListArray) -> pa.ListArray:
    valid = vectors.is_valid()
    length = np.where(valid.to_numpy(zero_copy_only=False), vectors.type.list_size, 0)
    offsets = np.concatenate(([0], np.cumsum(length, dtype=np.int64))).astype(np.int32)
    values = vectors.filter(valid).flatten()
    return pa.ListArray.from_arrays(pa.array(offsets), values, mask=pa.compute.invert(valid))


def write_csv(store: Store, columns: Columns, path: Path) -> None:
    """One row a unit; each dimension of each layer is a column `layer_07_123`; null is empty."""
    chosen = list(columns.values())
    schema = pa.schema(
        [pa.field(name, _csv_type(store, name)) for name in store.unit_columns]
        + [
            pa.field(f"{name}_{i}", pa.float32())
            for name in chosen
            for i in range(store.dataset.schema.field(name).type.list_size)
        ]
    )
    names = [*store.unit_columns, *chosen]
    with path.open("wb") as stream, pc.CSVWriter(stream, schema) as writer:
        for batch in store.batches(names, size=_few_rows(store, chosen)):
            arrays = [_csv_plain(batch.column(name)) for name in store.unit_columns]
            for name in chosen:
                arrays += _dimensions(batch.column(name))
            writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=schema))


def write_units(store: Store, path: Path) -> None:
    """The units without vectors, as CSV: row i is row i of every layer's array."""
    write_csv(store, {}, path)


def _few_rows(store: Store, columns: Sequence[str]) -> int:
    width = sum(store.dataset.schema.field(name).type.list_size for name in columns)
    return max(1, min(4_096, (1 << 20) // max(1, int(width))))


def _csv_type(store: Store, name: str) -> pa.DataType:
    kind = store.dataset.schema.field(name).type
    return kind if _csv_plain_type(kind) else pa.string()


def _csv_plain_type(kind: pa.DataType) -> bool:
    return not (pa.types.is_list(kind) or pa.types.is_binary(kind))


def _csv_plain(array: pa.Array) -> pa.Array:
    if _csv_plain_type(array.type):
        return array
    return pa.array(
        [None if v is None else json.dumps(v, ensure_ascii=False, default=str) for v in array.to_pylist()],
        pa.string(),
    )


def _dimensions(array: pa.Array) -> list[pa.Array]:
    vectors = to_numpy(array).astype(np.float32)
    mask = None if not array.null_count else array.is_null().to_numpy(zero_copy_only=False)
    return [pa.array(np.ascontiguousarray(vectors[:, i]), mask=mask) for i in range(vectors.shape[1])]


def write_jsonl(store: Store, columns: Columns, path: Path) -> None:
    """One line a text, as google-research/bert's `extract_features.py` writes it.

    `{"linex_index": 0, "features": [{"token": …, "layers": [{"index": 0, "values": […]}]}]}`, with
    values to six decimals. `index` is the layer's number in this store (0 is the embedding layer);
    units that are not embedded have `"values": null`.
    """
    rows = _features(store, columns)
    with path.open("w", encoding="utf-8") as stream:
        for text, count in enumerate(store.ledger().num_units.tolist()):
            # A feature at a time: the vectors of a book do not fit into the memory as numbers of Python.
            stream.write(f'{{"linex_index": {text}, "features": [')
            for place in range(count):
                stream.write((", " if place else "") + json.dumps(next(rows), ensure_ascii=False))
            stream.write("]}\n")


def _features(store: Store, columns: Columns) -> Iterator[dict[str, Any]]:
    chosen = list(columns.values())
    for batch in store.batches(["unit", *chosen], size=_few_rows(store, chosen)):
        surfaces = batch.column("unit").to_pylist()
        layers = [(layer, _six_decimals(batch.column(column))) for layer, column in columns.items()]
        for row, surface in enumerate(surfaces):
            yield {
                "token": surface,
                "layers": [{"index": layer, "values": values[row]} for layer, values in layers],
            }


def _six_decimals(array: pa.Array) -> list[list[float] | None]:
    values = to_numpy(array).astype(np.float64).round(6).tolist()
    valid = array.is_valid().to_pylist()
    return [vector if there else None for vector, there in zip(values, valid, strict=True)]
