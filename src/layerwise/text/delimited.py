r"""`.csv` and `.tsv`, with a header line.

`.csv` follows RFC 4180: fields between double quotes may hold commas, doubled quotes and line ends.
The delimiter is the comma, or what the header has instead of it: a semicolon (as spreadsheets write
in much of Europe) or a tab (as the STS benchmark's `sts-train.csv` has).

Where tabs separate, nothing is quoted: a `"` is a character like any other, as in GLUE's files,
which have unbalanced quotes. A `.tsv` that was written with quoting should be named `.csv` with commas.

Files without a header (CoLA, the STS benchmark) are read by naming columns by number, from 0. Between
tabs their rows may have more fields or fewer, if they have those that are named; between commas they may
not, as a comma in a text that was not quoted is no other field.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence

from layerwise.errors import ColumnError, SourceError
from layerwise.text.columns import Columns, SourceOptions, listed
from layerwise.text.layouts import refuse_other_layout
from layerwise.text.lines import place, read_lines
from layerwise.text.stream import Stream
from layerwise.types import TextRecord

MAX_FIELD = 1 << 28
"""Characters of one field; a quote that is never closed is noticed here, not when memory is full."""

_NAMES = """
    text sentence sentence1 sentence2 text_a text_b question question1 question2 context premise hypothesis review content
    title description body tweet comment source target label labels gold_label class category topic sentiment stars rating
    score quality id idx index pair_id pairid is_duplicate answer answers split
    sentence_a sentence_b relatedness_score entailment_judgment v1 v2 headline news message utterance intent
    en de fr es zh it ru ja pt nl english german french spanish chinese
    文本 标签 类别 分类 标题 内容 正文 句子 句子1 句子2 问题 答案 评论 评价 情感 原文 译文
"""
USUAL = frozenset([*_NAMES.split(), "#1 id", "#2 id", "#1 string", "#2 string"])
"""Names of columns in published tables: a first line with two of them is a header."""

LONGEST_NAME = 40
"""Characters of a column's name; what is longer is a text, and its line a row."""

Row = tuple[int, list[str]]
"""Number of the line a row begins in, and its fields."""


def read_csv(stream: Stream, options: SourceOptions) -> Iterator[TextRecord]:
    """Read comma (semicolon, tab) separated texts.

    Raises:
        ColumnError: a column is not in the header.
        SourceError: a row has more or fewer fields than the header, or its quotes are wrong.
        SourceEncodingError: a line is not UTF-8.
    """
    refuse_other_layout(stream, options, "csv")
    delimiter = _delimiter(re.split(rb"[\r\n]", stream.head(), maxsplit=1)[0])
    rows = _tab_rows(stream) if delimiter == "\t" else _quoted_rows(stream, delimiter)
    return _records(rows, options, stream.name, quoted=delimiter != "\t")


def _delimiter(line: bytes) -> str:
    """What separates the fields of the first line: outside quotes, and with no space behind it as in text."""
    plain = re.sub(rb'"(?:[^"]|"")*"', b"", line)
    counts = {mark: len(re.findall(re.escape(mark.encode()) + rb"(?! )", plain)) for mark in "\t,;"}
    if counts["\t"]:
        return "\t"
    return max(",;", key=lambda mark: (counts[mark], plain.count(mark.encode())))


def read_tsv(stream: Stream, options: SourceOptions) -> Iterator[TextRecord]:
    """Read tab separated texts, in which nothing is quoted; raises as `read_csv`."""
    refuse_other_layout(stream, options, "tsv")
    return _records(_tab_rows(stream), options, stream.name, quoted=False)


def _records(rows: Iterator[Row], options: SourceOptions, name: str, *, quoted: bool) -> Iterator[TextRecord]:
    first = next(rows, None)
    if first is None:
        return
    _, header = first
    numbered = _numbered(options, header, name)
    if numbered:
        header = [str(number) for number in range(len(header))]
    columns = Columns.resolve(options, header, header, name, "" if numbered else _hint(options, header))
    if len(header) == 1 and columns.text != options.text_column and re.search(r"\s", header[0].strip()):
        raise ColumnError(
            f"{name} has one column, and its first line {header[0][:60]!r} may be its name or a text: pass "
            "--text-column 0 if it is a text, or --text-column with the name."
        )
    _refuse_ambiguous(columns.names, header, name)
    for number, fields in [first] if numbered else []:
        yield columns.record(dict(zip(header, fields, strict=True)), place(name, number))
    # Rows without a header may have optional fields at their end, as the STS benchmark's have.
    ragged = numbered and not quoted
    needed = 1 + max(map(int, columns.names)) if ragged else len(header)
    for number, fields in rows:
        where = place(name, number)
        records = []
        with options.row():
            if len(fields) < needed or (len(fields) > needed and not ragged):
                raise SourceError(_wrong_count(where, len(fields), needed, quoted, at_least=ragged))
            records.append(columns.record(dict(zip(header, fields, strict=False)), where))
        yield from records


