"""Exports that are text: CSV, and the JSON lines of Google's `extract_features.py`."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from layerwise.store.reader import Name, Store, to_numpy

_ROWS = 1_024


def write_csv(store: Store, path: Path, columns: Mapping[Name, str]) -> None:
    """One row a unit; each dimension of each layer is a column `layer_07_123`; null is empty."""
    plain = [field.name for field in store.dataset.schema if field.name not in store.columns]
    sizes = {column: store.dataset.schema.field(column).type.list_size for column in columns.values()}
    header = [*plain, *(f"{column}_{i}" for column, size in sizes.items() for i in range(size))]
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(header)
        for batch in store.batches([*plain, *sizes], _ROWS):
            values = [batch.column(name).to_pylist() for name in plain]
            vectors = [batch.column(column).to_pylist() for column in sizes]
            empty = [[""] * size for size in sizes.values()]
            for row in range(batch.num_rows):
                numbers = [
                    number
                    for vector, blank in zip(vectors, empty, strict=True)
                    for number in (blank if vector[row] is None else vector[row])
                ]
                writer.writerow([*(column[row] for column in values), *numbers])


def write_jsonl(store: Store, path: Path, columns: Mapping[Name, str]) -> None:
    """One line a text, as google-research/bert's `extract_features.py` writes it.

    `{"linex_index": 0, "features": [{"token": …, "layers": [{"index": 0, "values": […]}]}]}`, with
    values to six decimals. `index` is the layer's number in this store (0 is the embedding layer);
    units that are not embedded have `"values": null`.
    """
    ledger = store.ledger().num_units.tolist()
    rows = _rows(store, columns)
    with path.open("w", encoding="utf-8") as stream:
        for text, count in enumerate(ledger):
            features = [next(rows) for _ in range(count)]
            stream.write(json.dumps({"linex_index": text, "features": features}, ensure_ascii=False) + "\n")


def _rows(store: Store, columns: Mapping[Name, str]) -> Iterator[dict[str, Any]]:
    for batch in store.batches(["unit", *columns.values()], _ROWS):
        surfaces = batch.column("unit").to_pylist()
        vectors = {
            layer: to_numpy(batch.column(column)).astype(float).round(6) for layer, column in columns.items()
        }
        for row, surface in enumerate(surfaces):
            layers = [
                {"index": layer, "values": None if rows[row, 0] != rows[row, 0] else rows[row].tolist()}
                for layer, rows in vectors.items()
            ]
            yield {"token": surface, "layers": layers}
