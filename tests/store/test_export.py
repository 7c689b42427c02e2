"""Each format, read back with its own library."""

from __future__ import annotations

import csv
import dataclasses
import json
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zarr
from safetensors import safe_open
from safetensors.numpy import load_file

from layerwise.errors import LayerSelectionError, StoreCorruptError, StoreError, StoreFullError, UsageError
from layerwise.store.export import FORMATS, export
from layerwise.store.reader import Store
from tests.store.making import RUN, chunk, chunks, make

ENDINGS = list(FORMATS)
WORDS = ['say "hi", you', "我", "a\nb", "🙂", "", " ", "é", "x"]


@pytest.fixture(scope="module", params=["float32", "float16"])
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Store:
    first = chunk(
        0,
        [3, 0, 2],
        not_embedded=[1],
        ids=["a", "b", None],
        kept={"tag": [["N", None, "V"], [], ["P", "D"]], "n": [1, 2, None], "x": [0.5, None, 2.0]},
    )
    first.unit[:] = WORDS[:5]
    second = chunk(3, [3], ids=["d"], kept={"tag": [["N", "N", "N"]], "n": [4], "x": [1.5]})
    second.unit[:] = WORDS[5:]
    run = {**RUN, "store_dtype": request.param, "keep": ["tag", "n", "x"]}
    return make(tmp_path_factory.mktemp("store") / "out.lance", [first, second], run, ids=True)


def arrays(store: Store) -> dict[str, np.ndarray]:
    return {
        column: store.layer(layer).numpy() for layer, column in zip(store.layers, store.columns, strict=True)
    }


def test_npy(store: Store, tmp_path: Path) -> None:
    files = export(store, tmp_path / "out.npy")
    assert [file.name for file in files] == [
        "out_layer_00.npy",
        "out_layer_01.npy",
        "out_layer_02.npy",
        "out_units.csv",
    ]
    for file, array in zip(files, arrays(store).values(), strict=False):
        read = np.load(file)
        assert read.dtype == array.dtype and np.array_equal(read, array, equal_nan=True)
        assert np.load(file, mmap_mode="r").shape == array.shape
    rows = list(csv.DictReader(files[-1].open(encoding="utf-8", newline="")))
    assert [row["unit"] for row in rows] == WORDS
    assert [row["tag"] for row in rows] == ["N", "", "V", "P", "D", "N", "N", "N"]


def test_safetensors(store: Store, tmp_path: Path) -> None:
    path, units = export(store, tmp_path / "out.safetensors", layers="0,-1")
    assert units.name == "out.safetensors_units.csv"
    tensors = load_file(path)
    wanted = arrays(store)
    assert tensors.keys() == {"layer_00", "layer_02", "text_id", "unit_id", "start", "end"}
    for name in ("layer_00", "layer_02"):
        assert tensors[name].dtype == wanted[name].dtype
        assert np.array_equal(tensors[name], wanted[name], equal_nan=True)
    assert tensors["text_id"].tolist() == store.units()["text_id"].to_pylist()
    with safe_open(path, "np") as file:
        assert json.loads(file.metadata()["layerwise"]) == store.metadata
    assert len(list(csv.reader(units.open(encoding="utf-8", newline="")))) == len(store) + 1


def columns_of(file) -> dict[str, list]:
    texts = {name: file[name][:] for name in ("unit", "id", "tag", "n")}
    return {name: [v.decode() if isinstance(v, bytes) else v for v in found] for name, found in texts.items()}


def assert_arrays(store: Store, file) -> None:
    for name, array in arrays(store).items():
        assert file[name].dtype == array.dtype and np.array_equal(file[name][:], array, equal_nan=True)
    assert columns_of(file) == {
        "unit": WORDS,
        "id": ["a"] * 3 + [""] * 2 + ["d"] * 3,
        "tag": ["N", "", "V", "P", "D", "N", "N", "N"],
        "n": ["1", "1", "1", "null", "null", "4", "4", "4"],
    }
    assert np.array_equal(file["x"][:], [0.5, 0.5, 0.5, 2, 2, 1.5, 1.5, 1.5])
    assert file["end"][:].tolist() == store.units()["end"].to_pylist()


