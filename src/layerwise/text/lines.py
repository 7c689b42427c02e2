r"""Lines of UTF-8 text, one at a time, whatever the size of the source.

A line ends with `\n` or `\r\n` and with nothing else: not with a lone `\r`, nor with the other
characters at which `str.splitlines` splits (`\x0b`, `\x0c`, `\x1c`, `\x85`, U+2028), which occur
inside real texts. So the number of a text is the number that `wc -l`, `sed` and editors give its line.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator

from layerwise.errors import SourceEncodingError
from layerwise.text.stream import MAGIC, Stream

FOREIGN_BOMS = {
    # UTF-32 first: the mark of UTF-16-LE is its beginning.
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}

NOT_TEXT = {b"PAR1": "a Parquet file", b"PK\x03\x04": "a zip archive", b"%PDF": "a PDF"} | {
    magic: f"compressed ({ending})" for magic, ending in MAGIC.items()
}


def place(name: str, line: int) -> str:
    """A line of a file, as messages name it; lines count from 1, as in editors."""
    return f"{name}, line {line}"


def read_lines(stream: Stream, *, keep_cr: bool = False) -> Iterator[tuple[int, str]]:
    r"""Number (from 1) and text of every line, without its end; a byte order mark is dropped.

    Args:
        stream: the source.
        keep_cr: leave the `\r` of `\r\n` in place (in a quoted csv field it belongs to the text).

    Raises:
        SourceEncodingError: a line is not UTF-8; the message names file, line and byte.
    """
    for number, (line, ended) in enumerate(split_lines(_checked_blocks(stream)), 1):
        stream.consumed += len(line) + ended
        content = line[:-1] if ended and not keep_cr and line.endswith(b"\r") else line
        if number == 1:
            content = content.removeprefix(codecs.BOM_UTF8)
        try:
            text = content.decode("utf-8")
        except UnicodeDecodeError as error:
            raise SourceEncodingError(
                f"{place(stream.name, number)}, byte {error.start + 1} of the line "
                f"(0x{content[error.start]:02x}) is not valid UTF-8: convert the file to UTF-8, "
                f"{_conversion(content)}."
            ) from error
        yield number, text


def _conversion(line: bytes) -> str:
    """An example that fits: in Western European texts a byte above ASCII stands alone, in Chinese ones two make a letter."""
    runs = re.findall(rb"[\x80-\xff]+", line)
    if sum(len(run) == 1 for run in runs) * 2 > len(runs):
        return "for example with iconv -f WINDOWS-1252 -t UTF-8 if it is in a language of Western Europe"
    return "for example with iconv -f GB18030 -t UTF-8 if it is Chinese"


def split_lines(blocks: Iterator[bytes]) -> Iterator[tuple[bytes, bool]]:
    r"""Lines without their `\n`, and whether they had one (only the last may not)."""
    begun: list[bytes] = []
    for block in blocks:
        first, *rest = block.split(b"\n")
        begun.append(first)
        if rest:
            yield b"".join(begun), True
            for line in rest[:-1]:
                yield line, True
            begun = [rest[-1]]
    last = b"".join(begun)
    if last:
        yield last, False


def _checked_blocks(stream: Stream) -> Iterator[bytes]:
    block = stream.read()
    _refuse_foreign(block[:8], stream.name)
    while block:
        yield block
        block = stream.read()


def _refuse_foreign(head: bytes, name: str) -> None:
    for mark, encoding in FOREIGN_BOMS.items():
        if head.startswith(mark):
            raise SourceEncodingError(
                f"{name} is {encoding} (line 1, byte 1 begins its byte order mark); expected UTF-8: "
                f"convert it with iconv -f {encoding} -t UTF-8."
            )
    for magic, what in NOT_TEXT.items():
        if head.startswith(magic):
            raise SourceEncodingError(
                f"{name} is {what} (line 1, byte 1); expected UTF-8 text: "
                "give the file the ending of what it is."
            )
    if len(head) >= 4 and (head[1::2] == bytes(len(head[1::2])) or head[::2] == bytes(len(head[::2]))):
        raise SourceEncodingError(
            f"{name} seems to be UTF-16 without a byte order mark (line 1, byte 1: every other byte "
            "is 0); expected UTF-8: convert it with iconv -f UTF-16LE -t UTF-8 (or UTF-16BE)."
        )
