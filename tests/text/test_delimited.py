"""csv and tsv, as the published data sets are."""

from __future__ import annotations

import csv
import io
import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from layerwise.errors import ColumnError, SourceEncodingError, SourceError
from tests.text.conftest import Write, read, surfaces, texts

FIELDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))

SST2 = "sentence\tlabel\nhide new secretions from the parental units \t0\n`` enigma '' is a good name \t1\n"
STSB = (
    "index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2\tscore\n"
    '0\tmain-news\tMSRpar\t2012\t1\tnone\tnone\tHe said "no.\tHe said: "no".\t3.800\n'
    "1\tmain-captions\tMSRvid\t2012\t4\tnone\tnone\tA man sings.\tA man is singing.\t5.000\n"
)
STS_BENCHMARK = (  # as sts-train.csv: tabs, no header, more fields in some rows
    "main-captions\tMSRvid\t2012test\t0001\t5.000\tA man, sings.\tA man is singing.\n"
    'main-news\theadlines\t2013\t0002\t1.2\t"Two die\tThree "die\tsource a\tsource b\n'
)


def test_sst2(write: Write) -> None:
    first, second = read(write("train.tsv", SST2), keep=("label",))
    assert first.text == "hide new secretions from the parental units "
    assert second.kept == {"label": "1"}


def test_stsb_has_stray_quotes(write: Write) -> None:
    options = {
        "text_column": "sentence1",
        "pair_column": "sentence2",
        "id_column": "index",
        "keep": ("score",),
    }
    first, second = read(write("train.tsv", STSB), **options)
    assert (first.text, first.text_pair) == ('He said "no.', 'He said: "no".')
    assert (second.id, second.kept) == ("1", {"score": "5.000"})


def test_no_header_columns_by_number(write: Write) -> None:
    first, second = read(write("sts-train.csv", STS_BENCHMARK), text_column="5", pair_column="6", keep=("4",))
    assert (first.text, first.text_pair, first.kept) == ("A man, sings.", "A man is singing.", {"4": "5.000"})
    assert (second.text, second.text_pair) == ('"Two die', 'Three "die')


def test_commas_that_are_not_quoted_are_no_fields(write: Write) -> None:
    rows = "0,Good hotel near the sea\n1,Good hotel, but the breakfast was awful\n"
    with pytest.raises(SourceError, match="line 2: the row has 3 fields; expected 2, as in the first line"):
        read(write("hotels.csv", rows), text_column="1", keep=("0",))
    pairs = "用微信都6年了,微信没有微粒贷,0\n用微信,怎么没有,借款怎么开通,1\n"
    with pytest.raises(SourceError, match="line 2: the row has 4 fields; expected 3"):
        read(write("pairs.csv", pairs), text_column="0", pair_column="1", keep=("2",))


@pytest.mark.parametrize(
    ("header", "numbers"),
    [
        ("Quality\t#1 ID\t#2 ID\t#1 String\t#2 String", ["3", "4"]),
        ("pair_ID\tsentence_A\tsentence_B\trelatedness_score\tentailment_judgment", ["1", "2"]),
        ("v1,v2,,,", ["1"]),
        ("类别,标题", ["1"]),
        ("en\tde", ["0", "1"]),
    ],
)
def test_a_header_is_no_row(header: str, numbers: list[str], write: Write) -> None:
    mark = "," if "," in header else "\t"
    path = write("data.csv", f"{header}\n{mark.join('abcde'[: header.count(mark) + 1])}\n")
    with pytest.raises(ColumnError, match="has names in its first line"):
        read(path, text_column=numbers[0], pair_column=numbers[1] if len(numbers) > 1 else None)
    with pytest.raises(ColumnError) as told:
        read(path, text_column="text")
    assert "no header?" not in str(told.value)


def test_no_header_and_a_number_in_the_first_line(write: Write) -> None:
    cola = write("train.tsv", "gj04\t1\t\tOur friends won't buy this.\ngj04\t0\t*\tThey drank the pub.\n")
    first, second = read(cola, text_column="3", keep=("1",))
    assert (first.text, first.kept) == ("Our friends won't buy this.", {"1": "1"})
    assert (second.text, second.kept) == ("They drank the pub.", {"1": "0"})
    with pytest.raises(
        ColumnError,
        match=r"in its first line \(no header\? name columns by number, from 0, as in --text-column 3\)",
    ):
        read(cola)


def test_a_number_that_may_be_a_name_is_refused(write: Write) -> None:
    with pytest.raises(
        ColumnError, match=r"'1' may be a name in the first line \('1', 'first text'\) or the number"
    ):
        read(write("a.tsv", "1\tfirst text\n0\tsecond text\n"), text_column="1")
    assert texts(write("b.csv", "0,1\na,b\n"), text_column="1") == ["b"]  # as pandas names columns


@pytest.mark.parametrize("name", ["id", "idx", "guid", "user_id", "textId", "ID"])
def test_an_identifier_is_not_taken_for_the_text(write: Write, name: str) -> None:
    assert texts(write("a.csv", f"{name},review\n7,good\n")) == ["good"]
    with pytest.raises(ColumnError, match="or a list of words with --words-column"):
        texts(write("b.jsonl", json.dumps({name: "7", "tokens": ["a"]})))


