"""The formats by their endings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

from layerwise.errors import SourceError
from layerwise.text.columns import SourceOptions
from layerwise.text.conll import read_conll
from layerwise.text.conllu import read_conllu
from layerwise.text.delimited import read_csv, read_tsv
from layerwise.text.jsonl import read_jsonl
from layerwise.text.parquet import read_parquet
from layerwise.text.stream import Stream
from layerwise.text.txt import read_txt
from layerwise.types import TextRecord

Reader = Callable[[Stream, SourceOptions], Iterator[TextRecord]]

READERS: dict[str, Reader] = {
    ".txt": read_txt,
    ".jsonl": read_jsonl,
    ".ndjson": read_jsonl,
    ".csv": read_csv,
    ".tsv": read_tsv,
    ".parquet": read_parquet,
    ".conllu": read_conllu,
    ".conll": read_conll,
    ".bio": read_conll,
    ".iob": read_conll,
    ".iob2": read_conll,
}

FORMATS = ("txt", "jsonl", "csv", "tsv", "parquet", "conllu", "conll")
"""Names of formats, as they are given where the ending says something else or nothing."""

GIVE_WORDS = {".conllu", ".conll", ".bio", ".iob", ".iob2"}
"""Formats whose texts come with their words."""

COMPRESSIONS = {".gz": "gz", ".zst": "zst"}


def format_of(address: str, named: str | None = None) -> tuple[str, str | None]:
    """Ending (a key of `READERS`) and compression (`gz`, `zst`, None) of a path or URL.

    A format that is `named` (one of `FORMATS`) counts instead of the ending.

    Raises:
        SourceError: the ending is unknown; the message lists those there are.
    """
    path = urlsplit(address).path if address.startswith(("http://", "https://")) else address.split("::")[0]
    name = path.replace("\\", "/").rsplit("/", 1)[-1].lower()
    compression = None
    for ending, kind in COMPRESSIONS.items():
        if name.endswith(ending):
            name, compression = name.removesuffix(ending), kind
            break
    ending = "." + name.rsplit(".", 1)[-1] if "." in name else ""
    ending = ending if named is None else f".{named}"
    if ending not in READERS:
        hint = " (jsonl if it has a JSON object a line)" if ending == ".json" else ""
        raise SourceError(
            f"{address} has an ending that is not known ({ending or 'none'}): "
            f"expected {', '.join(READERS)}, each also with {' or '.join(COMPRESSIONS)}; or say what it is with "
            f"--format {', '.join(FORMATS)}{hint}."
        )
    if ending == ".parquet" and compression:
        raise SourceError(
            f"{address} is Parquet compressed once more: decompress it; Parquet is compressed itself."
        )
    return ending, compression


def is_known(address: str, named: str | None = None) -> bool:
    """Whether a file has an ending that can be read; any has if the format is named."""
    try:
        format_of(address, named)
    except SourceError:
        return False
    return True
