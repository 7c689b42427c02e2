"""What the model card says of licences, of a probe's scores and of a projection; its code runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from huggingface_hub import metadata_load

import layerwise
from layerwise.ops.linear_probe import LinearProbe
from layerwise.ops.projection import Projection
from layerwise.shipping.card import license_of
from tests.tiny import one_thread, shared_encoder, tiny_folder

__all__ = ["one_thread"]


def fitted_on(**others: Any) -> dict[str, Any]:
    made = {"layer": 2, "unit": "text", "pooling": "cls"}
    return {**made, "weights_sha256": shared_encoder("wordpiece").files.weights_sha256, **others}


def probe(**others: Any) -> LinearProbe:
    told = fitted_on(label="topic", task="classification", scores={"accuracy": [0.5, 0.4, 0.6]}, **others)
    return LinearProbe(np.ones((2, 32), np.float32), np.zeros(2, np.float32), ("a", "b"), told)


def projection(**others: Any) -> Projection:
    told = fitted_on(kind="pca", recall_at_10=0.5, explained_variance=0.75, **others)
    matrix = np.eye(32, 4, dtype=np.float32)
    return Projection(np.zeros(32, np.float32), matrix, np.full(4, 0.25, np.float32), told)


def card(folder: Path, **options: Any) -> str:
    shipment = layerwise.ship(shared_encoder("wordpiece"), folder, layer=2, overwrite=True, **options)
    return "\n".join((Path(shipment.path) / "README.md").read_text("utf-8").splitlines())


@pytest.mark.parametrize("license", ["yes", "1.0", "null", "off", "1e5", "2024-01-01", "Ours: 'x' \"y\""])
def test_a_licence_is_a_string_to_yaml(license: str, tmp_path: Path) -> None:
    card(tmp_path / "m", license=license)
    front = metadata_load(tmp_path / "m" / "README.md")
    assert front is not None and (front["license"], front["license_name"]) == ("other", license)
    assert license_of(tmp_path / "m") == license


def test_the_scores_of_folds_are_those_of_other_probes(tmp_path: Path) -> None:
    assert "The scores are those of 5 other probes" in card(tmp_path / "m", probe=probe(folds=5))
    for folds in (1, None, "5"):
        assert "other probes" not in card(tmp_path / "m", probe=probe(folds=folds))


def test_recall_on_rows_of_the_fit_is_said(tmp_path: Path) -> None:
    said = "50.0% of the 10 nearest neighbours, measured on rows that it was fitted on"
    assert said in card(tmp_path / "m", projection=projection(held_out=False))
    for others in ({}, {"held_out": True}):
        assert "fitted on |" not in card(tmp_path / "m", projection=projection(**others))


@pytest.mark.parametrize(
    ("others", "said"),
    [
        ({"max_length": 12}, "read with --max-length 12, and the folder takes 64"),
        ({"windowed_texts": 3, "long_text": "window"}, "of which 3 were read in several windows"),
        ({"pairs": "joint"}, "pairs of texts in one sequence"),
    ],
)
def test_a_projection_fitted_on_texts_read_otherwise(
    others: dict[str, Any], said: str, tmp_path: Path
) -> None:
    assert said in card(tmp_path / "m", projection=projection(**others))
    same = {"max_length": 64, "windowed_texts": 0, "long_text": "window", "pairs": None}
    assert "Remarks" not in card(tmp_path / "m", projection=projection(**same))


def test_card_and_licence(tmp_path: Path) -> None:
    base = tiny_folder(tmp_path)
    layerwise.ship(str(base), tmp_path / "a", layer=2)
    card = (tmp_path / "a" / "README.md").read_text("utf-8")
    assert "2 of its 3 blocks (33% less compute" in card
    assert "unknown: see the base model" in card and "\nlicense:" not in card
    assert str(tmp_path) not in card + (tmp_path / "a" / "layerwise.json").read_text("utf-8")
    (base / "README.md").write_text("---\nlicense: mit\nlanguage: en\n---\n# Base\n", "utf-8")
    layerwise.ship(str(base), tmp_path / "b", layer=2)
    assert "\nlicense: mit\n" in (tmp_path / "b" / "README.md").read_text("utf-8")
    layerwise.ship(str(base), tmp_path / "c", layer=2, license="Our own: ask us")
    card = (tmp_path / "c" / "README.md").read_text("utf-8")
    assert '\nlicense: other\nlicense_name: "Our own: ask us"\n' in card


@pytest.mark.parametrize(
    ("front", "named"),
    [
        ("license: mit # as its paper says", "mit"),
        ('license: "cc-by-4.0"', "cc-by-4.0"),
        ("license: other\nlicense_name: the-makers-own", "the-makers-own"),
        ("license:\n- mit\n- apache-2.0\ntags: [a]", "mit, apache-2.0"),
        ("license: [mit]", "mit"),
        ("license:\nlanguage: en", None),
        ("license: null\nlanguage: en", None),
        ("language: en", None),
        ("license: [", None),
    ],
)
def test_the_licence_is_read_as_yaml(front: str, named: str | None, tmp_path: Path) -> None:
    for before, line in (("", "\n"), ("\ufeff", "\n"), ("", "\r\n")):
        text = f"{before}---\n{front}\n---\n# Base\n".replace("\n", line)
        (tmp_path / "README.md").write_bytes(text.encode())
        assert license_of(tmp_path) == named


def test_the_cards_code_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for pooling in ("mean", "max", "cls", "last_with_special"):
        layerwise.ship(shared_encoder("wordpiece"), 'a "m"', layer=2, pooling=pooling, overwrite=True)
        card = Path('a "m"/README.md').read_text("utf-8")
        blocks = [block.split("```")[0] for block in card.split("```python\n")[1:]]
        assert len(blocks) == 3
        vectors = []
        for block in blocks:
            names: dict[str, Any] = {}
            exec(block, names)
            vectors.append(np.asarray(names["vectors"]))
        np.testing.assert_allclose(vectors[1], vectors[0], rtol=0, atol=1e-5)
        np.testing.assert_allclose(vectors[2], vectors[0], rtol=0, atol=1e-5)
