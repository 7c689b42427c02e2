"""What the disk and Lance throw, in words a user can act on."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from layerwise.errors import LayerwiseError, StoreCorruptError, StoreError, StoreFullError

T = TypeVar("T")

_RUST_SOURCE = re.compile(r",? ?/\S+\.rs:\d+:\d+")
_FULL = ("No space left", "os error 28", "Disk quota exceeded", "os error 122")

_NO_DAMAGE = (errno.EMFILE, errno.ENFILE, errno.ETIMEDOUT, errno.ENOMEM, errno.EIO)
_OS_ERROR = re.compile(r"\(os error (\d+)\)")


@contextmanager
def writing(path: Path, what: str = "store") -> Iterator[None]:
    """Turn an `OSError` (Lance raises them too, with the system's text inside) into a `StoreError`.

    Raises:
        StoreFullError: the disk is full, or a quota is used up.
        StoreError: it cannot be written for another reason.
    """
    try:
        yield
    except OSError as error:
        said = first_line(error)
        if error.errno in (errno.ENOSPC, errno.EDQUOT) or any(text in str(error) for text in _FULL):
            rest = (
                "what was committed stays valid; make room and run the same command again to go on"
                if what == "store"
                else "nothing was left behind; make room or choose another disk"
            )
            raise StoreFullError(f"the disk of {path} is full: {rest}.") from error
        if isinstance(error, PermissionError) or "Permission denied" in str(error):
            raise StoreError(f"the {what} {path} cannot be written: permission denied.") from error
        raise StoreError(f"the {what} {path} cannot be written: {said}") from error
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # of Rust, which is no Exception
            raise
        raise StoreError(f"the {what} {path} cannot be written: {first_line(error)}") from error


@contextmanager
def reading(path: Path, what: str = "the store") -> Iterator[None]:
    """Turn whatever Lance throws at damaged bytes into a `StoreCorruptError`.

    Lance answers some damage with a Rust panic, which reaches Python as a `BaseException`.

    Raises:
        StoreCorruptError: the bytes cannot be decoded, or a file is missing.
        StoreError: the system could not open or read a file just now.
    """
    try:
        yield
    except (LayerwiseError, KeyboardInterrupt, SystemExit, GeneratorExit, MemoryError, PermissionError):
        raise
    except (AssertionError, AttributeError, NameError, TypeError, ZeroDivisionError):
        raise  # a fault of ours, and none of the bytes
    except BaseException as error:
        if (number := _errno(error)) in _NO_DAMAGE:
            raise StoreError(f"{path}: {what} cannot be read now: {os.strerror(number)}.") from error
        raise StoreCorruptError(
            f"{path}: {what} cannot be read ({first_line(error)}): the store is damaged; "
            "extract again with --overwrite, or restore it from a copy."
        ) from error


def read_through(items: Iterator[T], path: Path) -> Iterator[T]:
    """The same items, each read under `reading`."""
    while True:
        with reading(path):
            item = next(items, None)
        if item is None:
            return
        yield item


def _errno(error: BaseException) -> int:
    """The system's number of an error, 0 if there is none; Lance has it in its text only."""
    if isinstance(error, OSError) and error.errno:
        return error.errno
    found = _OS_ERROR.search(str(error))
    return int(found[1]) if found else 0


def first_line(error: BaseException) -> str:
    """An exception's text on one line, shortened, without the place in Lance's own source."""
    text = _RUST_SOURCE.sub("", " ".join(str(error).split()))
    return text if len(text) <= 200 else text[:199] + "…"
