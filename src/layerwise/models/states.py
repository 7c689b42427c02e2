"""A chunk of rows as the hidden states of its texts, one by one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np

from layerwise.errors import NumericError
from layerwise.models.pipeline import EncodedChunk
from layerwise.models.request import Request
from layerwise.types import HiddenStates, Layer, TextRecord, Unit


def split(chunk: EncodedChunk, request: Request) -> Iterator[HiddenStates]:
    """A chunk's rows, text by text.

    Raises:
        NumericError: a vector is NaN or infinite, though its unit has tokens.
    """
    rows, first = chunk.rows, 0
    names: tuple[Layer | Literal["mix"], ...] = request.layers.layers if request.mix == "none" else ("mix",)
    _refuse_not_finite(chunk, names)
    for number, (record, text) in enumerate(zip(chunk.records, chunk.texts, strict=True)):
        after = first + int(rows.ledger.num_units[number])
        yield HiddenStates(
            text=record.text,
            text_pair=record.text_pair,
            layers=names,
            units=tuple(_unit(chunk, record, row) for row in range(first, after)),
            hidden_states=chunk.vectors[:, first:after].copy(),
            num_tokens=text.num_tokens,
            num_windows=text.num_windows,
            num_truncated=text.num_truncated,
            num_hidden_layers=request.layers.num_hidden_layers,
            has_final=request.layers.has_final,
        )
        first = after


def _refuse_not_finite(chunk: EncodedChunk, names: Sequence[Layer | Literal["mix"]]) -> None:
    with np.errstate(all="ignore"):  # one pass: a sum is finite only if every value is
        broken = ~np.isfinite(chunk.vectors.sum(axis=2)) & chunk.rows.embedded
    if broken.any():
        layer, row = np.argwhere(broken)[0].tolist()
        record = chunk.records[int(chunk.rows.text[row])]
        surface = _unit(chunk, record, row).surface
        raise NumericError(
            f"layer {names[layer]} of {surface[:30]!r}, in the text {record.text[:30]!r}, is NaN or infinite: run the "
            "model with dtype='float32', and look at `layerwise models MODEL` for what is wrong with it."
        )


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
