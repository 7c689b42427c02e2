"""What is written is what is read; runs resume; what is not ours is not touched."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import lance
import numpy as np
import pyarrow as pa
import pytest

from layerwise.errors import (
    NotAStoreError,
    NumericError,
    SourceError,
    StoreError,
    StoreFullError,
    StoreMismatchError,
)
from layerwise.store import writer as writer_module
from layerwise.store.reader import open_store
from layerwise.store.schema import METADATA_KEY, schema_metadata
from layerwise.store.verify import check
from tests.store.making import COLUMNS, RUN, chunk, chunks, make, vectors, writer


def test_round_trip(tmp_path: Path) -> None:
    parts = chunks(40)
    store = make(tmp_path / "out.lance", parts)
    assert store.layers == (0, 1, 2) and store.unit == "word"
    assert store.num_texts == 40 and len(store) == sum(len(part.text_id) for part in parts)
    text_id, unit_id = (np.concatenate([getattr(p, n) for p in parts]) for n in ("text_id", "unit_id"))
    units = store.units()
    assert np.array_equal(units["text_id"], text_id) and np.array_equal(units["unit_id"], unit_id)
    assert units["unit"].to_pylist() == [surface for part in parts for surface in part.unit]
    for layer in range(3):
        assert np.array_equal(store.layer(layer), vectors(text_id, unit_id, layer))
    ledger = store.ledger()
    assert ledger.num_units.tolist() == [n for part in parts for n in part.ledger.num_units]
    assert ledger.num_windows.dtype == np.int32 and len(ledger) == 40
    assert check(store).rows == len(store)


def test_metadata_bytes(tmp_path: Path) -> None:
    store = make(tmp_path / "out.lance", chunks(12))
    assert store.dataset.schema.metadata[METADATA_KEY] == (
        b'{"complete":true,"counts":{"rows":34,"texts":12,"tokens":58},"device":"cpu","dtype":"float32",'
        b'"engine":"packed","format_version":1,"hidden_size":4,"keep":[],"layers":[0,1,2],'
        b'"long_text":"window","max_length":512,"mix":"none","model":"tiny","num_hidden_layers":2,'
        b'"pooling":"mean","revision":null,"source":{"files":["a.txt"],"sha256":"' + b"ef" * 32 + b'"},'
        b'"store_dtype":"float32","stride":64,"tokenizer_sha256":"' + b"cd" * 32 + b'","unit":"word",'
        b'"versions":{"layerwise":"0.1.0"},"weights_sha256":"' + b"ab" * 32 + b'","words":"tokenizer"}'
    )


def test_columns_of_the_schema(tmp_path: Path) -> None:
    run = {**RUN, "unit": "token", "store_dtype": "float16"}
    part = chunk(0, [2, 1], word_id=np.array([0, -1, 0], np.int32), ids=["a", None])
    store = make(tmp_path / "out.lance", [part], run, ids=True, pairs=True)
    vector = "fixed_size_list<item: halffloat>[4]"
    assert [(field.name, str(field.type), field.nullable) for field in store.dataset.schema] == [
        ("text_id", "int64", False),
        ("unit_id", "int32", False),
        ("sequence_id", "int8", False),
        ("word_id", "int32", True),
        ("id", "string", True),
        ("unit", "string", False),
        ("start", "int32", False),
        ("end", "int32", False),
        ("layer_00", vector, True),
        ("layer_01", vector, True),
        ("layer_02", vector, True),
    ]
    table = store.units()
    assert table["word_id"].to_pylist() == [0, None, 0] and table["id"].to_pylist() == ["a", "a", None]
    assert table["sequence_id"].to_pylist() == [0, 0, 0]
    check(store)


def test_rows_without_a_vector_are_null(tmp_path: Path) -> None:
    part = chunk(0, [3, 2], not_embedded=[1, 4])
    part.vectors["layer_00"][[1, 4]] = np.nan  # what is there does not matter
    store = make(tmp_path / "out.lance", [part])
    layer = store.dataset.to_table(columns=["layer_00"])["layer_00"]
    assert layer.is_null().to_pylist() == [False, True, False, False, True]
    array = store.layer(0).numpy()
    assert np.isnan(array).all(axis=1).tolist() == [False, True, False, False, True]
    assert np.array_equal(array[[0, 2, 3]], part.vectors["layer_00"][[0, 2, 3]])
    assert [unit.embedded for unit in store.text(0).units] == [True, False, True]
    assert store.num_not_embedded == 2
    check(store)


def test_float16_is_rounded_once(tmp_path: Path) -> None:
    run = {**RUN, "store_dtype": "float16"}
    part = chunk(0, [5])
    store = make(tmp_path / "out.lance", [part], run)
    assert store.layer(1).dtype == np.float16
    assert np.array_equal(store.layer(1), part.vectors["layer_01"].astype(np.float16))
    same = make(tmp_path / "same.lance", [chunk(0, [5], dtype="float16")], run)
    assert np.array_equal(same.layer(1), store.layer(1))


@pytest.mark.parametrize("value", [70_000.0, -65_520.0])
def test_float16_overflow_names_layer_and_way_out(tmp_path: Path, value: float) -> None:
    part = chunk(0, [2, 2])
    part.vectors["layer_01"][3, 2] = value
    with writer(tmp_path / "o", {**RUN, "store_dtype": "float16"}) as out:
        out.append(chunk(0, []))
        with pytest.raises(NumericError, match=r"layer 1 of text 1, .*beyond.*--store-dtype float32"):
            out.append(part)
        out.finish()
    assert open_store(tmp_path / "o").num_rows == 0
    assert make(tmp_path / "wide", [part]).layer(1)[3, 2] == np.float32(value)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("store_dtype", ["float32", "float16"])
def test_nan_never_enters(tmp_path: Path, value: float, store_dtype: str) -> None:
    part = chunk(0, [2, 2])
    part.vectors["layer_02"][1, 0] = value
    with (
        writer(tmp_path / "o", {**RUN, "store_dtype": store_dtype}) as out,
        pytest.raises(NumericError, match="layer 2 of text 0, 'w1', is NaN or infinite"),
    ):
        out.append(part)


def test_vectors_are_not_copied() -> None:
    from layerwise.store.rows import to_table
    from layerwise.store.schema import build_schema

    part = chunk(0, [4])
    table = to_table(part, build_schema(COLUMNS, "float32", "word", False, False, {}, {}), "word")
    stored = table["layer_00"].chunk(0).values.to_numpy()
    assert np.shares_memory(stored, part.vectors["layer_00"])


def test_texts_without_rows_count_as_done(tmp_path: Path) -> None:
    path = tmp_path / "out.lance"
    with writer(path) as out:
        out.append(chunk(0, [0, 0, 0]))
        out.commit()
        assert out.committed_texts == 3
    with writer(path, resume=True) as out:  # the first was not finished
        assert out.committed_texts == 3
        out.append(chunk(3, [2]))
        out.commit()
        out.append(chunk(4, [0, 0]))
        out.finish()
    store = open_store(path)
    assert store.num_texts == 6 and len(store) == 2
    assert store.metadata["counts"] == {"texts": 6, "rows": 2, "tokens": 14}
    assert [len(store.text(i)) for i in range(6)] == [0, 0, 0, 2, 0, 0]
    assert store.text(5).hidden_states.shape == (3, 0, 4)
    check(store)


def test_only_empty_texts_and_none_at_all(tmp_path: Path) -> None:
    store = make(tmp_path / "empty", [chunk(0, [0, 0])])
    assert (store.num_texts, len(store), store.layer(0).shape) == (2, 0, (0, 4))
    assert store.layer(0).numpy().shape == (0, 4)
    check(store)
    assert make(tmp_path / "none", []).num_texts == 0


def test_commits_fall_on_chunks(tmp_path: Path) -> None:
    parts = chunks(50)
    size = 300
    with writer(tmp_path / "o", commit_bytes=size) as out:
        seen = []
        for part in parts:
            out.append(part)
            seen.append(out.committed_texts)
        assert out.bytes_written > 0
        assert set(seen) <= {0, 10, 20, 30, 40, 50} and len(set(seen)) > 2
        assert out.finish().texts == 50


def test_what_is_not_committed_is_dropped_and_resumed(tmp_path: Path) -> None:
    path = tmp_path / "out.lance"
    with writer(path) as out:
        out.append(chunks(50)[0])
        out.commit()
        out.append(chunks(50)[1])
    with writer(path, resume=True) as out:
        assert out.committed_texts == 10
        for part in chunks(50, first=10):
            out.append(part)
        out.finish()
    whole = make(tmp_path / "whole.lance", chunks(50))
    assert open_store(path).to_table().equals(whole.to_table())
    assert open_store(path).metadata == whole.metadata


def test_a_finished_store_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "out.lance"
    version = make(path, chunks(20)).dataset.version
    with writer(path, {**RUN, "versions": {"layerwise": "9"}}, resume=True) as out:
        assert out.committed_texts == 20
        assert out.finish().texts == 20
    assert lance.dataset(path).version == version


def test_a_finished_store_that_grows_is_unfinished_meanwhile(tmp_path: Path) -> None:
    path = tmp_path / "out.lance"
    make(path, chunks(20))
    with writer(path, {**RUN, "device": "cuda"}, resume=True) as out:
        out.append(chunk(20, [1, 2]))
        out.commit()
        store = open_store(path)
        assert store.metadata["complete"] is False and "counts" not in store.metadata
        check(store)
        out.finish()
    metadata = open_store(path).metadata
    assert metadata["complete"] is True and metadata["counts"]["texts"] == 22
    assert metadata["device"] == "cpu" and metadata["resumed_with"] == [{"device": "cuda"}]


def test_another_run_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "out.lance"
    make(path, chunks(10))
    other = {**RUN, "pooling": "first", "source": {"files": ["b.txt"]}, "versions": {}, "device": "cuda"}
    with pytest.raises(StoreMismatchError) as refused:
        writer(path, other, resume=True)
    said = str(refused.value)
    assert (
        'pooling is "mean" there and "first" now' in said
        and 'source.files is ["a.txt"] there and ["b.txt"] now' in said
    )
    assert "versions" not in said and "device" not in said
    with pytest.raises(StoreMismatchError, match="its columns are"):
        writer(path, resume=True, columns={**COLUMNS, "layer_02": 5})
    writer(path, resume=True).close()  # a refused run holds no lock


FIELDS = (
    *("model", "weights_sha256", "tokenizer_sha256", "layers", "unit", "words", "pooling", "mix"),
    *("dtype", "store_dtype", "max_length", "stride", "long_text", "source", "keep"),
)


@pytest.mark.parametrize("field", FIELDS)
def test_every_field_that_matters_must_agree(tmp_path: Path, field: str) -> None:
    make(tmp_path / "o", chunks(1))
    with pytest.raises(StoreMismatchError, match=f"{field} is "):
        writer(tmp_path / "o", {**RUN, field: ["other"]}, resume=True, unit="word", store_dtype="float32")


def test_existing_store_needs_a_word(tmp_path: Path) -> None:
    path = tmp_path / "out.lance"
    make(path, chunks(10))
    with pytest.raises(StoreError, match=r"--resume, --overwrite"):
        writer(path)
    with writer(path, {**RUN, "pooling": "max"}, overwrite=True) as out:
        assert out.committed_texts == 0
        out.append(chunk(0, [1]))
        out.finish()
    store = open_store(path)
    assert len(store) == 1 and store.metadata["pooling"] == "max"
    check(store)


@pytest.mark.parametrize("overwrite", [True, False])
@pytest.mark.parametrize("what", ["file", "folder", "lance", "link"])
def test_what_is_not_a_store_is_never_touched(tmp_path: Path, what: str, overwrite: bool) -> None:
    path = tmp_path / "out"
    if what == "file":
        path.write_text("mine")
    elif what == "folder":
        path.mkdir()
        (path / "mine.txt").write_text("mine")
    elif what == "lance":
        lance.write_dataset(pa.table({"a": [1]}), path)
    else:
        path.symlink_to(tmp_path / "nowhere")
    before = sorted(str(file) for file in tmp_path.rglob("*"))
    with pytest.raises(NotAStoreError, match="is not a layerwise store"):
        writer(path, overwrite=overwrite, resume=not overwrite)
    assert sorted(str(file) for file in tmp_path.rglob("*")) == before


def test_overwrite_keeps_foreign_files(tmp_path: Path) -> None:
    path = tmp_path / "out.lance"
    make(path, chunks(10))
    (path / "README.txt").write_text("mine")
    make(path, chunks(5), overwrite=True)
    assert (path / "README.txt").read_text() == "mine" and open_store(path).num_texts == 5


def test_two_writers_are_refused(tmp_path: Path) -> None:
    with writer(tmp_path / "o") as first:
        first.append(chunk(0, [1]))
        with pytest.raises(StoreError, match="is being written by another"):
            writer(tmp_path / "o", resume=True)
        with pytest.raises(StoreError, match="is being written by another"):
            writer(tmp_path / "o", overwrite=True)
        first.finish()
    writer(tmp_path / "o", resume=True).close()


def test_leftovers_of_a_killed_run_are_ignored_and_removed(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "out.lance"
    make(path, chunks(20))
    data, ledger = sorted((path / "data").iterdir()), sorted((path / "_ledger").glob("*.parquet"))
    with writer(path, resume=True) as out, monkeypatch.context() as patch:
        patch.setattr(lance.LanceDataset, "commit", lambda *_, **__: (_ for _ in ()).throw(SystemExit))
        patch.setattr(writer_module, "remove_leftovers", lambda *_: None)  # a kill cleans nothing
        out.append(chunk(20, [3]))
        with pytest.raises(SystemExit):
            out.commit()
    assert len(list((path / "data").iterdir())) == len(data) + 1
    assert len(list((path / "_ledger").glob("*.parquet"))) == len(ledger) + 1
    assert open_store(path).num_texts == 20
    with writer(path, resume=True) as out:
        assert out.committed_texts == 20
    assert sorted((path / "data").iterdir()) == data
    assert sorted((path / "_ledger").glob("*.parquet")) == ledger


def test_a_commit_that_failed_is_not_tried_twice(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "out.lance"
    with writer(path) as out:
        out.append(chunk(0, [3]))
        with monkeypatch.context() as patch:
            # The manifest is written, then the folder cannot be synced.
            patch.setattr(out._manifests, "sync", lambda: (_ for _ in ()).throw(OSError(5, "I/O error")))
            with pytest.raises(StoreError, match="cannot be written"):
                out.commit()
        with pytest.raises(StoreError, match="an earlier commit"):
            out.commit()
    with writer(path, resume=True) as out:
        assert out.committed_texts == 1
    check(open_store(path))


@pytest.mark.parametrize(
    "said", [OSError(28, "x"), OSError("LanceError(IO): No space left on device (os error 28)")]
)
def test_a_full_disk_keeps_what_is_committed(tmp_path: Path, monkeypatch, said: OSError) -> None:
    path = tmp_path / "out.lance"
    with writer(path) as out:
        out.append(chunk(0, [3]))
        out.commit()

        def full(*_: object, **__: object) -> None:
            (path / "data" / "half.lance").write_bytes(b"half")
            raise said

        monkeypatch.setattr(writer_module, "write_fragments", full)
        out.append(chunk(1, [3]))
        with pytest.raises(StoreFullError, match="stays valid; make room"):
            out.commit()
    assert not (path / "data" / "half.lance").exists()
    assert check(open_store(path)).texts == 1


def test_every_new_manifest_is_synced(tmp_path: Path, monkeypatch) -> None:
    """Lance counts manifests downwards: the newest name sorts first."""
    from layerwise.store import folder

    synced: list[Path] = []
    monkeypatch.setattr(folder, "sync", lambda path: synced.append(path))
    path = tmp_path / "out.lance"
    make(path, chunks(30))
    manifests = set((path / "_versions").glob("*.manifest"))
    assert len(manifests) >= 4 and manifests <= set(synced)
    assert synced.index(path / "_versions") > synced.index(max(manifests))


def test_manifests_do_not_pile_up(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(writer_module, "CLEAN_EVERY", 5)
    monkeypatch.setattr(writer_module, "CLEAN_AGE", timedelta(0))
    parts = chunks(60, each=3)
    for those in (parts[: len(parts) // 2], parts[len(parts) // 2 :]):
        with writer(tmp_path / "o", resume=True, commit_bytes=1) as out:
            for part in those:
                out.append(part)
            out.finish()
    assert len(list((tmp_path / "o" / "_versions").glob("*.manifest"))) < 10
    store = open_store(tmp_path / "o")
    assert check(store).commits == len(parts) > 10
    assert store.to_table().equals(make(tmp_path / "whole", parts).to_table())


def test_a_store_is_overwritten_by_texts_only(tmp_path: Path) -> None:
    before = make(tmp_path / "o", chunks(5)).to_table()
    with writer(tmp_path / "o", overwrite=True):
        pass  # the source could not be read, for one
    assert open_store(tmp_path / "o").to_table().equals(before)
    with writer(tmp_path / "o", {**RUN, "model": "other"}, overwrite=True) as out:
        out.append(chunks(3)[0])
        out.finish()
    assert open_store(tmp_path / "o").metadata["model"] == "other"


def test_a_limit_is_recorded_until_there_is_none(tmp_path: Path) -> None:
    first, second = chunks(40, each=20)
    for part, limit in ((first, 20), (second, None)):
        with writer(tmp_path / "o", resume=True) as out:
            out.append(part)
            out.finish(limit)
        assert open_store(tmp_path / "o").metadata.get("limit") == limit


def test_a_first_chunk_that_is_refused_costs_nothing(tmp_path: Path) -> None:
    before = make(tmp_path / "o", chunks(5)).to_table()
    broken = chunk(0, [1])
    broken.vectors["layer_01"][0] = np.nan
    for path in (tmp_path / "o", tmp_path / "new"):
        with writer(path, overwrite=True) as out, pytest.raises(NumericError):
            out.append(broken)
    assert open_store(tmp_path / "o").to_table().equals(before)
    assert not (tmp_path / "new").exists()


def test_a_store_without_texts_blocks_nobody(tmp_path: Path) -> None:
    with writer(tmp_path / "o") as out:
        out.append(chunks(5)[0])
        out.close()
    other = {**RUN, "model": "other"}
    with writer(tmp_path / "o", other, resume=True) as out:
        out.append(chunks(5)[0])
        out.finish()
    assert open_store(tmp_path / "o").metadata["model"] == "other"


def test_later_formats_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "out.lance"
    store = make(path, chunks(3))
    store.dataset.update_schema_metadata(schema_metadata({**store.metadata, "format_version": 2}))
    with pytest.raises(StoreError, match="format version 2"):
        open_store(path)
    with pytest.raises(StoreError, match="format version 2"):
        writer(path, resume=True)
    make(path, chunks(3), overwrite=True)


def test_a_kept_value_of_another_type_is_refused(tmp_path: Path) -> None:
    with writer(tmp_path / "o") as out:
        out.append(chunk(0, [1, 1], kept={"n": [1, 2]}))
        with pytest.raises(SourceError, match="the column 'n' holds int64"):
            out.append(chunk(2, [1], kept={"n": [2.5]}))
        assert out.finish().texts == 2
