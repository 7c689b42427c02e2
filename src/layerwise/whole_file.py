"""A file that is either there as a whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from layerwise.errors import LayerwiseError, UsageError


def refuse_existing(path: str | Path, overwrite: bool) -> None:
    """Refuse a file that is there, before any work.

    Raises:
        UsageError: it is, and `overwrite` is False; or it is a folder.
    """
    target = Path(path).expanduser()
    if target.is_dir():
        raise UsageError(f"{path} is a folder: name a file to write.")
    if target.exists() and not overwrite:
        raise UsageError(f"{path} exists already: pass --overwrite, or choose another.")


@contextmanager
def whole_file(path: str | Path, overwrite: bool) -> Iterator[IO[bytes]]:
    """Give a stream to write bytes to; it becomes `path` if nothing fails, else it is removed.

    Raises:
        UsageError: the file is there and `overwrite` is False.
        LayerwiseError: it cannot be written.
    """
    target = Path(path).expanduser().absolute()
    refuse_existing(path, overwrite)
    try:
        descriptor, draft = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    except OSError as error:
        raise LayerwiseError(f"{path} cannot be written: {error.strerror or error}.") from error
    try:
        with os.fdopen(descriptor, "wb") as stream:
            yield stream
        Path(draft).chmod(0o644)
        Path(draft).replace(target)
    except OSError as error:
        raise LayerwiseError(f"{path} cannot be written: {error.strerror or error}.") from error
    finally:
        Path(draft).unlink(missing_ok=True)
