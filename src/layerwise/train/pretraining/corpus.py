"""A corpus as token ids on the disk: prepared once, the same for every process and every resume."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from layerwise.errors import SourceError
from layerwise.models.tokenization import plain_backend
from layerwise.text.sources import SourceOptions, Sources
from layerwise.train.data import Skipped
from layerwise.train.pretraining.documents import documents
from layerwise.train.tasks.example import batched

NAME = "corpus.json"
AT_ONCE = 200
"""Documents that are tokenised at once."""

PAUSE = 10.0
"""Seconds between two reports of how far tokenising has come."""

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Part:
    """The documents of one source.

    Attributes:
        name: of the source, without folder and ending.
        first, last: its documents, half-open.
    """

    name: str
    first: int
    last: int


@dataclass(frozen=True)
class Corpus:
    """Token ids without special tokens.

    Attributes:
        tokens: (tokens,) of all documents, one after the other.
        sentences: (sentences + 1,) where each sentence begins in `tokens`.
        documents: (documents + 1,) where each document begins in `sentences`.
        parts: the sources.
    """

    tokens: Array
    sentences: Array
    documents: Array
    parts: tuple[Part, ...]

    @classmethod
    def load(cls, folder: Path) -> Corpus:
        """Open a prepared corpus; its tokens stay on the disk, mapped into memory.

        Raises:
            SourceError: it is not whole.
        """
        try:
            document = json.loads((folder / NAME).read_text("utf-8"))
            tokens = np.memmap(folder / "tokens.bin", document["dtype"], "r")
            sentences, ends = (np.load(folder / f"{name}.npy") for name in ("sentences", "documents"))
            parts = tuple(Part(**part) for part in document["parts"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise SourceError(
                f"the prepared corpus in {folder} cannot be read ({error}): pass --overwrite to prepare it anew."
            ) from error
        if len(tokens) != sentences[-1] or len(sentences) - 1 != ends[-1]:
            raise SourceError(
                f"the prepared corpus in {folder} is cut short: pass --overwrite to prepare it anew."
            )
        return cls(tokens, sentences, ends, parts)


def read_documents(
    source: str | Path, format: str | None, text_column: str | None, skipped: Skipped | None = None
) -> Iterator[list[str]]:
    """The documents of a source as lists of sentences; the end of a file ends a document.

    Raises:
        SourceError: it cannot be read.
    """
    options = SourceOptions(text_column, format=format, on_bad_row=skipped)
    for file in Sources(source, options).files:
        one = Sources(file.address, options)
        yield from documents(one.records(), one.is_plain_text())


def prepare(
    sources: list[str],
    tokenizer: Any,
    folder: Path,
    *,
    format: str | None,
    text_column: str | None,
    longest: int,
    report: Callable[[str], None],
    skipped: Skipped | None = None,
) -> None:
    """Tokenise sources into a folder, which is there as a whole or not at all.

    Args:
        longest: tokens of a sentence at most; a longer one is cut into several.
        skipped: is told of bad rows; None: the first one is raised.

    Raises:
        SourceError: a source cannot be read, or all of them hold fewer than two documents.
    """
    draft = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    backend = plain_backend(tokenizer)
    backend.encode_special_tokens = True  # "[MASK]" in a text is text
    dtype = "uint16" if len(tokenizer) <= 1 << 16 else "int32"
    sentences, ends, parts = [0], [0], []
    said = time.monotonic()
    with (draft / "tokens.bin").open("wb") as file:
        for source in sources:
            first, begun = len(ends) - 1, sentences[-1]
            for piece in batched(read_documents(source, format, text_column, skipped), AT_ONCE):
                encoded = iter(
                    backend.encode_batch_fast(
                        [one for text in piece for one in text], add_special_tokens=False
                    )
                )
                for text in piece:
                    before = len(sentences)
                    for _ in text:
                        ids = next(encoded).ids
                        for at in range(0, len(ids), longest):
                            part = np.array(ids[at : at + longest], dtype)
                            file.write(part.tobytes())
                            sentences.append(sentences[-1] + len(part))
                    if len(sentences) > before:
                        ends.append(len(sentences) - 1)
                if time.monotonic() - said > PAUSE:
                    report(
                        f"{source}: {sentences[-1] - begun:,} tokens of {len(ends) - 1 - first:,} documents so far"
                    )
                    said = time.monotonic()
            report(f"{source}: {sentences[-1] - begun:,} tokens of {len(ends) - 1 - first:,} documents")
            name = Path(source).name.split(".")[0] or "corpus"
            parts.append({"name": name, "first": first, "last": len(ends) - 1})
    if len(ends) < 3:
        raise SourceError(
            f"the corpus has {'one document' if len(ends) == 2 else 'no document'}: expected at least two, with an empty "
            "line between them in .txt; a pair of sentences that do not belong together needs a second one."
        )
    np.save(draft / "sentences.npy", np.array(sentences, np.int64))
    np.save(draft / "documents.npy", np.array(ends, np.int64))
    (draft / NAME).write_text(json.dumps({"dtype": dtype, "parts": parts}), "utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    draft.replace(folder)
