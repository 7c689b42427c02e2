"""A file that is either there as a whole or not at all: what was there before stays until then."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from layerwise.errors import LayerwiseError, UsageError


def local_path(path: str | Path) -> Path:
    """A path with `~` as the home folder, where it names one."""
    return Path(os.path.expanduser(path))  # noqa: PTH111 - pathlib's raises where there is no such user


def check_target(path: str | Path) -> Path:
    """Where a file can be written, looked at before any work is done.

    Raises:
        UsageError: it has no name, its folder is not there, or it is a folder itself.
        LayerwiseError: nothing may be written into its folder.
    """
    target = local_path(path)
    if not str(path):
        raise UsageError("the empty file name '' was given: name a file to write.")
    if target.is_dir():
        raise UsageError(f"{path} is a folder: name a file to write.")
    if _is_device(target):
        return target
    if target.is_symlink() and not target.exists() and target.readlink() == Path(target.name):
        raise UsageError(f"{path} is a link to itself: name another file.")
    if not target.parent.is_dir():
        raise UsageError(f"there is no folder {target.parent} for the file {target.name}: make it first.")
    if not os.access(target.parent, os.W_OK):
        raise LayerwiseError(f"{path} cannot be written: its folder is read-only; choose another.")
    return target


def check_folder(path: str | Path) -> None:
    """Look before any work whether files can be written into a folder that is there, or can be made.

    Raises:
        UsageError: it has no name, or is a file.
        LayerwiseError: nothing may be written into it, or where it would be made.
    """
    folder = local_path(path).absolute()
    if not str(path):
        raise UsageError("the empty folder name '' was given: name a folder to write into.")
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise UsageError(
            f"the folder name {str(path)!a} holds bytes that are no UTF-8, and weights are not written under such a "
            "name: name another."
        ) from None
    if folder.is_symlink() and not folder.exists():
        raise UsageError(f"{path} is a link to {folder.readlink()}, which is not there: name another.")
    there = next(one for one in (folder, *folder.parents) if one.exists())
    if not there.is_dir():
        raise UsageError(f"{path} cannot be a folder, as {there} is a file: name another.")
    if not os.access(there, os.W_OK):
        raise LayerwiseError(f"{path} cannot be written: the folder {there} is read-only; choose another.")


def refuse_existing(path: str | Path, overwrite: bool) -> None:
    """Refuse a file that is there, before any work; what is no file (`/dev/null`) loses nothing.

    Raises:
        UsageError: it is, and `overwrite` is False; or as `check_target`.
    """
    target = check_target(path)
    if target.exists() and not _is_device(target) and not overwrite:
        raise UsageError(f"{path} exists already: pass --overwrite, or choose another.")


@contextmanager
def whole_file(path: str | Path, overwrite: bool = True) -> Iterator[IO[bytes]]:
    """Give a stream to write bytes to; it becomes `path` if nothing fails, else it is removed.

    A link stays one, and what it points to is replaced. What is no file (`/dev/stdout`, a named pipe)
    is written to as it is.

    Raises:
        UsageError: the file is there and `overwrite` is False; or as `check_target`.
        LayerwiseError: it cannot be written.
    """
    refuse_existing(path, overwrite)
    target = local_path(path)
    try:
        if _is_device(target):
            with target.open("wb") as stream:
                yield stream
            return
        target = target.resolve()
        draft = target.with_name(f".layerwise-{secrets.token_hex(8)}.part")
        try:
            with draft.open("xb") as stream:
                yield stream
            if target.exists():
                shutil.copymode(target, draft)
            draft.replace(target)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise LayerwiseError(f"{path} cannot be written: {error.strerror or error}.") from error


def _is_device(target: Path) -> bool:
    """Something that is there and neither a file nor a folder."""
    return target.exists() and not target.is_file()


def open_to_readers(draft: Path) -> None:
    """Give all the mode that a new file has: mkdtemp's folders and safetensors' files are for their owner alone."""
    probe = draft / ".mode"
    probe.touch()
    mode = probe.stat().st_mode & 0o666
    probe.unlink()
    draft.chmod(mode | (mode & 0o444) >> 2 | 0o300)
    for path in draft.rglob("*"):
        if path.is_file():
            path.chmod(mode)


def lock(path: Path) -> IO[str] | None:
    """A lock file, held until its handle is closed; it dies with its process, even by kill -9. None on Windows.

    Raises:
        BlockingIOError: another process, or another handle of this one, holds it.
    """
    try:
        import fcntl
    except ImportError:
        return None
    handle = path.open("w")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not os.fstat(handle.fileno()).st_nlink:  # removed between the two lines above
            raise BlockingIOError
    except BlockingIOError:
        handle.close()
        raise
    return handle
