"""Documents and their sentences, out of plain text or of columns.

In `.txt` a line is a paragraph (or a sentence) and an empty line ends a document, as Google's
`create_pretraining_data.py` has it; elsewhere a row is a document. A "sentence" of BERT is any stretch of text
(Devlin et al. 2019, §3): here paragraphs are cut behind sentence-final punctuation.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import regex

from layerwise.types import TextRecord

_ENDS = regex.compile(
    r"(?<=[。！？…][”’」』）]?)(?![。！？…”’」』）])"  # no space follows in Chinese
    r"|(?=\s)(?<=[.!?][\"'”’)\]]*)\s+(?=[\p{Lu}\p{Lo}\p{N}\"“‘(\[])"  # in English a space and a capital do
    r"|(?<=[؟۔।॥])\s+"
    # (?=\s) comes first: looking back at every quote of a long run of them takes time that grows with its square.
)


def sentences(paragraph: str) -> list[str]:
    """The sentences of a paragraph, without surrounding white space; none for an empty one."""
    return [part for piece in _ENDS.split(paragraph) if piece and (part := piece.strip())]


def documents(records: Iterable[TextRecord], by_blank_lines: bool) -> Iterator[list[str]]:
    """The sentences of each document that has any.

    Args:
        by_blank_lines: a record is a line, and an empty one ends a document; else a record is a document.
    """
    document: list[str] = []
    for record in records:
        for line in record.text.split("\n"):
            document += sentences(line)
        if document and (not by_blank_lines or not record.text.strip()):
            yield document
            document = []
    if document:
        yield document
