"""Fitting on a store, extracting with the projection, shipping it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from sentence_transformers import SentenceTransformer

import layerwise
from layerwise.ops.projection import Projection
from layerwise.study.fit_projection import fit_projection
from tests.command_line import run
from tests.tiny import SENTENCES, one_thread, tiny_encoder

__all__ = ["one_thread"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, its store of texts at layers 1 and 2, and a projection of layer 2."""
    folder = tmp_path_factory.mktemp("projection")
    tiny_encoder(folder / "base", "wordpiece")
    texts = [f"{a} {b}" for a in SENTENCES for b in SENTENCES]
    (folder / "texts.txt").write_text("\n".join(texts), "utf-8")
    common = f"extract {folder / 'texts.txt'} -m {folder / 'base'} --pooling mean_with_special"
    assert run(f"{common} -l 1,2 -o {folder / 's.lance'}").status == 0
    fitted = run(
        f"fit-projection {folder / 's.lance'} --layer 2 --dim 8 -o {folder / 'p.safetensors'} --json"
    )
    assert fitted.status == 0, fitted.err
    (folder / "fit.json").write_text(fitted.out)
    return folder


def test_what_it_reports(place: Path) -> None:
    fit = json.loads((place / "fit.json").read_text())
    assert fit["rows"] == 500 and fit["sample"] == 125 and fit["held_out"]
    assert 0.2 < fit["explained_variance"] < 1 and 0.1 < fit["recall_at_10"] < 1
    store = layerwise.open(place / "s.lance")
    whole, same = fit_projection(store, 2, "pca", 31)  # LayerNorm leaves 31 of 32 directions
    assert same.explained_variance == pytest.approx(1) and same.recall_at_10 is not None
    assert whole.document["recall_at_10"] == same.recall_at_10


def test_extract_applies_it(place: Path) -> None:
    command = f"extract {place / 'texts.txt'} -m {place / 'base'} --pooling mean_with_special"
    command += f" -l 2 -o {place / 'small.lance'} --projection {place / 'p.safetensors'}"
    assert run(command).status == 0
    projection = Projection.load(place / "p.safetensors")
    small = layerwise.open(place / "small.lance")
    full = layerwise.open(place / "s.lance").layer(2).numpy()
    np.testing.assert_allclose(small.layer(2).numpy(), projection(full), atol=1e-5)
    described = {"kind": "pca", "layer": 2, "dim": 8, "sha256": projection.sha256}
    assert small.metadata["projection"] == described
    again = run(command)
    assert again.status == 0 and "complete already" in again.out
    other = run(command.split(" --projection")[0])
    assert other.status == 1 and "projection" in other.err
    refit = f"fit-projection {place / 'small.lance'} --layer 2 --dim 4 -o {place / 'q.safetensors'}"
    refused = run(refit)
    assert refused.status == 2 and "projected already" in refused.err


@pytest.mark.parametrize("normalize", [False, True])
def test_shipped_it_is_the_dense_module(place: Path, normalize: bool, tmp_path: Path) -> None:
    scaled = "--normalize" if normalize else "--no-normalize"
    shipped = run(
        f"ship {place / 'base'} -l 2 --projection {place / 'p.safetensors'} {scaled} -o {tmp_path / 'm'}"
    )
    assert shipped.status == 0 and "8 dimensions" in shipped.out
    found = SentenceTransformer(str(tmp_path / "m"), device="cpu").encode(list(SENTENCES))
    encoder = layerwise.Encoder.from_pretrained(str(place / "base"), device="cpu")
    states = encoder.encode(SENTENCES, 2, "text", pooling="mean_with_special")
    expected = Projection.load(place / "p.safetensors")(np.stack([one.layer(2)[0] for one in states]))
    if normalize:
        expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    # The folder's own copy fits the folder's own weights.
    (tmp_path / "t.txt").write_text("\n".join(SENTENCES), "utf-8")
    own = f"extract {tmp_path / 't.txt'} -m {tmp_path / 'm'} -l 2 -o {tmp_path / 'o.lance'}"
    done = run(f"{own} --projection {tmp_path / 'm' / 'projection.safetensors'}")
    assert done.status == 0, done.err
    mine = layerwise.open(tmp_path / "o.lance").layer(2).numpy()
    if normalize:
        mine /= np.linalg.norm(mine, axis=1, keepdims=True)
    np.testing.assert_allclose(mine, expected, atol=1e-5)