def _tab_rows(stream: Stream) -> Iterator[Row]:
    for number, line in read_lines(stream):
        if line:
            yield number, line.split("\t")


def _quoted_rows(stream: Stream, delimiter: str) -> Iterator[Row]:
    csv.field_size_limit(MAX_FIELD)
    last = 0  # number of the last line that was handed to the reader

    def lines() -> Iterator[str]:
        nonlocal last
        for last, line in read_lines(stream, keep_cr=True):
            if "\0" in line:
                raise SourceError(
                    f"{place(stream.name, last)}: there is a NUL byte in it; expected text: "
                    "the file is damaged or not UTF-8; write it again as UTF-8."
                )
            # A lone \r ends a line too, as spreadsheets on the Mac write it.
            yield from re.split(r"(?<=\r)(?!$)", line + "\n") if "\r" in line else [line + "\n"]

    # strict: a quote in the wrong place is an error rather than a guess.
    reader = csv.reader(lines(), delimiter=delimiter, strict=True)
    while True:
        begun = last + 1
        try:
            fields = next(reader, None)
        except csv.Error as error:
            raise SourceError(
                f"{place(stream.name, begun)}: the row that begins here cannot be read ({error}); "
                'expected fields with a " in them to be quoted as "say ""hi""", and every quote to be closed.'
            ) from error
        if fields is None:
            return
        if fields:
            yield begun, fields


def _numbered(options: SourceOptions, header: Sequence[str], file: str) -> bool:
    """Whether columns are named by number, which says that there is no header.

    One name that is not in the first line is enough: CoLA's first line has the label 1 in it.

    Raises:
        ColumnError: all numbers are in the first line, which looks like a row, so both may be meant; or the first line
            is a header; or some columns are named by number and others are not.
    """
    wanted = options.names
    numbers = [name for name in wanted if name.isdecimal()]
    others = [name for name in wanted if not name.isdecimal()]
    missing = [name for name in numbers if name not in header]
    if missing and others and not set(others) & set(header):
        raise ColumnError(
            f"{file} has no column {others[0]!r} in its first line, and {missing[0]!r} is the number of one: without a "
            "header every column is named by its number, from 0.",
            others[0],
        )
    if not numbers or others:
        return False
    if missing and _has_names(header):
        raise ColumnError(
            f"{file} has names in its first line ({listed(header)}): name columns by them, not by numbers."
        )
    if missing or (len(numbers) == 1 and any(len(name) > LONGEST_NAME for name in header)):
        return True
    if not all(name.isdecimal() for name in header):
        raise ColumnError(
            f"{file}: {listed(wanted)} may be a name in the first line ({listed(header)}) or the number of a column: "
            "add a line with names to the file, and use these."
        )
    return False


def _has_names(first: Sequence[str]) -> bool:
    """Whether a first line is a header for sure."""
    return sum(name.strip().lower() in USUAL for name in first) > 1


def _hint(options: SourceOptions, first: Sequence[str]) -> str:
    """What to do if the first line is no header: its fields of most words (or characters) are texts, most likely."""
    if _has_names(first):
        return ""
    flags = ["--text-column"] if options.pair_column is None else ["--text-column", "--pair-column"]
    by_words = sorted(range(len(first)), key=lambda n: (len(first[n].split()), len(first[n])), reverse=True)
    texts = sorted(by_words[: len(flags)])
    named = " ".join(f"{flag} {number}" for flag, number in zip(flags, texts, strict=False))
    return f" in its first line (no header? name columns by number, from 0, as in {named})"


def _refuse_ambiguous(names: Sequence[str], header: Sequence[str], name: str) -> None:
    for column in names:
        if header.count(column) > 1:
            raise ColumnError(
                f"{name} has {header.count(column)} columns named {column!r}: give each its own name."
            )


def _wrong_count(where: str, given: int, expected: int, quoted: bool, at_least: bool) -> str:
    fix = (
        'put a field that holds the delimiter or a line end between double quotes ("...")'
        if quoted
        else "remove tabs and line ends from the fields (in tab separated files quotes are plain characters; "
        "a file that was written with quoting should be a .csv with commas)"
    )
    count = f"at least {expected}, for the columns named" if at_least else f"{expected}, as in the first line"
    return f"{where}: the row has {given} fields; expected {count}: {fix}."
