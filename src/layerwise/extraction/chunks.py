"""What the encoder gives, as the store takes it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from layerwise.errors import SourceError
from layerwise.models.pipeline import EncodedChunk
from layerwise.models.request import Request
from layerwise.types import Chunk, TextRecord


def as_chunk(chunk: EncodedChunk, request: Request, first_text: int) -> Chunk:
    """A chunk of the engine as the store takes it."""
    rows, records = chunk.rows, chunk.records
    first_row = np.concatenate(([0], np.cumsum(rows.ledger.num_units)))[:-1]
    names = request.layers.columns if request.mix == "none" else ("layer_mix",)
    paired = request.rows_of_both and any(record.text_pair is not None for record in records)
    return Chunk(
        first_text=first_text,
        ledger=rows.ledger,
        text_id=rows.text + first_text,
        unit_id=(np.arange(len(rows)) - first_row[rows.text]).astype(np.int32),
        unit=_surfaces(chunk),
        start=rows.start.astype(np.int32),
        end=rows.end.astype(np.int32),
        embedded=rows.embedded,
        vectors=dict(zip(names, chunk.vectors, strict=True)),
        sequence_id=rows.sequence_id.astype(np.int8) if paired else None,
        word_id=rows.word_id.astype(np.int32) if request.unit == "token" else None,
        kept=_kept(records, request, first_text),
        ids=[record.id for record in records] if records[0].id is not None else None,
    )


def _kept(records: Sequence[TextRecord], request: Request, first_text: int) -> dict[str, list[Any]]:
    """Columns to keep. Below texts a list is spread over the words, so it must have one value for each.

    Raises:
        SourceError: a list, and the words are not the source's own, or not as many.
    """
    columns = {name: [record.kept[name] for record in records] for name in records[0].kept}
    if request.unit == "text":
        return columns
    for name, values in columns.items():
        for number, (record, value) in enumerate(zip(records, values, strict=True), start=first_text):
            words = len(record.words) if request.words == "given" and record.words is not None else None
            if isinstance(value, list | tuple) and len(value) != words:
                raise SourceError(
                    f"text {number}: the column {name!r} is a list of {len(value)}, to be spread over "
                    + (
                        f"{words} words: expected one value a word."
                        if words is not None
                        else f"words, and those of words={request.words!r} need not be the ones it was made for: "
                        "pass --words given with the source's own words, or choose --unit text."
                    )
                )
    return columns


def _surfaces(chunk: EncodedChunk) -> list[str]:
    rows = chunk.rows
    sources = [(record.text, record.text_pair or "") for record in chunk.records]
    return [
        sources[text][member][start:end]
        for text, member, start, end in zip(
            rows.text.tolist(), rows.sequence_id.tolist(), rows.start.tolist(), rows.end.tolist(), strict=True
        )
    ]
