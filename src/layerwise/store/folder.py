"""The folder of a store: what is in it, who may write it, and getting it onto the disk.

::

    OUT/
      _versions/       Lance's manifests, one a version: the store is what the newest one names
      _transactions/   Lance's own
      data/            Lance's data files
      _ledger/         one Parquet file a commit, and the lock
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from enum import Enum
from pathlib import Path
from typing import IO

import lance

from layerwise.errors import StoreError
from layerwise.store.faults import reading
from layerwise.store.schema import METADATA_KEY
from layerwise.whole_file import lock as lock_file

LEDGER = "_ledger"
_LANCE_FOLDERS = ("_versions", "_transactions", "data", "_indices", "_deletions")
_REMOVED = "_versions.removed"


class Kind(Enum):
    """What a path is to somebody who wants to write a store there."""

    NEW = "nothing, or an empty folder"
    STARTED = "a store whose first version was never written (or was being removed)"
    STORE = "a store"
    OTHER = "something else"


def kind_of(folder: Path) -> Kind:
    """Look what is there; nothing is changed.

    Raises:
        StoreCorruptError: it has the shape of a Lance dataset and cannot be opened.
        StoreError: Lance cannot be given its name.
    """
    _require_utf8(folder)
    if not folder.exists() and not folder.is_symlink():
        return Kind.NEW
    if not folder.is_dir():
        return Kind.OTHER
    names = {entry.name for entry in folder.iterdir()}
    if not names:
        return Kind.NEW
    if any((folder / "_versions").glob("*.manifest")):
        with reading(folder):
            metadata = lance.dataset(folder).schema.metadata or {}
        return Kind.STORE if METADATA_KEY in metadata else Kind.OTHER
    ours = {LEDGER, *_LANCE_FOLDERS}
    return Kind.STARTED if LEDGER in names and names <= ours else Kind.OTHER


def _require_utf8(folder: Path) -> None:
    """Lance takes names in UTF-8 only: what the locale could not decode would look like damage."""
    try:
        str(folder).encode()
    except UnicodeEncodeError as error:
        raise StoreError(
            f"the name {str(folder)!a} is not valid in UTF-8, or the locale hides it ({sys.getfilesystemencoding()}): "
            "set LC_ALL=C.UTF-8 or PYTHONUTF8=1, or rename the folder; nothing was read or written."
        ) from error


def clear(folder: Path) -> None:
    """Remove a store's own files and nothing else; a lock on it stays held.

    The manifests go first and at once, so that a kill in between leaves a store that was never
    started rather than one with holes.
    """
    removed = folder / LEDGER / _REMOVED
    shutil.rmtree(removed, ignore_errors=True)
    if (folder / "_versions").exists():
        (folder / "_versions").rename(removed)
        sync(folder)
    for name in _LANCE_FOLDERS:
        shutil.rmtree(folder / name, ignore_errors=True)
    shutil.rmtree(removed, ignore_errors=True)
    for file in (folder / LEDGER).glob("*.parquet*"):
        file.unlink()


def lock(folder: Path) -> IO[str] | None:
    """Let one writer in at a time; the lock dies with its process, even by kill -9.

    Raises:
        StoreError: another process, or another writer of this one, holds it.
    """
    try:
        return lock_file(folder / LEDGER / "lock")
    except BlockingIOError:
        raise StoreError(
            f"the store {folder} is being written by another process: wait for it to end."
        ) from None


def remove_lock(folder: Path) -> None:
    """Remove the lock, held by the caller, and the folders it stood in if they are empty now."""
    with contextlib.suppress(OSError):
        (folder / LEDGER / "lock").unlink()
        (folder / LEDGER).rmdir()
        folder.rmdir()


def remove(path: Path) -> None:
    """Remove a file or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """fsync a file or a folder: Lance itself syncs nothing on local disks."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class Manifests:
    """Puts the manifests that are new since the last look onto the disk.

    Lance counts the names of manifests downwards, so "the newest" is not the last name: this
    remembers which files it has synced.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._synced = set(self._files())

    def sync(self) -> None:
        """fsync new manifests and transactions, and the folders they are in."""
        fresh = [file for file in self._files() if file not in self._synced]
        for file in fresh:
            sync(file)
        for name in ("_transactions", "_versions"):
            if (self._folder / name).is_dir():
                sync(self._folder / name)
        sync(self._folder)
        self._synced.update(file for file in fresh if file.suffix in (".manifest", ".txn"))

    def _files(self) -> list[Path]:
        return [
            file
            for name in ("_transactions", "_versions")
            if (self._folder / name).is_dir()
            for file in (self._folder / name).iterdir()
        ]
