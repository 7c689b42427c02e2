"""Texts longer than the model: windows lose nothing, and what is cut is told."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from layerwise import Encoder
from layerwise.errors import TextTooLongError, UsageError
from layerwise.ops.windows import Windows, default_stride, plan
from tests.tiny import (
    KINDS,
    MAX_LENGTH,
    SENTENCES,
    one_thread,  # noqa: F401
    reference_states,
    shared_encoder,
    tiny_tokenizer,
)

LONG = " ".join(SENTENCES)
"""Several times as long as the models, in many scripts."""


def bare_ids(kind: str, text: str) -> list[int]:
    ids: list[int] = tiny_tokenizer(kind)(text, add_special_tokens=False)["input_ids"]
    return ids


def specials(kind: str, pair: bool = False) -> tuple[list[int], list[int], list[int]]:
    """Special tokens before the text, between the two of a pair, and behind."""
    tokenizer = tiny_tokenizer(kind)
    cls, sep = tokenizer.cls_token_id, tokenizer.sep_token_id
    return [cls], [sep] if kind == "wordpiece" else [sep, sep], [sep]


def by_hand(kind: str, text: str, windows: Windows) -> npt.NDArray[np.float32]:
    """Every token's vector out of a separate run of transformers on the window that owns it."""
    ids = bare_ids(kind, text)
    before, _, after = specials(kind)
    runs = [
        reference_states(kind, before + ids[start:end] + after)[:, len(before) :]
        for start, end in zip(windows.start, windows.end, strict=True)
    ]
    places = enumerate(windows.owner)
    return np.stack([runs[owner][:, token - windows.start[owner]] for token, owner in places], axis=1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("options", [{}, {"stride": 0}, {"stride": 61}, {"max_length": 20, "stride": 5}])
def test_every_token_comes_from_the_window_that_owns_it(kind: str, options: dict[str, Any]) -> None:
    capacity = options.get("max_length", MAX_LENGTH) - 2
    stride = options.get("stride", default_stride(capacity))
    windows = plan(len(bare_ids(kind, LONG)), capacity, stride)
    assert len(windows) > 3
    states = shared_encoder(kind).encode([LONG], **options)[0]
    assert states.num_windows == len(windows)
    assert states.num_tokens == len(states.units) == len(windows.owner)
    assert states.num_truncated == 0
    assert np.abs(states.hidden_states - by_hand(kind, LONG, windows)).max() < 1e-5


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("unit", ["token", "word", "text"])
def test_windowed_is_whole_where_it_fits(kind: str, unit: str) -> None:
    encoder = shared_encoder(kind)
    for text in SENTENCES[:13]:
        length = len(bare_ids(kind, text)) + 2
        assert length <= MAX_LENGTH
        whole = encoder.encode([text], unit=unit)[0].hidden_states
        for options in ({"max_length": length}, {"stride": 0}, {"stride": 20, "max_length": 62}):
            if length > options.get("max_length", MAX_LENGTH):
                continue
            states = encoder.encode([text], unit=unit, **options)[0]
            assert states.num_windows == 1
            assert np.abs(states.hidden_states - whole).max() < 1e-6
        if length > 6:
            cut = encoder.encode([text], unit=unit, max_length=length - 1)[0]
            assert cut.num_windows == 2 and cut.num_tokens == length - 2


def test_units_of_a_long_text_are_those_of_its_parts() -> None:
    """Windows do not touch the alignment: the same units as if the text fitted."""
    for kind in KINDS:
        encoder = shared_encoder(kind)
        for unit, words in [("token", "tokenizer"), ("word", "tokenizer"), ("word", "unicode")]:
            states = encoder.encode([LONG], layers=0, unit=unit, words=words, max_length=12)[0]
            other = encoder.encode([LONG], layers=0, unit=unit, words=words, max_length=MAX_LENGTH)[0]
            assert states.units == other.units
            assert states.num_windows > other.num_windows


@pytest.mark.parametrize("pooling", ["mean", "max", "first", "last"])
def test_a_word_over_the_border_of_windows_is_one_row(pooling: str) -> None:
    encoder = shared_encoder("wordpiece")
    text = "the " * 3 + "pneumonoultramicroscopicsilicovolcanoconiosis" + " cat"
    options: dict[str, Any] = {"max_length": 9, "stride": 0}
    tokens = encoder.encode([text], **options)[0]
    words = encoder.encode([text], unit="word", pooling=pooling, **options)[0]
    own = [i for i, unit in enumerate(tokens.units) if unit.word_id == 3]
    owners = plan(tokens.num_tokens, 7, 0).owner[own]
    assert len(set(owners.tolist())) > 1, "the word is split"
    assert [unit.surface for unit in words.units][3] == text.split()[3] and len(words.units) == 5
    parts = tokens.hidden_states[:, own]
    pooled = {"mean": parts.mean(1), "max": parts.max(1), "first": parts[:, 0], "last": parts[:, -1]}
    assert np.abs(words.hidden_states[:, 3] - pooled[pooling]).max() < 1e-5


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("first", "second"), [(90, 5), (5, 90), (100, 100), (31, 200), (70, 0)])
def test_a_pair_longer_than_the_model_loses_no_token(kind: str, first: int, second: int) -> None:
    """The windows of one text stand beside the first window of the other; checked run by run."""
    encoder = shared_encoder(kind)
    text, pair = " ".join(["the"] * first), " ".join(["the"] * second)
    ids = [bare_ids(kind, text), bare_ids(kind, pair)]
    before, between, after = specials(kind)
    capacity = MAX_LENGTH - len(before + between + after)
    room = min(len(ids[0]), max(capacity // 2, capacity - len(ids[1])))
    plans = [
        plan(len(own), max(own_room, 1), default_stride(own_room) if len(own) > own_room else 0)
        for own, own_room in zip(ids, (room, capacity - room), strict=True)
    ]
    states = encoder.encode([(text, pair)])[0]
    assert [unit.sequence_id for unit in states.units] == [0] * len(ids[0]) + [1] * len(ids[1])
    assert states.num_tokens == sum(map(len, ids)) and states.num_truncated == 0
    assert states.num_windows == len(plans[0]) + len(plans[1]) - 1
    row = 0
    for member in (0, 1):
        for token, owner in enumerate(plans[member].owner):
            chosen = [owner, 0] if member == 0 else [0, owner]
            a, b = (own[p.start[w] : p.end[w]] for own, p, w in zip(ids, plans, chosen, strict=True))
            types = [0] * len(before + a + between) + [1] * len(b + after)
            if token in (plans[member].start[owner], plans[member].end[owner] - 1, len(ids[member]) // 2):
                run = reference_states(kind, before + a + between + b + after, types)
                at = len(before) + (len(a + between) if member else 0) + token - plans[member].start[owner]
                assert np.abs(states.hidden_states[:, row] - run[:, at]).max() < 1e-5
            row += 1


@pytest.mark.parametrize("kind", KINDS)
def test_truncated_words_stay_as_rows_without_vector(kind: str) -> None:
    encoder = shared_encoder(kind)
    options: dict[str, Any] = {"max_length": 20, "long_text": "truncate"}
    states = encoder.encode([LONG], unit="word", words="whitespace", **options)[0]
    assert [unit.surface for unit in states.units] == LONG.split()
    assert states.num_windows == 1
    assert states.num_truncated == states.num_tokens - 18 == len(bare_ids(kind, LONG)) - 18
    embedded = [unit.embedded for unit in states.units]
    assert embedded == sorted(embedded, reverse=True) and 1 < sum(embedded) <= 18
    assert np.isnan(states.hidden_states[:, sum(embedded) :]).all()
    assert np.isfinite(states.hidden_states[:, : sum(embedded)]).all()
    tokens = encoder.encode([LONG], **options)[0]
    expected = reference_states(kind, tiny_tokenizer(kind)(LONG, truncation=True, max_length=20)["input_ids"])
    assert np.abs(tokens.hidden_states - expected[:, 1:-1]).max() < 1e-5


def test_error_names_the_text_and_only_where_it_is_too_long() -> None:
    encoder = shared_encoder("wordpiece")
    assert len(encoder.encode(SENTENCES[:3], long_text="error")) == 3
    with pytest.raises(TextTooLongError, match=r"text 2 has \d+ tokens"):
        encoder.encode(["the", "cat", LONG], long_text="error")
    seen = []
    with pytest.raises(TextTooLongError):
        for states in encoder.stream(["the"] * 600 + [LONG], long_text="error"):
            seen.append(states.text)
    assert set(seen) <= {"the"}


def test_a_million_characters_become_one_vector() -> None:
    encoder = shared_encoder("wordpiece")
    rng = random.Random(0)
    words = " ".join(SENTENCES[:10]).split()
    text = " ".join(rng.choices(words, k=250_000))[:1_000_000].rstrip()
    states = encoder.encode([text], layers=-1, unit="text")[0]
    assert states.hidden_states.shape == (1, 1, 32) and np.isfinite(states.hidden_states).all()
    assert states.num_tokens == len(bare_ids("wordpiece", text))
    capacity = MAX_LENGTH - 2
    assert states.num_windows == len(plan(states.num_tokens, capacity, default_stride(capacity)))
    assert (states.units[0].start, states.units[0].end) == (0, len(text))


def test_a_text_vector_is_the_mean_of_all_its_tokens_in_all_windows() -> None:
    for kind in KINDS:
        encoder = shared_encoder(kind)
        tokens = encoder.encode([LONG])[0].hidden_states
        for pooling, expected in {
            "mean": tokens.mean(1),
            "max": tokens.max(1),
            "last_token": tokens[:, -1],
        }.items():
            states = encoder.encode([LONG], unit="text", pooling=pooling)[0]
            assert np.abs(states.hidden_states[:, 0] - expected).max() < 1e-5


def test_the_last_token_of_a_pair_is_that_of_its_second_text() -> None:
    """Also where the first has windows of its own, which are behind those of the second."""
    encoder = shared_encoder("wordpiece")
    pair = (" ".join(SENTENCES[:8]), "The cat sleeps.")
    [tokens] = encoder.encode([pair], max_length=40)
    assert tokens.num_windows > 1 and tokens.units[-1].sequence_id == 1
    [last] = encoder.encode([pair], unit="text", pooling="last_token", max_length=40)
    assert np.abs(last.hidden_states[:, 0] - tokens.hidden_states[:, -1]).max() < 1e-5
    [closing] = encoder.encode([pair], unit="text", pooling="last_with_special", max_length=40)
    apart = tiny_tokenizer("wordpiece")(*pair, truncation="only_first", max_length=40)
    first = reference_states("wordpiece", apart["input_ids"], apart["token_type_ids"])
    assert np.abs(closing.hidden_states[:, 0] - first[:, -1]).max() < 1e-5
    alone = (pair[0], "")  # no second text: the first one's end
    [tokens] = encoder.encode([alone], max_length=40)
    [last] = encoder.encode([alone], unit="text", pooling="last_token", max_length=40)
    assert np.abs(last.hidden_states[:, 0] - tokens.hidden_states[:, -1]).max() < 1e-5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stride": -1}, "stride of 0 to 61"),
        ({"stride": 62}, "stride of 0 to 61"),
        ({"stride": 8, "max_length": 10}, "stride of 0 to 7"),
        ({"max_length": 65}, "up to 64 tokens"),
        ({"max_length": 0}, "up to 64 tokens"),
        ({"max_length": -5}, "up to 64 tokens"),
        ({"max_length": 2}, "special tokens"),
        ({"long_text": "cut"}, "window, truncate, error"),
    ],
)
def test_windows_that_cannot_be_are_refused_before_any_text(options: dict[str, Any], message: str) -> None:
    encoder: Encoder = shared_encoder("wordpiece")
    with pytest.raises(UsageError, match=message):
        encoder.encode([], **options)
