"""JSON lines: columns are keys."""

from __future__ import annotations

import json

import pytest

from layerwise.errors import ColumnError, SourceEncodingError, SourceError
from tests.text.conftest import Write, read, surfaces, texts


def test_text_pair_id_and_kept(write: Write) -> None:
    path = write(
        "a.jsonl",
        '{"id": 7, "text": "A man eats.", "other": "A woman eats.", "label": 1, "tags": ["x", {"y": null}]}\n'
        "\n"
        '{"id": "b", "text": "我爱书", "other": ""}\r\n',
    )
    first, second = read(path, pair_column="other", id_column="id", keep=("label", "tags"))
    assert (first.text, first.text_pair, first.id) == ("A man eats.", "A woman eats.", "7")
    assert first.kept == {"label": 1, "tags": ["x", {"y": None}]}
    assert (second.text, second.text_pair, second.id) == ("我爱书", "", "b")
    assert second.kept == {"label": None, "tags": None}
    assert first.words is None


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ({"sentence": "s", "text": "t"}, "t"),
        ({"other": "o", "sentence": "s"}, "s"),
        ({"review": "r", "stars": 5, "tags": ["x"]}, "r"),
    ],
)
def test_where_the_text_is_found(write: Write, row: dict[str, object], text: str) -> None:
    assert texts(write("a.ndjson", json.dumps(row))) == [text]


def test_columns_named_for_something_else_are_not_the_text(write: Write) -> None:
    path = write("a.jsonl", '{"key": "k1", "review": "good"}')
    assert texts(path, id_column="key") == ["good"]
    with pytest.raises(ColumnError, match="'key', 'review'"):
        texts(path)


def test_a_missing_column_lists_those_there(write: Write) -> None:
    path = write("a.jsonl", '{"text": "x", "label": 0}\n')
    with pytest.raises(ColumnError, match="no column 'lable': it has 'text', 'label'"):
        read(path, keep=("lable",))


def test_a_key_missing_later(write: Write) -> None:
    with pytest.raises(ColumnError, match="line 2: there is no 'text'; this row has 'txt'"):
        read(write("a.jsonl", '{"text": "x"}\n{"txt": "y"}\n'))


def test_words(write: Write) -> None:
    path = write(
        "a.jsonl",
        '{"text": "我爱这本书。", "words": ["我", "爱", "这本", "书", "。"]}\n'
        '{"text": "I don\'t", "words": [[0, 1], [2, 4], [4, 7]]}\n'
        '{"text": "", "words": []}\n',
    )
    first, second, third = read(path, words_column="words")
    assert surfaces(first) == ["我", "爱", "这本", "书", "。"]
    assert surfaces(second) == ["I", "do", "n't"]
    assert third.words == ()


def test_words_alone_make_up_the_text(write: Write) -> None:
    # As CoNLL-2003 is published for the datasets library.
    path = write(
        "a.jsonl", '{"id": "0", "tokens": ["EU", "rejects", "German", "call"], "ner_tags": [3, 0, 7, 0]}'
    )
    [record] = read(path, words_column="tokens", id_column="id", keep=("ner_tags",))
    assert record.text == "EU rejects German call"
    assert surfaces(record) == ["EU", "rejects", "German", "call"]
    assert record.kept == {"ner_tags": [3, 0, 7, 0]}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("[[0, 9]]", r"span \[0, 9\]: expected 0 ≤ start ≤ end ≤ 5"),
        ("[[-1, 2]]", r"span \[-1, 2\]"),
        ("[[3, 2]]", r"span \[3, 2\]"),
        ("[[2, 3], [0, 1]]", "in the order of the text"),
        ('["big", "a"]', r"word 1 \('big'\) is not in the text"),
        ('["c", "a"]', r"word 2 \('a'\) is not in the text after its character 5"),
        ('["a", 3]', "word 1 is 'a'"),
        ("[[0, true]]", "word 1"),
        ("3", "the words are 3"),
        ("null", "is null"),
    ],
)
def test_words_that_do_not_fit(write: Write, words: str, message: str) -> None:
    path = write("a.jsonl", f'{{"text": "a b c", "words": []}}\n{{"text": "a b c", "words": {words}}}\n')
    with pytest.raises(SourceError, match=f"line 2.*{message}"):
        read(path, words_column="words")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"text": "x"', "column 13: broken JSON"),
        ("[", r"jq -c '\.\[\]'"),
        ('"x"', "is not an object"),
        ('["x"]', "is not an object"),
        ('{"text": null}', "'text' is null; expected a text: remove the row, or write an empty string"),
        ('{"text": 3.5}', r"'text' is a number \(3\.5\)"),
        ('{"text": ["x"]}', "'text' is a list"),
        ('{"text": true}', "'text' is a boolean"),
        ('{"text": "\\ud800"}', "half of a surrogate pair"),
        ('{"text": "x", "label": ["\\udc00"]}', "half of a surrogate pair"),
        ('{"text": ' + "[" * 100_000, "cannot be read"),
        ('{"text": "x", "n": ' + "9" * 5000 + "}", "cannot be read"),
    ],
)
def test_bad_lines(write: Write, line: str, message: str) -> None:
    with pytest.raises(SourceError, match=f"line 2.*{message}"):
        read(write("a.jsonl", '{"text": "fine"}\n' + line + "\n"))


def test_whole_surrogate_pairs_are_characters(write: Write) -> None:
    assert texts(write("a.jsonl", '{"text": "\\ud83d\\ude00"}')) == ["😀"]


def test_broken_utf8(write: Write) -> None:
    with pytest.raises(SourceEncodingError, match="line 1, byte 11"):
        read(write("a.jsonl", b'{"text": "\xff"}'))


def test_the_first_line_can_be_left_out_too(write: Write) -> None:
    path = write(
        "a.jsonl", '{"text": "no label"}\n[1]\n{"text": "a", "label": 1}\n{"text": "b", "label": 2}\n'
    )
    told: list[SourceError] = []
    found = read(path, keep=("label",), on_bad_row=told.append)
    assert [(record.text, record.kept["label"]) for record in found] == [("a", 1), ("b", 2)]
    assert [str(error).split(" ")[2].rstrip(":") for error in told] == ["1", "2"]
    with pytest.raises(ColumnError, match="line 1 has no column 'label'"):
        read(path, keep=("label",))


def test_where_no_line_has_the_column_its_name_is_wrong(write: Write) -> None:
    path = write("a.jsonl", '{"text": "a"}\n{"text": "b"}\n')
    told: list[SourceError] = []
    with pytest.raises(ColumnError, match="line 1 has no column 'lable': it has 'text'"):
        read(path, keep=("lable",), on_bad_row=told.append)


def test_a_field_of_nothing_is_null(write: Write) -> None:
    path = write("a.jsonl", '{"pair": null}\n{"pair": {"en": "a"}}\n')
    with pytest.raises(SourceError, match="line 1: 'pair.en' is null"):
        read(path, text_column="pair.en")
