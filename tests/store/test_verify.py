"""A flipped bit anywhere in the data is found, and said in words."""

from __future__ import annotations

import errno
import random
import shutil
from pathlib import Path

import numpy as np
import pytest

from layerwise.errors import StoreCorruptError, StoreError
from layerwise.store.faults import reading
from layerwise.store.reader import Store, open_store
from layerwise.store.schema import encode_document
from layerwise.store.verify import check
from tests.store.making import COLUMNS, RUN, chunk, chunks, make


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Store:
    run = {**RUN, "keep": ["label"]}
    parts = [
        chunk(0, [4] * 10, kept={"label": ["a"] * 10}),
        chunk(10, [0, 0]),
        chunk(12, [3] * 10, not_embedded=[2], kept={"label": ["b"] * 10}),
    ]
    return make(tmp_path_factory.mktemp("sound") / "out.lance", parts, run)


def copy_of(store: Store, to: Path) -> Path:
    shutil.copytree(store.path, to)
    return to


def flip(file: Path, bit: int) -> None:
    data = bytearray(file.read_bytes())
    data[bit // 8] ^= 1 << (bit % 8)
    file.write_bytes(data)


def test_a_sound_store_passes(sound: Store) -> None:
    report = check(sound)
    assert (report.commits, report.texts, report.rows, report.columns) == (3, 22, 70, 9)
    assert report.bytes == sum(file.stat().st_size for file in (sound.path / "data").iterdir())


@pytest.mark.parametrize("seed", range(40))
def test_a_flipped_bit_is_found(sound: Store, tmp_path: Path, seed: int) -> None:
    path = copy_of(sound, tmp_path / "out.lance")
    chance = random.Random(seed)
    file = chance.choice(sorted((path / "data").iterdir()))
    flip(file, chance.randrange(file.stat().st_size * 8))
    with pytest.raises(StoreCorruptError, match="in the commit of texts (0 to 9|12 to 21), .*damaged"):
        check(open_store(path))


@pytest.mark.slow
def test_every_byte_matters(sound: Store, tmp_path: Path) -> None:
    path = copy_of(sound, tmp_path / "out.lance")
    file = sorted((path / "data").iterdir())[0]
    data = file.read_bytes()
    for byte in range(0, len(data), 3):
        flip(file, byte * 8 + byte % 8)
        with pytest.raises(StoreCorruptError):
            check(open_store(path))
        file.write_bytes(data)
    check(open_store(path))


def test_a_flipped_value_names_its_column_and_commit(sound: Store, tmp_path: Path) -> None:
    path = copy_of(sound, tmp_path / "out.lance")
    value = chunk(0, [4] * 10).vectors["layer_01"][7].tobytes()
    file = next(f for f in (path / "data").iterdir() if value in f.read_bytes())
    flip(file, (file.read_bytes().index(value) + 2) * 8)
    with pytest.raises(StoreCorruptError, match="texts 0 to 9, column layer_01 does not have the checksum"):
        check(open_store(path))


def test_values_are_checked_without_the_files(sound: Store, tmp_path: Path, monkeypatch) -> None:
    """The checksums of columns stand on their own, also for ids, words and kept values."""
    from layerwise.store import verify

    monkeypatch.setattr(verify, "_is_intact", lambda *_: True)
    path = copy_of(sound, tmp_path / "out.lance")
    check(open_store(path))
    value = chunk(0, [4] * 10).vectors["layer_02"][0].tobytes()
    file = next(f for f in (path / "data").iterdir() if value in f.read_bytes())
    flip(file, file.read_bytes().index(value) * 8)
    with pytest.raises(StoreCorruptError, match="layer_02 does not have the checksum"):
        check(open_store(path))


@pytest.mark.parametrize("how", ["shorter", "longer", "missing"])
def test_a_file_of_another_size(sound: Store, tmp_path: Path, how: str) -> None:
    path = copy_of(sound, tmp_path / "out.lance")
    file = sorted((path / "data").iterdir())[0]
    if how == "missing":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[:-9] if how == "shorter" else file.read_bytes() + b"more")
    with pytest.raises(StoreCorruptError, match="is missing" if how == "missing" else "bytes, and"):
        check(open_store(path))


def test_a_damaged_or_missing_ledger(sound: Store, tmp_path: Path) -> None:
    for number in range(2):
        path = copy_of(sound, tmp_path / f"{number}.lance")
        file = sorted((path / "_ledger").glob("*.parquet"))[-number]
        if number:
            file.unlink()
        else:
            flip(file, 8 * 60)
        with pytest.raises(StoreCorruptError, match="_ledger"):
            check(open_store(path))


def test_a_row_too_many(sound: Store, tmp_path: Path) -> None:
    path = copy_of(sound, tmp_path / "out.lance")
    dataset = open_store(path).dataset
    dataset.delete("text_id = 3")
    with pytest.raises(StoreCorruptError, match="texts 0 to 9, column text_id"):
        check(open_store(path))


def test_wrong_counts(sound: Store, tmp_path: Path) -> None:
    path = copy_of(sound, tmp_path / "out.lance")
    store = open_store(path)
    store.metadata["counts"]["rows"] = 1
    with pytest.raises(StoreCorruptError, match="metadata counts"):
        check(store)


def test_reading_damage_is_said_in_words(sound: Store, tmp_path: Path) -> None:
    path = copy_of(sound, tmp_path / "out.lance")
    for file in (path / "data").iterdir():
        file.write_bytes(b"\xff" * file.stat().st_size)
    store = open_store(path)
    for read in (
        lambda: store.layer(0).numpy(),
        lambda: store.text(0),
        store.units,
        lambda: store.layer(0)[3],
    ):
        with pytest.raises(StoreCorruptError, match="is damaged") as caught:
            read()
        assert ".rs:" not in str(caught.value), "a place in Lance's source tells the user nothing"


def test_a_damaged_manifest(tmp_path: Path) -> None:
    path = make(tmp_path / "o", chunks(5), columns=COLUMNS).path
    for manifest in (path / "_versions").glob("*.manifest"):
        manifest.write_bytes(np.random.default_rng(0).bytes(manifest.stat().st_size))
    with pytest.raises(StoreCorruptError, match="cannot be read"):
        open_store(path)


@pytest.mark.parametrize("seed", range(40))
def test_a_flipped_bit_of_the_metadata_is_found(sound: Store, tmp_path: Path, seed: int) -> None:
    path = copy_of(sound, tmp_path / "copy")
    document = encode_document(sound.metadata)
    for manifest in (path / "_versions").glob("*.manifest"):
        where = manifest.read_bytes().rfind(document)  # before it, in the record of how it came to be
        if where >= 0:  # not in the manifests of before the end
            flip(manifest, random.Random(seed).randrange(8 * where, 8 * (where + len(document))))
    with pytest.raises(StoreCorruptError, match="damaged"):
        open_store(path)


@pytest.mark.parametrize("number", [errno.EMFILE, errno.EIO])
def test_what_the_system_refuses_is_no_damage(number: int) -> None:
    with pytest.raises(StoreError, match="cannot be read now") as caught, reading(Path("o")):
        raise OSError(f"LanceError(IO): Generic LocalFileSystem error: it failed (os error {number})")
    assert not isinstance(caught.value, StoreCorruptError)
