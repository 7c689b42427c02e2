"""Models whose folder holds a SentencePiece model and no tokenizer.json, as DeBERTa-v3's does."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import sentencepiece
import torch
from transformers import DebertaV2Config, DebertaV2Model

from layerwise import Encoder
from layerwise.errors import MissingExtraError

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny DeBERTa-v3: the model, `spm.model` and the tokenizer settings of the published ones."""
    path = tmp_path_factory.mktemp("deberta-v3")
    sentencepiece.SentencePieceTrainer.train(
        input=str(EXAMPLES / "prose_en.txt"),
        model_prefix=str(path / "spm"),
        vocab_size=400,
        hard_vocab_limit=False,
        minloglevel=2,
        pad_id=0,
        bos_id=1,
        eos_id=2,
        unk_id=3,
        pad_piece="[PAD]",
        bos_piece="[CLS]",
        eos_piece="[SEP]",
        unk_piece="[UNK]",
    )
    (path / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": False, "vocab_type": "spm"}))
    config = DebertaV2Config(
        vocab_size=410,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=48,
        max_position_embeddings=64,
        relative_attention=True,
        position_buckets=16,
        pos_att_type=["p2c", "c2p"],
        position_biased_input=False,
        type_vocab_size=0,
    )
    torch.manual_seed(0)
    DebertaV2Model(config).save_pretrained(path)
    return path


def test_it_is_read(folder: Path) -> None:
    text = "The captain said nothing.\tThe sea  was calm."
    encoder = Encoder.from_pretrained(str(folder))
    [states] = encoder.encode([text])
    assert "".join(unit.surface for unit in states.units) == "".join(text.split())
    assert all(text[unit.start : unit.end] == unit.surface for unit in states.units)
    inputs = encoder.tokenizer(text, return_tensors="pt")
    with torch.inference_mode():
        expected = DebertaV2Model.from_pretrained(folder, dtype=torch.float32)(
            inputs["input_ids"], output_hidden_states=True
        )
    for layer, hidden in enumerate(expected.hidden_states):
        np.testing.assert_allclose(states.layer(layer), hidden[0, 1:-1].numpy(), atol=1e-5)


@pytest.mark.parametrize("module", ["sentencepiece", "google.protobuf"])
def test_what_it_needs_is_named(folder: Path, module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match=r'pip install "sentencepiece>=0\.2" "protobuf>=5"'):
        Encoder.from_pretrained(str(folder))
