"""Tokens and words keep their characters, in every script and under every kind of tokenizer."""

from __future__ import annotations

import unicodedata
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from layerwise.errors import UsageError
from layerwise.ops.alignment import unicode_words
from layerwise.types import HiddenStates
from tests.tiny import (
    KINDS,
    SENTENCES,
    one_thread,  # noqa: F401
    reference_states,
    shared_encoder,
    tiny_tokenizer,
)

WORDS = ("tokenizer", "whitespace", "unicode")

_PIECES = (
    *("the", "cat", "don't", "tokenizer", "A", "3.14", ",", "’", "-", "Straße", "İ", "ẞ"),
    *("我爱", "这", "本书。", "漢字", "カタカナ", "ひらがな", "각", "\u1100\u1161"),
    *("كتاب", "أ", "\u064b", "שלום", "किताब"),
    *("😀", "👩‍👧", "❤️", "🇩🇪", "🇩", "👍🏽"),
    *("e\u0301", "\u0301", "n\u0303\u0323", "ﬁ", "①", "½", "ﷺ", "Å"),
    *(" ", "  ", "\t", "\n", "\r\n", "\u00a0", "\u3000", "\u2028", "\x85"),
    *("\x00", "\x07", "\x7f", "\ufeff", "\ufe0f", "\u200d", "\u200b", "\u00ad", "\U000e0100", "\ufffd"),
    *("[MASK]", "<mask>", "[UNK]", "▁"),
)
mixed_texts = st.one_of(
    st.lists(st.sampled_from(_PIECES), max_size=14).map("".join),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
)


def encode(kind: str, text: str, unit: str, words: str = "tokenizer") -> HiddenStates:
    return shared_encoder(kind).encode([text], layers="1,3", unit=unit, words=words)[0]


def expected_words(text: str, words: str) -> list[tuple[int, int]]:
    if words == "unicode":
        return [(int(start), int(end)) for start, end in unicode_words(text)]
    spans, position = [], 0
    for word in text.split():
        position = text.index(word, position)
        spans.append((position, position + len(word)))
        position += len(word)
    return spans


def assert_spans(states: HiddenStates) -> None:
    for unit in states.units:
        assert 0 <= unit.start <= unit.end <= len(states.text)
        assert states.text[unit.start : unit.end] == unit.surface
    starts = [unit.start for unit in states.units]
    assert starts == sorted(starts), "the units are in the order of the text"
    nan = np.isnan(states.hidden_states).all(axis=(0, 2))
    assert not np.isnan(states.hidden_states[:, ~nan]).any()
    assert nan.tolist() == [not unit.embedded for unit in states.units]


def assert_means(states: HiddenStates, members: list[list[int]], tokens: HiddenStates) -> None:
    """Each row is the mean of its own tokens, so no row has slipped to a neighbour's place."""
    assert len(members) == len(states.units)
    for row, own in enumerate(members):
        assert states.units[row].embedded == bool(own)
        if own:
            mean = tokens.hidden_states[:, own].mean(axis=1)
            assert np.abs(states.hidden_states[:, row] - mean).max() < 1e-4


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=150, deadline=None, database=None)
@given(text=mixed_texts)
@example(text="\ufe0f")
@example(text="a \ufe0f b")
@example(text="a \x07 b \x00\ufeff c")
@example(text="\u0301e\u0301 \u0301")
@example(text="👩‍👧 ❤️ 🇩🇪🇩")
def test_units_keep_their_characters(kind: str, text: str) -> None:
    tokens = encode(kind, text, "token")
    assert_spans(tokens)
    by_pretoken = encode(kind, text, "word")
    assert_spans(by_pretoken)
    ids = [unit.word_id for unit in tokens.units]
    numbers = range(len(by_pretoken.units))
    assert_means(by_pretoken, [[i for i, own in enumerate(ids) if own == n] for n in numbers], tokens)
    for words in ("whitespace", "unicode"):
        states = encode(kind, text, "word", words)
        assert_spans(states)
        spans = [(unit.start, unit.end) for unit in states.units]
        assert spans == expected_words(text, words), "every word has a row, whatever its tokens"
        assert all(before[1] <= after[0] for before, after in pairwise(spans))
        overlap = [
            [i for i, u in enumerate(tokens.units) if max(u.start, start) < min(u.end, end)]
            for start, end in spans
        ]
        assert_means(states, overlap, tokens)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=150, deadline=None, database=None)
@given(text=mixed_texts)
def test_a_token_covers_what_the_tokenizer_says_and_its_marks(kind: str, text: str) -> None:
    tokens = encode(kind, text, "token").units
    encoding = shared_encoder(kind).tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    assert len(tokens) == len(encoding["input_ids"])
    for unit, (start, end) in zip(tokens, encoding["offset_mapping"], strict=True):
        core = text[start:end].strip()
        if core:
            assert unit.surface.startswith(core)
            behind = unit.surface[len(core) :]
            assert all(c == "\u200d" or unicodedata.category(c) in ("Mn", "Mc", "Me", "Lm") for c in behind)


@pytest.mark.parametrize("words", WORDS)
@settings(max_examples=25, deadline=None, database=None)
@given(text=mixed_texts, pair=mixed_texts)
def test_the_units_of_a_pair_stand_in_their_own_text(words: str, text: str, pair: str) -> None:
    encoder = shared_encoder("wordpiece")
    for unit in ("token", "word"):
        states = encoder.encode([(text, pair)], layers=0, unit=unit, words=words)[0]
        for one in states.units:
            assert (pair if one.sequence_id else text)[one.start : one.end] == one.surface
        alone = [encoder.encode([part], layers=0, unit=unit, words=words)[0].units for part in (text, pair)]
        expected = [(u.start, u.end, number) for number, part in enumerate(alone) for u in part]
        assert [(u.start, u.end, u.sequence_id) for u in states.units] == expected


