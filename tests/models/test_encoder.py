"""The public `Encoder`: every layer, every unit, whatever the batch, the form and the order."""

from __future__ import annotations

import gc
import itertools
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from layerwise import Encoder
from layerwise.errors import TextTooLongError, UsageError
from layerwise.types import TextRecord
from tests.tiny import (
    KINDS,
    NUM_LAYERS,
    SENTENCES,
    one_thread,  # noqa: F401
    reference_states,
    shared_encoder,
    tiny_encoder,
    tiny_model,
    tiny_tokenizer,
)

TEXTS = [text for text in SENTENCES if len(text) < 60]
LAYERS = NUM_LAYERS + 1


def fitting(kind: str) -> list[str]:
    return [text for text in TEXTS if len(tiny_tokenizer(kind)(text)["input_ids"]) <= 64]


@pytest.mark.parametrize("engine", ["auto", "padded"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_layer_of_every_text_is_that_of_transformers(kind: str, engine: str) -> None:
    encoder = shared_encoder(kind, engine)
    assert encoder.engine.packed == (engine == "auto")
    texts = fitting(kind)
    assert len(texts) > 8
    for text, states in zip(texts, encoder.encode(texts), strict=True):
        expected = reference_states(kind, tiny_tokenizer(kind)(text)["input_ids"])[:, 1:-1]
        assert states.text == text and states.layers == (0, 1, 2, 3)
        assert states.hidden_states.shape == expected.shape
        assert np.abs(states.hidden_states - expected).max() < 1e-5


@pytest.mark.parametrize("engine", ["auto", "padded"])
@pytest.mark.parametrize("kind", KINDS)
def test_many_at_once_are_as_one_by_one_and_in_order(kind: str, engine: str, tmp_path: Path) -> None:
    encoder = tiny_encoder(tmp_path, kind, engine=engine, batch_tokens=100)
    texts = [*SENTENCES, "", " ", "a", *SENTENCES[::-1], "the " * 150, "x"]
    for unit in ("token", "word", "text"):
        together = encoder.encode(texts, layers="0,-1", unit=unit)
        assert [states.text for states in together] == texts
        for text, states in zip(texts, together, strict=True):
            alone = encoder.encode(text, layers="0,-1", unit=unit)[0]
            assert alone.units == states.units
            assert np.allclose(alone.hidden_states, states.hidden_states, atol=1e-5, equal_nan=True)


@pytest.mark.parametrize("kind", KINDS)
def test_packed_is_padded(kind: str) -> None:
    packed = shared_encoder(kind).encode(SENTENCES, unit="word")
    padded = shared_encoder(kind, "padded").encode(SENTENCES, unit="word")
    for a, b in zip(packed, padded, strict=True):
        assert a.units == b.units
        assert np.abs(a.hidden_states - b.hidden_states).max() < 1e-5


def test_a_stream_without_end_is_read_lazily(tmp_path: Path) -> None:
    encoder = tiny_encoder(tmp_path, "wordpiece", batch_tokens=64)
    drawn = 0

    def texts() -> Iterator[str]:
        nonlocal drawn
        for drawn in itertools.count(1):
            yield f"the cat {drawn}"

    stream = encoder.stream(texts(), layers=-1)
    assert drawn == 0, "nothing is read before the first result is asked for"
    first = list(itertools.islice(stream, 5))
    assert [states.text for states in first] == [f"the cat {number}" for number in range(1, 6)]
    assert drawn <= 2_000
    stream.close()


def test_a_stream_does_not_hold_its_texts(tmp_path: Path) -> None:
    encoder = tiny_encoder(tmp_path, "wordpiece", batch_tokens=200)

    class Text(str):
        """A string that can be watched."""

    watched: list[weakref.ref[Text]] = []

    def texts() -> Iterator[str]:
        for number in range(3_000):
            text = Text(f"the cat {number}")
            watched.append(weakref.ref(text))
            yield text
            del text

    most = done = 0
    for states in encoder.stream(texts(), layers=-1, unit="text"):
        assert states.text == f"the cat {done}"
        done += 1
        if done % 250 == 0:
            del states
            gc.collect()
            most = max(most, sum(one() is not None for one in watched))
            assert len(watched) - done <= 1_200, "read ahead by a piece or two"
    assert done == 3_000 and most <= 1_700


@pytest.mark.parametrize("unit", ["token", "word", "text"])
def test_mixed_layers_follow_from_the_layers(unit: str) -> None:
    encoder = shared_encoder("wordpiece")
    text = "the cat \ufe0f sat"
    options: dict[str, Any] = {"layers": "-1,0,2", "unit": unit}
    if unit == "word":
        options["words"] = "whitespace"
    layers = encoder.encode([text], **options)[0].hidden_states
    weights = np.exp([0.5, -1.0, 2.0]) / np.exp([0.5, -1.0, 2.0]).sum()
    expected = {
        "mean": layers.mean(0),
        "sum": layers.sum(0),
        "concat": np.concatenate(list(layers), axis=1),
        "scalar": 3.0 * (weights[:, None, None] * layers).sum(0),
    }
    for mix, wanted in expected.items():
        weighted = {"mix_weights": ([0.5, -1.0, 2.0], 3.0)} if mix == "scalar" else {}
        states = encoder.encode([text], mix=mix, **weighted, **options)[0]
        assert states.layers == ("mix",) and states.hidden_states.shape == (1, *wanted.shape)
        assert np.allclose(states.layer("mix"), wanted, atol=1e-5, equal_nan=True)
    with pytest.raises(UsageError, match="needs learned weights"):
        encoder.encode([text], mix="scalar", **options)
    with pytest.raises(UsageError, match="2 mix weights were given for 3 layers"):
        encoder.encode([text], mix="scalar", mix_weights=([1, 2], 1), **options)


def test_layers_come_in_the_order_asked_for() -> None:
    encoder = shared_encoder("bpe")
    whole = encoder.encode(["the cat"])[0]
    for layers, numbers in [("-1,0", (3, 0)), ([2, "1"], (2, 1)), (-2, (2,)), ("::-1", (3, 2, 1, 0))]:
        states = encoder.encode(["the cat"], layers=layers)[0]
        assert states.layers == numbers
        assert np.array_equal(states.hidden_states, whole.hidden_states[list(numbers)])
        assert np.array_equal(states.layer(numbers[0]), whole.layer(numbers[0]))
    with pytest.raises(UsageError, match=r"valid are 0\.\.3"):
        encoder.encode([], layers="4")


@pytest.mark.parametrize("engine", ["auto", "padded"])
@pytest.mark.parametrize("kind", KINDS)
def test_attentions_are_those_of_transformers(kind: str, engine: str) -> None:
    encoder, text = shared_encoder(kind, engine), "the cat sat on the mat"
    inputs = tiny_tokenizer(kind)(text, return_tensors="pt")
    if kind != "wordpiece":
        del inputs["token_type_ids"]
    with torch.inference_mode():
        expected = torch.cat(tiny_model(kind)(**inputs, output_attentions=True).attentions).numpy()
    plain = encoder.encode([text])[0]
    states = encoder.encode([text], layers="3,0,1", attentions=True)[0]
    assert states.attentions is not None and states.attentions.shape == (2, *expected.shape[1:])
    assert np.abs(states.attentions - expected[[2, 0]]).max() < 1e-5, "blocks 3 and 1, in this order"
    assert states.tokens == tuple(tiny_tokenizer(kind)(text).tokens())
    assert np.array_equal(states.hidden_states, plain.hidden_states[[3, 0, 1]])
    assert np.array_equal(encoder.encode([text])[0].hidden_states, plain.hidden_states)


def test_attentions_that_do_not_exist_are_refused() -> None:
    encoder = shared_encoder("wordpiece")
    with pytest.raises(UsageError, match="unit='token'"):
        encoder.encode(["a"], unit="word", attentions=True)
    with pytest.raises(UsageError, match="at least one layer above 0"):
        encoder.encode(["a"], layers=0, attentions=True)
    with pytest.raises(TextTooLongError, match="windows"):
        encoder.encode(["the " * 100], attentions=True)


def test_output_takes_three_forms_of_one_shape() -> None:
    states = shared_encoder("unigram").encode(["the cat", "a"], layers="1,3")[0]
    array, tensor, rows = states.numpy(), states.torch(), states.to_list()
    assert array.shape == tuple(tensor.shape) == (2, len(states), 32) and array.dtype == np.float32
    assert tensor.data_ptr() == array.ctypes.data
    assert [set(row["layers"]) for row in rows] == [{"1", "3"}] * len(states)
    assert np.array_equal(np.array([row["layers"]["3"] for row in rows], np.float32), states.layer(-1))
    assert [(row["unit"], row["start"]) for row in rows] == [(u.surface, u.start) for u in states.units]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", ["", " ", "\t\n  \u3000"])
def test_an_empty_text_has_rows_only_as_a_whole(kind: str, text: str) -> None:
    encoder: Encoder = shared_encoder(kind)
    for words in ("tokenizer", "whitespace", "unicode"):
        before, states, after = encoder.encode(["the", text, "cat"], unit="word", words=words)
        assert len(before) == len(after) == 1
        if words != "tokenizer" or states.num_tokens == 0:
            assert len(states) == 0 and states.numpy().shape == (LAYERS, 0, 32)
    assert encoder.encode([text])[0].num_tokens == len(encoder.encode([text])[0])
    mean = encoder.encode([text], unit="text")[0]
    assert len(mean) == 1 and mean.units[0].embedded == (mean.num_tokens > 0)
    assert np.isnan(mean.numpy()).all() == (mean.num_tokens == 0)
    assert np.isfinite(encoder.encode([text], unit="text", pooling="cls")[0].numpy()).all()
    assert encoder.encode([(text, text)])[0].num_tokens == 2 * encoder.encode([text])[0].num_tokens
    assert encoder.encode([]) == []


@pytest.mark.parametrize(
    "text",
    [
        *(None, 5, 1.5, float("nan"), b"the cat", ["a", "b"], ("a", None), ("a",), ("a", "b", "c")),
        *({}, {"txt": "a"}, {"text": None}, {"text": 3}, {"text": "a", "text_pair": 5}),
    ],
)
def test_what_is_no_text_is_refused_in_words(text: Any) -> None:
    encoder = shared_encoder("wordpiece")
    with pytest.raises(UsageError, match="expected a string"):
        encoder.encode(["the cat", text])


@pytest.mark.parametrize("texts", [None, 5, b"the cat"])
def test_what_is_no_list_of_texts_is_refused_in_words(texts: Any) -> None:
    with pytest.raises(UsageError, match="expected a"):
        shared_encoder("wordpiece").encode(texts)


@pytest.mark.parametrize("texts", ["the cat", {"text": "the cat"}, TextRecord("the cat")])
def test_one_text_alone_is_a_list_of_one(texts: Any) -> None:
    """A dict must not be iterated over its keys, and the word "text" be encoded."""
    assert [states.text for states in shared_encoder("wordpiece").encode(texts)] == ["the cat"]


def test_a_stream_of_one_text_would_be_one_of_its_characters() -> None:
    with pytest.raises(UsageError, match="expected a list"):
        next(shared_encoder("wordpiece").stream("the cat"))


def test_texts_may_come_in_any_iterable() -> None:
    encoder, texts = shared_encoder("wordpiece"), ["the cat", "the dog"]
    expected = encoder.encode(texts)
    forms: list[Any] = [tuple(texts), iter(texts), np.array(texts), (TextRecord(text) for text in texts)]
    for form in [*forms, [{"text": text} for text in texts], dict.fromkeys(texts).keys()]:
        for a, b in zip(encoder.encode(form), expected, strict=True):
            assert a.text == b.text and np.array_equal(a.numpy(), b.numpy())
    assert np.array_equal(encoder.encode(texts[0])[0].numpy(), expected[0].numpy())


def test_unknown_choices_list_the_valid_ones() -> None:
    encoder = shared_encoder("wordpiece")
    for options, message in [({"unit": "sentence"}, "text, word, token"), ({"mix": "median"}, "none, mean")]:
        with pytest.raises(UsageError, match=message):
            encoder.encode([], **options)
