"""What tells one source from another, so that a run is not resumed with other texts."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any, cast

from layerwise.errors import SourceError
from layerwise.text.columns import SourceOptions
from layerwise.text.locations import Location

WHOLE_BYTES = 64 << 20
"""Sources up to this size in all are hashed whole; larger ones by head and tail of each file."""

END_BYTES = 64 << 10
"""Length of a head and of a tail."""

NAMES = 20
"""File names that are kept readable; all of them enter the hash."""


def fingerprint_of(locations: Sequence[Location], options: SourceOptions) -> dict[str, Any]:
    """Names, size and hash of the sources, and the options: a document for JSON.

    Names are relative to what the user named, so that moving the data changes nothing. Of stdin
    nothing can be known beforehand: `{"stdin": True, …}`. A change in the middle of a large file
    that leaves its size as it was is not seen.

    Raises:
        SourceError: a file cannot be read.
    """
    chosen = {**asdict(replace(options, on_bad_row=None)), "keep": list(options.keep)}
    for name in ("on_bad_row", "no_text", "also"):
        # Who is told of a bad row changes no other; `extract` has no other answers.
        del chosen[name]
    if options.format is None:  # as stores have it that were begun before formats could be named
        del chosen["format"]
    document: dict[str, Any] = {"options": chosen}
    if any(location.is_stdin for location in locations):
        document["stdin"] = True
    files = [location for location in locations if not location.is_stdin]
    if not files:
        return document
    sizes = [location.size for location in files]
    known = [size for size in sizes if size is not None]
    total = sum(known) if len(known) == len(files) else None
    # A name that is not UTF-8 has lone surrogates in Python, which JSON in UTF-8 cannot hold.
    names = [location.name.encode("utf-8", "backslashreplace").decode() for location in files]
    return {
        "files": len(files),
        "names": names if len(names) <= NAMES else [*names[:NAMES], "…"],
        "bytes": total,
        "sha256": _digest(files, whole=total is not None and total <= WHOLE_BYTES),
        **document,
    }


def _digest(files: Sequence[Location], *, whole: bool) -> str:
    digest = hashlib.sha256()
    for location in files:
        # Each part is preceded by its length: no two lists of files give the same bytes.
        for part in (location.name.encode("utf-8", "surrogateescape"), _content(location, whole=whole)):
            digest.update(f"{len(part)}:".encode() + part)
        digest.update(f"{location.size};".encode())
    return digest.hexdigest()


def _content(location: Location, *, whole: bool) -> bytes:
    try:
        with location.open() as file:
            if whole:
                return hashlib.file_digest(cast(io.BufferedReader, file), "sha256").digest()
            head = file.read(END_BYTES)
            if location.size is None or location.size <= END_BYTES:
                return head
            file.seek(max(END_BYTES, location.size - END_BYTES))
            return head + file.read(END_BYTES)
    except OSError as error:
        raise SourceError(f"{location.shown} cannot be read ({error}): check its permissions.") from error
