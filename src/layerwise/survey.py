"""What is in a store: a summary of its layers, and the neighbours of a word."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from layerwise.analysis.geometry import LayerGeometry, layer_geometry
from layerwise.analysis.neighbours import best, cosines
from layerwise.errors import UsageError
from layerwise.store.reader import Store


@dataclass(frozen=True, slots=True)
class StoreSummary:
    """What `layerwise inspect` shows.

    Attributes:
        path: the store.
        texts, rows, tokens, not_embedded: counts.
        windowed_texts, truncated_texts, truncated_tokens: from the ledger of length.
        complete: whether the run that wrote it came to its end.
        bytes: size on disk.
        bytes_per_layer: size of one layer's vectors, uncompressed.
        geometry: store column to what its vectors look like.
        metadata: the store's document.
    """

    path: str
    texts: int
    rows: int
    tokens: int
    not_embedded: int
    windowed_texts: int
    truncated_texts: int
    truncated_tokens: int
    complete: bool
    bytes: int
    bytes_per_layer: int
    geometry: dict[str, LayerGeometry]
    metadata: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return asdict(self)


def summarise(store: Store) -> StoreSummary:
    """Summarise a store in one pass a layer, in bounded memory."""
    ledger = store.ledger()
    layer = store.dataset.schema.field(store.columns[0]).type
    return StoreSummary(
        path=str(store.path),
        texts=len(ledger),
        rows=store.num_rows,
        tokens=int(ledger.num_tokens.sum()),
        not_embedded=store.num_not_embedded,
        windowed_texts=int((ledger.num_windows > 1).sum()),
        truncated_texts=int((ledger.num_truncated > 0).sum()),
        truncated_tokens=int(ledger.num_truncated.sum()),
        complete=bool(store.metadata.get("complete")),
        bytes=sum(file.stat().st_size for file in store.path.rglob("*") if file.is_file()),
        bytes_per_layer=store.num_rows * layer.list_size * (layer.value_type.bit_width // 8),
        geometry={
            column: layer_geometry(store.layer(name).batches())
            for column, name in zip(store.columns, store.layers, strict=True)
        },
        metadata=store.metadata,
    )


@dataclass(frozen=True, slots=True)
class Neighbour:
    """One unit near the query.

    Attributes:
        surface: its text.
        cosine: to the query, at this layer.
        count: how often this surface occurs in the store.
        store, text_id, unit_id: where its nearest occurrence is.
        context: that occurrence with the units around it.
    """

    surface: str
    cosine: float
    count: int
    store: str
    text_id: int
    unit_id: int
    context: str


def neighbours(stores: Sequence[Store], word: str, layer: int | str, k: int = 10) -> list[Neighbour]:
    """The units nearest to `word` by cosine, each surface once, the word itself left out.

    The query is the mean over all occurrences of `word` in the stores (compared without case and
    as NFC). Stores must hold the layer in vectors of one size, made by one model.

    Raises:
        UsageError: the word is in no store (the message names similar ones), or the stores do not
            fit together.
        LayerSelectionError: the layer is not in a store.
    """
    if k < 1:
        raise UsageError(f"{k} neighbours were asked for: expected at least 1.")
    _refuse_mixture(stores, layer)
    tables = [store.dataset.to_table(columns=["text_id", "unit_id", "unit"]) for store in stores]
    names = [_fold(surface) for table in tables for surface in table.column("unit").to_pylist()]
    folded = pa.array(names, pa.string()).dictionary_encode()
    keys = folded.indices.to_numpy()
    wanted = pc.index(folded.dictionary, _fold(word)).as_py()
    columns = [store.layer(layer) for store in stores]
    rows = np.flatnonzero(keys == wanted) if wanted >= 0 else np.zeros(0, np.int64)
    query = _mean_vector(columns, rows)
    if query is None:
        raise UsageError(_not_found(word, stores, folded.dictionary.to_pylist()))
    scores = np.concatenate([cosines(column.batches(), query) for column in columns])
    scores[rows] = np.nan
    counts = np.bincount(keys)
    return [
        _neighbour(stores, tables, int(row), float(scores[row]), int(counts[keys[row]]))
        for row in best(scores, keys, k)
    ]


def _refuse_mixture(stores: Sequence[Store], layer: int | str) -> None:
    first = stores[0]
    for store in stores[1:]:
        same = store.metadata.get("weights_sha256") == first.metadata.get("weights_sha256")
        if not same or store.layer(layer).shape[1] != first.layer(layer).shape[1]:
            raise UsageError(
                f"the stores {first.path} and {store.path} were made by different models "
                f"({first.metadata.get('model')}, {store.metadata.get('model')}): their vectors cannot be compared."
            )


def _mean_vector(columns: Sequence[Any], rows: Any) -> Any:
    """Mean of the embedded occurrences, or None."""
    found, first = [], 0
    for column in columns:
        own = rows[(rows >= first) & (rows < first + len(column))] - first
        first += len(column)
        if len(own):
            vectors = np.asarray(column[own], np.float32)
            found.append(vectors[~np.isnan(vectors[:, 0])])
    together = np.concatenate(found) if found else np.zeros((0, 1))
    return together.mean(0) if len(together) else None


def _neighbour(
    stores: Sequence[Store], tables: Sequence[pa.Table], row: int, cosine: float, count: int
) -> Neighbour:
    number = 0
    while row >= tables[number].num_rows:
        row -= tables[number].num_rows
        number += 1
    table = tables[number]
    text, unit = table.column("text_id")[row].as_py(), table.column("unit_id")[row].as_py()
    near = table.slice(max(0, row - 5), min(row, 5) + 6)
    around = [
        surface
        for surface, other in zip(
            near.column("unit").to_pylist(), near.column("text_id").to_pylist(), strict=True
        )
        if other == text
    ]
    return Neighbour(
        table.column("unit")[row].as_py(),
        cosine,
        count,
        str(stores[number].path),
        text,
        unit,
        " ".join(around),
    )


def _fold(surface: str) -> str:
    return unicodedata.normalize("NFC", surface).casefold()


def _not_found(word: str, stores: Sequence[Store], known: Sequence[str]) -> str:
    close = difflib.get_close_matches(_fold(word), known[:50_000], n=5)
    hint = f"; similar ones are {', '.join(close)}" if close else ""
    where = ", ".join(str(store.path) for store in stores)
    return f"{word!r} is not a {stores[0].unit} of {where}{hint}."
