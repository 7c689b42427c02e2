"""A chunk as the store's columns; nothing that is NaN or infinite gets through."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from layerwise.errors import NumericError
from layerwise.store.kept import kept_array
from layerwise.store.schema import OWN_COLUMNS
from layerwise.types import Chunk

Vectors = npt.NDArray[np.floating[Any]]


def to_table(chunk: Chunk, schema: pa.Schema, unit: str) -> pa.Table:
    """A chunk in the store's columns; vectors that have the store's dtype already are not copied.

    Raises:
        NumericError: a vector holds NaN or infinity, or does not fit into the store's dtype.
        SourceError: a kept value does not have the type of its column.
    """
    _agree(chunk, schema)
    arrays = []
    for field in schema:
        if field.name in chunk.vectors:
            array = _vectors(field, chunk)
        elif field.name in OWN_COLUMNS:
            array = _own(field, chunk)
        else:
            array = kept_array(field, chunk, unit)
        arrays.append(array)
    return pa.Table.from_arrays(arrays, schema=schema)


def _agree(chunk: Chunk, schema: pa.Schema) -> None:
    rows = len(chunk.text_id)
    assert int(chunk.ledger.num_units.sum()) == rows, "the ledger counts the rows"
    assert all(len(vectors) == rows for vectors in chunk.vectors.values()), "a vector a row"
    names = set(schema.names)
    assert names.issuperset(chunk.vectors) and names.issuperset(chunk.kept), "a column for every value"


def _own(field: pa.Field, chunk: Chunk) -> pa.Array:
    if field.name == "sequence_id" and chunk.sequence_id is None:  # no text of the chunk has a second one
        return pa.array(np.zeros(len(chunk.text_id), np.int8))
    if field.name == "word_id":
        assert chunk.word_id is not None, "rows at token level come with word_id"
        return pa.array(chunk.word_id, pa.int32(), mask=chunk.word_id < 0)
    if field.name == "id":
        if chunk.ids is None:
            return pa.nulls(len(chunk.text_id), pa.string())
        return pa.array([chunk.ids[t] for t in (chunk.text_id - chunk.first_text).tolist()], pa.string())
    return pa.array(getattr(chunk, field.name), field.type)


def _vectors(field: pa.Field, chunk: Chunk) -> pa.Array:
    vectors = chunk.vectors[field.name]
    mask = None if bool(chunk.embedded.all()) else ~chunk.embedded
    if mask is not None:
        vectors = np.where(mask[:, None], vectors.dtype.type(0), vectors)
    dtype = np.dtype(field.type.value_type.to_pandas_dtype())
    with np.errstate(over="ignore"):
        stored = np.ascontiguousarray(vectors, dtype=dtype)
    if not _is_finite(vectors, stored):
        raise _not_finite(field.name, vectors, stored, chunk)
    return pa.FixedSizeListArray.from_arrays(
        pa.array(stored.reshape(-1)), type=field.type, mask=None if mask is None else pa.array(mask)
    )


def _is_finite(vectors: Vectors, stored: Vectors) -> bool:
    """Extremes of float32 cost a tenth of a test of every value; float16 has no fast extremes."""
    if not stored.size:
        return True
    if vectors.dtype == np.float16 or stored.dtype == np.float16:
        return bool(np.isfinite(stored).all())
    return bool(np.isfinite(vectors.max()) and np.isfinite(vectors.min()))


def _not_finite(name: str, vectors: Vectors, stored: Vectors, chunk: Chunk) -> NumericError:
    row = int(np.flatnonzero(~np.isfinite(stored).all(axis=1))[0])
    surface = chunk.unit[row]
    layer = name.removeprefix("layer_")
    where = (
        f"layer {int(layer) if layer.isdigit() else layer} of text {int(chunk.text_id[row])}, "
        f"{surface if len(surface) <= 30 else surface[:29] + '…'!r},"
    )
    if np.isfinite(vectors[row]).all():
        largest = float(np.abs(vectors[row]).max())
        return NumericError(
            f"{where} reaches {largest:.6g}, beyond float16's 65504: store it with --store-dtype float32."
        )
    return NumericError(
        f"{where} is NaN or infinite, and such values never enter a store: run the model with "
        "--dtype float32, and look at `layerwise models MODEL` for what is wrong with it."
    )
