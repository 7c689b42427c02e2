"""`layerwise plot`: what is drawn, and what is refused in a sentence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from layerwise.store.reader import Store
from layerwise.study.pictures import draw_layers
from tests.command_line import run
from tests.store.making import RUN, SIZE, chunks, make
from tests.study.labelled import store_of

pytest.importorskip("matplotlib")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    parts = chunks(40, not_embedded=[0])
    for part in parts:
        part.vectors["layer_01"][:] = np.ones(SIZE, np.float32)
    return make(tmp_path_factory.mktemp("store") / "one.lance", parts)


def test_rows_of_each_layer_a_constant_one_is_said(store: Store, tmp_path: Path) -> None:
    done = run(f"plot {store.path} -o {tmp_path}/a.svg")
    assert (done.status, done.out, done.err) == (0, f"{tmp_path}/a.svg\n", "")
    drawn = (tmp_path / "a.svg").read_text("utf-8")
    assert drawn.count(">constant<") == 1 and "of variance" in drawn and "layer 2" in drawn


def test_progress_names_what_is_done(store: Store) -> None:
    said: list[str] = []
    draw_layers(store, progress=said.append)
    assert said == ["PCA, layer 1 of 3", "PCA, layer 2 of 3", "PCA, layer 3 of 3"]


def test_norms_and_a_word(store: Store, tmp_path: Path) -> None:
    for words in ("--norms", "--word w3"):
        done = run(f"plot {store.path} {words} -o {tmp_path}/b.svg")
        assert (done.status, done.err) == (0, ""), words
        assert (tmp_path / "b.svg").stat().st_size > 1000


def test_a_label_is_a_number_where_a_probe_would_take_it_for_one(tmp_path: Path) -> None:
    scores = [f"{place % 40 / 10}" for place in range(199)] + [""]  # as read from a table
    kept = {"score": scores, "stars": [str(place % 5) for place in range(200)]}
    texts = store_of(tmp_path / "t.lance", [["a"]] * 200, {"layer_00": np.eye(200, 24)}, kept, unit="text")
    for label, legends in {"score": 0, "stars": 1}.items():
        assert len(draw_layers(texts, label=label).legends) == legends  # a colour bar otherwise


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        ("--label topic", 2, "has no column 'topic'"),
        ("--method tsne", 2, "unknown method 'tsne': choose one of pca, umap"),
        ("--rows 2", 1, "expected at least 3"),
        ("--word nothing", 2, "'nothing' is not a word of"),
        ("--word w3 --layers 0", 2, "at least 2 layers"),
        ("--word w3 --norms", 2, "give one of them"),
        ("--norms --label x", 2, "leave out --word and --norms"),
    ],
)
def test_refusals(store: Store, tmp_path: Path, words: str, status: int, said: str) -> None:
    done = run(f"plot {store.path} {words} -o {tmp_path}/c.png")
    assert done.status == status and said in done.err and done.err.count("\n") == 1
    assert not (tmp_path / "c.png").exists()


def test_a_word_needs_units(tmp_path: Path) -> None:
    texts = make(tmp_path / "t.lance", chunks(9), {**RUN, "unit": "text"})
    done = run(f"plot {texts.path} --word w3 -o {tmp_path}/c.png")
    assert done.status == 2 and "holds texts" in done.err
