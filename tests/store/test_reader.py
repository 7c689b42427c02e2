"""A layer behaves as an array; a text has every layer; memory stays bounded."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from layerwise.errors import LayerSelectionError, NotAStoreError, UsageError
from layerwise.store.reader import Store, open_store
from layerwise.types import Unit
from tests.store.making import COLUMNS, RUN, chunk, chunks, length, make, vectors


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return make(tmp_path_factory.mktemp("store") / "out.lance", chunks(40))


@pytest.mark.parametrize(
    "key",
    [
        0,
        -1,
        np.int64(3),
        slice(None),
        slice(5, 37),
        slice(37, 5),
        slice(None, None, -7),
        slice(90, 10_000),
        [4, 2, 2, -1],
        [],
        np.array([1, 50]),
        np.arange(115) % 3 == 0,
        ...,
        (3, 2),
        (slice(2, 9), slice(1, 3)),
        ([7, 1], 0),
        (slice(None), 3),
    ],
    ids=repr,
)
def test_a_layer_is_indexed_as_its_array(store: Store, key) -> None:
    column = store.layer(1)
    array = np.asarray(column)
    if isinstance(key, np.ndarray) and key.dtype == bool:
        key = np.arange(len(array)) % 3 == 0
    got = column[key]
    wanted = array[np.array(key, int) if key == [] else key] if isinstance(key, list) else array[key]
    assert got.shape == wanted.shape and np.array_equal(got, wanted)


@pytest.mark.parametrize("key", [10_000, [10_000], [-10_000], [0.5], "a", np.ones(3, bool), [[1]]], ids=repr)
def test_what_is_no_index_is_refused(store: Store, key) -> None:
    with pytest.raises(IndexError):
        store.layer(0)[key]


def test_a_layer_is_an_array(store: Store) -> None:
    column = store.layer(2)
    units = store.units()
    expected = vectors(units["text_id"].to_numpy(), units["unit_id"].to_numpy(), 2)
    assert column.shape == expected.shape and column.dtype == np.float32 and column.ndim == 2
    assert len(column) == len(store) and column.nbytes == expected.nbytes
    assert np.array_equal(column, expected)
    assert np.asarray(column, np.float64).dtype == np.float64
    assert np.allclose(np.mean(column, axis=0), expected.mean(0))
    assert np.array_equal(column.torch().numpy(), expected)
    assert np.array_equal(list(column), expected)
    with pytest.raises(ValueError, match="copy"):
        np.asarray(column, copy=False)


@pytest.mark.parametrize("size", [1, 7, 1_000, None])
def test_batches_make_up_the_layer(store: Store, size: int | None) -> None:
    batches = list(store.layer(0).batches(size))
    assert all(len(batch) <= (size or 10_000) for batch in batches)
    assert np.array_equal(np.concatenate(batches), store.layer(0))


def test_layers_by_name(store: Store) -> None:
    for name, column in [
        (0, "layer_00"),
        (-1, "layer_02"),
        ("final", "layer_02"),
        ("-3", "layer_00"),
        (" 1", 1),
    ]:
        assert store.column(name) == (column if isinstance(column, str) else "layer_01")
    for name in (3, -4, "mix", "x", "²"):
        with pytest.raises(LayerSelectionError, match="there are layers 0, 1, 2"):
            store.layer(name)


def test_final_and_mix_are_columns_of_their_own(tmp_path: Path) -> None:
    columns = {"layer_02": 4, "layer_final": 4}
    store = make(tmp_path / "a", [chunk(0, [2], columns=columns)], columns=columns)
    assert store.layers == (2, "final") and store.column("final") == "layer_final"
    assert store.column(-1) == "layer_02"
    store = make(tmp_path / "b", [chunk(0, [2], columns={"layer_mix": 12})], columns={"layer_mix": 12})
    assert store.layer("mix").shape == (2, 12)


def test_more_than_a_hundred_layers(tmp_path: Path) -> None:
    columns = {"layer_09": 2, "layer_100": 2}
    store = make(
        tmp_path / "a", [chunk(0, [2], columns=columns)], {**RUN, "num_hidden_layers": 100}, columns=columns
    )
    assert store.layers == (9, 100) and store.column(-1) == "layer_100"


@pytest.mark.parametrize("text_id", [0, 1, 6, 9, 10, 39])
def test_one_text(store: Store, text_id: int) -> None:
    text = store.text(text_id)
    count = length(text_id)
    assert text.text_id == text_id and len(text) == count and text.layers == (0, 1, 2)
    assert text.hidden_states.shape == (3, count, 4)
    unit_id = np.arange(count)
    for layer in range(3):
        expected = vectors(np.full(count, text_id), unit_id, layer)
        assert np.array_equal(text.hidden_states[layer], expected)
    assert [unit.word_id for unit in text.units] == list(range(count))
    assert [(unit.start, unit.end) for unit in text.units] == [(3 * i, 3 * i + 2) for i in range(count)]


@pytest.mark.parametrize("text_id", [-1, 40])
def test_no_such_text(store: Store, text_id: int) -> None:
    with pytest.raises(UsageError, match="it holds texts 0 to 39"):
        store.text(text_id)


def test_units_of_pairs_tokens_and_texts(tmp_path: Path) -> None:
    pair = chunk(0, [3], sequence_id=np.array([0, 0, 1], np.int8), ids=["x"])
    text = make(tmp_path / "p", [pair], pairs=True, ids=True).text(0)
    assert text.id == "x"
    assert [(unit.word_id, unit.sequence_id) for unit in text.units] == [(0, 0), (1, 0), (0, 1)]
    token = chunk(0, [3], word_id=np.array([0, 0, -1], np.int32))
    text = make(tmp_path / "t", [token], {**RUN, "unit": "token"}).text(0)
    assert [unit.word_id for unit in text.units] == [0, 0, None]
    text = make(tmp_path / "x", [chunk(0, [1])], {**RUN, "unit": "text"}).text(0)
    assert text.units == (Unit("w0", 0, 2),)


def test_open_says_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(NotAStoreError, match="there is no store"):
        open_store(tmp_path / "nothing")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a").touch()
    (tmp_path / "file").touch()
    for name in ("folder", "file"):
        with pytest.raises(NotAStoreError, match="is not a layerwise store"):
            open_store(tmp_path / name)
    (tmp_path / "begun" / "_ledger").mkdir(parents=True)
    with pytest.raises(NotAStoreError, match="run its command again"):
        open_store(tmp_path / "begun")


def test_opening_loads_no_torch() -> None:
    code = (
        "import sys, layerwise.store.reader, layerwise.store.writer, layerwise.store.export, layerwise.study.summary;"
        "assert not {'torch', 'transformers', 'h5py', 'zarr'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_open_store_does_not_see_what_comes_later(tmp_path: Path) -> None:
    from tests.store.making import writer

    with writer(tmp_path / "o") as out:
        out.append(chunk(0, [2]))
        out.commit()
        early = open_store(tmp_path / "o")
        for part in (chunk(1, [2]), chunk(2, [0])):
            out.append(part)
            out.commit()
        assert (early.num_texts, len(early)) == (1, 2)
        assert open_store(tmp_path / "o").num_texts == 3


MEMORY = """
import resource, sys
from layerwise.store.reader import open_store
store = open_store(sys.argv[1])
next(store.layer(0).batches())
list(store.layer(0).batches(64))[:0]
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
rows = sum(len(batch) for batch in store.layer(1).batches())
assert rows == len(store)
for batch in store.batches():
    pass
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


