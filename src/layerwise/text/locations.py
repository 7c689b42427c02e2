"""From what the user names as a source to the files it stands for."""

from __future__ import annotations

import codecs
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from layerwise.errors import SourceError, UsageError
from layerwise.text.formats import format_of
from layerwise.text.local_files import find_local
from layerwise.text.remote_files import find_remote, open_remote, public, size_remote
from layerwise.text.stream import MAGIC, CountedBytes, Stream

STDIN = "-"


def source_names(given: Any) -> list[str]:
    """One source, or several, as strings.

    Raises:
        UsageError: one is neither a string nor a path.
    """
    # Tables and mappings are iterable too: their columns and keys would be taken for the names of files.
    table = isinstance(given, Mapping) or any(
        hasattr(given, name) for name in ("columns", "column_names", "iloc")
    )
    several = isinstance(given, Iterable) and not isinstance(given, str | bytes | Path) and not table
    sources = list(given) if several else [given]
    for one in sources:
        if not isinstance(one, str | Path):
            raise UsageError(
                f"a source is {' '.join(repr(one).split())[:60]}: expected the name of a file, a folder, a glob or a URL; "
                "write texts that are in memory to a file (.jsonl) first."
            )
        if not str(one):
            raise UsageError(
                "a source has the empty name '': expected the name of a file, a folder, a glob or a URL."
            )
    return [str(one) for one in sources]


@dataclass(frozen=True)
class Location:
    """One file to read.

    Attributes:
        address: path, URL, or `-` for stdin.
        name: relative to what the user named, the same wherever the data lies.
        size: bytes as it lies on the disk; None where that is unknown.
        named: its format as the user named it; None: the ending says it.
    """

    address: str
    name: str
    size: int | None
    named: str | None = None

    @property
    def is_stdin(self) -> bool:
        return self.address == STDIN

    @property
    def shown(self) -> str:
        """The file as messages name it."""
        if self.is_stdin:
            return "stdin"
        return public(self.address) if "://" in self.address else self.address

    @property
    def format(self) -> str | None:
        """Its format, a key of `READERS`; None if only its first bytes tell (stdin)."""
        if self.is_stdin:
            return None if self.named is None else f".{self.named}"
        return format_of(self.address, self.named)[0]

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
        format, compression = format_of(self.address, self.named)
        return Stream(CountedBytes(self.open()), self.shown, compression, self.size), format


def locate(sources: Sequence[str | Path], format: str | None = None) -> tuple[Location, ...]:
    """Files of all sources: in the order given, those of a folder or glob by name.

    Args:
        sources: what the user named.
        format: how all of them are to be read (one of `FORMATS`), whatever their endings.

    Raises:
        SourceError: a source does not exist, cannot be read, or has an unknown ending.
        MissingExtraError: a URL needs a package that is not installed.
    """
    found = [location for source in sources for location in _locate(str(source), format)]
    if not found:
        raise SourceError("no source was given: name files, folders, globs or URLs, or '-' for stdin.")
    if sum(location.is_stdin for location in found) > 1:
        raise SourceError("stdin ('-') is given twice and can be read only once: give it once.")
    for location in found:
        if location.is_stdin and location.format == ".parquet":
            raise SourceError(
                "Parquet cannot be read from stdin, since its end is read first: name the file."
            )
        if not location.is_stdin:
            format_of(location.address, format)
    return tuple(found)


def _locate(source: str, format: str | None) -> list[Location]:
    if source == STDIN:
        return [Location(STDIN, "stdin", None, format)]
    if "://" in source:
        found = find_remote(source, format)
        return [Location(address, name, size_remote(address), format) for address, name in found]
    found = find_local(source, format)
    return [Location(address, name, Path(address).stat().st_size, format) for address, name in found]


def _own_stdin() -> BinaryIO:
    """stdin behind a buffer of its own: Python cannot end while a thread waits for `sys.stdin`'s."""
    if sys.stdin is None:
        raise SourceError("'-' was given, and stdin is closed: pipe the texts in, or name a file.")
    try:
        return open(os.dup(sys.stdin.fileno()), "rb")  # noqa: PTH123 - a descriptor, not a path
    except (OSError, ValueError):  # replaced by something that is no file
        return sys.stdin.buffer


def _stdin(location: Location) -> tuple[Stream, str]:
    """Compression by the first bytes; unless named, JSON lines if it begins with `{`, else a text a line."""
    raw = CountedBytes(location.open())
    head = raw.head(4)
    compression = next((kind for magic, kind in MAGIC.items() if head.startswith(magic)), None)
    stream = Stream(raw, location.shown, compression, close=False)
    if location.format is not None:
        return stream, location.format
    first = stream.head().removeprefix(codecs.BOM_UTF8).lstrip()
    return stream, ".jsonl" if first.startswith(b"{") else ".txt"
