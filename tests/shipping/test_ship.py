"""A shipped folder against sentence-transformers, transformers and the layer it was cut from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from sentence_transformers import SentenceTransformer
from transformers import AutoModel, AutoTokenizer

import layerwise
from layerwise import Encoder, UsageError
from layerwise.errors import ModelError
from layerwise.models.families import FAMILIES, tiny_model
from layerwise.models.shipped import read_shipped
from tests.command_line import run
from tests.parity.families import EQUAL_LENGTHS, FINAL
from tests.tiny import one_thread, shared_encoder, tiny_encoder, tiny_folder, tiny_tokenizer

__all__ = ["one_thread"]

TEXTS = [
    "Every layer of every encoder: extract it, understand it, ship the best one.",
    "我爱这本书，因为它讲了一个很好的故事。",
    "Emoji 😀 and 👩‍👧 stand between words ❤️ too.",
    "",
    "windows overlap so that each token has context on both sides " * 80,
    "short",
]


def difference(found: Any, expected: Any) -> float:
    return float(np.abs(np.asarray(found) - np.asarray(expected)).max())


def by_layerwise(encoder: Encoder, layer: int | str, pooling: str | None, texts: list[str] = TEXTS) -> Any:
    states = encoder.encode(texts, layer, "text", pooling=pooling, long_text="truncate")
    return np.stack([one.layer(layer)[0] for one in states])


def by_hand(folder: Path, texts: list[str] = TEXTS) -> Any:
    """`AutoModel` and a mean over the mask."""
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder)
    inputs = tokenizer(texts, padding=True, truncation=True, return_tensors="pt")
    mask = inputs["attention_mask"].unsqueeze(-1)
    with torch.inference_mode():
        return ((model(**inputs)[0] * mask).sum(1) / mask.sum(1)).numpy()


def by_sentence_transformers(folder: Path, texts: list[str] = TEXTS, batch_size: int = 32) -> Any:
    return SentenceTransformer(str(folder), device="cpu").encode(texts, batch_size=batch_size)


@pytest.mark.parametrize("layer", [1, pytest.param(4, marks=pytest.mark.slow), 6])
def test_every_reader_gives_the_layer(layer: int, tmp_path: Path) -> None:
    encoder = shared_encoder("minilm")
    shipment = layerwise.ship(encoder, tmp_path / "m", layer=layer)
    expected = by_layerwise(encoder, layer, "mean_with_special")
    assert difference(by_sentence_transformers(tmp_path / "m"), expected) <= 1e-5
    assert difference(by_hand(tmp_path / "m"), expected) <= 1e-5
    shipped = Encoder.from_pretrained(str(tmp_path / "m"), device="cpu")
    assert shipped.num_hidden_layers == layer == shipment.blocks
    assert difference(by_layerwise(shipped, layer, None), expected) <= 1e-5
    with safe_open(tmp_path / "m" / "model.safetensors", "np") as file:
        blocks = {name.split(".")[2] for name in file.keys() if name.startswith("encoder.layer.")}  # noqa: SIM118
    assert blocks == {str(block) for block in range(layer)}
    assert json.loads((tmp_path / "m" / "config.json").read_text())["num_hidden_layers"] == layer


@pytest.mark.parametrize("pooling", ["mean", "max", "cls", "last_with_special"])
@pytest.mark.parametrize("kind", ["wordpiece", "bpe", "unigram"])
def test_poolings_are_those_of_sentence_transformers(kind: str, pooling: str, tmp_path: Path) -> None:
    encoder = shared_encoder(kind)
    shipment = layerwise.ship(encoder, tmp_path / "m", layer=2, pooling=pooling)
    expected = by_layerwise(encoder, 2, shipment.pooling)
    assert difference(by_sentence_transformers(tmp_path / "m"), expected) <= 1e-5
    shipped = Encoder.from_pretrained(str(tmp_path / "m"), device="cpu")
    assert difference(by_layerwise(shipped, 2, None), expected) <= 1e-5


def test_normalised_vectors_have_length_one(tmp_path: Path) -> None:
    encoder = shared_encoder("wordpiece")
    layerwise.ship(encoder, tmp_path / "m", layer=1, normalize=True)
    expected = by_layerwise(encoder, 1, "mean_with_special")
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    assert difference(by_sentence_transformers(tmp_path / "m"), expected) <= 1e-5


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_is_right_or_refused(family: str, tmp_path: Path) -> None:
    tokenizer = tiny_tokenizer("wordpiece")
    model = tiny_model(family, vocab_size=len(tokenizer), pad_token_id=0)
    model.save_pretrained(tmp_path / "base")
    tokenizer.save_pretrained(tmp_path / "base")
    encoder = Encoder.from_pretrained(str(tmp_path / "base"), device="cpu")
    folder = tmp_path / "m"
    if family == "markuplm":  # sentence-transformers asks for the feature extractor of HTML pages
        with pytest.raises(ModelError, match="a processor of more than text"):
            layerwise.ship(encoder, folder, layer=2)
        return
    layers: list[int | str] = ["final"] if family in FINAL else [1, 2, 4]
    if family in FINAL:
        for layer in (2, 4):
            with pytest.raises(ModelError, match="norm behind its last block"):
                layerwise.ship(encoder, folder, layer=layer)
        assert not folder.exists()
    for layer in layers:
        layerwise.ship(encoder, folder, layer=layer, overwrite=True)
        expected = by_layerwise(encoder, layer, "mean_with_special")
        found = by_sentence_transformers(folder, batch_size=1 if family in EQUAL_LENGTHS else 32)
        assert difference(found, expected) <= 1e-5 * max(1, np.abs(expected).max())
        shipped = Encoder.from_pretrained(str(folder), device="cpu")
        settings = read_shipped(folder)
        assert settings is not None
        mine = by_layerwise(shipped, settings.layer, None)
        assert difference(mine, expected) <= 1e-5 * max(1, np.abs(expected).max())


@pytest.mark.parametrize(("groups", "inner"), [(2, 1), (4, 1), (1, 2), (3, 2)])
def test_alberts_groups_stay_with_their_blocks(groups: int, inner: int, tmp_path: Path) -> None:
    tokenizer = tiny_tokenizer("wordpiece")
    sizes = {"num_hidden_layers": 6, "num_hidden_groups": groups, "inner_group_num": inner}
    tiny_model("albert", vocab_size=len(tokenizer), pad_token_id=0, **sizes).save_pretrained(
        tmp_path / "base"
    )
    tokenizer.save_pretrained(tmp_path / "base")
    encoder = Encoder.from_pretrained(str(tmp_path / "base"), device="cpu")
    for layer in (1, 3, 4, 5, 6):
        layerwise.ship(encoder, tmp_path / "m", layer=layer, overwrite=True)
        expected = by_layerwise(encoder, layer, "mean_with_special")
        assert difference(by_sentence_transformers(tmp_path / "m"), expected) <= 1e-5


def test_max_length_is_the_models(tmp_path: Path) -> None:
    """514 positions of the RoBERTa line are 512 tokens, whatever the tokenizer says."""
    layerwise.ship(shared_encoder("unigram"), tmp_path / "m", layer=1)
    assert SentenceTransformer(str(tmp_path / "m"), device="cpu").max_seq_length == 64


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--layer 0", "layer 0 of"),
        ("--layer 9", "out of range"),
        ("--layer all", "selects 4 layers"),
        ("--layer nonsense", "cannot be read"),
        ("--layer 1 --pooling middle", "unknown pooling 'middle'"),
        ("--layer 1 --pooling last_token", "last_with_special"),
        ("--layer 1 --probe nowhere", "is not a probe"),
        ("--layer 1 --probe ''", "the empty file name '' is not a probe"),
        ("--layer 1 --projection nowhere", "is not a projection"),
        ("--layer 1 --projection a --probe b", "choose one of them"),
    ],
)
def test_bad_input_is_one_sentence_and_writes_nothing(options: str, said: str, tmp_path: Path) -> None:
    base = tiny_folder(tmp_path)
    found = run(f"ship {base} {options} -o {tmp_path / 'm'}")
    assert found.status in (1, 2)
    assert said in found.err and found.err.count("\n") == 1 and found.out == ""
    assert [path.name for path in tmp_path.iterdir()] == ["base"]


def test_no_tokenizer(tmp_path: Path) -> None:
    base = tiny_folder(tmp_path)
    for path in base.glob("tokenizer*"):
        path.unlink()
    found = run(f"ship {base} --layer 1 -o {tmp_path / 'm'}")
    assert found.status == 1 and "tokenizer" in found.err
    assert not (tmp_path / "m").exists()


def test_a_difference_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder is compared before it gets its name: a cut that is wrong is refused."""
    from layerwise.models import cut

    right = cut.cut

    def wrong(*args: Any) -> Any:
        model, weights = right(*args)
        name = next(name for name in weights if name.endswith("output.dense.weight"))
        return model, {**weights, name: weights[name] * 1.01}

    monkeypatch.setattr(cut, "cut", wrong)
    with pytest.raises(ModelError, match="differ from that layer by"):
        layerwise.ship(shared_encoder("wordpiece"), tmp_path / "m", layer=2)
    assert list(tmp_path.iterdir()) == []