def test_hdf5(store: Store, tmp_path: Path) -> None:
    with h5py.File(*export(store, tmp_path / "out.h5")) as file:
        assert_arrays(store, file)
        assert json.loads(file.attrs["layerwise"]) == store.metadata


def test_zarr(store: Store, tmp_path: Path) -> None:
    group = zarr.open_group(*export(store, tmp_path / "out.zarr"), mode="r")
    assert_arrays(store, group)
    assert group.attrs["layerwise"] == store.metadata


def test_parquet(store: Store, tmp_path: Path) -> None:
    (path,) = export(store, tmp_path / "out.parquet", "1,0")
    table = pq.read_table(path)
    assert table.column_names == [name for name in store.dataset.schema.names if name != "layer_02"]
    own = store.to_table(table.column_names)
    for name in table.column_names:
        assert table[name].to_pylist() == own[name].to_pylist(), name
    kind = table.schema.field("layer_00").type
    assert pa.types.is_list(kind) and kind.value_type == own.schema.field("layer_00").type.value_type
    assert table.schema.metadata[b"layerwise"] == store.dataset.schema.metadata[b"layerwise"]


def test_csv(store: Store, tmp_path: Path) -> None:
    (path,) = export(store, tmp_path / "out.csv")
    rows = list(csv.DictReader(path.open(encoding="utf-8", newline="")))
    assert list(rows[0])[:6] == ["text_id", "unit_id", "id", "unit", "start", "end"]
    assert list(rows[0])[6:9] == ["tag", "n", "x"]
    assert list(rows[0])[9:] == [f"layer_0{k}_{i}" for k in range(3) for i in range(4)]
    assert [row["unit"] for row in rows] == WORDS
    for name, array in arrays(store).items():
        for i in range(4):
            read = [float(row[f"{name}_{i}"] or "nan") for row in rows]
            assert np.array_equal(np.array(read, np.float32), array[:, i].astype(np.float32), equal_nan=True)


def test_jsonl_is_the_format_of_bert(store: Store, tmp_path: Path) -> None:
    (path,) = export(store, tmp_path / "out.jsonl", [0, 2])
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    assert [line["linex_index"] for line in lines] == [0, 1, 2, 3]
    assert [[f["token"] for f in line["features"]] for line in lines] == [
        WORDS[:3],
        [],
        WORDS[3:5],
        WORDS[5:],
    ]
    wanted = arrays(store)
    features = [feature for line in lines for feature in line["features"]]
    for row, feature in enumerate(features):
        assert [layer["index"] for layer in feature["layers"]] == [0, 2]
        for layer in feature["layers"]:
            exact = wanted[f"layer_0{layer['index']}"][row].astype(float)
            assert layer["values"] == (None if row == 1 else np.round(exact, 6).tolist())


