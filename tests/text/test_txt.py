"""A text a line: every line, and nothing but lines."""

from __future__ import annotations

import gzip
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from layerwise.errors import ColumnError, SourceEncodingError, SourceError
from layerwise.text.lines import split_lines
from tests.text.conftest import Write, read, texts

LINES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n"))


def test_line_n_is_text_n_and_empty_lines_count(write: Write) -> None:
    assert texts(write("a.txt", "one\n\n \nfour")) == ["one", "", " ", "four"]
    assert texts(write("b.txt", "\n")) == [""]


def test_both_line_ends_and_no_others(write: Write) -> None:
    odd = "a\x0bb\x0cc\x1cd\x85e\u2028f\u2029g\rh"
    assert texts(write("a.txt", f"{odd}\r\nnext\n")) == [odd, "next"]


def test_byte_order_mark_is_dropped_only_at_the_start(write: Write) -> None:
    assert texts(write("a.txt", "\ufeff我爱书\n\ufeffx\n")) == ["我爱书", "\ufeffx"]


@settings(max_examples=50, deadline=None)
@given(st.lists(LINES, min_size=1))
def test_any_lines_come_back(lines: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.txt")
        path.write_bytes("".join(line + "\r\n" for line in ["first", *lines]).encode())
        assert texts(path) == ["first", *lines]


@given(st.binary(max_size=60).map(lambda data: data.replace(b"a", b"\n")), st.lists(st.integers(1, 9)))
def test_block_borders_change_nothing(data: bytes, sizes: list[int]) -> None:
    def blocks() -> Iterator[bytes]:
        rest = data
        for size in sizes:
            if rest[:size]:
                yield rest[:size]
            rest = rest[size:]
        if rest:
            yield rest

    pieces = list(split_lines(blocks()))
    assert b"".join(line + b"\n" * ended for line, ended in pieces) == data
    assert all(b"\n" not in line for line, _ in pieces)
    assert all(ended for _, ended in pieces[:-1])


def test_a_text_of_a_million_characters(write: Write) -> None:
    long = "我" * 1_000_000
    assert texts(write("a.txt", f"{long}\nx")) == [long, "x"]


def test_invalid_utf8_names_file_line_and_byte(write: Write) -> None:
    path = write("a.txt", b"good\nna\xefve\n")
    with pytest.raises(SourceEncodingError, match=r"a\.txt, line 2, byte 3 of the line \(0xef\)"):
        texts(path)


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("héllo\n".encode("utf-16"), "UTF-16"),
        ("hello\n".encode("utf-16-le"), "UTF-16"),
        ("hello\n".encode("utf-16-be"), "UTF-16"),
        ("hello\n".encode("utf-32"), "UTF-32"),
        (gzip.compress(b"hello\n", mtime=0), "gz"),  # without the time of day, so the test keeps its name
        (b"PAR1....", "Parquet"),
    ],
)
def test_what_is_not_utf8_text_is_recognised(write: Write, content: bytes, named: str) -> None:
    with pytest.raises(SourceEncodingError, match=named):
        texts(write("a.txt", content))


def test_a_lone_nul_is_a_character(write: Write) -> None:
    assert texts(write("a.txt", "a\0b\n")) == ["a\0b"]


def test_empty_sources(write: Write) -> None:
    empty = write("a.txt", "")
    with pytest.raises(SourceError, match=r"a\.txt is empty: expected at least one text"):
        texts(empty)
    assert texts(empty, write("b.txt", "x\n")) == ["x"]


def test_lines_have_no_columns(write: Write) -> None:
    path = write("a.txt", "x\n")
    with pytest.raises(ColumnError, match="'label'"):
        read(path, keep=("label",))
    with pytest.raises(ColumnError, match="'body'"):
        read(path, text_column="body")
    assert texts(path, text_column="text") == ["x"]
