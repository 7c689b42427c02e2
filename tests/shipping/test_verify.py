"""What a folder is compared with before it gets its name, and the tokenizers that need more than a copy."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sentence_transformers import SentenceTransformer
from tokenizers import Tokenizer, normalizers
from transformers import AutoTokenizer

import layerwise
from layerwise import Encoder
from layerwise.errors import ModelError
from layerwise.models import cut
from layerwise.ops.projection import Projection
from layerwise.shipping import sentence_transformers_layout as layout
from layerwise.shipping import ship as shipping
from tests.tiny import SENTENCES, one_thread, shared_encoder, tiny_encoder

__all__ = ["one_thread"]


def base(folder: Path, change: Callable[[Any], None], kind: str = "wordpiece") -> Encoder:
    """A tiny model whose tokenizer was changed before it was saved."""
    tiny_encoder(folder, kind)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    change(tokenizer)
    tokenizer.save_pretrained(folder)
    return Encoder.from_pretrained(str(folder), device="cpu")


def no_padding_token(tokenizer: Any) -> None:
    tokenizer.pad_token = None


def padding_beyond_the_model(tokenizer: Any) -> None:
    tokenizer.add_special_tokens({"pad_token": "[another]"})


@pytest.mark.parametrize("kind", ["wordpiece", "bpe"])
@pytest.mark.parametrize("change", [no_padding_token, padding_beyond_the_model])
def test_a_tokenizer_that_cannot_pad(change: Callable[[Any], None], kind: str, tmp_path: Path) -> None:
    encoder = base(tmp_path / "base", change, kind)
    before = encoder.tokenizer.pad_token
    shipment = layerwise.ship(encoder, tmp_path / "m", layer=2)
    assert any("the folder's pads with" in note for note in shipment.notes)
    found = SentenceTransformer(str(tmp_path / "m"), device="cpu").encode(list(SENTENCES))
    states = encoder.encode(SENTENCES, 2, "text", pooling="mean_with_special", long_text="truncate")
    np.testing.assert_allclose(found, np.stack([one.layer(2)[0] for one in states]), atol=1e-5)
    assert encoder.tokenizer.pad_token == before


def test_a_tokenizer_without_special_tokens_is_refused(tmp_path: Path) -> None:
    encoder = base(tmp_path / "base", lambda tokenizer: None)
    path = tmp_path / "base" / "tokenizer.json"
    document = json.loads(path.read_text("utf-8"))
    document |= {"added_tokens": [], "post_processor": None}
    path.write_text(json.dumps(document), "utf-8")
    (tmp_path / "base" / "tokenizer_config.json").write_text(
        '{"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 64}', "utf-8"
    )
    encoder = Encoder.from_pretrained(str(tmp_path / "base"), device="cpu")
    with pytest.raises(ModelError, match="no padding token that the model has a vector for"):
        layerwise.ship(encoder, tmp_path / "m", layer=2)
    assert [one.name for one in tmp_path.iterdir()] == ["base"]


def test_padding_that_is_seen_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from layerwise.shipping import verify

    right = cut.output_vectors

    def looking(encoder: Encoder, texts: Any) -> Any:
        return [one + (len(texts) > 1) for one in right(encoder, texts)]

    monkeypatch.setattr(verify, "output_vectors", looking)
    with pytest.raises(ModelError, match="differ from that layer by"):
        layerwise.ship(shared_encoder("wordpiece"), tmp_path / "m", layer=2)


def test_where_long_texts_are_cut_is_said(tmp_path: Path) -> None:
    tiny_encoder(tmp_path / "base", "wordpiece")
    path = tmp_path / "base" / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), "truncation_side": "left"}), "utf-8")
    encoder = Encoder.from_pretrained(str(tmp_path / "base"), device="cpu")
    notes = layerwise.ship(encoder, tmp_path / "m", layer=2).notes
    assert any("at its beginning, and the folder's at its end" in note for note in notes)


def test_other_tokens_are_said_to_be_other_tokens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def other(path: Path, max_length: int) -> None:
        tokenizer = Tokenizer.from_file(str(path))
        tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False)
        tokenizer.save(str(path))

    monkeypatch.setattr(cut, "_tokenizer_alone", other)
    with pytest.raises(ModelError, match=r"gives other tokens \(of 'Every layer"):
        layerwise.ship(shared_encoder("wordpiece"), tmp_path / "m", layer=2)
    assert not list(tmp_path.iterdir())


def projection(encoder: Encoder) -> Projection:
    """A map that whitens strongly, so that its rounding is large beside its vectors."""
    random = np.random.default_rng(0)
    document = {"kind": "whiten", "layer": 2, "unit": "text", "pooling": "mean_with_special"}
    return Projection(
        random.normal(size=32).astype(np.float32),
        (random.normal(size=(32, 4)) * 1e4).astype(np.float32),
        np.full(4, 0.25, np.float32),
        {**document, "weights_sha256": encoder.files.weights_sha256},
    )


@pytest.mark.parametrize("normalize", [False, True])
def test_the_dense_module_is_compared(
    normalize: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = shared_encoder("wordpiece")
    options: dict[str, Any] = {"layer": 2, "projection": projection(encoder), "normalize": normalize}
    layerwise.ship(encoder, tmp_path / "m", **options)
    right = layout.write_modules

    def wrong(folder: Path, size: int, length: int, pooling: str, mapped: Any, *others: Any) -> None:
        flipped = Projection(-mapped.mean, mapped.matrix, mapped.explained, {})
        right(folder, size, length, pooling, flipped, *others)

    monkeypatch.setattr(shipping, "write_modules", wrong)
    with pytest.raises(ModelError, match="the modules behind the pooling give vectors that differ"):
        layerwise.ship(encoder, tmp_path / "n", **options)
    assert [one.name for one in tmp_path.iterdir()] == ["m"]


def test_scaling_that_was_left_out_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right = layout.write_modules
    monkeypatch.setattr(shipping, "write_modules", lambda *given: right(*given[:5], not given[5], *given[6:]))
    with pytest.raises(ModelError, match="the modules behind the pooling"):
        layerwise.ship(shared_encoder("wordpiece"), tmp_path / "n", layer=2, normalize=True)


def test_a_full_disk_under_the_tokenizer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tokenizers library raises a bare Exception."""

    def full(path: Path, max_length: int) -> None:
        Tokenizer.from_file(str(path)).save("/dev/full")

    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full")
    monkeypatch.setattr(cut, "_tokenizer_alone", full)
    with pytest.raises(layerwise.LayerwiseError, match="cannot be written: No space left on device"):
        layerwise.ship(shared_encoder("wordpiece"), tmp_path / "m", layer=2)
    assert not list(tmp_path.iterdir())
