"""Small stores with labels whose layers differ in what they know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from layerwise.store.reader import Store
from layerwise.types import Chunk, Ledger
from tests.store.making import RUN, make

SIZE = 24
COLUMNS = {"layer_00": SIZE, "layer_01": SIZE, "layer_02": SIZE}


def store_of(
    path: Path,
    texts: Sequence[Sequence[str]],
    layers: Mapping[str, np.ndarray],
    kept: Mapping[str, Sequence[Any]],
    unit: str = "word",
    **others: Any,
) -> Store:
    """A store of texts given as their units, with one array (rows, size) a layer."""
    lengths = np.array([len(units) for units in texts], np.int64)
    rows = int(lengths.sum())
    unit_id = np.concatenate([np.arange(length) for length in lengths]).astype(np.int32)
    chunk = Chunk(
        first_text=0,
        ledger=Ledger(lengths, np.ones(len(lengths), np.int32), lengths * 0, lengths),
        text_id=np.repeat(np.arange(len(texts), dtype=np.int64), lengths),
        unit_id=unit_id,
        unit=[surface for units in texts for surface in units],
        start=unit_id * 9,
        end=unit_id * 9 + 8,
        embedded=others.pop("embedded", np.ones(rows, bool)),
        vectors={name: np.asarray(one, np.float32) for name, one in layers.items()},
        kept=kept,
        **others,
    )
    run = {**RUN, "unit": unit, "hidden_size": SIZE, "keep": list(kept)}
    columns = {name: one.shape[1] for name, one in layers.items()}
    return make(path, [chunk], run, columns=columns, unit=unit, pairs=chunk.sequence_id is not None)


def word_store(path: Path, texts: int = 80, seed: int = 0, **kept: Sequence[Any]) -> Store:
    """Words with a tag of three. Layer 0 knows the word type, layer 1 the tag, layer 2 almost nothing."""
    random = np.random.default_rng(seed)
    lengths = random.integers(4, 9, texts)
    types = [random.integers(0, 40, length) for length in lengths]
    tags = [(one + np.arange(len(one))) % 3 for one in types]  # a word's tag depends on its place
    flat_types, flat_tags = np.concatenate(types), np.concatenate(tags)
    noise = random.normal(size=(3, len(flat_tags), SIZE))
    of_type, of_tag = random.normal(size=(40, SIZE)), random.normal(size=(3, SIZE)) * 3
    layers = {
        "layer_00": of_type[flat_types] + 0.3 * noise[0],
        "layer_01": of_tag[flat_tags] + 0.5 * noise[1],
        "layer_02": 0.1 * of_tag[flat_tags] + noise[2],
    }
    names = [[f"T{tag}" for tag in line] for line in tags]
    words = [[f"w{one}" for one in line] for line in types]
    return store_of(path, words, layers, {"tag": names, **kept})


def text_store(path: Path, texts: int = 150, seed: int = 0, **kept: Sequence[Any]) -> Store:
    """Texts with a class and a number. Layer 1 knows both, layer 2 the class only, layer 0 nothing."""
    random = np.random.default_rng(seed)
    label = np.arange(texts) % 2
    number = random.normal(size=texts)
    noise = random.normal(size=(3, texts, SIZE))
    directions = random.normal(size=(2, SIZE)) * 2
    sign = (2 * label - 1)[:, None]
    layers = {
        "layer_00": noise[0],
        "layer_01": 0.5 * noise[1] + sign * directions[0] + number[:, None] * directions[1],
        "layer_02": noise[2] + sign * directions[0] / 4,
    }
    own = {"label": label.tolist(), "number": number.tolist(), **kept}
    return store_of(path, [[f"text {one}"] for one in range(texts)], layers, own, unit="text")
