"""One opened source: its bytes, decompressed, and how far reading has come."""

from __future__ import annotations

import gzip
import io
import zlib
from types import TracebackType
from typing import BinaryIO, Protocol, cast

from layerwise.errors import SourceError

BLOCK = 1 << 16
"""Bytes read at once: small, so that progress moves in small steps on a slow model."""

COMPRESSED_BLOCK = 1 << 13
"""The same for compressed bytes, which hold several times as much text."""

MAGIC = {b"\x1f\x8b": "gz", b"\x28\xb5\x2f\xfd": "zst"}
"""The first bytes of compressed data."""


class Readable(Protocol):
    """Anything bytes can be read from."""

    def read(self, size: int, /) -> bytes: ...


class CountedBytes(io.RawIOBase):
    """A binary file that counts the bytes read, and whose beginning can be looked at."""

    def __init__(self, raw: BinaryIO) -> None:
        self.raw = raw
        self.count = 0
        self.limit: int | None = None  # most bytes of one read
        self._head = b""

    def readable(self) -> bool:
        return True

    def head(self, size: int) -> bytes:
        """The next bytes, which stay to be read: fewer than `size` only at the end."""
        while len(self._head) < size and (more := self.raw.read(size - len(self._head))):
            self._head += more
        return self._head[:size]

    def read(self, size: int = -1, /) -> bytes:
        size = min(size, self.limit) if self.limit and size > 0 else size
        cut = len(self._head) if size < 0 else size
        block, self._head = self._head[:cut], self._head[cut:]
        if size < 0 or len(block) < size:
            block += self.raw.read(size if size < 0 else size - len(block))
        self.count += len(block)
        return block


class Stream:
    """The bytes of a source.

    Attributes:
        name: the source as the user knows it, for messages.
        size: bytes of the file as it lies on the disk, None where that is unknown.
        raw: the file as it lies on the disk, counted.
        close: whether to close it at the end (stdin is not ours to close).
        consumed: bytes handed over to the user, after decompression.
        share: for readers that do not read from front to back: the share done, 0 to 1.
    """

    def __init__(
        self,
        raw: CountedBytes,
        name: str,
        compression: str | None,
        size: int | None = None,
        *,
        close: bool = True,
    ) -> None:
        self.name = name
        self.size = size
        self.raw = raw
        self.close = close
        self.consumed = 0
        self.share: float | None = None
        self._produced = 0
        self._head = b""
        self._position = 0
        self._bytes: Readable = _decompressed(self.raw, compression)

    def read(self, size: int = BLOCK) -> bytes:
        """The next bytes, decompressed; empty at the end.

        Raises:
            SourceError: the source cannot be read, or its compressed data is damaged.
        """
        if self._head:
            block, self._head = self._head, b""
            return block
        try:
            block = self._bytes.read(size)
        except EOFError as error:
            raise SourceError(_cut_short(self.name)) from error
        except (OSError, zlib.error) as error:
            if "Truncated" in str(error):
                raise SourceError(_cut_short(self.name)) from error
            raise SourceError(
                f"{self.name} cannot be read ({error}): "
                "check that the file is whole and what its ending says it is."
            ) from error
        self._produced += len(block)
        return block

    def head(self) -> bytes:
        """The first bytes, decompressed, which stay to be read."""
        self._head = self.read()
        return self._head

    @property
    def position(self) -> int:
        """Bytes of the source, as it lies on the disk, that were consumed.

        Of a compressed block that is read but not yet used up, the share that is used.
        """
        if self.share is not None:
            position = int(self.share * (self.size or 0))
        else:
            position = self.raw.count * self.consumed // self._produced if self._produced else 0
        self._position = max(self._position, position)  # the estimate must not run backwards
        return self._position

    def __enter__(self) -> Stream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.close:
            self.raw.raw.close()


def _decompressed(raw: CountedBytes, compression: str | None) -> Readable:
    if compression is not None:
        raw.limit = COMPRESSED_BLOCK
    if compression == "gz":
        return gzip.GzipFile(fileobj=cast("BinaryIO", raw))
    if compression == "zst" and raw.head(1):
        # pyarrow brings zstd on every platform: no further package is needed.
        import pyarrow as pa

        return cast("Readable", pa.CompressedInputStream(pa.PythonFile(raw, "r"), "zstd"))
    return raw


def _cut_short(name: str) -> str:
    return f"{name} is cut short: its compressed data ends in the middle; fetch or write the file again."
