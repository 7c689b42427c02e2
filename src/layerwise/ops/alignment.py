"""Words in a source text, and which tokens make up which word.

All offsets are half-open and count Unicode code points of the text as given.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import regex
from jaxtyping import Int
from numpy import ndarray

Spans = Int[ndarray, "units 2"]

_NOT_SPACE = regex.compile(r"\S+")
_BOUNDARY = regex.compile(r"(?w)\b")


def whitespace_words(text: str) -> Spans:
    """Spans of the maximal runs without white space: (words, 2)."""
    return _spans(match.span() for match in _NOT_SPACE.finditer(text))


def unicode_words(text: str) -> Spans:
    """Spans between the default word boundaries of UAX #29, white space left out: (words, 2)."""
    edges = [0, *(match.start() for match in _BOUNDARY.finditer(text)), len(text)]
    pairs = pairwise(edges)
    return _spans((start, end) for start, end in pairs if not text[start:end].isspace() and start < end)


def trim(text: str, spans: Spans) -> Spans:
    """Take white space off both ends of each span, unless the span is nothing else.

    SentencePiece and byte-level tokens carry the space before the word.
    """
    trimmed = spans.copy()
    for row, (start, end) in enumerate(spans.tolist()):
        if end > start and (text[start].isspace() or text[end - 1].isspace()):
            piece = text[start:end]
            if core := piece.strip():
                left = start + len(piece) - len(piece.lstrip())
                trimmed[row] = left, left + len(core)
    return trimmed


def assign(tokens: Spans, words: Spans) -> tuple[Int[ndarray, " edges"], Int[ndarray, " edges"]]:
    """Every (token, word) whose spans overlap, sorted by word, then token.

    A token over several words (a SentencePiece over 这本 where each 汉字 is a word) belongs to each.
    A token without width belongs to none. Words must be sorted and must not overlap; tokens must
    be sorted by their start.
    """
    if not len(tokens) or not len(words):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    first = np.searchsorted(words[:, 1], tokens[:, 0], side="right")
    after = np.searchsorted(words[:, 0], tokens[:, 1], side="left")
    counts = np.where(tokens[:, 1] > tokens[:, 0], np.maximum(after - first, 0), 0)
    token = np.repeat(np.arange(len(tokens)), counts)
    within = np.arange(len(token)) - np.repeat(np.cumsum(counts) - counts, counts)
    word = first[token] + within
    order = np.lexsort((token, word))
    return token[order], word[order]


def _spans(pairs: object) -> Spans:
    return np.array(list(pairs), np.int64).reshape(-1, 2)  # type: ignore[call-overload]
