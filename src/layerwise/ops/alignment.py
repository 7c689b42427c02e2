"""Words in a source text, and which tokens make up which word.

All offsets are half-open and count Unicode code points of the text as given. White space is what
`str.isspace` and `str.split` take it to be.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache

import numpy as np
import regex
from jaxtyping import Bool, Int
from numpy import ndarray

from layerwise.ops.word_boundaries import SEGMENT

Spans = Int[ndarray, "units 2"]

_NOT_SPACE = re.compile(r"\S+")
_ATTACHED = regex.compile(r"[\p{Grapheme_Extend}\p{M}\u200d]")


def whitespace_words(text: str) -> Spans:
    """Spans of the maximal runs without white space: (words, 2)."""
    return _spans(match.span() for match in _NOT_SPACE.finditer(text))


def unicode_words(text: str) -> Spans:
    """Spans between the default word boundaries of UAX #29, without white space: (words, 2).

    A combining mark after a space has the space for its base; here it is a word of its own.
    """
    spans = _spans(match.span() for match in SEGMENT.finditer(text) if not match[0].isspace())
    return trim(text, spans)


WORD_FINDERS: Mapping[str, Callable[[str], Spans]] = {
    "whitespace": whitespace_words,
    "unicode": unicode_words,
}


def trim(text: str, spans: Spans) -> Spans:
    """Take white space off both ends of each span, unless the span is nothing else.

    SentencePiece and byte-level tokens carry the space before the word.
    """
    space = is_space(text)
    if not space.any() or not len(spans):
        return spans.copy()
    here = np.arange(len(space))
    following = np.minimum.accumulate(np.where(space, len(space), here)[::-1])[::-1]
    preceding = np.maximum.accumulate(np.where(space, -1, here))
    start, end = spans[:, 0], spans[:, 1]
    core_start = np.append(following, len(space))[start]
    core_end = preceding[end - 1] + 1
    solid = (end > start) & (core_start < end)
    return np.stack([np.where(solid, core_start, start), np.where(solid, core_end, end)], axis=1)


def attach_marks(text: str, spans: Spans) -> Spans:
    """Extend each span over the combining marks behind it that no other span covers.

    A normaliser that composes or strips accents leaves the mark of "e\u0301" outside the token of
    "é"; the same goes for variation selectors and joiners that a tokenizer drops. White space and
    spans without width are left alone.
    """
    if text.isascii() or not len(spans):
        return spans.copy()
    marks = np.fromiter((match.start() for match in _ATTACHED.finditer(text)), np.int64)
    if not len(marks):
        return spans.copy()
    start, end = spans[:, 0], spans[:, 1]
    size = len(text) + 1
    covered = np.cumsum(np.bincount(start, minlength=size) - np.bincount(end, minlength=size)) > 0
    attached = np.zeros(size, np.bool_)
    attached[marks] = ~covered[marks]
    here = np.arange(size)
    reach = np.minimum.accumulate(np.where(attached, len(text), here)[::-1])[::-1]
    solid = (end > start) & ~np.append(is_space(text), True)[end - 1]
    return np.stack([start, np.where(solid, reach[end], end)], axis=1)


def assign(
    tokens: Int[ndarray, "tokens 2"], words: Int[ndarray, "words 2"]
) -> tuple[Int[ndarray, " edges"], Int[ndarray, " edges"]]:
    """Every (token, word) whose spans overlap, sorted by word, then token.

    A token over several words (a SentencePiece over 这本 where each 汉字 is a word) belongs to each.
    A token without width belongs to none, and a word without width has none. Words must be sorted
    and must not overlap.
    """
    if not len(tokens) or not len(words):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    first = np.searchsorted(words[:, 1], tokens[:, 0], side="right")
    after = np.searchsorted(words[:, 0], tokens[:, 1], side="left")
    counts = np.where(tokens[:, 1] > tokens[:, 0], np.maximum(after - first, 0), 0)
    token = np.repeat(np.arange(len(tokens)), counts)
    within = np.arange(len(token)) - np.repeat(np.cumsum(counts) - counts, counts)
    word = first[token] + within
    wide = words[word, 1] > words[word, 0]
    token, word = token[wide], word[wide]
    order = np.lexsort((token, word))
    return token[order], word[order]


def is_space(text: str) -> Bool[ndarray, " characters"]:
    """Which characters are white space."""
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    table = _space_table()
    return table[np.minimum(codes, len(table) - 1)]


@cache
def _space_table() -> Bool[ndarray, " codes"]:
    """Whether each code point is white space, up to one past the last that is (U+3000)."""
    spaces = [code for code in range(0x10000) if chr(code).isspace()]
    table = np.zeros(spaces[-1] + 2, np.bool_)
    table[spaces] = True
    return table


def _spans(pairs: Iterable[tuple[int, int]]) -> Spans:
    return np.array(list(pairs), np.int64).reshape(-1, 2)
