"""Comparisons of stores: the right rows, the right refusals."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from layerwise.analysis.cka import linear_cka
from layerwise.errors import StoreMismatchError, UsageError
from layerwise.store.reader import Store
from layerwise.study.comparison import compare
from layerwise.study.signals import unsupervised
from tests.command_line import run
from tests.store.making import RUN, SIZE, chunks, make
from tests.study.labelled import store_of


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return make(tmp_path_factory.mktemp("store") / "one.lance", chunks(40))


def test_cka_of_a_store_is_that_of_its_arrays(store: Store) -> None:
    found = compare(store)
    arrays = [np.asarray(store.layer(layer)) for layer in store.layers]
    np.testing.assert_allclose(found.cka, linear_cka(lambda: [arrays], [SIZE] * 3).matrix, atol=1e-9)
    assert found.rows == found.of_rows == store.num_rows
    surfaces = store.to_table(["unit"])["unit"].to_pylist()
    often = [surface for surface in set(surfaces) if surfaces.count(surface) >= 5]
    assert found.second is None and found.words == len(often) > 3


def test_a_store_beside_itself_gives_its_own_matrix(store: Store) -> None:
    one, two = compare(store), compare(store, store, layers="0,2")
    np.testing.assert_allclose(two.cka, np.array(one.cka)[np.ix_([0, 2], [0, 2])])
    np.testing.assert_allclose(two.overlap, np.array(one.overlap)[np.ix_([0, 2], [0, 2])])


def test_stores_of_other_widths_and_other_rows_not_embedded(store: Store, tmp_path: Path) -> None:
    wide = {"layer_00": 6, "layer_01": 6}
    run_ = {**RUN, "hidden_size": 6, "layers": [0, 1], "num_hidden_layers": 1}
    other = make(tmp_path / "wide.lance", chunks(40, columns=wide, not_embedded=[2]), run_, columns=wide)
    found = compare(store, other)
    pair = [np.asarray(store.layer(0)), np.asarray(other.layer(1))]
    assert np.array(found.cka).shape == np.array(found.overlap).shape == (3, 2)
    assert found.cka[0][1] == pytest.approx(linear_cka(lambda: [pair], [SIZE, 6]).matrix[0, 1])
    assert found.rows == store.num_rows - other.num_not_embedded < store.num_rows


def test_a_sample_is_seeded_and_said(store: Store) -> None:
    assert compare(store, rows=20, seed=1) == compare(store, rows=20, seed=1)
    assert compare(store, rows=20, seed=1).cka != compare(store, rows=20, seed=2).cka
    assert compare(store, rows=20).notes[0] == f"CKA from 20 of {store.num_rows} rows"
    with pytest.raises(UsageError, match="--rows is 3: CKA needs at least 4"):
        compare(store, rows=3)


def test_other_rows_are_refused(store: Store, tmp_path: Path) -> None:
    shorter = make(tmp_path / "short.lance", chunks(30))
    with pytest.raises(StoreMismatchError, match=r"hold different rows, .* and .*: extract both from one"):
        compare(store, shorter)
    parts = chunks(40)
    parts[1].unit[3] = "else"
    with pytest.raises(
        StoreMismatchError, match=r"row \d+ is 'w\d+' \(text \d+, unit \d+\) in the first and 'else'"
    ):
        compare(store, make(tmp_path / "other.lance", parts))
    tokens = make(tmp_path / "texts.lance", chunks(3), {**RUN, "words": None, "unit": "text"})
    with pytest.raises(StoreMismatchError, match="hold different units, words and texts"):
        compare(store, tokens)


def test_a_constant_layer_is_told(tmp_path: Path) -> None:
    parts = chunks(40)
    for part in parts:
        part.vectors["layer_01"][:] = np.ones(SIZE, np.float32)
    made = make(tmp_path / "constant.lance", parts)
    found = compare(made)
    assert found.first.constant == (1,) and "layer 1 of" in found.notes[0]
    assert np.isnan(found.cka[1]).all() and np.isnan(found.overlap[1]).all()
    assert np.isfinite(found.cka[0][2])
    signals = unsupervised(made)
    assert [layer.constant for layer in signals.layers] == [False, True, False]
    assert np.isnan(signals.layers[1].effective_rank) and np.isnan(signals.layers[1].two_views)


def test_rows_not_embedded_are_left_out(tmp_path: Path) -> None:
    made = make(tmp_path / "holes.lance", chunks(40, not_embedded=[0, 5]))
    found = compare(made)
    assert found.rows == made.num_rows - made.num_not_embedded < made.num_rows
    assert np.isfinite(found.cka).all() and np.isfinite(found.overlap).all()
    assert np.isfinite(unsupervised(made).layers[0].effective_rank)


def test_the_command_prints_tables_json_csv_and_a_figure(store: Store, tmp_path: Path) -> None:
    done = run(f"compare {store.path} --csv {tmp_path}/a.csv -o {tmp_path}/a.svg")
    assert done.status == 0 and "CKA (debiased" in done.out and not done.err
    assert (tmp_path / "a.svg").read_text("utf-8").count("<svg") == 1
    assert len((tmp_path / "a.csv").read_text("utf-8").splitlines()) == 1 + 9 + 9 + 3 + 3
    document = json.loads(run(f"compare {store.path} --json").out)
    assert document["cka"][0][0] == 1 and document["second"] is None


def test_the_command_refuses_in_a_sentence(store: Store, tmp_path: Path) -> None:
    for words, said in {
        f"{store.path} -o a.gif": "expected .png, .svg or .pdf",
        f"{store.path} -o {tmp_path}/none/a.png": "there is no folder",
        f"{store.path} --seed -1": "--seed is -1",
    }.items():
        done = run(f"compare {words}")
        assert done.status == 2 and said in done.err and done.err.count("\n") == 1


def test_few_rows_are_told(tmp_path: Path) -> None:
    few = make(tmp_path / "few.lance", chunks(6))
    assert few.num_rows < 50 and any("rows only" in note for note in compare(few).notes)
    assert not any("rows only" in note for note in compare(make(tmp_path / "more.lance", chunks(40))).notes)


def test_a_rank_that_the_rows_limit_is_told(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    told = []
    for count in (30, 60):
        vectors = {"layer_00": random.normal(size=(count, 24))}
        texts = [[f"t{one}"] for one in range(count)]
        store = store_of(tmp_path / f"{count}.lance", texts, vectors, {"n": list(range(count))}, unit="text")
        told.append(any("come out too low from" in note for note in unsupervised(store).notes))
    assert told == [True, False]


def test_a_text_that_does_not_fit_does_not_end_the_sample(tmp_path: Path) -> None:
    """One long text among short ones: whatever its place in the order, the sample is full."""
    texts = [["a"] * (60 if one == 7 else 2) for one in range(40)]
    count = sum(map(len, texts))
    random = np.random.default_rng(0)
    store = store_of(tmp_path / "t.lance", texts, {"layer_00": random.normal(size=(count, 4))}, {})
    for seed in range(5):
        assert unsupervised(store, rows=50, seed=seed).rows == 50
    long = store_of(tmp_path / "l.lance", [["a"] * 30] * 2, {"layer_00": random.normal(size=(60, 4))}, {})
    assert unsupervised(long, rows=20).rows == 20


def test_the_cosine_around_the_mean_does_not_depend_on_the_type(tmp_path: Path) -> None:
    found = []
    for dtype in ("float16", "float32"):
        [part] = chunks(60, each=60)
        random = np.random.default_rng(1)
        rows = random.normal(size=(len(part.unit), SIZE)) + 800 * np.array([1, -1, 1, -1])
        own = {**part.vectors, "layer_00": rows.astype(np.float16)}
        vectors = {name: one.astype(dtype) for name, one in own.items()}
        run_ = {**RUN, "store_dtype": dtype}
        store = make(tmp_path / f"{dtype}.lance", [replace(part, vectors=vectors)], run_)
        found.append(unsupervised(store).layers[0].centred_cosine)
    assert found[0] == pytest.approx(found[1], abs=1e-9)
