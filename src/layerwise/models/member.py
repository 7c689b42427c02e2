"""The tokens of one text on its own, and which of its words they make up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from tokenizers import Encoding, Tokenizer

from layerwise.ops.alignment import WORD_FINDERS, assign, attach_marks, trim

Ints = npt.NDArray[np.int64]
Spans = npt.NDArray[np.int64]

NONE: Ints = np.zeros(0, np.int64)
NO_SPANS: Spans = np.zeros((0, 2), np.int64)


@dataclass(frozen=True, slots=True)
class Member:
    """One text: half of a pair, or the only one.

    Attributes:
        ids: (tokens,) without special tokens.
        spans: (tokens, 2) the characters of each token, without surrounding white space and with
            the combining marks behind it that no token covers.
        words: (words, 2) the characters of each word.
        edge_token, edge_word: (edges,) which token belongs to which word; sorted by word, token.
    """

    ids: Ints
    spans: Spans
    words: Spans
    edge_token: Ints
    edge_word: Ints

    def __len__(self) -> int:
        return len(self.ids)

    def cut(self, keep: int) -> Member:
        """Only the first `keep` tokens. All words stay: one that lost its tokens is not embedded."""
        kept = self.edge_token < keep
        return Member(
            self.ids[:keep], self.spans[:keep], self.words, self.edge_token[kept], self.edge_word[kept]
        )


def tokenise(backend: Tokenizer, texts: Sequence[str], words: str) -> list[Member]:
    """Tokenise texts and find their words: `tokenizer`, `whitespace` or `unicode`."""
    encodings: list[Encoding] = backend.encode_batch(list(texts), add_special_tokens=False)
    find = WORD_FINDERS.get(words)
    members = []
    for text, encoding in zip(texts, encodings, strict=True):
        ids = np.array(encoding.ids, np.int64)
        spans = attach_marks(text, trim(text, np.array(encoding.offsets, np.int64).reshape(-1, 2)))
        if find is None:
            members.append(Member(ids, spans, *_pretokens(spans, encoding)))
        else:
            found = find(text)
            members.append(Member(ids, spans, found, *assign(spans, found)))
    return members


def tokenise_only(backend: Tokenizer, texts: Sequence[str]) -> list[Member]:
    """Tokenise texts without offsets and words, for rows that are whole texts; the fastest way."""
    encodings: list[Encoding] = backend.encode_batch_fast(list(texts), add_special_tokens=False)
    members = []
    for encoding in encodings:
        ids = np.array(encoding.ids, np.int64)
        members.append(Member(ids, np.zeros((len(ids), 2), np.int64), NO_SPANS, NONE, NONE))
    return members


def _pretokens(spans: Spans, encoding: Encoding) -> tuple[Spans, Ints, Ints]:
    """The tokenizer's own words: runs of tokens of one pre-token."""
    if not len(spans):
        return NO_SPANS, NONE, NONE
    pretoken = np.array([-1 if word is None else word for word in encoding.word_ids], np.int64)
    # A token outside any pre-token (a literal "[MASK]") is a word of its own.
    new = (pretoken[1:] != pretoken[:-1]) | (pretoken[1:] < 0)
    word = np.concatenate(([0], np.cumsum(new)))
    first = np.flatnonzero(np.concatenate(([True], new)))
    start = np.minimum.reduceat(spans[:, 0], first)
    end = np.maximum.reduceat(spans[:, 1], first)
    return np.stack([start, end], axis=1), np.arange(len(word)), word
