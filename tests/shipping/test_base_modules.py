"""What a sentence-transformers folder brings beside its encoder, when a layer of it is shipped."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer import modules as models

import layerwise
from layerwise.ops.projection import principal_components
from layerwise.shipping.base_modules import BaseModules, read_base_modules
from tests.shipping.test_ship import by_layerwise, difference
from tests.tiny import one_thread, shared_encoder, tiny_encoder

__all__ = ["one_thread"]

PROMPTS = {"query": "query: ", "passage": "passage: "}
TEXTS = ["The cat sat on the mat.", "", "我爱这本书"]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base")
    tiny_encoder(folder / "encoder", "wordpiece")
    modules = [
        models.Transformer(str(folder / "encoder")),
        models.Pooling(32, pooling_mode="cls"),
        models.Dense(32, 8),
        models.Normalize(),
    ]
    made = SentenceTransformer(modules=modules, prompts=PROMPTS, default_prompt_name="query", device="cpu")
    made.save(str(folder / "base"))
    return folder / "base"


def test_prompts_go_along_and_the_rest_is_said(base: Path, tmp_path: Path) -> None:
    shipment = layerwise.ship(str(base), tmp_path / "m", layer=2)
    said = " ".join(shipment.notes)
    assert "(Dense) are not in the folder" in said and "own pooling is cls" in said and "'query: '" in said
    card = (tmp_path / "m" / "README.md").read_text("utf-8")
    assert all(note in card for note in shipment.notes)
    encoder = shared_encoder("wordpiece")
    found = SentenceTransformer(str(tmp_path / "m"), device="cpu")
    assert difference(found.encode(TEXTS), by_layerwise(encoder, 2, "mean_with_special", TEXTS)) <= 1e-5
    asked = by_layerwise(encoder, 2, "mean_with_special", ["query: " + text for text in TEXTS])
    assert difference(found.encode(TEXTS, prompt_name="query"), asked) <= 1e-5


@pytest.mark.parametrize("pooling", ["mean", "max", "cls", "lasttoken"])
def test_poolings_of_old_and_new_folders(pooling: str, tmp_path: Path) -> None:
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "modules.json").write_text(
        json.dumps([{"path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}])
    )
    key = {"cls": "cls_token", "lasttoken": "lasttoken"}.get(pooling, f"{pooling}_tokens")
    old = {
        f"pooling_mode_{name}": name == key
        for name in ("cls_token", "mean_tokens", "max_tokens", "lasttoken")
    }
    ours = {"cls": "cls", "lasttoken": "last_with_special"}.get(pooling, f"{pooling}_with_special")
    for config in (old, {"pooling_mode": pooling}, {"pooling_mode": [pooling]}):
        (tmp_path / "1_Pooling" / "config.json").write_text(json.dumps(config))
        assert read_base_modules(tmp_path).pooling == ours
    (tmp_path / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode": ["cls", "mean"]}))
    assert read_base_modules(tmp_path).pooling == ""


@pytest.mark.parametrize("text", ["", "{", "null", "[1]", '{"a": 1}', '[{"type": 3}]', '{"prompts": [1]}'])
def test_odd_files_say_nothing(text: str, tmp_path: Path) -> None:
    for name in ("modules.json", "config_sentence_transformers.json", "sentence_bert_config.json"):
        (tmp_path / name).write_text(text)
    found = read_base_modules(tmp_path)
    assert not found.prompts and not found.pooling and not found.lowers


def test_a_folder_without_them_says_nothing(tmp_path: Path) -> None:
    assert read_base_modules(tmp_path) == BaseModules()
    assert BaseModules().notes("cls") == []
    assert "lower case" in BaseModules(lowers=True).notes("cls")[0]


def test_a_projection_of_other_vectors_is_said(tmp_path: Path) -> None:
    encoder = shared_encoder("wordpiece")
    document = {"layer": 2, "unit": "text", "pooling": "mean", "kind": "pca", "rows": 9}
    document |= {"model": "base", "weights_sha256": encoder.files.weights_sha256}
    fitted = principal_components(np.diag(np.arange(1.0, 33.0)), np.zeros(32), 4, "pca", document)
    for trained, pooling, said in (
        ("mean", "cls", True),
        ("mean", "mean", True),
        ("mean_with_special", "mean", False),
        ("cls", "cls", False),
    ):
        projection = replace(fitted, document={**document, "pooling": trained})
        found = layerwise.ship(
            encoder, tmp_path / "m", layer=2, pooling=pooling, projection=projection, overwrite=True
        )
        assert any(f"projection was fitted on {trained} vectors" in note for note in found.notes) == said
