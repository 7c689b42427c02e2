"""Signals of a store's layers that need no label."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from layerwise.analysis.similarity import mean_cosine
from layerwise.analysis.spectrum import Halves, Moments, TwoViews
from layerwise.errors import StoreError
from layerwise.reports.signals import CAUTION, LayerSignals, SignalsReport
from layerwise.store.reader import Name, Store
from layerwise.study.samples import TAKEN, Rows, read_layer, sample_rows

MOST_ROWS = 50_000
MOST_TEXTS = 1_000


def unsupervised(
    store: Store,
    *,
    layers: str | int | Sequence[int | str] | None = "all",
    rows: int = MOST_ROWS,
    texts: int = MOST_TEXTS,
    seed: int = 0,
) -> SignalsReport:
    """Signals of every layer, each layer read once. Memory is the sampled rows of one layer.

    Args:
        rows: most rows looked at: a seeded sample of texts, whole; of rows where a text is a row.
        texts: most texts in the two-view test, among those sampled with two units or more.

    Raises:
        StoreError: fewer than three rows are embedded.
    """
    columns = store.select(layers)
    chosen, numbers, why = _choose(store, rows, texts, seed)
    halves = np.random.default_rng(seed + 1).permutation(len(chosen)) % 2
    if numbers is not None:
        halves = _halves(numbers, seed)
    found = [_layer(store, name, column, chosen, numbers, halves) for name, column in columns.items()]
    views = found[0][1]
    signals = tuple(layer for layer, _ in found)
    notes = [f"layer {layer.layer} is the same vector in every row" for layer in signals if layer.constant]
    if len(chosen) < store.num_rows:
        notes.append(f"a sample of {len(chosen):,} of {store.num_rows:,} rows, drawn with seed {seed}")
    size = max(store.layer(name).shape[1] for name in columns)
    if len(chosen) < 2 * size:
        notes.append(
            f"effective rank and RankMe come out too low from {len(chosen):,} rows of {size:,} dimensions, and cannot be "
            "higher than the rows: compare layers, not stores"
        )
    return SignalsReport(
        store=str(store.path),
        model=str(store.metadata.get("model")),
        unit=store.unit,
        layers=signals,
        rows=len(chosen),
        of_rows=store.num_rows,
        two_view_texts=views.texts,
        chance=views.chance,
        seed=seed,
        notes=(*notes, *([why] if why else []), CAUTION),
    )


def _choose(store: Store, most: int, texts: int, seed: int) -> tuple[Rows, npt.NDArray[np.int64] | None, str]:
    """Rows to read, the number of each one's text in the two-view test (−1: none), or None and why not."""
    if store.unit == "text":
        return (
            sample_rows(store.num_rows, most, seed),
            None,
            "no two-view test: rows are whole texts; extract with --unit word or token for it",
        )
    sample_rows(1, most, seed)  # refuses what cannot be
    text_id = store.to_table(["text_id"]).column(0).to_numpy()
    ids, counts = np.unique(text_id, return_counts=True)
    order = np.random.default_rng(seed).permutation(len(ids))
    picked = order[_fitting(counts[order], most)]
    rows = np.flatnonzero(np.isin(text_id, ids[picked]))[:most]
    viewed = np.sort(ids[picked[counts[picked] > 1][:texts]])
    own = text_id[rows]
    place = np.searchsorted(viewed, own)
    there = place < len(viewed)
    there[there] = viewed[place[there]] == own[there]
    if len(viewed) < 2:
        return rows, None, "no two-view test: fewer than two texts have two units"
    return rows, np.where(there, place, -1), ""


def _fitting(counts: npt.NDArray[np.int64], most: int) -> npt.NDArray[np.int64]:
    """Places of the texts that fit one after another; one that does not is left out, and the next one tried.
    If none fits, the first, of which only some rows are taken then.
    """
    fitting: list[int] = []
    left = most
    for place, count in enumerate(counts.tolist()):
        if count <= left:
            fitting.append(place)
            left -= count
        if not left:
            break
    return np.array(fitting or ([0] if len(counts) else []), np.int64)


def _halves(numbers: npt.NDArray[np.int64], seed: int) -> npt.NDArray[np.int64]:
    """0 or 1 for each row: a random half of each text's units is 1."""
    order = np.lexsort((np.random.default_rng(seed + 1).random(len(numbers)), numbers))
    halves = np.empty(len(numbers), np.int64)
    halves[order] = np.arange(len(numbers)) % 2
    return halves


def _layer(
    store: Store,
    name: Name,
    column: str,
    rows: Rows,
    numbers: npt.NDArray[np.int64] | None,
    halves: npt.NDArray[np.int64],
) -> tuple[LayerSignals, TwoViews]:
    vectors = read_layer(store, column, rows)
    moments = Moments(vectors.shape[1])
    texts = 0 if numbers is None else int(numbers.max(initial=-1)) + 1
    pooled = Halves(texts, vectors.shape[1])
    for first in range(0, len(vectors), TAKEN):
        part = slice(first, first + TAKEN)
        moments.add(vectors[part])
        if numbers is not None:
            pooled.add(vectors[part], numbers[part], halves[part])
    if moments.rows < 3:
        raise StoreError(
            f"{store.path} has {moments.rows} embedded rows to look at: signals of layers need at least 3."
        )
    rank = moments.effective_rank()
    constant = bool(np.isnan(rank))
    centred = float("nan") if constant else mean_cosine(vectors, moments.mean)
    views = pooled.two_views(moments.mean)
    return LayerSignals(
        name, moments.mean_cosine(), centred, rank, moments.rank_me(), views.found, constant
    ), views
