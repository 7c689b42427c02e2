"""Words given by the user: tokenised along their borders, found where they stand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from layerwise.errors import SourceError, UsageError
from layerwise.types import TextRecord
from tests.tiny import (
    KINDS,
    SENTENCES,
    one_thread,  # noqa: F401
    reference_states,
    shared_encoder,
    splitting_tokenizer,
)

WORDS = (
    ["I", "do", "n't", "know", "New York", "."],
    ["我爱", "这", "本书", "。"],
    ["东京", "the", "cat", "'s", "e\u0301", "😀"],
    ["un", "believ", "able", "3.14"],
    ["the"],
)


def input_ids(kind: str, text: Any) -> list[int]:
    """What the model is given for one text, in one window."""
    encoder = shared_encoder(kind)
    tokenization = encoder.tokenization(encoder.request(words="given"))
    (window,) = tokenization.encode([text])[0].sequences
    ids: list[int] = window.input_ids.tolist()
    return ids


def record(text: str, *spans: tuple[int, int], pair: str | None = None) -> TextRecord:
    return TextRecord(text, pair, spans)


def spans_of(words: list[str], separator: str) -> list[tuple[int, int]]:
    ends = np.cumsum([len(word) + len(separator) for word in words]) - len(separator)
    return [(int(end) - len(word), int(end)) for word, end in zip(words, ends, strict=True)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("separator", ["", " ", "  \n"])
@pytest.mark.parametrize("words", WORDS, ids=range(len(WORDS)))
def test_ids_are_those_of_is_split_into_words(kind: str, separator: str, words: list[str]) -> None:
    text = separator.join(words)
    expected = splitting_tokenizer(kind)(words, is_split_into_words=True)
    assert input_ids(kind, record(text, *spans_of(words, separator))) == expected["input_ids"]
    states = shared_encoder(kind).encode([text], unit="word", words=[words])[0]
    assert [unit.surface for unit in states.units] == words
    vectors = reference_states(kind, expected["input_ids"])
    for row in range(len(words)):
        own = [i for i, word in enumerate(expected.word_ids()) if word == row]
        assert np.abs(states.hidden_states[:, row] - vectors[:, own].mean(1)).max() < 1e-5


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=60, deadline=None, database=None)
@given(
    words=st.lists(st.sampled_from(["the", "cat", "don't", "我爱", "é", "!", "ة"]), min_size=1, max_size=15)
)
def test_ids_of_any_words_are_those_of_is_split_into_words(kind: str, words: list[str]) -> None:
    expected = splitting_tokenizer(kind)(words, is_split_into_words=True)["input_ids"]
    assert input_ids(kind, record(" ".join(words), *spans_of(words, " "))) == expected


def test_words_that_come_along_can_be_left_aside() -> None:
    encoder, text = shared_encoder("wordpiece"), {"text": "the cat, the dog", "words": ["the cat"]}
    [states] = encoder.encode([text], unit="word", words="tokenizer")
    assert [unit.surface for unit in states.units] == ["the", "cat", ",", "the", "dog"]
    assert len(encoder.encode([text])[0].units) > 1
    assert encoder.encode([], unit="word") == []


@pytest.mark.parametrize("kind", KINDS)
def test_all_ways_of_giving_words_are_one(kind: str) -> None:
    encoder = shared_encoder(kind)
    text, words, spans = "the cat, the dog", ["cat", "the", "dog"], [(4, 7), (9, 12), (13, 16)]
    lists = [list(span) for span in spans]
    ways = [
        encoder.encode([text], unit="word", words=[words]),
        encoder.encode([text], unit="word", words=[spans]),
        encoder.encode([text], unit="word", words=[lists]),
        encoder.encode([{"text": text, "words": words}], unit="word"),
        encoder.encode([{"text": text, "words": words}], unit="word", words="given"),
        encoder.encode([{"text": text, "words": lists}], unit="word", words="given"),
        encoder.encode([record(text, *spans)], unit="word", words="given"),
        encoder.encode([record(text, (0, 1))], unit="word", words=[words]),
    ]
    for (states,) in ways:
        assert [(unit.start, unit.end) for unit in states.units] == spans
        assert [unit.word_id for unit in states.units] == [0, 1, 2]
        assert np.array_equal(states.hidden_states, ways[0][0].hidden_states)


@pytest.mark.parametrize("kind", KINDS)
def test_text_between_the_words_is_context(kind: str) -> None:
    text = "the quick fox, don't jump"
    pieces = ["the", "quick", "fox", ",", "don't", "jump"]
    expected = splitting_tokenizer(kind)(pieces, is_split_into_words=True)
    given_words = ["quick", "fox", "jump"]
    assert input_ids(kind, record(text, (4, 9), (10, 13), (21, 25))) == expected["input_ids"]
    states = shared_encoder(kind).encode([text], unit="word", words=[given_words])[0]
    assert [unit.surface for unit in states.units] == given_words
    vectors = reference_states(kind, expected["input_ids"])
    for row, piece in enumerate([1, 2, 5]):
        own = [i for i, word in enumerate(expected.word_ids()) if word == piece]
        assert np.abs(states.hidden_states[:, row] - vectors[:, own].mean(1)).max() < 1e-5
    tokens = shared_encoder(kind).encode([text], words=[given_words])[0]
    assert len(tokens.units) == len(expected["input_ids"]) - 2, "its tokens are rows at token level"
    assert {unit.word_id for unit in tokens.units} == {None, 0, 1, 2}


@pytest.mark.parametrize("kind", KINDS)
def test_words_may_overlap_and_repeat(kind: str) -> None:
    encoder = shared_encoder(kind)
    text = "the tokenizer cuts words"
    spans = [(0, 3), (4, 13), (4, 13), (4, 18), (14, 18), (14, 24)]
    states = encoder.encode([text], unit="word", words=[spans])[0]
    assert [(unit.start, unit.end) for unit in states.units] == spans
    assert np.array_equal(states.hidden_states[:, 1], states.hidden_states[:, 2])
    tokens = encoder.encode([text], words=[spans])[0]
    for row, (start, end) in enumerate(spans):
        own = [i for i, unit in enumerate(tokens.units) if max(unit.start, start) < min(unit.end, end)]
        assert own
        assert np.abs(states.hidden_states[:, row] - tokens.hidden_states[:, own].mean(1)).max() < 1e-5


@pytest.mark.parametrize("kind", KINDS)
def test_a_word_of_one_letter_within_another_is_embedded(kind: str) -> None:
    spans = [(4, 5), (4, 7)]
    states = shared_encoder(kind).encode(["the a b"], unit="word", words=[spans])[0]
    assert [(unit.surface, unit.embedded) for unit in states.units] == [("a", True), ("a b", True)]


def test_a_given_word_without_token_is_a_row_without_vector() -> None:
    states = shared_encoder("wordpiece").encode(
        ["the \ufe0f cat"], unit="word", words=[[(0, 3), (3, 3), (4, 5), (6, 9)]]
    )[0]
    assert [unit.embedded for unit in states.units] == [True, False, False, True]
    assert np.isnan(states.hidden_states[:, 1:3]).all()


def test_no_words_are_no_rows() -> None:
    encoder = shared_encoder("wordpiece")
    results = encoder.encode(["the cat", "", "dog"], unit="word", words=[[], [], ["dog"]])
    assert [len(states.units) for states in results] == [0, 0, 1]
    assert results[0].hidden_states.shape == (4, 0, 32) and results[0].num_tokens > 0


@pytest.mark.parametrize("kind", KINDS)
def test_tokens_of_given_words_cover_their_characters(kind: str) -> None:
    text = "the cat, a dog"
    tokens = shared_encoder(kind).encode([text], words=[["the", "cat", ",", "a", "dog"]])[0].units
    covered = {i for unit in tokens for i in range(unit.start, unit.end)}
    assert covered >= {i for i, character in enumerate(text) if character != " "}


@pytest.mark.parametrize("kind", KINDS)
def test_token_surfaces_have_their_marks_and_no_white_space(kind: str) -> None:
    """As without given words: see `Member.spans`."""
    text = "e\u0301 the cat"
    tokens = shared_encoder(kind).encode([text], words=[[(0, 2), (3, 10)]])[0].units
    surfaces = [unit.surface for unit in tokens if unit.surface.strip()]
    assert all(surface == surface.strip() for surface in surfaces), surfaces
    assert {0, 1} <= {i for unit in tokens for i in range(unit.start, unit.end)}, surfaces


@pytest.mark.parametrize("kind", KINDS)
def test_the_second_text_of_a_pair_has_the_tokenizers_own_words(kind: str) -> None:
    encoder = shared_encoder(kind)
    states = encoder.encode([record("the cat", (4, 7), pair="the dog")], unit="word", words="given")[0]
    assert [(unit.surface, unit.sequence_id) for unit in states.units] == [("cat", 0), ("the", 1), ("dog", 1)]


def test_a_long_text_with_given_words_goes_through_windows() -> None:
    text = " ".join(SENTENCES[:10])
    for kind in KINDS:
        states = shared_encoder(kind).encode([text], unit="word", words=[text.split()])[0]
        assert [unit.surface for unit in states.units] == text.split()
        assert states.num_windows > 1 and all(unit.embedded for unit in states.units)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["dog"], "word 1 .'dog'. is not in the text"),
        (["cat", "the"], "word 2 .'the'. is not in the text after its character 7"),
        (["the", "the"], "word 2 .'the'. is not in the text"),
        ([(0, 8)], "expected 0 ≤ start ≤ end ≤ 7"),
        ([(-1, 3)], "expected 0 ≤ start ≤ end ≤ 7"),
        ([(3, 1)], "expected 0 ≤ start ≤ end ≤ 7"),
        ([(4, 7), (0, 3)], "in the order of the text"),
        ([(0, 3), "cat"], "word 2 is 'cat'"),
        ([(0, 1, 2)], "word 1 is"),
        ([None], "word 1 is None"),
        ("the cat", "expected a list of strings"),
        (5, "expected a list of strings"),
        (None, "expected a list of strings"),
    ],
)
def test_words_that_do_not_fit_are_a_clear_error(words: Any, message: str) -> None:
    encoder = shared_encoder("wordpiece")
    with pytest.raises(UsageError, match=message):
        encoder.encode(["the cat"], unit="word", words=[words])
    if words is not None:
        with pytest.raises(UsageError, match=message):
            encoder.encode([{"text": "the cat", "words": words}], unit="word", words="given")


def test_missing_words_are_a_clear_error() -> None:
    encoder = shared_encoder("wordpiece")
    with pytest.raises(SourceError, match="text 1 comes without words"):
        encoder.encode([{"text": "the cat", "words": ["cat"]}, "the dog"], words="given")
    with pytest.raises(UsageError, match="words were given for 1 texts and there are more"):
        encoder.encode(["the cat", "the dog"], words=[["cat"]])
    with pytest.raises(UsageError, match="tokenizer, whitespace, unicode, given"):
        encoder.encode(["the cat"], words="tokens")


def test_more_lists_of_words_than_texts_are_not_ignored() -> None:
    with pytest.raises(UsageError, match="words"):
        shared_encoder("wordpiece").encode(["the cat"], words=[["cat"], ["dog"]])
