"""Sources of texts: from the SOURCE... of a command line to an iterator of records.

A source is a file (see `formats` for the endings, each also with `.gz` or `.zst`), a folder (its
files with a known ending, folders inside it too, sorted by path), a glob, a URL that fsspec knows,
or `-` for stdin (JSON lines if its first character is `{`, else a text a line).
Where the ending says nothing or something else, the format is named: `SourceOptions.format`.
All reading is streaming: the unit held in memory is a line, a sentence or some rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from layerwise.errors import SourceError, choose
from layerwise.text.columns import SourceOptions
from layerwise.text.fingerprints import fingerprint_of
from layerwise.text.formats import FORMATS, GIVE_WORDS, READERS, Reader
from layerwise.text.locations import Location, locate, source_names
from layerwise.text.parquet import parquet_types
from layerwise.text.stream import Stream
from layerwise.types import TextRecord

__all__ = ["SourceOptions", "Sources"]

DEFAULTS = SourceOptions()

SOURCE_FILE = "source_file"
"""May be kept from any source: the name of the file that a text is from, such as `en_ewt-ud-train.conllu`."""


class Sources:
    """The texts of one or more sources, in order, and how far reading has come.

    Attributes:
        files: the files that the sources stand for.
        total_bytes: their size as they lie on the disk; None where that is not known.

    Raises:
        SourceError: a source does not exist, cannot be read, or has an unknown ending.
        MissingExtraError: a URL needs a package that is not installed.
        UsageError: an unknown format, or a source that is neither a string nor a path.
    """

    def __init__(self, sources: str | Path | Sequence[str | Path], options: SourceOptions = DEFAULTS) -> None:
        self.options = options
        if options.format is not None:
            choose("format", options.format, FORMATS)
        self.files = locate(source_names(sources), options.format)
        sizes = [file.size for file in self.files]
        self.total_bytes = None if None in sizes else sum(size for size in sizes if size is not None)
        self._finished = 0
        self._stream: Stream | None = None
        self._stdin: tuple[Stream, str] | None = None
        self._stdin_read = False

    @property
    def give_words(self) -> bool:
        """Whether every text comes with its words: from a column, or by the format of its file."""
        if self.options.words_column is not None:
            return True
        return all(file.format in GIVE_WORDS for file in self.files)

    def is_plain_text(self) -> bool:
        """Whether it is all `.txt`, which has no columns; of stdin the first bytes tell, which this waits for.

        Raises:
            SourceError: stdin cannot be read.
        """
        return all(self._format_of(file) == ".txt" for file in self.files)

    def _format_of(self, file: Location) -> str | None:
        if file.format is None and self._stdin is None and not self._stdin_read:
            self._stdin = file.stream()
        return self._stdin[1] if file.format is None and self._stdin else file.format

    def kept_types(self) -> dict[str, Any]:
        """Arrow types of the columns to keep, where the source declares them: if it is all Parquet.

        Raises:
            SourceError: the first file cannot be read.
        """
        if not self.options.keep or any(file.format != ".parquet" for file in self.files):
            return {}
        stream, _ = self.files[0].stream()
        with stream:
            declared = parquet_types(stream)
        return {name: declared[name] for name in self.options.keep if name in declared}

    @property
    def bytes_read(self) -> int:
        """Bytes of the sources consumed so far by `records()`; from 0 to `total_bytes`."""
        stream = self._stream
        return self._finished + (stream.position if stream is not None else 0)

    def records(self) -> Iterator[TextRecord]:
        """Every text, from the first; call it again to read again (stdin can be read once).

        Raises:
            SourceError: a source cannot be read or holds what is no text; or all are empty.
            ColumnError: a column that was asked for is not there.
            SourceEncodingError: a source is not UTF-8.
        """
        self._finished, self._stream = 0, None
        empty = True
        bad: list[SourceError] = []
        options = self.options
        if (tell := options.on_bad_row) is not None:

            def told(error: SourceError) -> None:
                bad.append(error)
                tell(error)

            options = replace(options, on_bad_row=told)
        for file in self.files:
            for record in self._read(file, options):
                empty = False
                bad.clear()
                yield record
        if empty and bad:
            raise bad[0]  # no row is left: what is wrong is in all of them
        if empty:
            names = ", ".join(file.shown for file in self.files[:3]) + (", …" if len(self.files) > 3 else "")
            raise SourceError(
                f"{names} {'is' if len(self.files) == 1 else 'are'} empty: expected at least one text."
            )

    def fingerprint(self) -> dict[str, Any]:
        """What tells these sources from others, for JSON: see `fingerprints.fingerprint_of`.

        Raises:
            SourceError: a file cannot be read.
        """
        return fingerprint_of(self.files, self.options)

    def _read(self, file: Location, options: SourceOptions) -> Iterator[TextRecord]:
        if file.is_stdin and self._stdin_read:
            raise SourceError("stdin was read already and cannot be read again: put the texts into a file.")
        self._stdin_read |= file.is_stdin
        stream, format = (file.is_stdin and self._stdin) or file.stream()
        before = self._finished
        with stream:
            self._stream = stream
            yield from _records(READERS[format], stream, file.name, options)
            self._stream, self._finished = None, before + (file.size or stream.position)


def _records(read: Reader, stream: Stream, name: str, options: SourceOptions) -> Iterator[TextRecord]:
    if SOURCE_FILE not in options.keep:
        return read(stream, options)
    columns = replace(options, keep=tuple(one for one in options.keep if one != SOURCE_FILE))
    return (replace(record, kept={**record.kept, SOURCE_FILE: name}) for record in read(stream, columns))
