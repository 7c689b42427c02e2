"""The store's columns and its metadata document. FORMAT.md is the specification."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from layerwise.errors import StoreCorruptError

FORMAT_VERSION = 1
METADATA_KEY = b"layerwise"
CHECKSUM_KEY = b"layerwise_crc32"
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
    return pa.schema(fields, metadata=schema_metadata(document))


def vector_columns(schema: pa.Schema) -> tuple[str, ...]:
    """The columns that hold layers, in order."""
    return tuple(field.name for field in schema if field.name.startswith("layer_"))


def encode_document(document: Mapping[str, Any]) -> bytes:
    """The metadata document as stable bytes: sorted keys, no spaces, UTF-8."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def schema_metadata(document: Mapping[str, Any]) -> dict[str, str | None]:
    """The document and its checksum, as they stand in the schema's metadata."""
    encoded = encode_document(document)
    return {METADATA_KEY.decode(): encoded.decode(), CHECKSUM_KEY.decode(): str(zlib.crc32(encoded))}


def decode_document(schema: pa.Schema, path: Path) -> dict[str, Any]:
    """The metadata document of a store's schema; `path` is for the message.

    Raises:
        StoreCorruptError: it is not what was written.
    """
    encoded = schema.metadata[METADATA_KEY]
    if schema.metadata.get(CHECKSUM_KEY) != str(zlib.crc32(encoded)).encode():
        raise StoreCorruptError(
            f"{path}: the metadata does not have the checksum it was written with: the store is damaged; extract "
            "again with --overwrite, or restore it from a copy."
        )
    document: dict[str, Any] = json.loads(encoded)
    return document
