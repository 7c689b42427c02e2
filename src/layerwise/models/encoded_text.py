"""A text as the model takes it: its windows, and where each of its tokens and words is in them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from layerwise.models.member import Ints


@dataclass(frozen=True, slots=True)
class Window:
    """One sequence as the model takes it: (seq,) ids and token types, special tokens included."""

    input_ids: Ints
    token_type_ids: Ints

    def __len__(self) -> int:
        return len(self.input_ids)


@dataclass(frozen=True, slots=True)
class Apart:
    """The second text of a pair that is encoded apart, and the first of its sequences."""

    text: str
    first_sequence: int


@dataclass(frozen=True, slots=True)
class EncodedText:
    """One text (or pair) as token sequences.

    Of a pair encoded apart, the sequences of the first text come before those of the second.

    Attributes:
        text: the first text.
        sequences: its windows.
        num_tokens: tokens of the text and its pair, special tokens and cuts not counted.
        num_truncated: how many of them were cut off.
        cls_position: position of the special token that opens a sequence, or None.
        special: (window, positions) of the special tokens of the text as a whole: those that open and
            separate in its first window, those that close in its last.
        window, position: (tokens,) where to find each token: window and position in it.
        start, end: (tokens,) its characters, without surrounding white space.
        sequence_id: (tokens,) 0 in the text, 1 in the pair.
        word_id: (tokens,) the (first) word it belongs to; -1 for none.
        word_start, word_end, word_sequence_id: (words,) the words.
        edge_token, edge_word: (edges,) which token belongs to which word; sorted by word, token.
        apart: the second text of a pair, if it was encoded apart from the first; else None.
    """

    text: str
    sequences: tuple[Window, ...]
    num_tokens: int
    num_truncated: int
    cls_position: int | None
    special: tuple[tuple[int, range], ...]
    window: Ints
    position: Ints
    start: Ints
    end: Ints
    sequence_id: Ints
    word_id: Ints
    word_start: Ints
    word_end: Ints
    word_sequence_id: Ints
    edge_token: Ints
    edge_word: Ints
    apart: Apart | None = None

    @property
    def num_windows(self) -> int:
        """Windows it was encoded in: of a pair encoded apart, those of the text that has more."""
        if self.apart is None:
            return len(self.sequences)
        return max(self.apart.first_sequence, len(self.sequences) - self.apart.first_sequence)


def side_by_side(first: EncodedText, second: EncodedText) -> EncodedText:
    """The texts of a pair, each encoded on its own, as one `EncodedText` with the rows of both."""
    sequences, tokens, words = len(first.sequences), len(first.start), len(first.word_start)
    return EncodedText(
        text=first.text,
        sequences=first.sequences + second.sequences,
        num_tokens=first.num_tokens + second.num_tokens,
        num_truncated=first.num_truncated + second.num_truncated,
        cls_position=first.cls_position,
        special=first.special + tuple((window + sequences, places) for window, places in second.special),
        window=np.concatenate([first.window, second.window + sequences]),
        position=np.concatenate([first.position, second.position]),
        start=np.concatenate([first.start, second.start]),
        end=np.concatenate([first.end, second.end]),
        sequence_id=np.concatenate([first.sequence_id, second.sequence_id + 1]),
        word_id=np.concatenate([first.word_id, second.word_id]),
        word_start=np.concatenate([first.word_start, second.word_start]),
        word_end=np.concatenate([first.word_end, second.word_end]),
        word_sequence_id=np.concatenate([first.word_sequence_id, second.word_sequence_id + 1]),
        edge_token=np.concatenate([first.edge_token, second.edge_token + tokens]),
        edge_word=np.concatenate([first.edge_word, second.edge_word + words]),
        apart=Apart(second.text, sequences),
    )