@pytest.mark.parametrize(
    ("content", "options", "expected"),
    [
        ("7;Hello, world\n8;Foo, bar\n", {"text_column": "1"}, ["Hello, world", "Foo, bar"]),
        ('"text, long";"label"\na;1\n', {"text_column": "text, long"}, ["a"]),
        ('"a\tb",1\n', {"text_column": "0"}, ["a\tb"]),
        ("text,label\na;b,1\n", {}, ["a;b"]),
    ],
)
def test_the_delimiter_is_looked_for_outside_quotes(
    write: Write, content: str, options: dict[str, str], expected: list[str]
) -> None:
    assert texts(write("a.csv", content), **options) == expected


def test_one_column_whose_name_may_be_a_text(write: Write) -> None:
    path = write("a.csv", "First text\nSecond text\n")
    with pytest.raises(
        ColumnError, match=r"one column, and its first line 'First text' may be .*--text-column 0"
    ):
        read(path)
    assert texts(path, text_column="0") == ["First text", "Second text"]
    assert texts(path, text_column="First text") == ["Second text"]


def test_quoted_fields(write: Write) -> None:
    path = write("a.csv", '\ufefftext,label\r\n"one, ""two""\r\nthree\n\rfour",x\r\n\r\n"",y\r\n')
    first, second = read(path, keep=("label",))
    assert first.text == 'one, "two"\r\nthree\n\rfour'
    assert (second.text, second.kept) == ("", {"label": "y"})


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(FIELDS, FIELDS), min_size=1), st.sampled_from(["\n", "\r\n", "\r"]))
def test_what_the_csv_module_writes_comes_back(rows: list[tuple[str, str]], end: str) -> None:
    file = io.StringIO(newline="")
    csv.writer(file, lineterminator=end, quoting=csv.QUOTE_ALL).writerows([("text", "label"), *rows])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.csv")
        path.write_bytes(file.getvalue().encode())
        assert [(r.text, r.kept["label"]) for r in read(path, keep=("label",))] == rows


def test_semicolons(write: Write) -> None:
    assert texts(write("a.csv", "id;text\n1;Ja, gut\n")) == ["Ja, gut"]


def test_one_column_is_the_text(write: Write) -> None:
    assert texts(write("a.csv", "review\ngood\n")) == ["good"]
    with pytest.raises(ColumnError, match="'review', 'stars'"):
        texts(write("b.csv", "review,stars\ngood,5\n"))


def test_long_fields(write: Write) -> None:
    long = "x" * 1_000_000
    assert texts(write("a.csv", f'text,n\n"{long}",1\n')) == [long]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("I don't know", ["I", "don't", "know"]),
        ('["I", "do", "n\'t"]', ["I", "do", "n't"]),
        ("[[0, 1], [2, 7]]", ["I", "don't"]),
        ("", []),
    ],
)
def test_words(write: Write, words: str, expected: list[str]) -> None:
    quoted = words.replace('"', '""')
    [record] = read(write("a.csv", f'text,words\nI don\'t know,"{quoted}"\n'), words_column="words")
    assert surfaces(record) == expected


def test_words_of_brackets_are_words(write: Write) -> None:
    [record] = read(write("a.csv", "tokens\n[ 1 ] yes\n"), words_column="tokens")
    assert surfaces(record) == ["[", "1", "]", "yes"]


def test_a_python_list_is_refused(write: Write) -> None:
    with pytest.raises(SourceError, match=r"line 2.*json\.dumps"):
        read(write("a.csv", "tokens\n\"['I', 'do']\"\n"), words_column="tokens")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "text,label\na,b\na,b,c\n", "line 3: the row has 3 fields; expected 2"),
        ("a.csv", 'text,label\n"a\n",b\na\n', "line 4: the row has 1 fields; expected 2"),
        (
            "a.tsv",
            "text\tlabel\na\n",
            "line 2: the row has 1 fields; expected 2.*quotes are plain characters",
        ),
        ("a.csv", 'text,label\na,b\n"a,b\nc,d\n', "line 3: the row that begins here cannot be read"),
        ("a.csv", 'text,label\n"a" b,c\n', "line 2: the row that begins here"),
        ("a.csv", "text,label\na\0b,c\n", "line 2: there is a NUL byte"),
        ("a.csv", "text,text\na,b\n", "2 columns named 'text'"),
        ("a.csv", "text\n", "is empty"),
        ("a.csv", "", "is empty"),
    ],
)
def test_bad_rows(write: Write, name: str, content: str, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        read(write(name, content))


def test_latin1_is_found_by_line(write: Write) -> None:
    with pytest.raises(SourceEncodingError, match="line 2, byte 4"):
        read(write("a.csv", b"text\ncaf\xe9\n"))


def test_half_a_surrogate_pair_in_words(write: Write) -> None:
    with pytest.raises(SourceError, match=r"line 2, column 'w': the words .* half of a surrogate pair"):
        read(write("a.tsv", 'w\n["\\ud800"]\n'), words_column="w")


def test_json_words_with_spans_out_of_range(write: Write) -> None:
    row = json.dumps([[0, 99]])
    with pytest.raises(SourceError, match=r"line 2, column 'words': word 1 is the span \[0, 99\]"):
        read(write("a.tsv", f"text\twords\nhello\t{row}\n"), words_column="words")