def test_memory_of_batches_is_bounded(tmp_path: Path) -> None:
    """Reading 460 MB of vectors in batches takes far less than the whole."""
    columns = {f"layer_{i:02d}": 384 for i in range(5)}
    parts = [chunk(start * 4, [1_500] * 4, columns=columns) for start in range(10)]
    make(tmp_path / "o", parts, columns=columns)
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, str(tmp_path / "o")], check=True, capture_output=True, text=True
    )
    assert float(done.stdout) < 250, f"{done.stdout} MB more"


def test_columns_of_units(store: Store) -> None:
    assert store.unit_columns == ("text_id", "unit_id", "unit", "start", "end")
    assert store.units().num_rows == len(store)
    assert store.to_table(["layer_01", "unit"]).column_names == ["layer_01", "unit"]
    assert store.columns == tuple(COLUMNS) and "layers 0, 1, 2" in repr(store)
    assert (
        store.take([3, 1], ["unit_id"])["unit_id"].to_pylist()
        == store.units()["unit_id"].take([3, 1]).to_pylist()
    )


def test_what_is_not_there_is_no_damage(store: Store) -> None:
    for read in (
        lambda: store.to_table(["nope"]),
        lambda: store.take([0], ["nope"]),
        lambda: next(store.batches(["nope"])),
    ):
        with pytest.raises(UsageError, match="there is no column 'nope' in .*: it has text_id, unit_id"):
            read()
    for row in (-1, len(store), 10**9):
        with pytest.raises(
            UsageError, match=f"there is no row {row} in .*: it holds rows 0 to {len(store) - 1}"
        ):
            store.take([0, row])
    assert store.to_table("unit").column_names == ["unit"]
