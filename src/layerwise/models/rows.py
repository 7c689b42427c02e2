"""Which tokens make up which rows, for a chunk of texts at once.

A row is one unit. An `edge` says that the token at one position of one sequence belongs to one
row. Everything the engine does with a layer follows from the edges: `gather` where each row has
one token, else a segment sum or maximum.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from layerwise.models.encoded_text import EncodedText
from layerwise.models.request import Request
from layerwise.types import Ledger

Ints = npt.NDArray[np.int64]

_REDUCTIONS = {"mean": "mean", "max": "max", "mean_with_special": "mean", "max_with_special": "max"}


@dataclass(frozen=True)
class Rows:
    """The rows of some consecutive texts.

    Attributes:
        text: (rows,) number of the row's text within the chunk.
        start, end, word_id, sequence_id: (rows,) what `Unit` holds; word_id is -1 for none.
        count: (rows,) number of tokens behind each row; 0 for a row that is not embedded.
        edge_sequence, edge_position, edge_row: (edges,) sequence (numbered over the chunk),
            position within it, row; sorted by sequence, then row.
        num_sequences: sequences of the chunk, also those without an edge.
        reduction: `"gather"`, `"mean"` or `"max"`.
        ledger: lengths of the texts.
    """

    text: Ints
    start: Ints
    end: Ints
    word_id: Ints
    sequence_id: Ints
    count: Ints
    edge_sequence: Ints
    edge_position: Ints
    edge_row: Ints
    num_sequences: int
    reduction: str
    ledger: Ledger

    def __len__(self) -> int:
        return len(self.text)

    @property
    def embedded(self) -> npt.NDArray[np.bool_]:
        """(rows,) whether any token stands behind the row."""
        return self.count > 0

    @property
    def in_parts(self) -> bool:
        """Whether the tokens of some row lie in several sequences."""
        same = (np.diff(self.edge_sequence) == 0) & (np.diff(self.edge_row) == 0)
        return bool(len(self.edge_row) - np.count_nonzero(same) > np.count_nonzero(self.embedded))


def count_rows(text: EncodedText, unit: str) -> int:
    """Number of rows of one text."""
    if unit == "text":
        return 1 if text.apart is None else 2
    return len(text.word_start if unit == "word" else text.start)


def plan_rows(texts: Sequence[EncodedText], request: Request) -> Rows:
    """Lay out the rows of `texts`, numbered in order of text and place in it."""
    parts = [_ROWS[request.unit](text, request.pooling) for text in texts]
    num_units = np.array([len(part.start) for part in parts], np.int64)
    first_row = np.concatenate(([0], np.cumsum(num_units)))[:-1]
    num_sequences = [len(text.sequences) for text in texts]
    first_sequence = np.concatenate(([0], np.cumsum(num_sequences)))[:-1].astype(np.int64)
    sequence = _join([part.edge_window + s for part, s in zip(parts, first_sequence, strict=True)])
    position = _join([part.edge_position for part in parts])
    row = _join([part.edge_row + r for part, r in zip(parts, first_row, strict=True)])
    order = np.lexsort((position, row, sequence))
    total = int(num_units.sum())
    return Rows(
        text=np.repeat(np.arange(len(texts)), num_units),
        start=_join([part.start for part in parts]),
        end=_join([part.end for part in parts]),
        word_id=_join([part.word_id for part in parts]),
        sequence_id=_join([part.sequence_id for part in parts]),
        count=np.bincount(row, minlength=total),
        edge_sequence=sequence[order],
        edge_position=position[order],
        edge_row=row[order],
        num_sequences=sum(num_sequences),
        reduction=_REDUCTIONS.get(request.pooling, "gather"),
        ledger=Ledger(
            num_tokens=np.array([text.num_tokens for text in texts], np.int64),
            num_windows=np.array([text.num_windows for text in texts], np.int32),
            num_truncated=np.array([text.num_truncated for text in texts], np.int64),
            num_units=num_units,
        ),
    )


@dataclass(frozen=True)
class _TextRows:
    """The rows of one text, and its edges from (window, position) to row."""

    start: Ints
    end: Ints
    word_id: Ints
    sequence_id: Ints
    edge_window: Ints
    edge_position: Ints
    edge_row: Ints


def _token_rows(text: EncodedText, pooling: str) -> _TextRows:
    number = np.arange(len(text.start))
    return _TextRows(text.start, text.end, text.word_id, text.sequence_id, text.window, text.position, number)


def _word_rows(text: EncodedText, pooling: str) -> _TextRows:
    token, word = text.edge_token, text.edge_word
    if pooling in ("first", "last") and len(word):
        changes = np.flatnonzero(np.diff(word)) + 1
        kept = np.concatenate(([0], changes) if pooling == "first" else (changes - 1, [len(word) - 1]))
        token, word = token[kept], word[kept]
    # Each text of a pair counts from 0.
    numbers = np.arange(len(text.word_start)) - np.searchsorted(text.word_sequence_id, text.word_sequence_id)
    return _TextRows(
        text.word_start,
        text.word_end,
        numbers,
        text.word_sequence_id,
        text.window[token],
        text.position[token],
        word,
    )


def _text_rows(text: EncodedText, pooling: str) -> _TextRows:
    """One row, or one for each text of a pair that is encoded apart.

    `mean` and `max` go over the text's own tokens, `cls` takes the special token that opens the
    (first) sequence, `last_token` the last of the text's own tokens. `..._with_special`: special tokens
    count as the text's own, as sentence-transformers pools.
    """
    apart, window, position = text.apart, text.window, text.position
    if apart is None:
        end, row = np.array([len(text.text)]), np.zeros(len(window), np.int64)
    else:
        end, row = np.array([len(text.text), len(apart.text)]), text.sequence_id
    start = np.zeros(len(end), np.int64)
    last = np.flatnonzero(np.diff(row, append=len(end)))  # of each row's own tokens, which are in order
    final = np.full(len(end), -1)
    final[row[last]] = window[last]
    if pooling.endswith("_with_special"):
        special = _join([np.full(len(places), number) for number, places in text.special])
        window = _join([window, special])
        position = _join([position, *(np.array(places, np.int64) for _, places in text.special)])
        second = len(text.sequences) if apart is None else apart.first_sequence
        row = _join([row, (special >= second).astype(np.int64)])
    if pooling == "cls":
        opening = [0] if apart is None else [0, apart.first_sequence]
        row = np.arange(0 if text.cls_position is None else len(end))
        window, position = np.array(opening)[row], np.full(len(row), text.cls_position or 0)
    elif pooling == "last_token":
        window, position, row = window[last], position[last], row[last]
    elif pooling == "last_with_special":  # of a pair in several windows the last is not that of its end
        ending = np.flatnonzero((window == final[row]) | (final[row] < 0))
        order = ending[np.lexsort((position[ending], window[ending], row[ending]))]
        last = order[np.flatnonzero(np.diff(row[order], append=len(end)))]
        window, position, row = window[last], position[last], row[last]
    number = start if apart is None else np.arange(2)
    return _TextRows(start, end, start - 1, number, window, position, row)


_ROWS = {"token": _token_rows, "word": _word_rows, "text": _text_rows}


def _join(arrays: Sequence[npt.NDArray[np.integer[Any]]]) -> Ints:
    return np.concatenate([np.zeros(0, np.int64), *arrays]).astype(np.int64, copy=False)
