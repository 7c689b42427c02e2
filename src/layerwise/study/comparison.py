"""How alike the layers of one store, or of two, are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from layerwise.analysis.cka import FEWEST_ROWS, linear_cka
from layerwise.analysis.similarity import mean_cosine, nearest, neighbour_overlap, self_similarity
from layerwise.errors import StoreError, UsageError
from layerwise.reports.comparison import Compared, Comparison, Matrix
from layerwise.store.layer_column import Vectors
from layerwise.store.reader import Name, Store
from layerwise.study.same_rows import refuse_other_rows
from layerwise.study.samples import SEEDS, Rows, read_layer, read_rows, sample_rows

ROWS = 10_000
NEIGHBOUR_ROWS = 2_000
NEIGHBOURS = 10
FEW = 50
"""Rows under which CKA is told to be rough: of unrelated layers it then differs from 0 by a tenth and more."""
MOST_WORDS = 500
OCCURRENCES = (5, 20)
"""A word is looked at if it occurs this often at least (as Ethayarajh 2019); this many at most are read."""

Selection = str | int | Sequence[int | str] | None


def compare(
    first: Store, second: Store | None = None, *, layers: Selection = "all", rows: int = ROWS, seed: int = 0
) -> Comparison:
    """CKA and neighbour overlap between all pairs of layers; self-similarity of words per layer.

    Args:
        second: another model's store of the same rows.
        rows: size of the seeded sample that CKA is computed on.

    Raises:
        StoreMismatchError: the stores hold different rows.
        StoreError: fewer than four rows are embedded.
    """
    if rows < FEWEST_ROWS:
        raise UsageError(f"--rows is {rows}: CKA needs at least {FEWEST_ROWS}.")
    stores = [first] if second is None else [first, second]
    columns = [store.select(layers) for store in stores]
    if second is not None:
        refuse_other_rows(first, second)
    chosen = sample_rows(first.num_rows, rows, seed)
    sizes = [
        store.layer(layer).shape[1] for store, names in zip(stores, columns, strict=True) for layer in names
    ]
    cut = 0 if second is None else len(columns[0])
    cka = linear_cka(lambda: _together(stores, columns, chosen), sizes, across=cut)
    if cka.rows < FEWEST_ROWS:
        raise StoreError(f"{first.path} has {cka.rows} embedded rows: CKA needs at least {FEWEST_ROWS}.")
    near_rows = _embedded(
        stores, columns, sample_rows(first.num_rows, min(rows, NEIGHBOUR_ROWS), (seed + 1) % SEEDS)
    )
    k = min(NEIGHBOURS, len(near_rows) - 1)
    words, word_rows = _words(first, seed)
    sides, near, start = [], [], 0
    for store, names in zip(stores, columns, strict=True):
        own = cka.constant[start : start + len(names)]
        start += len(names)
        found = [_layer(store, column, near_rows, k, word_rows, words) for column in names.values()]
        near += [each[0] for each in found]
        sides.append(_side(store, tuple(names), own, [each[1:] for each in found]))
    overlap = _overlaps(near, cka.constant)
    counted = len(np.unique(words))
    return Comparison(
        first=sides[0],
        second=sides[1] if second is not None else None,
        unit=first.unit,
        cka=_matrix(cka.matrix),
        overlap=_matrix(overlap[: len(columns[0]), cut:]),
        neighbours=k,
        chance=k / (len(near_rows) - 1) if len(near_rows) > 1 else float("nan"),
        rows=cka.rows,
        of_rows=first.num_rows,
        neighbour_rows=len(near_rows),
        words=counted,
        seed=seed,
        notes=tuple(_notes(first, cka.rows, sides, counted)),
    )


def _together(
    stores: Sequence[Store], columns: Sequence[Mapping[Name, str]], rows: Rows
) -> Iterator[list[Vectors]]:
    reading = [read_rows(store, names, rows) for store, names in zip(stores, columns, strict=True)]
    for batches in zip(*reading, strict=True):
        yield [layer for batch in batches for layer in batch]


def _embedded(stores: Sequence[Store], columns: Sequence[Mapping[Name, str]], rows: Rows) -> Rows:
    """The rows that every store has a vector for; a row has one in all layers of a store or in none."""
    there = np.ones(len(rows), bool)
    for store, names in zip(stores, columns, strict=True):
        there &= ~np.isnan(read_layer(store, next(iter(names.values())), rows)[:, 0])
    return rows[there]


def _layer(
    store: Store, column: str, near_rows: Rows, k: int, word_rows: Rows, words: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], float, float]:
    """Neighbours, anisotropy and self-similarity of one layer."""
    vectors = read_layer(store, column, near_rows) if len(near_rows) else np.zeros((0, 1))
    near = nearest(vectors, k) if k > 0 else np.zeros((0, 0), np.int64)
    own = self_similarity(read_layer(store, column, word_rows), words) if len(word_rows) else float("nan")
    return near, mean_cosine(vectors), own


def _words(store: Store, seed: int) -> tuple[npt.NDArray[np.int64], Rows]:
    """Numbers of the words looked at, and the rows they stand in."""
    none = np.zeros(0, np.int64)
    if store.unit == "text":
        return none, none
    coded = store.to_table(["unit"]).column(0).combine_chunks().dictionary_encode()
    number = coded.indices.to_numpy(zero_copy_only=False)
    fewest, most = OCCURRENCES
    random = np.random.default_rng(seed)
    often = np.flatnonzero(np.bincount(number, minlength=1) >= fewest)
    picked = random.permutation(often)[:MOST_WORDS]
    order = random.permutation(np.flatnonzero(np.isin(number, picked)))
    order = order[np.argsort(number[order], kind="stable")]
    place = np.arange(len(order)) - np.searchsorted(number[order], number[order])
    rows = np.sort(order[place < most])
    return number[rows].astype(np.int64), rows


def _side(
    store: Store, layers: tuple[Name, ...], constant: npt.NDArray[np.bool_], found: Sequence[Sequence[float]]
) -> Compared:
    return Compared(
        store=str(store.path),
        model=str(store.metadata.get("model")),
        layers=layers,
        constant=tuple(layer for layer, is_it in zip(layers, constant, strict=True) if is_it),
        anisotropy=tuple(one for one, _ in found),
        self_similarity=tuple(one for _, one in found),
    )


def _overlaps(
    near: Sequence[npt.NDArray[np.int64]], constant: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float64]:
    matrix = np.full((len(near), len(near)), np.nan)
    for i, first in enumerate(near):
        for j, second in enumerate(near):
            if j >= i and first.size and not (constant[i] or constant[j]):
                matrix[i, j] = matrix[j, i] = neighbour_overlap(first, second)
    return matrix


def _matrix(values: npt.NDArray[np.float64]) -> Matrix:
    return tuple(tuple(row) for row in values.tolist())


def _notes(store: Store, rows: int, sides: Sequence[Compared], words: int) -> Iterator[str]:
    if rows < store.num_rows:
        yield f"CKA from {rows:,} of {store.num_rows:,} rows"
    if rows < FEW:
        yield f"CKA from {rows} rows only: its chance part is large, whatever its digits"
    for side in sides:
        for layer in side.constant:
            yield f"layer {layer} of {side.store} is the same vector in every row: nothing can be compared with it"
    if store.unit == "text":
        yield "no self-similarity: rows are texts; extract with --unit word for it"
    elif not words:
        yield f"no self-similarity: no {store.unit} occurs {OCCURRENCES[0]} times"
