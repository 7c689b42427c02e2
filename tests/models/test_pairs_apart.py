"""Pairs encoded apart: the rows of a pair are those of its two texts, each encoded alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import layerwise
from layerwise.errors import TextTooLongError, UsageError
from layerwise.models.tokenization import Tokenization
from layerwise.types import POOLINGS, HiddenStates, TextRecord, Unit
from tests.command_line import run
from tests.tiny import (
    KINDS,
    SENTENCES,
    one_thread,  # noqa: F401
    shared_encoder,
    tiny_tokenizer,
)

LONG = " ".join(SENTENCES[:12])
PAIRS = [
    (SENTENCES[0], SENTENCES[4]),
    (SENTENCES[10], SENTENCES[11]),
    (LONG, SENTENCES[1]),
    (SENTENCES[3], LONG),
    (SENTENCES[2], ""),
    ("", SENTENCES[2]),
    ("", ""),
    (" ", "the "),
]
CHOICES = [(unit, pooling) for unit in POOLINGS for pooling in POOLINGS[unit]]


def assert_joined(pair: HiddenStates, first: HiddenStates, second: HiddenStates) -> None:
    """`pair` has the rows of `first`, then those of `second`."""
    assert [unit.sequence_id for unit in pair.units] == [0] * len(first) + [1] * len(second)
    alone = [*first.units, *second.units]
    for unit, one in zip(pair.units, alone, strict=True):
        expected = Unit(one.surface, one.start, one.end, one.word_id, unit.sequence_id, one.embedded)
        assert unit == expected
    together = np.concatenate([first.hidden_states, second.hidden_states], axis=1)
    np.testing.assert_allclose(pair.hidden_states, together, atol=1e-5, rtol=0)
    assert pair.num_tokens == first.num_tokens + second.num_tokens
    assert pair.num_truncated == first.num_truncated + second.num_truncated
    assert pair.num_windows == max(first.num_windows, second.num_windows)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("unit", "pooling"), CHOICES)
@pytest.mark.parametrize(
    "options", [{}, {"max_length": 16, "stride": 3}, {"max_length": 12, "long_text": "truncate"}]
)
def test_each_text_of_a_pair_is_encoded_alone(
    kind: str, unit: str, pooling: str, options: dict[str, Any]
) -> None:
    encoder = shared_encoder(kind)
    chosen: dict[str, Any] = {"unit": unit, "pooling": pooling, **options}
    single = "the moon"
    *pairs, last = encoder.encode([*PAIRS, single], pairs="separate", **chosen)
    for (text, other), states in zip(PAIRS, pairs, strict=True):
        assert (states.text, states.text_pair) == (text, other)
        assert_joined(states, *encoder.encode([text, other], **chosen))
    [alone] = encoder.encode([single], **chosen)
    assert last.units == alone.units, "a text without a second is as ever"


@pytest.mark.parametrize("words", ["whitespace", "unicode", "tokenizer", [["the", "cat"]]])
def test_words_of_a_pair_apart(words: Any) -> None:
    encoder = shared_encoder("wordpiece")
    text, other = "the cat, the dog", "she said: 我爱"
    [pair] = encoder.encode([(text, other)], unit="word", words=words, pairs="separate")
    [first] = encoder.encode([text], unit="word", words=words)
    [second] = encoder.encode([other], unit="word", words=words if isinstance(words, str) else "tokenizer")
    assert_joined(pair, first, second)


def test_apart_is_not_joint() -> None:
    encoder = shared_encoder("wordpiece")
    pair = (SENTENCES[0], SENTENCES[4])
    [apart], [joint] = (encoder.encode([pair], pairs=choice) for choice in ("separate", "joint"))
    assert [unit.surface for unit in apart.units] == [unit.surface for unit in joint.units]
    assert np.abs(apart.layer(-1) - joint.layer(-1)).max() > 1e-3
    [row] = encoder.encode([pair], unit="text")[0].units
    assert (row.surface, row.sequence_id) == (pair[0], 0), "joint is the default, and one row"


def test_each_text_has_room_of_its_own() -> None:
    """Two texts that fill the window each: apart they are whole, jointly they take several windows."""
    encoder = shared_encoder("wordpiece")
    text = " ".join(["the"] * 10)
    options: dict[str, Any] = {"max_length": 12, "long_text": "error", "unit": "text"}
    [apart] = encoder.encode([(text, text)], pairs="separate", **options)
    assert (apart.num_windows, apart.num_tokens) == (1, 20)
    with pytest.raises(TextTooLongError, match="text 0"):
        encoder.encode([(text, text)], **options)
    with pytest.raises(TextTooLongError, match=r"text 1 has 13 .*'one the"):
        encoder.encode([text, (text, "one " + text)], pairs="separate", **options)


def test_a_window_with_room_for_one_text_is_enough() -> None:
    tokenization = Tokenization(tiny_tokenizer("wordpiece"), max_length=3, pairs="separate")
    tokenization.refuse_pairs_without_room()
    [pair] = tokenization.encode([TextRecord("the cat", "a dog")])
    assert {len(sequence) for sequence in pair.sequences} == {3}
    with pytest.raises(UsageError, match="max_length is 3"):
        Tokenization(tiny_tokenizer("wordpiece"), max_length=3).refuse_pairs_without_room()


def test_token_types_of_a_pair_apart_are_those_of_single_texts() -> None:
    [pair] = Tokenization(tiny_tokenizer("wordpiece"), max_length=64, pairs="separate").encode(
        [TextRecord(SENTENCES[0], SENTENCES[1])]
    )
    for text, sequence in zip(SENTENCES, pair.sequences, strict=False):
        expected = tiny_tokenizer("wordpiece")(text)
        assert sequence.input_ids.tolist() == expected["input_ids"]
        assert not sequence.token_type_ids.any()


def test_what_is_refused() -> None:
    encoder = shared_encoder("wordpiece")
    with pytest.raises(UsageError, match="joint, separate"):
        encoder.encode([("a", "b")], pairs="apart")
    with pytest.raises(UsageError, match="attention weights"):
        encoder.encode([("a", "b")], pairs="separate", attentions=True)


def write_pairs(folder: Path) -> Path:
    lines = [f"{one}\t{two}\t{number}" for number, (one, two) in enumerate(PAIRS)]
    source = folder / "pairs.tsv"
    source.write_text("sentence1\tsentence2\tscore\n" + "\n".join(lines) + "\n", encoding="utf-8")
    return source


@pytest.mark.parametrize("unit", ["text", "word", "token"])
def test_a_store_of_pairs_apart(tmp_path: Path, unit: str) -> None:
    encoder = shared_encoder("wordpiece")
    options: dict[str, Any] = {"encoder": encoder, "unit": unit, "pairs": "separate", "keep": ["score"]}
    layerwise.extract(write_pairs(tmp_path), tmp_path / "o.lance", **options)
    store = layerwise.open(tmp_path / "o.lance")
    assert store.metadata["pairs"] == "separate" and store.num_texts == len(PAIRS)
    for number, states in enumerate(encoder.encode(PAIRS, unit=unit, pairs="separate")):
        stored = store.text(number)
        assert stored.units == states.units
        np.testing.assert_allclose(stored.hidden_states, states.hidden_states, atol=1e-5, rtol=0)
        assert stored.kept["score"] == [str(number)] * len(states)
        assert store.ledger().num_windows[number] == states.num_windows
    if unit == "text":
        table = store.units()
        assert table["text_id"].to_pylist() == [n for n in range(len(PAIRS)) for _ in range(2)]
        assert table["unit_id"].to_pylist() == table["sequence_id"].to_pylist() == [0, 1] * len(PAIRS)
        assert table["unit"].to_pylist() == [text for pair in PAIRS for text in pair]


def test_resuming_pairs_apart(tmp_path: Path) -> None:
    encoder = shared_encoder("wordpiece")
    source = write_pairs(tmp_path)
    options: dict[str, Any] = {"encoder": encoder, "pairs": "separate"}
    whole = layerwise.extract(source, tmp_path / "whole.lance", **options)
    layerwise.extract(source, tmp_path / "parts.lance", limit=3, **options)
    resumed = layerwise.extract(source, tmp_path / "parts.lance", **options)
    assert (resumed.resumed_from, resumed.texts, resumed.rows) == (3, len(PAIRS), whole.rows)
    stores = [layerwise.open(tmp_path / f"{name}.lance") for name in ("whole", "parts")]
    assert stores[0].units().equals(stores[1].units())
    for number in range(len(PAIRS)):
        vectors = [store.text(number).hidden_states for store in stores]
        np.testing.assert_allclose(*vectors, atol=1e-5, rtol=0)
    with pytest.raises(layerwise.errors.StoreMismatchError, match='pairs is "separate" there and null now'):
        layerwise.extract(
            source,
            tmp_path / "parts.lance",
            encoder=encoder,
            text_column="sentence1",
            pair_column="sentence2",
        )


def test_joint_stores_have_no_such_key(tmp_path: Path) -> None:
    """As versions without this choice wrote them, so that both go on in each other's stores."""
    encoder = shared_encoder("wordpiece")
    named = {"text_column": "sentence1", "pair_column": "sentence2"}
    layerwise.extract(write_pairs(tmp_path), tmp_path / "o.lance", encoder=encoder, **named)
    store = layerwise.open(tmp_path / "o.lance")
    assert "pairs" not in store.metadata and "sequence_id" not in store.unit_columns


def test_the_command_line(tmp_path: Path) -> None:
    source = write_pairs(tmp_path)
    done = run(f"extract {source} -o {tmp_path / 'o.lance'} --pairs separate --keep score --limit 5 -l 0,-1")
    assert (done.status, done.err) == (0, "")
    assert f"{5} texts" in done.out and "10 text rows" in done.out and "none cut" in done.out
    one = run(f"extract {source} -o {tmp_path / 'p.lance'} --pairs separate --text-column sentence1")
    assert one.status == 2 and "--pair-column" in one.err
    shown = run("show 'The sea.' --pair 'The tide is full.' --pairs separate --unit text")
    assert shown.status == 0 and "The sea." in shown.out and "The tide is full." in shown.out
