"""A chunk of rows as the hidden states of its texts, one by one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from layerwise.models.pipeline import EncodedChunk
from layerwise.models.request import Request
from layerwise.types import HiddenStates, Layer, TextRecord, Unit


def split(chunk: EncodedChunk, request: Request) -> Iterator[HiddenStates]:
    """A chunk's rows, text by text."""
    rows, first = chunk.rows, 0
    names: tuple[Layer | Literal["mix"], ...] = request.layers.layers if request.mix == "none" else ("mix",)
    for number, (record, text) in enumerate(zip(chunk.records, chunk.texts, strict=True)):
        after = first + int(rows.ledger.num_units[number])
        yield HiddenStates(
            text=record.text,
            text_pair=record.text_pair,
            layers=names,
            units=tuple(_unit(chunk, record, row) for row in range(first, after)),
            hidden_states=chunk.vectors[:, first:after].copy(),
            num_tokens=text.num_tokens,
            num_windows=len(text.sequences),
            num_truncated=text.num_truncated,
            num_hidden_layers=request.layers.num_hidden_layers,
        )
        first = after


def _unit(chunk: EncodedChunk, record: TextRecord, row: int) -> Unit:
    rows = chunk.rows
    start, end, member = int(rows.start[row]), int(rows.end[row]), int(rows.sequence_id[row])
    word = int(rows.word_id[row])
    source = record.text_pair if member else record.text
    return Unit(
        surface=(source or "")[start:end],
        start=start,
        end=end,
        word_id=None if word < 0 else word,
        sequence_id=member,
        embedded=bool(rows.count[row] > 0),
    )
