"""What the model card says of licences, of a probe's scores and of a projection."""

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
from tests.tiny import one_thread, shared_encoder

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
