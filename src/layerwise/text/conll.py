"""`.conll`, `.bio`, `.iob`, `.iob2`: words and labels in columns, as CoNLL-2003 and most sets for named entities have them.

A word a row, columns between tabs or (without tabs) spaces, a blank line after each sentence,
`-DOCSTART-` rows between documents. The first column is `form`, the last `label`; of four, the
others are `pos` and `chunk`; what some sets do differently is in `conll_layout`. A text is a
sentence, its words joined by single spaces. Chinese sets have a character a row.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from layerwise.errors import ColumnError, SourceError
from layerwise.text.columns import SourceOptions, listed
from layerwise.text.conll_layout import COMMENT, ONTONOTES, is_header, layout_of_rows, split
from layerwise.text.lines import place, read_lines
from layerwise.text.stream import Stream
from layerwise.text.words import join_words
from layerwise.types import TextRecord

Rows = list[list[str]]


def read_conll(stream: Stream, options: SourceOptions) -> Iterator[TextRecord]:
    """Read sentences; kept columns are lists with a value a word.

    Raises:
        ColumnError: a column is not there.
        SourceError: a row has more or fewer columns than the first, or they are those of CoNLL-2012.
        SourceEncodingError: a line is not UTF-8.
    """
    _refuse_ontonotes(stream)
    layout = layout_of_rows(stream.head())
    names = layout.names
    checked = False
    for first_line, rows in _read_sentences(stream, options):
        if not checked:
            _check(options, names, stream.name)
            checked = True
        forms = [layout.word(form) for form in _column(rows, names.index("form"))]
        text, words = join_words(forms)
        kept = {name: forms if name == "form" else _values(rows, names.index(name)) for name in options.keep}
        yield TextRecord(text, words=words, kept=kept, place=place(stream.name, first_line))


def _refuse_ontonotes(stream: Stream) -> None:
    lines = stream.head().decode("utf-8", "replace").removeprefix("\ufeff").split("\n")
    rows = [split(line) for line in lines if line.strip() and not line.startswith("#")]
    if any(map(ONTONOTES.match, lines)) and rows and len(rows[0]) > 10:
        raise SourceError(
            f"{stream.name} looks like CoNLL-2012 (OntoNotes), with the document's name in the first column and entities in "
            "brackets: write the word and a tag (B-…, I-…, O) a row."
        )


def _read_sentences(stream: Stream, options: SourceOptions) -> Iterator[tuple[int, Rows]]:
    """Number of the first line and rows of each sentence; one with a bad row is left out as a whole."""
    rows: Rows = []
    count: int | None = None
    first_line, bad = 1, False
    for number, line in read_lines(stream):
        row = split(line)
        if not rows:
            first_line = number
        if not row:
            if rows and not bad:
                yield first_line, rows
            rows, bad = [], False
        elif (
            row[0] == "-DOCSTART-"
            or (count is None and is_header(row))
            or (COMMENT.match(line) and (not rows or len(row) != count))  # HIPE has some within a text
        ):
            continue
        elif count is not None and len(row) == count - 1 and line[0] == " ":
            rows.append([" ", *row])  # a space is a character too, where there is a character a row
        else:
            count = count or len(row)
            if len(row) != count and not bad:
                bad = True
                with options.row():
                    raise SourceError(
                        f"{place(stream.name, number)}: the row has {len(row)} columns; expected {count}, "
                        "as in the first row, separated by tabs or by spaces: correct the row."
                    )
            if count == 10 and row[0] == "1":
                raise SourceError(
                    f"{stream.name} looks like CoNLL-U, with ten columns: give it the ending .conllu, or pass "
                    "--format conllu."
                )
            rows.append(row)
    if rows and not bad:
        yield first_line, rows


def _column(rows: Rows, number: int) -> list[str]:
    return [row[number] for row in rows]


def _values(rows: Rows, number: int) -> list[str]:
    return [value.strip() for value in _column(rows, number)]


def _check(options: SourceOptions, names: Sequence[str], name: str) -> None:
    for wanted in (options.text_column, options.pair_column, options.id_column):
        if wanted is not None:
            raise ColumnError(
                f"{name} has no column {wanted!r} with a value a text: its text is made from its words."
            )
    for wanted in (options.words_column or "form", *options.keep):
        if wanted not in names:
            raise ColumnError(f"{name} has no column {wanted!r}: it has {listed(names)}.", wanted)
    if options.words_column not in (None, "form"):
        raise ColumnError(f"{name} has its words in the column 'form': leave --words-column out.")