@pytest.mark.parametrize("ending", ENDINGS)
def test_every_format_of_an_empty_store(tmp_path: Path, ending: str) -> None:
    store = make(tmp_path / "out.lance", [chunk(0, [0, 0])])
    files = export(store, tmp_path / f"out{ending}")
    assert all(file.exists() for file in files)
    if ending == ".npy":
        assert np.load(files[0]).shape == (0, 4)
    if ending == ".parquet":
        assert pq.read_table(files[0]).schema.names == store.dataset.schema.names


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_target_that_exists_stays_unless_overwritten(tmp_path: Path, ending: str) -> None:
    store = make(tmp_path / "s", chunks(10))
    files = export(store, tmp_path / f"out{ending}")
    before = [file.stat().st_mtime_ns for file in files]
    with pytest.raises(StoreError, match="exists: choose another name or pass --overwrite"):
        export(store, tmp_path / f"out{ending}")
    assert [file.stat().st_mtime_ns for file in files] == before
    assert export(store, tmp_path / f"out{ending}", overwrite=True) == files
    assert sorted(tmp_path.iterdir()) == sorted([tmp_path / "s", *files]), "nothing else is left"


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_folder_that_no_export_wrote_is_never_removed(tmp_path: Path, ending: str) -> None:
    store = make(tmp_path / "s", chunks(3))
    target = tmp_path / f"out{'_layer_00' if ending == '.npy' else ''}{ending}"
    target.mkdir()
    (target / "mine").touch()
    with pytest.raises(StoreError, match="folder that no export wrote"):
        export(store, tmp_path / f"out{ending}", overwrite=True)
    assert (target / "mine").exists()


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()], ids=str)
def test_a_failed_export_leaves_nothing(
    tmp_path: Path, monkeypatch, ending: str, error: BaseException
) -> None:
    store = make(tmp_path / "s", chunks(10))
    real, calls = Store.batches, []

    def failing(self: Store, columns=None, size=None, rows=None):
        calls.append(1)
        if len(calls) == 2 or ending in (".parquet", ".csv", ".jsonl"):
            yield next(real(self, columns, 1, rows))
            raise error
        yield from real(self, columns, size, rows)

    with monkeypatch.context() as patch:
        patch.setattr(Store, "batches", failing)
        with pytest.raises(StoreFullError if isinstance(error, OSError) else KeyboardInterrupt):
            export(store, tmp_path / f"out{ending}")
    assert [file.name for file in tmp_path.iterdir()] == ["s"]


def test_a_damaged_store_is_not_exported(tmp_path: Path) -> None:
    store = make(tmp_path / "s", chunks(10))
    for file in (store.path / "data").iterdir():
        file.write_bytes(b"\xff" * file.stat().st_size)
    with pytest.raises(StoreCorruptError):
        export(store, tmp_path / "out.npy")
    assert [file.name for file in tmp_path.iterdir()] == ["s"]


def test_wrong_targets(tmp_path: Path) -> None:
    store = make(tmp_path / "s", chunks(3))
    with pytest.raises(UsageError, match=r"must end in one of \.npy, \.safetensors, \.h5, \.zarr"):
        export(store, tmp_path / "out.xlsx")
    with pytest.raises(StoreError, match=r"the folder .* does not exist"):
        export(store, tmp_path / "no" / "out.npy")
    for layers in ("7", "0,0", "", [5]):
        with pytest.raises(LayerSelectionError):
            export(store, tmp_path / "out.npy", layers)
    assert store.select(None) == {0: "layer_00", 1: "layer_01", 2: "layer_02"}
    assert store.select("::-2") == {2: "layer_02", 0: "layer_00"}
    assert store.select(1) == {1: "layer_01"}


def test_a_missing_extra_names_its_install(tmp_path: Path, monkeypatch) -> None:
    import sys

    from layerwise.errors import MissingExtraError

    store = make(tmp_path / "s", chunks(3))
    for module, ending in (("h5py", ".h5"), ("zarr", ".zarr")):
        monkeypatch.setitem(sys.modules, module, None)
        with pytest.raises(MissingExtraError, match=f'pip install "{module}'):
            export(store, tmp_path / f"out{ending}")


def test_nul_and_bytes(tmp_path: Path) -> None:
    part = dataclasses.replace(chunk(0, [1]), unit=["a\0b"], kept={"raw": [b"\x00\xff"]})
    store = make(tmp_path / "s", [part])
    with pytest.raises(StoreError, match=r"NUL character .* HDF5 .* another format"):
        export(store, tmp_path / "out.h5")
    assert not (tmp_path / "out.h5").exists()
    export(store, tmp_path / "out.csv")
    assert pd.read_csv(tmp_path / "out.csv")["unit"].tolist() == ["a\0b"]
