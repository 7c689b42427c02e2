"""Three texts under the embedded model, frozen: a round trip cannot see drift, a golden can."""

from __future__ import annotations

import numpy as np
import pytest
from safetensors.numpy import load_file

import layerwise
from tests.golden.make_vectors import LAYERS, PATH, TEXTS


@pytest.mark.parametrize("engine", ["auto", "padded"])
def test_vectors(engine: str) -> None:
    golden = load_file(PATH)
    encoder = layerwise.Encoder.from_pretrained("minilm", device="cpu", engine=engine)
    for number, states in enumerate(encoder.encode(TEXTS, layers="0,3,6")):
        for layer in LAYERS:
            expected = golden[f"text{number}.layer{layer}"]
            assert states.layer(layer).shape == expected.shape
            assert np.abs(states.layer(layer) - expected).max() <= 1e-5


def test_units() -> None:
    """What the rows of the golden vectors stand for."""
    states = layerwise.Encoder.from_pretrained("minilm", device="cpu").encode(TEXTS, layers="0")
    assert [[unit.surface for unit in one.units] for one in states] == [
        ["I", "love", "this", "book", "."],
        ["我", "爱", "这", "本", "书", "。"],
        ["Don", "'", "t", "stop", ":", "naïve", "cafés", ",", "3", ".", "14", "and", "👩‍👩‍👧", "!"],
    ]
