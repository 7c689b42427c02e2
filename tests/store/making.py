"""Small stores for tests: every vector is a function of its text, unit and layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from layerwise.store.reader import Store, open_store
from layerwise.store.writer import StoreWriter
from layerwise.types import Chunk, Ledger

SIZE = 4
COLUMNS = {"layer_00": SIZE, "layer_01": SIZE, "layer_02": SIZE}

RUN: dict[str, Any] = {
    "model": "tiny",
    "revision": None,
    "weights_sha256": "ab" * 32,
    "tokenizer_sha256": "cd" * 32,
    "num_hidden_layers": 2,
    "hidden_size": SIZE,
    "layers": [0, 1, 2],
    "unit": "word",
    "words": "tokenizer",
    "pooling": "mean",
    "mix": "none",
    "dtype": "float32",
    "store_dtype": "float32",
    "max_length": 512,
    "stride": 64,
    "long_text": "window",
    "engine": "packed",
    "device": "cpu",
    "source": {"files": ["a.txt"], "sha256": "ef" * 32},
    "keep": [],
    "versions": {"layerwise": "0.1.0"},
}


def vectors(text_id: np.ndarray, unit_id: np.ndarray, layer: int, size: int = SIZE) -> np.ndarray:
    """(rows, size): distinct in every row, dimension and layer."""
    row = text_id[:, None] * 31.0 + unit_id[:, None] * 7.0 + np.arange(size) + 1
    return np.sin(row * (layer + 1)).astype(np.float32)


def chunk(
    first_text: int,
    lengths: Sequence[int],
    *,
    columns: Mapping[str, int] = COLUMNS,
    not_embedded: Sequence[int] = (),
    dtype: str = "float32",
    **others: Any,
) -> Chunk:
    """Texts of `lengths` units; rows whose number is in `not_embedded` have null vectors."""
    lengths_ = np.array(lengths, np.int64)
    rows = int(lengths_.sum())
    text_id = np.repeat(np.arange(first_text, first_text + len(lengths_), dtype=np.int64), lengths_)
    unit_id = (np.arange(rows) - np.repeat(np.cumsum(lengths_) - lengths_, lengths_)).astype(np.int32)
    embedded = np.ones(rows, bool)
    embedded[list(not_embedded)] = False
    return Chunk(
        first_text=first_text,
        ledger=Ledger(lengths_ + 2, np.ones(len(lengths_), np.int32), lengths_ * 0, lengths_),
        text_id=text_id,
        unit_id=unit_id,
        unit=[f"w{(t * 3 + u) % 11}" for t, u in zip(text_id.tolist(), unit_id.tolist(), strict=True)],
        start=unit_id * 3,
        end=unit_id * 3 + 2,
        embedded=embedded,
        vectors={
            name: vectors(text_id, unit_id, number, size).astype(dtype)
            for number, (name, size) in enumerate(columns.items())
        },
        **others,
    )


def length(text: int) -> int:
    """Units of a text: some have none."""
    return (text * 5) % 7 if text % 6 else 0


def chunks(texts: int, each: int = 10, first: int = 0, **others: Any) -> list[Chunk]:
    """The same texts in chunks of `each`, from text `first` on."""
    return [
        chunk(start, [length(t) for t in range(start, min(start + each, texts))], **others)
        for start in range(first, texts, each)
    ]


def writer(path: Path, run: Mapping[str, Any] = RUN, **options: Any) -> StoreWriter:
    options = {"columns": COLUMNS, "unit": run["unit"], "store_dtype": run["store_dtype"], **options}
    return StoreWriter.open(path, run, options.pop("columns"), **options)


def make(path: Path, parts: Sequence[Chunk], run: Mapping[str, Any] = RUN, **options: Any) -> Store:
    """A finished store, a commit a chunk."""
    with writer(path, run, commit_bytes=1, **options) as open_writer:
        for part in parts:
            open_writer.append(part)
            open_writer.commit()
        open_writer.finish()
    return open_store(path)
