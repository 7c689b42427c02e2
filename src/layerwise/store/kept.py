"""Columns copied from the source: which type they get, which value a row gets.

A column's type is the one that a Parquet source declares, else that of its first values: bool,
int64, float64, string, binary, a decimal, a date or timestamp, or a list of these. What fits none of
them (mixed values, dicts, lists of lists, times of day) is stored as a string: a string as it is,
what JSON knows as its JSON text, the rest as Python prints it. Later values are taken if nothing of
them is lost, and refused otherwise.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from layerwise.errors import SourceError
from layerwise.store.schema import OWN_COLUMNS
from layerwise.types import Chunk

MOST_BYTES = 2**31 - 1
"""Of the strings of one array, whose offsets have 32 bits."""

_UNFIT = (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError)
_PLAIN = (
    pa.types.is_boolean,
    pa.types.is_int64,
    pa.types.is_float64,
    pa.types.is_string,
    pa.types.is_binary,
    pa.types.is_date,
    pa.types.is_timestamp,
    pa.types.is_decimal,
)


def kept_types(
    chunk: Chunk,
    unit: str,
    declared: Mapping[str, pa.DataType] | None = None,
    first: Mapping[str, Sequence[Any]] | None = None,
) -> dict[str, pa.DataType]:
    """Arrow types of the kept columns: as the source declares them, else from the `first` values, or the chunk's.

    Raises:
        SourceError: a kept column has the name of one of the store's own.
    """
    for name in chunk.kept:
        if not name or "." in name:
            raise SourceError(
                f"the column {name!r} cannot be kept, as a store's columns have names without dots: rename it."
            )
        if name in OWN_COLUMNS or name.startswith("layer_"):
            way = (
                "pass --id-column id if it identifies texts, else rename it" if name == "id" else "rename it"
            )
            raise SourceError(f"the column {name!r} cannot be kept, it is a name of the store's own: {way}.")
    stated = {name: _stored(kind, unit) for name, kind in (declared or {}).items()}
    seen = {name: max(values, (first or {}).get(name, ()), key=len) for name, values in chunk.kept.items()}
    return {name: stated.get(name) or _type_of(_values(values, unit)) for name, values in seen.items()}


def _stored(kind: pa.DataType, unit: str) -> pa.DataType | None:
    """What a declared type becomes: the widest of its kind; None where the values have to tell."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        inner = _stored(kind.value_type, "text")
        if inner is None or pa.types.is_list(inner):
            return None
        return pa.list_(inner) if unit == "text" else inner
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return pa.string()
    if pa.types.is_integer(kind) and kind != pa.uint64():
        return pa.int64()
    if pa.types.is_floating(kind):
        return pa.float64()
    return _widest(kind) if _is_plain(kind) else None


def _values(values: Sequence[Any], unit: str) -> list[Any]:
    """What the rows will hold: at text level the values, below it the elements of lists."""
    if unit == "text":
        return list(values)
    return [item for value in values for item in (value if isinstance(value, list | tuple) else (value,))]


def _type_of(values: list[Any]) -> pa.DataType:
    try:
        kind = pa.array(values).type
    except _UNFIT:
        return pa.string()
    if pa.types.is_list(kind):
        inner = kind.value_type
        if pa.types.is_null(inner):
            return pa.list_(pa.string())
        return pa.list_(_widest(inner)) if _is_plain(inner) else pa.string()
    return _widest(kind) if _is_plain(kind) else pa.string()


def _widest(kind: pa.DataType) -> pa.DataType:
    """Decimals have the precision of the longest seen so far; a later one may be longer."""
    return pa.decimal128(38, kind.scale) if pa.types.is_decimal128(kind) else kind


def _is_plain(kind: pa.DataType) -> bool:
    return any(test(kind) for test in _PLAIN)


def kept_array(field: pa.Field, chunk: Chunk, unit: str) -> pa.Array:
    """A kept column with one value a row; a list aligned to words gives each word its own.

    Raises:
        SourceError: a value does not have the type of the column.
    """
    if field.name not in chunk.kept:  # this part of the source does not have the column
        return pa.nulls(len(chunk.text_id), field.type)
    given = chunk.kept[field.name]
    if unit == "text" or any(isinstance(value, list | tuple) for value in given):
        return _array(field, _rows(chunk, given, unit))
    texts = chunk.text_id - chunk.first_text  # converted once a text, not once a row
    once = _array(field, given)
    if pa.types.is_string(field.type):
        size = int(np.array([len(str(value).encode()) for value in once.to_pylist()])[texts].sum())
        if size >= MOST_BYTES:
            raise SourceError(
                f"the column {field.name!r} would be kept once a {unit}, which is {size / 1e9:.1f} GB for "
                f"{len(texts):,} rows: keep an identifier of the text instead, or extract with --unit text."
            )
    return once.take(pa.array(texts))


def _array(field: pa.Field, values: Sequence[Any]) -> pa.Array:
    if pa.types.is_string(field.type):
        values = [_as_text(value) for value in values]
    elif pa.types.is_list(field.type) and pa.types.is_string(field.type.value_type):
        values = [[_as_text(x) for x in v] if isinstance(v, list | tuple) else v for v in values]
    try:
        array = pa.array(values, field.type)
        for value, stored in zip(values, array.to_pylist(), strict=True):
            if not _same(value, stored):  # Arrow cuts off fractions in lists, and the time of a date
                raise pa.ArrowInvalid(f"{value!r} would become {stored!r}")
    except _UNFIT as error:
        raise SourceError(
            f"the column {field.name!r} holds {field.type} at first and then something else ({error}): "
            "make its values of one type in the source, and extract again with --overwrite."
        ) from error
    return array


def _same(value: Any, stored: Any) -> bool:
    if isinstance(stored, list):
        return len(value) == len(stored) and all(map(_same, value, stored))
    if isinstance(value, bool) != isinstance(stored, bool) and not isinstance(value, np.bool_):
        return False
    return bool(value == stored or (value != value and stored != stored))  # NaN is NaN


def _rows(chunk: Chunk, values: Sequence[Any], unit: str) -> list[Any]:
    texts = (chunk.text_id - chunk.first_text).tolist()
    if unit == "text":
        return [values[text] for text in texts]
    index = chunk.unit_id if unit == "word" else chunk.word_id
    assert index is not None, "rows at token level come with word_id"
    member = [0] * len(texts) if chunk.sequence_id is None else chunk.sequence_id.tolist()
    return [_of_word(values[t], w, m) for t, w, m in zip(texts, index.tolist(), member, strict=True)]


def _of_word(value: Any, word: int, member: int) -> Any:
    if not isinstance(value, list | tuple):
        return value
    return value[word] if member == 0 and 0 <= word < len(value) else None


def _as_text(value: Any) -> Any:
    if value is None or isinstance(value, str):
        return value
    if not isinstance(value, bool | int | float | list | tuple | dict):
        return str(value)
    return json.dumps(value, ensure_ascii=False, default=str)


def kept_names(schema: pa.Schema) -> tuple[str, ...]:
    """The kept columns of a store, in order."""
    return tuple(
        field.name
        for field in schema
        if field.name not in OWN_COLUMNS and not field.name.startswith("layer_")
    )
