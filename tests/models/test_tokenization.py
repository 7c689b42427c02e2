"""Token sequences are those of transformers, whole or cut, single or in pairs."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

from layerwise.errors import SourceError, TextTooLongError, UsageError
from layerwise.models.tokenization import EncodedText, Tokenization
from layerwise.types import TextRecord
from tests.tiny import (
    KINDS,
    SENTENCES,
    one_thread,  # noqa: F401
    reference_states,
    shared_encoder,
    tiny_tokenizer,
)

TOKENIZERS = (*KINDS, "minilm")

ODD_TEXTS = (
    "",
    "   ",
    "\t\n",
    " leading and trailing  ",
    "e\u0301le\u0300ve",
    "a\u200bb \ufeff c \ufe0f d",
    "\x00\x07",
    "❤️👩‍👧🇩🇪",
    "a literal [MASK] and [SEP], <mask> and </s> and <pad>",
    "\u4f60\u00a0\u597d\u3000\uff01",
    "Ａ①½ﬁ",
    "1 " * 400,
)
PAIRS = (
    ("a cat", "a dog"),
    ("", "only the second"),
    ("only the first", ""),
    ("", ""),
    ("我爱这本书。", "I love this book."),
    ("  spaces  ", "\tand tabs\n"),
    (SENTENCES[0], SENTENCES[1]),
)


def tokenizer_of(kind: str) -> Any:
    return shared_encoder(kind).tokenizer if kind == "minilm" else tiny_tokenizer(kind)


def encoded(
    tokenizer: Any, text: str, pair: str | None = None, max_length: int = 10_000, **options: Any
) -> EncodedText:
    return Tokenization(tokenizer, max_length=max_length, **options).encode([TextRecord(text, pair)])[0]


def assert_same(result: EncodedText, expected: Any) -> None:
    assert len(result.sequences) == 1
    assert result.sequences[0].input_ids.tolist() == expected["input_ids"]
    assert result.sequences[0].token_type_ids.tolist() == expected["token_type_ids"]


@pytest.mark.parametrize("align", [True, False])
@pytest.mark.parametrize("kind", TOKENIZERS)
def test_a_text_has_the_ids_of_transformers(kind: str, align: bool) -> None:
    tokenizer = tokenizer_of(kind)
    texts = [*SENTENCES, *ODD_TEXTS]
    together = Tokenization(tokenizer, max_length=10_000, align=align)
    for text, result in zip(texts, together.encode([TextRecord(text) for text in texts]), strict=True):
        expected = tokenizer(text, return_token_type_ids=True)
        assert_same(result, expected)
        assert result.num_tokens == len(expected["input_ids"]) - tokenizer.num_special_tokens_to_add()
        assert result.num_truncated == 0


@pytest.mark.parametrize("words", ["tokenizer", "whitespace", "unicode"])
@pytest.mark.parametrize("kind", TOKENIZERS)
def test_a_pair_has_the_ids_and_types_of_transformers(kind: str, words: str) -> None:
    tokenizer = tokenizer_of(kind)
    for text, pair in PAIRS:
        # As lists: of two strings of which the second is empty, transformers makes a single text.
        expected = tokenizer([text], [pair], return_token_type_ids=True)
        only = {name: values[0] for name, values in expected.items()}
        assert_same(encoded(tokenizer, text, pair, words=words), only)


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_each_token_is_found_at_its_window_and_position(kind: str) -> None:
    tokenizer = tokenizer_of(kind)
    for text, pair in [*PAIRS, (SENTENCES[2] * 3, SENTENCES[4] * 3)]:
        bare = tokenizer(text, add_special_tokens=False)["input_ids"]
        bare += tokenizer(pair, add_special_tokens=False)["input_ids"]
        for max_length in (10_000, 20):
            result = encoded(tokenizer, text, pair, max_length)
            places = zip(result.window, result.position, strict=True)
            assert [int(result.sequences[w].input_ids[p]) for w, p in places] == bare
            assert all(len(sequence) <= max_length for sequence in result.sequences)


def test_singles_and_pairs_can_be_mixed_in_one_call() -> None:
    tokenizer = tiny_tokenizer("wordpiece")
    records = [TextRecord("a cat"), TextRecord("a cat", "a dog"), TextRecord(""), TextRecord("x", "y")]
    results = Tokenization(tokenizer, max_length=64).encode(records)
    for record, result in zip(records, results, strict=True):
        assert_same(result, tokenizer(record.text, record.text_pair, return_token_type_ids=True))


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_a_truncated_text_is_that_of_transformers(kind: str) -> None:
    tokenizer = tokenizer_of(kind)
    for text in SENTENCES[:6] + SENTENCES[10:13]:
        whole = len(tokenizer(text)["input_ids"])
        for max_length in (5, 6, 9, 16, whole - 1, whole, whole + 1):
            result = encoded(tokenizer, text, max_length=max_length, long_text="truncate")
            expected = tokenizer(text, truncation=True, max_length=max_length, return_token_type_ids=True)
            assert_same(result, expected)
            assert result.num_truncated == max(0, whole - max_length)


@pytest.mark.parametrize("kind", TOKENIZERS)
@pytest.mark.parametrize("case", ["first longer", "second longer", "equal"])
@pytest.mark.parametrize("parity", ["even", "odd"])
def test_a_truncated_pair_is_that_of_transformers(kind: str, case: str, parity: str) -> None:
    """Of a pair the longer text is cut first, and an odd token stays with the longer one."""
    tokenizer = tokenizer_of(kind)
    special = tokenizer.num_special_tokens_to_add(pair=True)
    wrong = []
    for capacity in range(2 if parity == "even" else 1, 13, 2):
        tokenization = Tokenization(tokenizer, max_length=capacity + special, long_text="truncate")
        combinations = [
            (first, second)
            for first in range(1, 13)
            for second in range(1, 13)
            if {"first longer": first > second, "second longer": first < second}.get(case, first == second)
        ]
        pairs = [("the" + " the" * (a - 1), "the" + " the" * (b - 1)) for a, b in combinations]
        results = tokenization.encode([TextRecord(*pair) for pair in pairs])
        for lengths, pair, result in zip(combinations, pairs, results, strict=True):
            expected = tokenizer(*pair, truncation=True, max_length=capacity + special)
            kept = [int((result.sequence_id == member).sum()) for member in (0, 1)]
            members = expected.sequence_ids()
            if result.sequences[0].input_ids.tolist() != expected["input_ids"]:
                wrong.append((capacity, lengths, kept, [members.count(0), members.count(1)]))
    assert not wrong, f"(capacity, lengths, kept, kept by transformers): {wrong[:5]} and {len(wrong)} in all"


@pytest.mark.parametrize("kind", KINDS)
def test_the_users_tokenizer_is_left_as_it_was(kind: str) -> None:
    tokenizer = copy.deepcopy(tiny_tokenizer(kind))
    tokenizer.backend_tokenizer.enable_truncation(max_length=7, stride=1)
    tokenizer.backend_tokenizer.enable_padding(length=9)
    before = tokenizer.backend_tokenizer.to_str()
    for words in ("tokenizer", "given"):
        for long_text in ("window", "truncate"):
            tokenization = Tokenization(tokenizer, max_length=12, words=words, long_text=long_text)
            result = tokenization.encode([TextRecord("the cat " * 20, None, ((0, 3), (4, 7)))])[0]
            assert result.num_tokens >= 40, "nor does its truncation have an effect here"
            assert all(len(sequence) <= 12 for sequence in result.sequences)
    assert tokenizer.backend_tokenizer.to_str() == before
    assert tokenizer.backend_tokenizer.truncation["max_length"] == 7
    assert tokenizer.backend_tokenizer.padding["length"] == 9


def test_a_text_too_long_is_named_with_its_number_and_length() -> None:
    tokenization = Tokenization(tiny_tokenizer("wordpiece"), max_length=8, long_text="error")
    records = [TextRecord("the cat"), TextRecord("the " * 7)]
    with pytest.raises(TextTooLongError, match=r"^text 41 has 9 tokens.*the window 8: choose --long-text"):
        tokenization.encode(records, first_text=40)
    with pytest.raises(TextTooLongError, match="text 0 has 9 tokens"):
        tokenization.encode([TextRecord("the " * 3, "the " * 3)])
    assert len(tokenization.encode([TextRecord("the " * 6)])[0].sequences) == 1, "just fits"


def test_a_window_without_room_for_a_token_is_refused() -> None:
    with pytest.raises(
        UsageError, match="max_length is 2, and 2 of these are special tokens: expected at least 3"
    ):
        Tokenization(tiny_tokenizer("wordpiece"), max_length=2)
    single_only = Tokenization(tiny_tokenizer("wordpiece"), max_length=3)
    assert len(single_only.encode([TextRecord("the")])[0].sequences) == 1
    with pytest.raises(
        UsageError, match="max_length is 3, and 3 of these are special tokens: expected at least 4"
    ):
        single_only.encode([TextRecord("the", "the")])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("room", [1, 2, 3])
def test_a_long_pair_in_the_smallest_windows_works_or_is_refused_in_words(kind: str, room: int) -> None:
    tokenizer = tiny_tokenizer(kind)
    max_length = tokenizer.num_special_tokens_to_add(pair=True) + room
    try:
        result = encoded(tokenizer, "the the the the", "the the the", max_length)
    except UsageError as error:
        assert "max_length" in str(error), str(error)
    else:
        assert result.num_tokens >= 7 and len(result.window) == result.num_tokens


@pytest.mark.parametrize("options", [{}, {"unit": "text"}, {"unit": "word", "words": "unicode"}])
@pytest.mark.parametrize("text", ["a\ud800b", "\udfff", ("the cat", "\ud83d")])
def test_half_a_surrogate_pair_works_or_is_refused_in_words(text: Any, options: dict[str, Any]) -> None:
    for kind in KINDS:
        try:
            states = shared_encoder(kind).encode(["the cat", text], **options)
        except (UsageError, SourceError) as error:
            assert "surrogate" in str(error)
        else:
            assert len(states) == 2


@pytest.mark.parametrize("kind", KINDS)
def test_a_pair_is_read_as_one_input_with_its_token_types(kind: str) -> None:
    encoder, pair = shared_encoder(kind), ("the cat", "the dog sat")
    inputs = tiny_tokenizer(kind)(*pair)
    kept = [i for i, member in enumerate(inputs.sequence_ids()) if member is not None]
    expected = reference_states(kind, inputs["input_ids"], inputs["token_type_ids"])[:, kept]
    members = [member for member in inputs.sequence_ids() if member is not None]
    for given in (pair, {"text": pair[0], "text_pair": pair[1]}, TextRecord(*pair)):
        states = encoder.encode([given])[0]
        assert (states.text, states.text_pair) == pair
        assert [unit.sequence_id for unit in states.units] == members
        assert np.abs(states.hidden_states - expected).max() < 1e-5
    untyped = reference_states(kind, inputs["input_ids"])[:, kept]
    changed = np.abs(untyped - states.hidden_states).max(axis=(0, 2)) > 1e-3
    assert changed.any() == (kind == "wordpiece"), "token types count where the model has them"
