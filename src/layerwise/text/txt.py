"""`.txt`: a text a line."""

from __future__ import annotations

from collections.abc import Iterator

from layerwise.text.columns import SourceOptions, refuse_columns
from layerwise.text.layouts import refuse_other_layout
from layerwise.text.lines import place, read_lines
from layerwise.text.stream import Stream
from layerwise.types import TextRecord


def read_txt(stream: Stream, options: SourceOptions) -> Iterator[TextRecord]:
    """Every line is a text, also an empty one: line *n* (from 0) is `text_id` *n*.

    Raises:
        SourceError: the lines look like a table, and no format was named.
        ColumnError: a column is asked for.
        SourceEncodingError: a line is not UTF-8.
    """
    refuse_other_layout(stream, options, "txt")
    refuse_columns(options, stream.name, ["text"], [])
    for number, text in read_lines(stream):
        yield TextRecord(text, place=place(stream.name, number))