def test_wordpiece_words_are_its_pretokens() -> None:
    units = encode("wordpiece", "I don't 爱漢字!", "word").units
    assert [unit.surface for unit in units] == ["I", "don", "'", "t", "爱", "漢", "字", "!"]
    assert [unit.word_id for unit in units] == list(range(8))


def test_whitespace_and_unicode_words_do_not_depend_on_the_tokenizer() -> None:
    text = "I don't  爱漢字! 3.14\tc'est\u00a0ça"
    for kind in KINDS:
        whitespace = [unit.surface for unit in encode(kind, text, "word", "whitespace").units]
        assert whitespace == ["I", "don't", "爱漢字!", "3.14", "c'est", "ça"]
        unicode = [unit.surface for unit in encode(kind, text, "word", "unicode").units]
        assert unicode == ["I", "don't", "爱", "漢", "字", "!", "3.14", "c'est", "ça"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("words", WORDS)
def test_a_combining_mark_stays_with_its_letter(kind: str, words: str) -> None:
    text = "cafe\u0301 e\u0301 x"
    surfaces = [unit.surface for unit in encode(kind, text, "word", words).units]
    if (kind, words) == ("bpe", "tokenizer"):  # whose pre-tokens part letters from marks
        assert surfaces == ["cafe", "\u0301", "e", "\u0301", "x"]
    else:
        assert surfaces == ["cafe\u0301", "e\u0301", "x"]
    tokens = encode(kind, text, "token").units
    covered = {i for unit in tokens for i in range(unit.start, unit.end)}
    assert {4, 7} <= covered, "the marks are in some token's surface"


def test_a_word_without_token_is_a_row_without_vector() -> None:
    states = encode("wordpiece", "the \ufe0f cat \x07 dog", "word", "whitespace")
    assert [unit.surface for unit in states.units] == ["the", "\ufe0f", "cat", "\x07", "dog"]
    assert [unit.embedded for unit in states.units] == [True, False, True, False, True]
    assert np.isnan(states.hidden_states[:, [1, 3]]).all()
    plain = encode("wordpiece", "the cat dog", "token")
    assert np.abs(states.hidden_states[:, [0, 2, 4]] - plain.hidden_states).max() < 1e-5
    assert [entry["layers"]["1"] is None for entry in states.to_list()] == [False, True, False, True, False]


def test_a_token_over_two_words_belongs_to_both() -> None:
    encoder = shared_encoder("bpe")
    text = next(t for t in SENTENCES if t.startswith("我"))
    tokens = encoder.encode([text], layers=3)[0]
    shared = [i for i, unit in enumerate(tokens.units) if len(unit.surface) > 1]
    assert shared, "byte-level tokens cross the borders of characters"
    words = encoder.encode([text], layers=3, unit="word", words="unicode")[0]
    assert [unit.surface for unit in words.units] == list(text)
    assert all(unit.embedded for unit in words.units)


def test_a_literal_special_token_is_a_word_of_its_own() -> None:
    units = encode("wordpiece", "the [MASK] [MASK][MASK] cat", "word").units
    assert [unit.surface for unit in units] == ["the", "[MASK]", "[MASK]", "[MASK]", "cat"]


@pytest.mark.parametrize("kind", KINDS)
def test_pooled_texts_and_words_follow_from_the_tokens(kind: str) -> None:
    encoder = shared_encoder(kind)
    texts = [text for text in SENTENCES if len(tiny_tokenizer(kind)(text)["input_ids"]) <= 64]
    tokens = encoder.encode(texts)
    for pooling in ("mean", "max", "cls", "last_token"):
        for text, token, states in zip(
            texts, tokens, encoder.encode(texts, unit="text", pooling=pooling), strict=True
        ):
            if pooling == "cls":
                expected = reference_states(kind, tiny_tokenizer(kind)(text)["input_ids"])[:, 0]
            else:
                own = token.hidden_states
                expected = {"mean": own.mean(1), "max": own.max(1), "last_token": own[:, -1]}[pooling]
            assert states.hidden_states.shape == (4, 1, 32)
            assert np.abs(states.hidden_states[:, 0] - expected).max() < 1e-5
            assert states.units[0].surface == text and states.units[0].word_id is None
    for pooling in ("mean", "first", "last", "max"):
        for token, states in zip(tokens, encoder.encode(texts, unit="word", pooling=pooling), strict=True):
            ids = np.array([unit.word_id for unit in token.units])
            for row in range(len(states.units)):
                own = token.hidden_states[:, ids == row]
                pooled = {"mean": own.mean(1), "first": own[:, 0], "last": own[:, -1], "max": own.max(1)}
                assert np.abs(states.hidden_states[:, row] - pooled[pooling]).max() < 1e-5


def test_poolings_go_with_their_unit() -> None:
    encoder = shared_encoder("wordpiece")
    for unit, pooling in [("token", "mean"), ("word", "cls"), ("text", "first")]:
        with pytest.raises(UsageError, match=f"pooling of {unit} units"):
            encoder.encode(["a"], unit=unit, pooling=pooling)
