"""What `best` finds out before it probes: a store that no folder can be shipped from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from layerwise import UsageError
from layerwise.shipping.best import encoder_of
from tests.tiny import one_thread, tiny_encoder

__all__ = ["one_thread"]


@pytest.mark.parametrize(
    ("made", "said"),
    [
        ({"pooling": "last_token"}, "extract again with --pooling last_with_special"),
        ({"source": {"options": {"pair_column": "other"}}}, "extract with --pairs separate"),
        ({"mix": "mean"}, "mixed or projected"),
    ],
)
def test_best_refuses_before_the_probing(made: dict[str, Any], said: str, tmp_path: Path) -> None:
    encoder = tiny_encoder(tmp_path / "base", "wordpiece")
    store = {"model": str(tmp_path / "base"), "weights_sha256": encoder.files.weights_sha256}
    metadata = {**store, "unit": "text", "pooling": "cls"}
    assert encoder_of(metadata).num_hidden_layers == 3
    with pytest.raises(UsageError, match=said):
        encoder_of({**metadata, **made})
