"""The ONNX graph of a shipped folder against the layer it was cut from."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from transformers import AutoTokenizer

import layerwise
from layerwise.errors import MissingExtraError, ModelError
from layerwise.models import onnx_export
from layerwise.models.families import tiny_model
from tests.shipping.test_ship import TEXTS, by_layerwise, difference
from tests.tiny import one_thread, shared_encoder, tiny_tokenizer

__all__ = ["one_thread"]


def by_onnx(folder: Path) -> np.ndarray:
    session = onnxruntime.InferenceSession(folder / "onnx" / "model.onnx", providers=["CPUExecutionProvider"])
    tokenizer = AutoTokenizer.from_pretrained(folder)
    inputs = tokenizer(TEXTS, padding=True, truncation=True, return_tensors="np")
    names = {one.name for one in session.get_inputs()}
    [hidden] = session.run(None, {name: value for name, value in inputs.items() if name in names})
    mask = inputs["attention_mask"][..., None]
    return np.asarray((hidden * mask).sum(1) / mask.sum(1))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["minilm", "wordpiece", "bpe", "unigram"])
def test_onnxruntime_gives_the_layer(kind: str, tmp_path: Path) -> None:
    encoder = shared_encoder(kind)
    shipment = layerwise.ship(encoder, tmp_path / "m", layer=2, onnx=True)
    assert shipment.onnx == "onnx/model.onnx" and shipment.error <= 1e-5
    assert difference(by_onnx(tmp_path / "m"), by_layerwise(encoder, 2, "mean_with_special")) <= 1e-5


def test_a_graph_that_differs_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_export, "TOLERANCE", -1.0)
    with pytest.raises(ModelError, match="without --onnx"):
        layerwise.ship(shared_encoder("wordpiece"), tmp_path / "m", layer=1, onnx=True)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_no_fault_of_the_graph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch.onnx, "export", full)
    with pytest.raises(layerwise.LayerwiseError, match="cannot be written: No space left on device"):
        layerwise.ship(shared_encoder("wordpiece"), tmp_path / "m", layer=1, onnx=True)
    assert list(tmp_path.iterdir()) == []


def test_without_the_extra_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(MissingExtraError, match='pip install "onnx>=1.18" "onnxruntime>=1.22"'):
        layerwise.ship(shared_encoder("wordpiece"), tmp_path / "m", layer=1, onnx=True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_an_architecture_the_exporter_does_not_take(tmp_path: Path) -> None:
    tokenizer = tiny_tokenizer("wordpiece")
    tiny_model("longformer", vocab_size=len(tokenizer), pad_token_id=0).save_pretrained(tmp_path / "base")
    tokenizer.save_pretrained(tmp_path / "base")
    with pytest.raises(ModelError, match="cannot be exported to ONNX by torch") as refused:
        layerwise.ship(str(tmp_path / "base"), tmp_path / "m", layer=2, onnx=True)
    assert "\x1b" not in str(refused.value) and "\n" not in str(refused.value)
    assert [path.name for path in tmp_path.iterdir()] == ["base"]
