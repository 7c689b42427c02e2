"""The store's columns and its metadata document. FORMAT.md is the specification."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from layerwise.errors import NumericError, SourceError
from layerwise.types import Chunk

FORMAT_VERSION = 1
METADATA_KEY = b"layerwise"
VECTOR_TYPES = {"float16": pa.float16(), "float32": pa.float32()}
OWN_COLUMNS = ("text_id", "unit_id", "sequence_id", "word_id", "id", "unit", "start", "end")


def build_schema(
    columns: Mapping[str, int],
    store_dtype: str,
    unit: str,
    pairs: bool,
    ids: bool,
    kept: Mapping[str, pa.DataType],
    document: Mapping[str, Any],
) -> pa.Schema:
    """The Arrow schema: one row a unit, one column a layer."""
    fields = [pa.field("text_id", pa.int64(), False), pa.field("unit_id", pa.int32(), False)]
    if pairs:
        fields.append(pa.field("sequence_id", pa.int8(), False))
    if unit == "token":
        fields.append(pa.field("word_id", pa.int32()))
    if ids:
        fields.append(pa.field("id", pa.string()))
    fields += [
        pa.field("unit", pa.string(), False),
        pa.field("start", pa.int32(), False),
        pa.field("end", pa.int32(), False),
    ]
    fields += [pa.field(name, pa.list_(VECTOR_TYPES[store_dtype], size)) for name, size in columns.items()]
    fields += [pa.field(name, kind) for name, kind in kept.items()]
    return pa.schema(fields, metadata={METADATA_KEY: encode_document(document)})


def encode_document(document: Mapping[str, Any]) -> bytes:
    """The metadata document as stable bytes: sorted keys, no spaces, UTF-8."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def kept_types(chunk: Chunk, unit: str) -> dict[str, pa.DataType]:
    """Arrow types of the kept columns, from the values of the first chunk.

    Raises:
        SourceError: a kept column has the name of one of the store's own.
    """
    types = {}
    for name in chunk.kept:
        if name in OWN_COLUMNS or name.startswith("layer_"):
            raise SourceError(
                f"the column {name!r} cannot be kept: the store has a column of this name; rename it."
            )
        kind = pa.array(kept_values(chunk, name, unit), from_pandas=True).type
        types[name] = pa.string() if pa.types.is_null(kind) else kind
    return types


def kept_values(chunk: Chunk, name: str, unit: str) -> list[Any]:
    """A kept column with one value a row; a list aligned to words gives each word its own."""
    values = chunk.kept[name]
    texts = (chunk.text_id - chunk.first_text).tolist()
    if unit == "text":
        return [values[text] for text in texts]
    index = chunk.unit_id if unit == "word" else chunk.word_id
    assert index is not None
    member = [0] * len(texts) if chunk.sequence_id is None else chunk.sequence_id.tolist()
    return [_of_word(values[t], w, m) for t, w, m in zip(texts, index.tolist(), member, strict=True)]


def _of_word(value: Any, word: int, member: int) -> Any:
    if not isinstance(value, list | tuple):
        return value
    return value[word] if member == 0 and 0 <= word < len(value) else None


def to_table(chunk: Chunk, schema: pa.Schema, store_dtype: str, unit: str) -> pa.Table:
    """A chunk in the store's columns.

    Raises:
        NumericError: a vector holds NaN, or does not fit into `store_dtype`.
        SourceError: a kept value does not have the type of the column.
    """
    own: dict[str, Any] = {
        "text_id": chunk.text_id,
        "unit_id": chunk.unit_id,
        "sequence_id": chunk.sequence_id,
        "unit": pa.array(chunk.unit, pa.string()),
        "start": chunk.start,
        "end": chunk.end,
    }
    if chunk.word_id is not None:
        own["word_id"] = pa.array(chunk.word_id, pa.int32(), mask=chunk.word_id < 0)
    if chunk.ids is not None:
        own["id"] = pa.array([chunk.ids[t] for t in (chunk.text_id - chunk.first_text).tolist()], pa.string())
    arrays = []
    for field in schema:
        if field.name in chunk.vectors:
            array = _vectors(field, chunk, store_dtype)
        elif field.name in chunk.kept:
            array = _kept(field, chunk, unit)
        else:
            array = pa.array(own[field.name], field.type)
        arrays.append(array)
    return pa.Table.from_arrays(arrays, schema=schema)


def _kept(field: pa.Field, chunk: Chunk, unit: str) -> pa.Array:
    values = kept_values(chunk, field.name, unit)
    try:
        return pa.array(values, field.type, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise SourceError(
            f"the column {field.name!r} holds {field.type} at first and then something else ({error}): "
            "make its values of one type in the source."
        ) from error


def _vectors(field: pa.Field, chunk: Chunk, store_dtype: str) -> pa.Array:
    vectors = chunk.vectors[field.name]
    mask = None if bool(chunk.embedded.all()) else ~chunk.embedded
    if mask is not None:
        vectors = np.where(mask[:, None], 0, vectors)
    with np.errstate(over="ignore"):
        stored = np.ascontiguousarray(vectors, dtype=store_dtype)
    _refuse_not_finite(field.name, vectors, stored, chunk)
    return pa.FixedSizeListArray.from_arrays(
        pa.array(stored.reshape(-1)), type=field.type, mask=None if mask is None else pa.array(mask)
    )


def _refuse_not_finite(name: str, vectors: npt.NDArray[Any], stored: npt.NDArray[Any], chunk: Chunk) -> None:
    if not stored.size or (np.isfinite(stored.max()) and np.isfinite(stored.min())):
        return
    row = int(np.flatnonzero(~np.isfinite(stored).all(axis=1))[0])
    text, unit = int(chunk.text_id[row]), chunk.unit[row]
    if np.isfinite(vectors[row]).all():
        largest = float(np.abs(vectors[row]).max())
        raise NumericError(
            f"{name} of text {text} ({unit[:30]!r}) reaches {largest:.4g}, beyond float16's 65504: "
            "store it with --store-dtype float32."
        )
    raise NumericError(
        f"{name} of text {text} ({unit[:30]!r}) is NaN or infinite, and such values never enter a store: "
        "run the model with --dtype float32, and look at `layerwise models MODEL` for what is wrong with it."
    )
