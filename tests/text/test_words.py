"""Words given as strings are found where they stand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from layerwise.errors import UsageError
from layerwise.text.words import word_spans


@pytest.mark.parametrize(
    ("text", "words", "found"),
    [
        ("The cat sat on a mat", ["a", "mat"], [(15, 16), (17, 20)]),
        ("I think it is in the bin", ["in"], [(14, 16)]),
        ("I don't", ["I", "do", "n't"], [(0, 1), (2, 4), (4, 7)]),
        ("我爱这本书", ["爱", "书"], [(1, 2), (4, 5)]),
        ("我爱这本书", ["我", "爱", "这本", "书"], [(0, 1), (1, 2), (2, 4), (4, 5)]),
        ("“Stop”, he said", ["Stop", "said"], [(1, 5), (11, 15)]),
        ("a  b", ["a", " b"], [(0, 1), (2, 4)]),
        ("a cafe\u0301 cafe", ["cafe"], [(8, 12)]),
        ("ฉันรักหนังสือ", ["รัก"], [(3, 6)]),
        ("a b", np.array(["a", "b"]), [(0, 1), (2, 3)]),
        ("a b", np.array([[0, 1], [2, 3]]), [(0, 1), (2, 3)]),
        ("a b", [(np.int64(0), np.int32(1))], [(0, 1)]),
        ("a b", [], []),
    ],
)
def test_where_words_are(text: str, words: Any, found: list[tuple[int, int]]) -> None:
    assert word_spans(text, words) == tuple(found)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["at"],
            r"word 1 \('at'\) is not in the text after its character 0: give .* or their \[start, end\] spans",
        ),
        (["cat", "the"], r"word 2 \('the'\) is not in the text after its character 7"),
        ([(0, 99)], r"word 1 is the span \[0, 99\]: expected 0 ≤ start ≤ end ≤ 11"),
        ([(4, 7), (0, 3)], r"after \[4, 7\]: expected the spans in the order of the text"),
        (["the", 3], "word 1 is 'the': expected all words to be strings"),
        ([(True, 3)], "expected all words to be strings"),
        ("the cat", "the words are 'the cat': expected a list"),
    ],
)
def test_what_is_refused(words: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        word_spans("the cat sat", words)


def test_many_words_of_white_space_are_found() -> None:
    """Each right where it stands: walking over the rest of the run for each would take minutes."""
    count = 200_000
    assert word_spans(" " * count, [" "] * count)[-1] == (count - 1, count)
    assert word_spans(" " * count + "a", ["a"]) == ((count, count + 1),)
