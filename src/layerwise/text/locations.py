"""From what the user names as a source to the files it stands for."""

from __future__ import annotations

import codecs
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from layerwise.errors import SourceError
from layerwise.text.formats import format_of
from layerwise.text.local_files import find_local
from layerwise.text.remote_files import find_remote, open_remote, public, size_remote
from layerwise.text.stream import MAGIC, CountedBytes, Stream

STDIN = "-"


@dataclass(frozen=True)
class Location:
    """One file to read.

    Attributes:
        address: path, URL, or `-` for stdin.
        name: relative to what the user named, the same wherever the data lies.
        size: bytes as it lies on the disk; None where that is unknown.
    """

    address: str
    name: str
    size: int | None

    @property
    def is_stdin(self) -> bool:
        return self.address == STDIN

    @property
    def shown(self) -> str:
        """The file as messages name it."""
        if self.is_stdin:
            return "stdin"
        return public(self.address) if "://" in self.address else self.address

    def open(self) -> BinaryIO:
        """Its bytes as they lie on the disk.

        Raises:
            SourceError: it cannot be opened.
        """
        if self.is_stdin:
            return _own_stdin()
        if "://" in self.address:
            return open_remote(self.address)
        try:
            return Path(self.address).open("rb")
        except OSError as error:
            raise SourceError(
                f"{self.address} cannot be read ({error.strerror}): check its permissions."
            ) from error

    def stream(self) -> tuple[Stream, str]:
        """Its bytes, decompressed, and the format they are in (a key of `READERS`).

        Raises:
            SourceError: it cannot be opened, or its ending is unknown.
        """
        if self.is_stdin:
            return _stdin(self)
        format, compression = format_of(self.address)
        return Stream(CountedBytes(self.open()), self.shown, compression, self.size), format


def locate(sources: Sequence[str | Path]) -> tuple[Location, ...]:
    """Files of all sources: in the order given, those of a folder or glob by name.

    Raises:
        SourceError: a source does not exist, cannot be read, or has an unknown ending.
        MissingExtraError: a URL needs a package that is not installed.
    """
    found = [location for source in sources for location in _locate(str(source))]
    if not found:
        raise SourceError("no source was given: name files, folders, globs or URLs, or '-' for stdin.")
    if sum(location.is_stdin for location in found) > 1:
        raise SourceError("stdin ('-') is given twice and can be read only once: give it once.")
    for location in found:
        if not location.is_stdin:
            format_of(location.address)
    return tuple(found)


def _locate(source: str) -> list[Location]:
    if source == STDIN:
        return [Location(STDIN, "stdin", None)]
    if "://" in source:
        return [Location(address, name, size_remote(address)) for address, name in find_remote(source)]
    return [Location(address, name, Path(address).stat().st_size) for address, name in find_local(source)]


def _own_stdin() -> BinaryIO:
    """stdin behind a buffer of its own: Python cannot end while a thread waits for `sys.stdin`'s."""
    try:
        return open(os.dup(sys.stdin.fileno()), "rb")  # noqa: PTH123 - a descriptor, not a path
    except (OSError, ValueError):  # replaced by something that is no file
        return sys.stdin.buffer


def _stdin(location: Location) -> tuple[Stream, str]:
    """Compression by the first bytes; JSON lines if the first character is `{`, else a text a line."""
    raw = CountedBytes(location.open())
    head = raw.head(4)
    compression = next((kind for magic, kind in MAGIC.items() if head.startswith(magic)), None)
    stream = Stream(raw, location.shown, compression, close=False)
    first = stream.head().removeprefix(codecs.BOM_UTF8).lstrip()
    return stream, ".jsonl" if first.startswith(b"{") else ".txt"
