"""Texts in the forms that Python code has them in."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from layerwise.errors import UsageError
from layerwise.text.records import as_record, as_records
from layerwise.types import TextRecord


@pytest.mark.parametrize(
    ("given", "record"),
    [
        ("a b", TextRecord("a b")),
        (("a", "b"), TextRecord("a", "b")),
        ({"text": "a", "text_pair": "b"}, TextRecord("a", "b")),
        ({"text": "a b", "words": ["a", "b"]}, TextRecord("a b", words=((0, 1), (2, 3)))),
        (TextRecord("a"), TextRecord("a")),
    ],
)
def test_accepted_forms(given: Any, record: TextRecord) -> None:
    read = as_record(given)
    assert (read.text, read.text_pair) == (record.text, record.text_pair)
    assert (
        read.words is None
        if record.words is None
        else [tuple(word) for word in read.words or ()] == [tuple(word) for word in record.words]
    )
    assert [one.text for one in as_records([given])] == [record.text]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (5, "a text was given as int"),
        (("a", "b", "c"), "a text was given as tuple"),
        ({"txt": "a"}, "a text was given as dict"),
        ("a\ud800", "half of a surrogate pair at character 1"),
        (("a", "b\udc00"), "half of a surrogate pair at character 1"),
        (b"caf\xe9".decode("utf-8", "surrogateescape"), "the byte 0xe9 at character 3, which is not UTF-8"),
    ],
)
def test_refused_forms(given: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        as_record(given)


@pytest.mark.parametrize("given", [5, None, {"text": "a"}, np.array([["a"]]), pd.DataFrame({"text": ["a"]})])
def test_what_is_no_stream_of_texts_is_refused(given: Any) -> None:
    with pytest.raises(UsageError, match=f"texts were given as {type(given).__name__}: expected a list"):
        list(as_records(given))


@pytest.mark.parametrize("words", [((-7, -4),), ((4, 40),), ((2, 1),)])
def test_words_of_a_record_must_be_in_its_text(words: Any) -> None:
    with pytest.raises(UsageError, match="word 1 is the span"):
        as_record(TextRecord("the cat sat", words=words))


@pytest.mark.parametrize("given", [["a", "b"], np.array(["a", "b"]), pd.Series(["a", "b"], index=[7, 8])])
def test_columns_are_streams_of_texts(given: Any) -> None:
    assert [record.text for record in as_records(given)] == ["a", "b"]