def test_a_broken_settings_file_is_said(tmp_path: Path) -> None:
    layerwise.ship(shared_encoder("wordpiece"), tmp_path / "m", layer=2)
    (tmp_path / "m" / "layerwise.json").write_text("{}")
    with pytest.raises(ModelError, match="ship again"):
        Encoder.from_pretrained(str(tmp_path / "m"))


def test_an_encoder_in_another_precision(tmp_path: Path) -> None:
    encoder = tiny_encoder(tmp_path / "base", "wordpiece", dtype="bfloat16")
    with pytest.raises(UsageError, match="float32"):
        layerwise.ship(encoder, tmp_path / "m", layer=2)


def test_a_folder_is_shipped_again(tmp_path: Path) -> None:
    encoder = shared_encoder("wordpiece")
    layerwise.ship(encoder, tmp_path / "a", layer=2, pooling="cls")
    again = layerwise.ship(str(tmp_path / "a"), tmp_path / "b", layer=1)
    assert again.pooling == "cls"  # the first folder's default
    assert difference(by_sentence_transformers(tmp_path / "b"), by_layerwise(encoder, 1, "cls")) <= 1e-5
    assert "itself layer 2 of" in (tmp_path / "b" / "README.md").read_text("utf-8")


@pytest.mark.slow
def test_the_embedded_model_in_whole_is_its_own_folder(tmp_path: Path) -> None:
    """Last layer, mean, scaled: what all-MiniLM-L6-v2's published folder gives."""
    encoder = shared_encoder("minilm")
    layerwise.ship(encoder, tmp_path / "m", layer=-1, normalize=True)
    texts = [text for text in TEXTS if len(text) < 500]  # the published folder cuts at 256 tokens
    expected = by_sentence_transformers(encoder.files.folder, texts)
    assert difference(by_sentence_transformers(tmp_path / "m", texts), expected) <= 1e-6
