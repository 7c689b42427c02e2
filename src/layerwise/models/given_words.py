"""Words given by the user, tokenised as transformers' `is_split_into_words=True` does.

No token crosses the border of a given word. What stands between the words is tokenised too, as
context: it makes no row, but the model reads the whole text.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from layerwise.models.member import NONE, Ints, Member, Spans
from layerwise.ops.alignment import assign, attach_marks, trim, whitespace_words

Span = tuple[int, int]


class GivenWords:
    """Tokenises texts along given words.

    A byte-level tokenizer must put a space before each word (`add_prefix_space`), or a word
    inside a sentence would get other tokens than it has there; transformers demands the same.
    """

    def __init__(self, tokenizer: Any) -> None:
        state = json.loads(tokenizer.backend_tokenizer.to_str())
        _add_prefix_space(state.get("pre_tokenizer"))
        _add_prefix_space(state.get("post_processor"))
        self._backend = Tokenizer.from_str(json.dumps(state))
        self._backend.no_truncation()
        self._backend.no_padding()

    def tokenise(self, texts: Sequence[str], words: Sequence[Sequence[Span]]) -> list[Member]:
        """Tokenise texts; `words` are the spans of each text's words, in order."""
        pieces = [_pieces(text, spans) for text, spans in zip(texts, words, strict=True)]
        split = [[text[start:end] for start, end in own] for text, own in zip(texts, pieces, strict=True)]
        encodings = self._backend.encode_batch(split, is_pretokenized=True, add_special_tokens=False)
        members = []
        for text, spans, own, encoding in zip(texts, words, pieces, encodings, strict=True):
            piece = np.array(encoding.word_ids, np.int64)
            start = np.array([start for start, _ in own], np.int64)
            within = np.array(encoding.offsets, np.int64).reshape(-1, 2)
            characters = within + start[piece][:, None] if len(piece) else within
            characters = attach_marks(text, trim(text, characters))
            edges = _edges(spans, own, piece, characters)
            given = np.array(list(spans), np.int64).reshape(-1, 2)
            members.append(Member(np.array(encoding.ids, np.int64), characters, given, *edges))
        return members


def _pieces(text: str, spans: Sequence[Span]) -> list[Span]:
    """The text cut at the words: each word once (overlapping ones as one), and what is between."""
    merged: list[Span] = []
    for start, end in sorted(span for span in spans if span[0] < span[1]):
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    pieces: list[Span] = []
    previous = 0
    for start, end in [*merged, (len(text), len(text))]:
        gap = text[previous:start]
        pieces += [(previous + a, previous + b) for a, b in whitespace_words(gap).tolist()]
        if start < end:
            pieces.append((start, end))
        previous = end
    return pieces


def _edges(
    words: Sequence[Span], pieces: Sequence[Span], piece: Ints, characters: Spans
) -> tuple[Ints, Ints]:
    """Tokens of each word: those of its piece; of words that overlap, those it touches."""
    number = {span: index for index, span in enumerate(pieces)}
    starts = [start for start, _ in pieces]
    first = np.searchsorted(piece, np.arange(len(pieces) + 1))  # pieces are tokenised in order
    tokens: list[Ints] = [NONE]
    owners: list[Ints] = [NONE]
    for word, span in enumerate(words):
        index = number.get((span[0], span[1]))
        if index is not None:
            own = np.arange(first[index], first[index + 1])
        elif span[0] == span[1]:  # an empty word has no token
            own = NONE
        else:  # in the piece that it makes with the words it overlaps
            index = bisect_right(starts, span[0]) - 1
            inner, _ = assign(characters[first[index] : first[index + 1]], np.array([span], np.int64))
            own = inner + first[index]
        tokens.append(own)
        owners.append(np.full(len(own), word))
    return np.concatenate(tokens), np.concatenate(owners)


def _add_prefix_space(part: dict[str, Any] | None) -> None:
    """Set `add_prefix_space` on every byte-level part: where it splits, and where it trims offsets."""
    if part is None:
        return
    if part.get("type") in ("ByteLevel", "RobertaProcessing"):
        part["add_prefix_space"] = True
    for inner in (*part.get("pretokenizers", ()), *part.get("processors", ())):
        _add_prefix_space(inner)
