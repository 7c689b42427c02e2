"""A probe or a projection is a file like any other: whatever is wrong with it is one sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from layerwise import UsageError
from layerwise.ops.fitted_file import reading_of
from layerwise.ops.linear_probe import LinearProbe
from layerwise.ops.projection import Projection

PROBE = {"weight": np.ones((2, 4), np.float32), "bias": np.zeros(2, np.float32)}
PROBE_DOCUMENT = {"label": "topic", "classes": ["a", "b"], "scores": {"accuracy": [0.5, 0.4, 0.6]}}
MAP = {
    "mean": np.zeros(4, np.float32),
    "matrix": np.ones((4, 2), np.float32),
    "explained": np.full(2, 0.5, np.float32),
}
MAP_DOCUMENT = {"kind": "pca", "recall_at_10": 0.5, "explained_variance": 1}


def nan(array: np.ndarray, value: float = np.nan) -> np.ndarray:
    changed = array.copy()
    changed.flat[0] = value
    return changed


def written(path: Path, key: str, arrays: dict[str, Any], document: Any) -> Path:
    told = document if isinstance(document, str) else json.dumps(document)
    save_file({name: np.ascontiguousarray(one) for name, one in arrays.items()}, path, metadata={key: told})
    return path


DOCUMENTS = [
    ([], "no JSON object"),
    ("[" * 100_000, "recursion"),
    ("{", "Expecting"),
    ({"words": "klingon"}, "'words' is 'klingon', none of tokenizer"),
    ({"words": ["tokenizer"]}, "none of tokenizer"),
    ({"long_text": 1}, "'long_text' is '1', none of window"),
    ({"max_length": "12"}, "no number of tokens"),
    ({"stride": -1}, "no number of tokens"),
    ({"model": "\ud800"}, "surrogates not allowed"),
]


@pytest.mark.parametrize(
    ("arrays", "document", "said"),
    [
        *(({}, document, said) for document, said in DOCUMENTS),
        ({"weight": nan(PROBE["weight"])}, {}, "'weight' holds NaN or infinity"),
        ({"bias": nan(PROBE["bias"].astype(np.float64), 1e300)}, {}, "'bias' holds NaN or infinity"),
        ({"weight": PROBE["weight"].astype(np.int32)}, {}, "'weight' holds int32"),
        ({"weight": PROBE["weight"][0]}, {}, "the shape 4, and 2 dimensions"),
        ({"weight": PROBE["weight"][:, :0]}, {}, "the shape 2 × 0"),
        ({"weight": PROBE["weight"][:1]}, {}, "2 classes, 1 rows of weights and 2 of 'bias'"),
        ({"bias": PROBE["bias"][:1]}, {}, "2 classes, 2 rows of weights and 1 of 'bias'"),
        ({}, {"classes": []}, "0 classes, 2 rows"),
        ({}, {"classes": "ab"}, "no list of names"),
        ({}, {"classes": [1, 2]}, "no list of names"),
        ({}, {"classes": ["a", "a"]}, "more than once"),
        ({}, {"classes": None}, "no list of names"),
        ({}, {"label": {}}, "'label' is '{}'"),
    ],
)
def test_probes(arrays: dict[str, Any], document: Any, said: str, tmp_path: Path) -> None:
    told = {**PROBE_DOCUMENT, **document} if isinstance(document, dict) else document
    path = written(tmp_path / "p", "layerwise_probe", {**PROBE, **arrays}, told)
    with pytest.raises(UsageError, match=r"p is not a probe \(.*layerwise probe --save") as found:
        LinearProbe.load(path)
    assert said in str(found.value)


@pytest.mark.parametrize(
    ("arrays", "document", "said"),
    [
        *(({}, document, said) for document, said in DOCUMENTS),
        ({"matrix": nan(MAP["matrix"], np.inf)}, {}, "'matrix' holds NaN or infinity"),
        ({"mean": MAP["mean"][:3]}, {}, "4 × 2, for a mean of 3 and 2 shares"),
        ({"matrix": MAP["matrix"].T}, {}, "2 × 4, for a mean of 4"),
        ({"matrix": MAP["matrix"][:, :0]}, {}, "the shape 4 × 0"),
        ({"mean": MAP["mean"][None]}, {}, "the shape 1 × 4, and 1 dimensions"),
        ({}, {"kind": 3}, "'kind' is '3', none of pca, whiten"),
    ],
)
def test_projections(arrays: dict[str, Any], document: Any, said: str, tmp_path: Path) -> None:
    told = {**MAP_DOCUMENT, **document} if isinstance(document, dict) else document
    path = written(tmp_path / "p", "layerwise_projection", {**MAP, **arrays}, told)
    with pytest.raises(UsageError, match=r"p is not a projection \(.*fit-projection") as found:
        Projection.load(path)
    assert said in str(found.value)


def test_another_precision_is_read_and_figures_nobody_can_print_are_left_out(tmp_path: Path) -> None:
    halves = {name: one.astype(np.float16) for name, one in MAP.items()}
    told = {**MAP_DOCUMENT, "recall_at_10": "all", "explained_variance": float("nan")}
    projection = Projection.load(written(tmp_path / "m", "layerwise_projection", halves, told))
    assert projection.matrix.dtype == np.float32
    assert projection.document == {"kind": "pca", "recall_at_10": None, "explained_variance": None}
    scores = {"accuracy": [0.5, 0.4, 0.6], "f1": 10**400, "kappa": [1, 2], "odd": {}, "r": 0.5}
    told = {**PROBE_DOCUMENT, "scores": scores, "parts": {"test": 8, "train": "many"}}
    probe = LinearProbe.load(written(tmp_path / "p", "layerwise_probe", PROBE, told))
    assert probe.document["scores"] == {"accuracy": [0.5, 0.4, 0.6], "r": 0.5}
    assert probe.document["parts"] == {"test": 8}


def test_no_file_and_no_name(tmp_path: Path) -> None:
    for name in ("", str(tmp_path), str(tmp_path / "nowhere"), "a\0b"):
        with pytest.raises(UsageError, match="is not a probe"):
            LinearProbe.load(name)
    with pytest.raises(UsageError, match="the empty file name '' is not a probe"):
        LinearProbe.load("")
    save_file(PROBE, tmp_path / "bare")
    with pytest.raises(UsageError, match="its metadata has no 'layerwise_probe'"):
        LinearProbe.load(tmp_path / "bare")


def test_how_a_store_was_read() -> None:
    metadata = {"max_length": 12, "stride": None, "long_text": "window", "unit": "text"}
    told = {"max_length": 12, "stride": None, "long_text": "window"}
    assert reading_of(metadata) == {**told, "pairs": None}
    paired = {**metadata, "source": {"options": {"pair_column": "other"}}}
    assert reading_of(paired)["pairs"] == "joint"
    assert reading_of({**paired, "pairs": "separate"})["pairs"] == "separate"
