"""A disk that is really full (a small tmpfs, where one may be mounted)."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from layerwise.errors import StoreFullError
from layerwise.store.export import export
from layerwise.store.reader import open_store
from layerwise.store.verify import check
from layerwise.study.summary import summarise
from tests.store.making import chunk, chunks, length, make, writer

COLUMNS = {"layer_00": 256, "layer_01": 256}


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("mounting a file system is not allowed here; test_writer has the same with a stand-in")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(path: Path) -> None:
    with writer(path, columns=COLUMNS, resume=True, commit_bytes=1) as out:
        for part in chunks(10_000, each=50, first=out.committed_texts, columns=COLUMNS):
            out.append(part)


def test_the_store_stays_valid_and_goes_on(disk: Path, tmp_path: Path) -> None:
    path = disk / "out.lance"
    ballast = disk / "ballast"
    ballast.write_bytes(bytes(1 << 20))
    with pytest.raises(StoreFullError, match="stays valid; make room and run the same command again"):
        fill(path)
    store = open_store(path)
    first = store.num_texts
    assert first > 0 and check(store).rows == sum(length(text) for text in range(first))
    assert summarise(store).texts == first
    with pytest.raises(StoreFullError):  # still full
        fill(path)
    assert open_store(path).num_texts >= first
    ballast.unlink()
    with pytest.raises(StoreFullError):
        fill(path)
    store = open_store(path)
    assert store.num_texts > first
    check(store)
    whole = make(tmp_path / "whole", chunks(store.num_texts, columns=COLUMNS), columns=COLUMNS)
    assert np.array_equal(store.layer(1), whole.layer(1))


@pytest.mark.parametrize("ending", [".npy", ".safetensors", ".h5", ".zarr", ".parquet", ".csv", ".jsonl"])
def test_an_export_leaves_nothing_behind(disk: Path, tmp_path: Path, ending: str) -> None:
    columns = {"layer_00": 512}
    part = chunk(0, [300] * 10, columns=columns)
    part.vectors["layer_00"][:] = np.random.default_rng(0).normal(size=(3_000, 512))  # does not compress
    store = make(tmp_path / "s", [part], columns=columns)
    with pytest.raises(StoreFullError, match="is full: nothing was left behind"):
        export(store, disk / f"out{ending}")
    assert list(disk.iterdir()) == []


def test_no_room_for_the_first_byte(disk: Path) -> None:
    (disk / "ballast").write_bytes(bytes((4 << 20) - 8_192))
    with pytest.raises(StoreFullError), writer(disk / "o", columns=COLUMNS) as out:
        out.append(chunk(0, [300], columns=COLUMNS))
        out.commit()
    (disk / "ballast").unlink()
    with writer(disk / "o", columns=COLUMNS, resume=True) as out:
        out.append(chunk(0, [3], columns=COLUMNS))
        out.finish()
    check(open_store(disk / "o"))
