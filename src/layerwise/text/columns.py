"""From the columns of a source to `TextRecord`s: which column is what, and what may stand in it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from layerwise.errors import ColumnError, SourceError, UsageError
from layerwise.text.words import join_words, parse_words, word_spans
from layerwise.types import TextRecord

TEXT_COLUMNS = ("text", "sentence")
"""Where the text is looked for when no column is named; else in the only string column."""

IDENTIFIER = re.compile(r"(?i:(^|[_ -])(q?id|idx|guid|uuid|index)$)|[a-z](Id|ID)$")
"""Names of columns that hold no text, though their values are strings."""


@dataclass(frozen=True)
class SourceOptions:
    """Where to find what in a source.

    Attributes:
        text_column: column of the text; None: `text`, else `sentence`, else the only string column.
        pair_column: column of a second text.
        id_column: column of the user's own identifier (`sent_id` in CoNLL-U).
        words_column: column with a list of words or of [start, end] character spans.
        keep: columns to hand on.
        format: how to read the source (`formats.FORMATS`), whatever its ending; None: by its ending.
        no_text: columns that are not the text, where it is not named: an answer that is there and is not asked for.
        also: columns to hand on where they are there.
        on_bad_row: told of a row that cannot be used, which is then left out; None: such a row is raised.
    """

    text_column: str | None = None
    pair_column: str | None = None
    id_column: str | None = None
    words_column: str | None = None
    keep: tuple[str, ...] = ()
    format: str | None = None
    no_text: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    on_bad_row: Callable[[SourceError], None] | None = field(default=None, compare=False)

    @property
    def names(self) -> list[str]:
        """Every column that is asked for by its name."""
        named = (self.text_column, self.pair_column, self.id_column, self.words_column, *self.keep)
        return [name for name in named if name is not None]

    @contextmanager
    def row(self) -> Iterator[None]:
        """Around what is done with one row.

        Raises:
            SourceError: the row cannot be used, and nobody is to be told of it instead.
        """
        try:
            yield
        except SourceError as error:
            if self.on_bad_row is None:
                raise
            self.on_bad_row(error)


@dataclass(frozen=True)
class Columns:
    """The columns of one file that are read; `text` is None where the words make up the text, `also` need not be there."""

    text: str | None
    pair: str | None
    id: str | None
    words: str | None
    keep: tuple[str, ...]
    also: tuple[str, ...] = ()

    @classmethod
    def resolve(
        cls,
        options: SourceOptions,
        available: Sequence[str],
        strings: Iterable[str],
        name: str,
        hint: str = "",
    ) -> Columns:
        """Find the columns of the file `name`, which has `available`, of which `strings` hold text.

        `hint` ends the message that lists what is available.

        Raises:
            ColumnError: a column that was asked for is not there, or the text cannot be found.
        """
        others = [options.pair_column, options.id_column, options.words_column, *options.keep]
        for wanted in (options.text_column, *others):
            if wanted is not None and wanted not in available:
                texts = (options.text_column, options.pair_column)
                if options.pair_column is not None and wanted in texts:
                    hint += "; name the texts with --text-column and --pair-column"
                raise ColumnError(
                    f"{name} has no column {wanted!r}: it has {listed(available)}{hint}.", wanted
                )
        text = options.text_column or next((column for column in TEXT_COLUMNS if column in available), None)
        if text is None and options.words_column is None:
            taken = {*others, *options.no_text}
            candidates = [
                column for column in strings if column not in taken and not IDENTIFIER.search(column)
            ]
            if len(candidates) != 1:
                raise ColumnError(
                    f"{name} has no column named 'text' or 'sentence': name the one that holds the text with "
                    f"--text-column, or a list of words with --words-column; it has {listed(available)}{hint}."
                )
            text = candidates[0]
        also = tuple(column for column in options.also if column not in (text, *others))
        return cls(text, options.pair_column, options.id_column, options.words_column, options.keep, also)

    @property
    def names(self) -> list[str]:
        """Every column that has to be there, once."""
        named = (self.text, self.pair, self.id, self.words, *self.keep)
        return list(dict.fromkeys(name for name in named if name is not None))

    def record(self, row: Mapping[str, Any], place: str) -> TextRecord:
        """One row as a record; `place` is the file and line for messages.

        Raises:
            SourceError: a value is null, of a wrong type, or does not fit the text.
        """
        text = None if self.text is None else _text(row, self.text, place)
        words = None
        if self.words is not None:
            text, words = _words(text, row.get(self.words), self.words, place)
        assert text is not None  # resolve() leaves text out only where there are words
        return TextRecord(
            text=text,
            text_pair=None if self.pair is None else _text(row, self.pair, place),
            words=words,
            kept={name: row.get(name) for name in (*self.keep, *(one for one in self.also if one in row))},
            id=None if self.id is None else _identifier(row, self.id, place),
            place=place,
        )


def with_nested(row: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """A row with the fields of its objects that are asked for as columns: `translation.en` is that of `translation`."""
    for name in names:
        outer, dot, inner = name.partition(".")
        if not dot or name in row or outer not in row:
            continue
        value = row[outer]
        if value is None or (isinstance(value, Mapping) and inner in value):
            row = {**row, name: None if value is None else value[inner]}
    return row


def refuse_columns(options: SourceOptions, name: str, available: Sequence[str], keep: Sequence[str]) -> None:
    """Refuse options that a format without free columns cannot serve.

    Raises:
        ColumnError: `options` names a column other than `available`, or keeps one other than `keep`.
    """
    named = (options.text_column, options.pair_column, options.words_column, options.id_column)
    for wanted in named:
        if wanted is not None and wanted not in available:
            pair = wanted == options.pair_column
            hint = "; two texts a row go into a table (paste one.txt other.txt > both.tsv)" if pair else ""
            raise ColumnError(
                f"{name} has no column {wanted!r}: a file of this kind has {listed(available)}{hint}.", wanted
            )
    for wanted in options.keep:
        if wanted not in keep:
            raise ColumnError(
                f"{name} has no column {wanted!r} to keep: a file of this kind has {listed(keep)}; put texts and columns in "
                "a table (.jsonl, .csv, .tsv, .parquet)."
            )


def listed(columns: Sequence[str]) -> str:
    """Column names as a message lists them."""
    shown = ", ".join(repr(column) for column in columns[:30])
    return (shown + (", …" if len(columns) > 30 else "")) or "none"


def _text(row: Mapping[str, Any], column: str, place: str) -> str:
    value = row.get(column)
    if isinstance(value, str):
        return value
    if column not in row:
        raise ColumnError(f"{place}: there is no {column!r}; this row has {listed(list(row))}.")
    if value is None:
        raise SourceError(
            f"{place}: {column!r} is null; expected a text: remove the row, or write an empty string if it "
            "should count as a text without words."
        )
    raise SourceError(
        f"{place}: {column!r} is {_kind(value)} ({str(value)[:60]}); expected a text: "
        f"{'write it as a string' if isinstance(value, bytes) else 'put it in quotes'}, or name another column "
        "(--text-column, --pair-column)."
    )


def _words(text: str | None, value: Any, column: str, place: str) -> tuple[str, tuple[tuple[int, int], ...]]:
    if value is None:
        raise SourceError(
            f"{place}: {column!r} is null; expected a list of words: write [] if there are none."
        )
    try:
        words = parse_words(value) if isinstance(value, str) else value
        if text is not None:
            return text, word_spans(text, words)
        if isinstance(words, Sequence) and all(isinstance(word, str) for word in words):
            return join_words(words)
        raise UsageError(
            f"the words are {str(words)[:60]}, which make up no text: expected a list of strings; or name the column "
            "of the text with --text-column."
        )
    except UsageError as error:
        raise SourceError(f"{place}, column {column!r}: {error}") from error


def _identifier(row: Mapping[str, Any], column: str, place: str) -> str:
    value = row.get(column)
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return str(value)
    raise SourceError(f"{place}: {column!r} is {_kind(value)}; expected an identifier, a string or a number.")


def _kind(value: Any) -> str:
    """What a value is, in the words of JSON."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    kinds: dict[type, str] = {
        str: "a text",
        int: "a number",
        float: "a number",
        list: "a list",
        dict: "an object",
    }
    return kinds.get(type(value), f"a {type(value).__name__}")
