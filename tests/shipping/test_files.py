"""The files of a shipped folder, as others read them."""

from __future__ import annotations

import json
from pathlib import Path

from tokenizers import Tokenizer
from transformers import AutoTokenizer

import layerwise
from tests.tiny import SENTENCES, one_thread, shared_encoder, tiny_folder

__all__ = ["one_thread"]


def test_tokenizer_json_alone_gives_the_same_tokens(tmp_path: Path) -> None:
    """The file of a base may pad and cut, at lengths of a time when somebody called it so."""
    base = tiny_folder(tmp_path)
    tokenizer = Tokenizer.from_file(str(base / "tokenizer.json"))
    tokenizer.enable_padding(length=12, direction="left")
    tokenizer.enable_truncation(12, direction="left")
    tokenizer.save(str(base / "tokenizer.json"))
    layerwise.ship(str(base), tmp_path / "m", layer=2)
    alone = Tokenizer.from_file(str(tmp_path / "m" / "tokenizer.json"))
    loaded = AutoTokenizer.from_pretrained(tmp_path / "m")
    for text in (*SENTENCES, " ".join(SENTENCES), ""):
        assert alone.encode(text).ids == loaded(text, truncation=True)["input_ids"]
    settings = json.loads((tmp_path / "m" / "tokenizer_config.json").read_text("utf-8"))
    assert "max_length" not in settings and settings["model_max_length"] == 64


def test_the_layout_is_what_older_readers_know(tmp_path: Path) -> None:
    """text-embeddings-inference knows these names of modules and these keys, and refuses others."""
    layerwise.ship(shared_encoder("wordpiece"), tmp_path / "m", layer=1, pooling="cls", normalize=True)
    modules = json.loads((tmp_path / "m" / "modules.json").read_text())
    assert [(module["type"], module["path"]) for module in modules] == [
        ("sentence_transformers.models.Transformer", ""),
        ("sentence_transformers.models.Pooling", "1_Pooling"),
        ("sentence_transformers.models.Normalize", "2_Normalize"),
    ]
    pooling = json.loads((tmp_path / "m" / "1_Pooling" / "config.json").read_text())
    chosen = {key for key, value in pooling.items() if key.startswith("pooling_mode_") and value}
    assert chosen == {"pooling_mode_cls_token"} and pooling["word_embedding_dimension"] == 32
    assert json.loads((tmp_path / "m" / "sentence_bert_config.json").read_text())["max_seq_length"] == 64


def test_files_are_for_everyone(tmp_path: Path) -> None:
    layerwise.ship(shared_encoder("wordpiece"), tmp_path / "m", layer=1)
    (tmp_path / "new").touch()
    modes = {path.stat().st_mode & 0o777 for path in (tmp_path / "m").rglob("*") if path.is_file()}
    assert modes == {(tmp_path / "new").stat().st_mode & 0o777}


def test_no_file_names_the_place_it_came_from(tmp_path: Path) -> None:
    base = tiny_folder(tmp_path)
    layerwise.ship(str(base), tmp_path / "m", layer=2)
    for path in (tmp_path / "m").rglob("*"):
        assert not path.is_file() or str(tmp_path).encode() not in path.read_bytes(), path
