"""`.jsonl`, `.ndjson`: a JSON object a line; blank lines are skipped."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from layerwise.errors import ColumnError, SourceError
from layerwise.text.columns import Columns, SourceOptions, with_nested
from layerwise.text.lines import place, read_lines
from layerwise.text.stream import Stream
from layerwise.types import TextRecord

SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def read_jsonl(stream: Stream, options: SourceOptions) -> Iterator[TextRecord]:
    """The keys of the first good object are the columns; a kept key that a later line lacks is null.

    Raises:
        ColumnError: a column is not in the first object, or the text is not in a later one.
        SourceError: a line is not a JSON object, or a text in it is not a string.
        SourceEncodingError: a line is not UTF-8.
    """
    columns: Columns | None = None
    missing: ColumnError | None = None
    for number, line in read_lines(stream):
        if not line.strip():
            continue
        where = place(stream.name, number)
        records = []
        with options.row():
            row = with_nested(_parse(line, where), options.names)
            if columns is None:
                strings = [key for key, value in row.items() if isinstance(value, str)]
                try:
                    columns = Columns.resolve(options, list(row), strings, where)
                except ColumnError as error:
                    missing = missing or error
                    raise
            records.append(columns.record(row, where))
        yield from records
    if columns is None and missing is not None:
        raise missing  # no line has what was asked for: its name is wrong


def _parse(line: str, where: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        hint = (
            " (a JSON array over several lines? turn it into JSON lines with: jq -c '.[]')"
            if line.lstrip().startswith("[")
            else " (it begins with '{'; save it as .txt if it is plain text)"
            if where.startswith("stdin")
            else ""
        )
        raise SourceError(
            f"{where}, column {error.colno}: broken JSON ({error.msg}); expected one object a line{hint}."
        ) from error
    except (ValueError, RecursionError) as error:
        raise SourceError(
            f"{where}: JSON that cannot be read ({error}); expected one object a line."
        ) from error
    if not isinstance(row, dict):
        hint = " (an array? turn it into JSON lines with: jq -c '.[]')" if isinstance(row, list) else ""
        raise SourceError(
            f'{where}: {line.strip()[:60]!r} is not an object; expected a line like {{"text": "..."}}{hint}.'
        )
    if SURROGATE.search(line):
        refuse_surrogates(row, where)
    return row


def refuse_surrogates(row: dict[str, Any], where: str) -> None:
    """Half of a surrogate pair is no character: tokenizers and Arrow crash on it."""
    try:
        json.dumps(row, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as error:
        code = ord(error.object[error.start])
        raise SourceError(
            f"{where}: the escape \\u{code:04x} is half of a surrogate pair and no character of its own; "
            "expected whole characters: write the line again with the program that made it."
        ) from error
