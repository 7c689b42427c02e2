"""`.parquet`: a text a row, read column by column in small batches of rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from layerwise.errors import ColumnError, SourceEncodingError, SourceError
from layerwise.text import class_names
from layerwise.text.columns import Columns, SourceOptions, with_nested
from layerwise.text.stream import Stream
from layerwise.types import TextRecord

BATCH_ROWS = 256
BUFFER_BYTES = 1 << 20
"""Read a column chunk page by page: a row group of some GB needs no more memory than one of some MB."""


def read_parquet(stream: Stream, options: SourceOptions) -> Iterator[TextRecord]:
    """Only the columns asked for are read; places in messages are rows, counted from 1.

    Classes that are numbers with names in the schema, as `datasets` writes them, are read as names.

    Raises:
        ColumnError: a column is not in the file.
        SourceError: the file is not Parquet or damaged, or a text is null.
        SourceEncodingError: a value is not UTF-8.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(stream.raw.raw, buffer_size=BUFFER_BYTES, pre_buffer=False)
        schema = file.schema_arrow
        named = class_names.readers(schema)
        strings = [field.name for field in schema if _is_string(field.type)]
        columns = Columns.resolve(options, [*schema.names, *_nested(schema)], strings, stream.name)
        twice = next((name for name in columns.names if schema.names.count(name) > 1), None)
        if twice is not None:
            raise ColumnError(f"{stream.name} has two columns {twice!r}: rename one, or name another.")
        number = 0
        wanted = [*columns.names, *(name for name in columns.also if name in schema.names)]
        for batch in file.iter_batches(BATCH_ROWS, columns=wanted):
            for row in _rows(batch, stream.name, number):
                number += 1
                stream.share = number / file.metadata.num_rows
                records = []
                row = {name: named[name](value) if name in named else value for name, value in row.items()}
                with options.row():
                    row = with_nested(row, columns.names)
                    records.append(columns.record(row, f"{stream.name}, row {number}"))
                yield from records
    except (OSError, pa.ArrowException) as error:
        raise SourceError(
            f"{stream.name} cannot be read as Parquet ({error}): "
            "check that the file is whole; write it again if not."
        ) from error


def parquet_types(stream: Stream) -> dict[str, Any]:
    """Arrow types of the columns, as `read_parquet` gives them.

    Raises:
        SourceError: the file is not Parquet or damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        schema = pq.read_schema(stream.raw.raw)
    except (OSError, pa.ArrowException) as error:
        raise SourceError(
            f"{stream.name} cannot be read as Parquet ({error}): "
            "check that the file is whole; write it again if not."
        ) from error
    declared = {field.name: field.type for field in schema}
    return {**declared, **_nested(schema), **class_names.types(schema)}


def _nested(schema: Any) -> dict[str, Any]:
    """The fields of columns that have some, by their names behind the column's and a dot, and their types."""
    import pyarrow as pa

    return {
        f"{field.name}.{inner.name}": inner.type
        for field in schema
        if pa.types.is_struct(field.type)
        for inner in field.type
    }


def _rows(batch: Any, name: str, before: int) -> list[dict[str, Any]]:
    try:
        rows: list[dict[str, Any]] = batch.to_pylist()
    except UnicodeDecodeError as error:
        byte = error.object[error.start]
        raise SourceEncodingError(
            f"{name}, rows {before + 1} to {before + batch.num_rows}: "
            f"a text has a byte that is not valid UTF-8 (0x{byte:02x} at byte {error.start + 1} of it): "
            "write the file again from decoded strings."
        ) from error
    return rows


def _is_string(kind: Any) -> bool:
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))