def test_ship_fits_it_on_a_store(place: Path, tmp_path: Path) -> None:
    shipped = run(
        f"ship {place / 'base'} -l -1 --projection pca:8 --fit-on {place / 's.lance'} -o {tmp_path / 'm'}"
    )
    assert shipped.status == 2 and "layer -1 was not extracted" in shipped.err
    shipped = run(
        f"ship {place / 'base'} -l 2 --projection pca:8 --fit-on {place / 's.lance'} -o {tmp_path / 'm'}"
    )
    assert shipped.status == 0, shipped.err
    assert "pca, layer 2, 32 to 8 dimensions, fitted on 500 rows" in " ".join(shipped.err.split())
    same, ours = (
        Projection.load(one) for one in (place / "p.safetensors", tmp_path / "m/projection.safetensors")
    )
    np.testing.assert_array_equal(same.matrix, ours.matrix)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("ship {p}/base -l 2 -o {t}/o --projection pca:8", "name a store with --fit-on"),
        ("ship {p}/base -l 2 -o {t}/o --fit-on {p}/s.lance", "without --projection"),
        ("ship {p}/base -l 2 -o {t}/o --projection pca:32 --fit-on {p}/s.lance", "choose 1 to 31 dimensions"),
        ("ship {p}/base -l 2 -o {t}/o --projection pca:33 --fit-on {p}/s.lance", "expected 1 to 32"),
        (
            "ship minilm -l 2 -o {t}/o --projection pca:8 --fit-on {p}/s.lance",
            "the store was made with the model",
        ),
        ("ship {p}/base -l 2 -o {p}/s.lance --projection pca:8 --fit-on {p}/s.lance", "exists already"),
        (
            "ship {p}/base -l 2 -o {t}/o --projection {p}/p.safetensors --fit-on {p}/s.lance",
            "expected its kind and size",
        ),
        ("ship {p}/base -l 2 -o {t}/o --projection ica:8 --fit-on {p}/s.lance", "choose one of pca, whiten"),
        ("fit-projection {p}/s.lance --layer 0 -o {t}/q", "layer 0 was not extracted"),
        ("fit-projection {p}/s.lance --layer 2 --dim 32 -o {t}/q", "vary in 31 directions of 32"),
        ("fit-projection {p}/s.lance --layer 2 --dim 33 -o {t}/q", "expected 1 to 32"),
        ("fit-projection {p}/s.lance --layer 2 --dim 4 --kind ica -o {t}/q", "choose one of pca, whiten"),
        ("fit-projection {p}/s.lance --layer 2 --dim 4 -o {p}/p.safetensors", "--overwrite"),
        ("fit-projection {p}/nowhere --layer 2 --dim 4 -o {t}/q", "nowhere"),
        (
            "extract {p}/texts.txt -m {p}/base -l 1 -o {t}/o --projection {p}/p.safetensors",
            "fitted on layer 2",
        ),
        ("extract {p}/texts.txt -m {p}/base -l 1,2 -o {t}/o --projection {p}/p.safetensors", "for one layer"),
        ("extract {p}/texts.txt -m minilm -l 2 -o {t}/o --projection {p}/p.safetensors", "weights of sha256"),
        ("ship {p}/base -l 1 -o {t}/o --projection {p}/p.safetensors", "fitted on layer 2"),
        ("ship minilm -l 2 -o {t}/o --projection {p}/p.safetensors", "weights of sha256"),
    ],
)
def test_bad_input_writes_nothing(command: str, said: str, place: Path, tmp_path: Path) -> None:
    found = run(command.format(p=place, t=tmp_path))
    assert found.status in (1, 2) and said in found.err and found.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_word_vectors_are_no_texts(place: Path, tmp_path: Path) -> None:
    words = f"extract {place / 'texts.txt'} -m {place / 'base'} --unit word -l 2 -o {tmp_path / 'w.lance'}"
    assert run(words).status == 0
    fitted = run(f"fit-projection {tmp_path / 'w.lance'} -l 2 --dim 4 --kind whiten -o {tmp_path / 'w'}")
    assert fitted.status == 0, fitted.err
    refused = run(
        f"ship {place / 'base'} -l 2 --projection pca:4 --fit-on {tmp_path / 'w.lance'} -o {tmp_path / 'm'}"
    )
    assert refused.status == 2 and "vectors of words" in refused.err and refused.err.count("\n") == 1
    refused = run(f"ship {place / 'base'} -l 2 --projection {tmp_path / 'w'} -o {tmp_path / 'm'}")
    assert refused.status == 2 and "vectors of words" in refused.err
    assert not (tmp_path / "m").exists()
