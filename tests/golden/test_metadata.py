"""The store's metadata of a small run, byte for byte but for the versions of what it ran on."""

from __future__ import annotations

import re
from pathlib import Path

import lance

import layerwise
from tests.golden.make_vectors import TEXTS

GOLDEN = Path(__file__).with_name("metadata.json")


def test_metadata(tmp_path: Path) -> None:
    (tmp_path / "three.txt").write_text("".join(f"{text}\n" for text in TEXTS), "utf-8")
    encoder = layerwise.Encoder.from_pretrained("minilm", device="cpu")
    out = tmp_path / "three.lance"
    layerwise.extract(tmp_path / "three.txt", out, encoder=encoder, layers="0,3,-1", unit="word", stride=16)
    found = lance.dataset(out).schema.metadata[b"layerwise"].decode()
    versions = re.search(r'"versions":\{(.*?)\}', found)
    assert versions is not None
    names = re.findall(r'"(\w+)":"[^"]+"', versions[1])
    assert names == ["layerwise", "python", "tokenizers", "torch", "transformers"]
    assert found.replace(versions[1], "") == GOLDEN.read_text("utf-8").rstrip("\n")
