"""What is in a store: a summary of its layers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from layerwise.analysis.geometry import LayerGeometry, layer_geometry
from layerwise.reports.runs import Totals
from layerwise.store.faults import reading
from layerwise.store.reader import Store


@dataclass(frozen=True, slots=True)
class StoreSummary(Totals):
    """What `layerwise inspect` shows.

    Attributes:
        complete: whether the run that wrote it came to its end.
        bytes_per_layer: size of one layer's vectors, uncompressed.
        bytes_on_disk: column to what it takes in the data files.
        geometry: store column to what its vectors look like.
        metadata: the store's document.
    """

    complete: bool
    bytes_per_layer: int
    bytes_on_disk: dict[str, int]
    geometry: dict[str, LayerGeometry]
    metadata: dict[str, Any]


def summarise(store: Store) -> StoreSummary:
    """Summarise a store in one pass a layer, in bounded memory."""
    layer = store.dataset.schema.field(store.columns[0]).type
    return StoreSummary(
        **store.totals().to_dict(),
        complete=bool(store.metadata.get("complete")),
        bytes_per_layer=store.num_rows * layer.list_size * (layer.value_type.bit_width // 8),
        bytes_on_disk=_bytes_on_disk(store),
        geometry={
            column: layer_geometry(store.layer(name).batches())
            for column, name in zip(store.columns, store.layers, strict=True)
        },
        metadata=store.metadata,
    )


def _bytes_on_disk(store: Store) -> dict[str, int]:
    with reading(store.path):
        found: Any = store.dataset.stats.data_stats().fields
    sizes = {field.id: field.bytes_on_disk for field in found}
    fields = store.dataset.lance_schema.fields()
    return {field.name(): int(sizes.get(field.id(), 0)) for field in fields}
