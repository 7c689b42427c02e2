"""The neighbours of a word, in one store or several."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from layerwise.analysis.neighbours import best, cosines
from layerwise.errors import UsageError
from layerwise.store.layer_column import LayerColumn
from layerwise.store.reader import Store
from layerwise.study.context import in_context
from layerwise.study.grouping import hashes


@dataclass(frozen=True, slots=True)
class Neighbour:
    """One unit near the query.

    Attributes:
        surface: its text.
        cosine: to the query, at this layer.
        count: how often this surface occurs in the store.
        store, text_id, unit_id: where its nearest occurrence is.
        context: that occurrence with the units around it, a space where the text has something between.
    """

    surface: str
    cosine: float
    count: int
    store: str
    text_id: int
    unit_id: int
    context: str


def neighbours(
    stores: Sequence[Store],
    word: str,
    layer: int | str,
    k: int = 10,
    *,
    occurrence: tuple[int, int] | None = None,
) -> list[Neighbour]:
    """The units nearest to `word` by cosine, each surface once, the word itself left out.

    Surfaces are compared without case and as NFC. The query is the mean over all occurrences of
    `word` in the stores, or one of them. Stores may hold different units (words, texts), but must
    hold the layer in vectors of one size, made by one model. Memory is twenty bytes a row.

    Args:
        stores: where to look.
        word: a unit of one of the stores.
        layer: which layer.
        k: how many at most.
        occurrence: (text_id, unit_id) in the first store: this one alone, not the mean.

    Raises:
        UsageError: the word is in no store (the message names similar ones), or not embedded, or
            not at `occurrence`, or the stores do not fit together.
        LayerSelectionError: the layer is not in a store.
    """
    if k < 1:
        raise UsageError(f"{k} neighbours were asked for: expected at least 1.")
    _refuse_mixture(stores, layer)
    keys, wanted = _surface_keys(stores), hash(_fold(word))
    same = np.flatnonzero(keys == wanted)
    if not len(same):
        raise UsageError(_not_found(word, stores))
    rows = same if occurrence is None else _at(stores[0], same, word, occurrence)
    columns = [store.layer(layer) for store in stores]
    query = _mean_vector(columns, rows)
    if query is None:
        raise UsageError(f"{word!r} got no token from this model, so it has no vector to compare.")
    scores = np.concatenate([cosines(column.batches(), query) for column in columns])
    scores[same] = np.nan
    nearest = best(scores, keys, k)
    return [
        _neighbour(stores, int(row), float(scores[row]), int(np.count_nonzero(keys == keys[row])))
        for row in nearest
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


def _surface_keys(stores: Sequence[Store]) -> npt.NDArray[np.int64]:
    """A number a row, equal where the folded surfaces are: their 64-bit hash, so none is held."""
    return np.concatenate(
        [np.zeros(0, np.int64), *(hashes(surfaces, _fold) for surfaces in _surfaces(stores))]
    )


def _surfaces(stores: Sequence[Store]) -> Iterator[pa.Array]:
    for store in stores:
        for batch in store.batches(["unit"]):
            yield batch.column(0)


def _at(
    store: Store, rows: npt.NDArray[np.int64], word: str, occurrence: tuple[int, int]
) -> npt.NDArray[np.int64]:
    """The row among `rows` that is the unit `occurrence` of the store."""
    own = rows[rows < len(store)]
    table = store.take(own.tolist(), ["text_id", "unit_id"])
    places = list(zip(table["text_id"].to_pylist(), table["unit_id"].to_pylist(), strict=True))
    if occurrence not in places:
        some = ", ".join(f"{text}:{unit}" for text, unit in places[:5]) or "nowhere"
        raise UsageError(
            f"{word!r} is not unit {occurrence[1]} of text {occurrence[0]} in {store.path}: it is at "
            f"{some}{' …' if len(places) > 5 else ''} (text:unit)."
        )
    return own[[places.index(occurrence)]]


def _mean_vector(columns: Sequence[LayerColumn], rows: npt.NDArray[np.int64]) -> npt.NDArray[Any] | None:
    """Mean of the embedded ones among these rows of all columns, or None: (hidden_size,)."""
    total, count, first = np.zeros(columns[0].shape[1]), 0, 0
    for column in columns:
        own = rows[(rows >= first) & (rows < first + len(column))] - first
        first += len(column)
        for part in range(0, len(own), _TAKEN):
            vectors = np.asarray(column[own[part : part + _TAKEN]], np.float64)
            vectors = vectors[~np.isnan(vectors[:, 0])]
            total, count = total + vectors.sum(0), count + len(vectors)
    return total / count if count else None


_TAKEN = 4_096


def _neighbour(stores: Sequence[Store], row: int, cosine: float, count: int) -> Neighbour:
    number = 0
    while row >= len(stores[number]):
        row -= len(stores[number])
        number += 1
    store = stores[number]
    unit = in_context(store, row)
    return Neighbour(unit.surface, cosine, count, str(store.path), unit.text_id, unit.unit_id, unit.context)


def _fold(surface: str) -> str:
    return unicodedata.normalize("NFC", surface).casefold()


def _not_found(word: str, stores: Sequence[Store]) -> str:
    known: dict[str, None] = {}
    for surfaces in _surfaces(stores):
        known.update((_fold(surface)[:100], None) for surface in surfaces.unique().to_pylist())
        if len(known) > _KNOWN:
            break
    close = difflib.get_close_matches(_fold(word), known, n=5)
    hint = f"; similar ones are {', '.join(close)}" if close else ""
    where = ", ".join(str(store.path) for store in stores)
    return f"{word!r} is not a {stores[0].unit} of {where}{hint}."


_KNOWN = 50_000
"""Surfaces looked through for a suggestion."""
