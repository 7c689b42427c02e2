"""Debiased linear CKA between layers, of one model or of two."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

CONSTANT = 1e-10
"""A layer is constant if its variance is below this share of its mean square norm: float32 has no more."""

FEWEST_ROWS = 4
"""The unbiased HSIC divides by n − 3."""

MEMORY = 2**30
"""Bytes of cross-products held at a time; the rows are read again for those that do not fit."""

Batch = Sequence[Float[ndarray, "rows _"]]
Pairs = Sequence[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Cka:
    """Attributes:
    matrix: 1 where a layer meets itself; NaN for constant layers and for fewer than four rows. Values of
        unrelated layers scatter around 0 and may be slightly negative.
    constant: layers that have (almost) the same vector in every row.
    rows: how many were not NaN in any layer.
    """

    matrix: Float[ndarray, "layers others"]
    constant: Bool[ndarray, " layers"]
    rows: int


def linear_cka(
    read: Callable[[], Iterable[Batch]], sizes: Sequence[int], *, across: int = 0, memory: int = MEMORY
) -> Cka:
    """Debiased linear CKA between all pairs of layers, from rows that are read in batches.

    CKA is HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L)) with K = XXᵀ (Kornblith et al. 2019, section 3). The plain
    HSIC is biased upwards when rows are few beside dimensions; here it is the unbiased one (Song et
    al. 2012, eq. 5; used for CKA by Nguyen et al. 2021, section 2.1). Its three terms are sums over
    rows, so no n × n matrix is made: what is held is a cross-product per pair, 8 bytes × size².

    Args:
        read: starts reading anew; a batch is the same rows of every layer, NaN where one is not embedded.
        sizes: dimensions of every layer.
        across: if not 0, the first so many layers are one model's, and only pairs with the others are wanted.
        memory: bytes of cross-products at a time; if all take more, the rows are read several times.
    """
    count = len(sizes)
    hsic = np.full((count, count), np.nan)
    sums = _Sums((), sizes)
    for pairs in _passes(_wanted(count, across), sizes, memory):
        sums = _Sums(pairs, sizes)
        for batch in read():
            sums.add(batch)
        for i, j in pairs if sums.rows >= FEWEST_ROWS else ():
            hsic[i, j] = hsic[j, i] = sums.hsic(i, j)
    constant = sums.constant()
    own = np.diag(hsic).copy()
    own[~(own > 0) | constant] = np.nan
    matrix = hsic / np.sqrt(own[:, None] * own[None, :])
    np.fill_diagonal(matrix, np.where(np.isnan(own), np.nan, 1.0))
    return Cka(matrix[:across, across:] if across else matrix, constant, sums.rows)


def _wanted(count: int, across: int) -> Iterator[tuple[int, int]]:
    for i in range(count):
        for j in range(i, count):
            if i == j or not across or i < across <= j:
                yield i, j


def _passes(pairs: Iterable[tuple[int, int]], sizes: Sequence[int], memory: int) -> Iterator[Pairs]:
    """Pairs in groups whose cross-products fit; one pair at least."""
    group: list[tuple[int, int]] = []
    held = 0
    for i, j in pairs:
        taken = 8 * sizes[i] * sizes[j]
        if group and held + taken > memory:
            yield group
            group, held = [], 0
        group.append((i, j))
        held += taken
    if group:
        yield group


class _Sums:
    """The sums over rows that the HSIC of some pairs of layers is made of."""

    def __init__(self, pairs: Pairs, sizes: Sequence[int]) -> None:
        layers = len(sizes)
        self.rows = 0
        self._shift: list[Float[ndarray, " size"]] = []
        self._sums: list[Float[ndarray, " size"]] = [np.zeros(size) for size in sizes]
        self._energy = np.zeros(layers)  # Σ‖x‖² before the shift
        self._norms = np.zeros((layers, layers))  # Σ kᵢ lᵢ with kᵢ = ‖xᵢ‖²
        self._traces = np.zeros(layers)  # Σ kᵢ
        self._weighted = [np.zeros((layers, size)) for size in sizes]  # Σ lᵢ xᵢ for every layer's l
        self._cross = {(i, j): np.zeros((sizes[i], sizes[j])) for i, j in pairs}  # XᵀY

    def add(self, batch: Batch) -> None:
        """Add the same rows of every layer; rows that are NaN in any layer are left out."""
        kept = ~np.any([np.isnan(layer).any(axis=1) for layer in batch], axis=0)
        if not kept.any():
            return
        layers = [np.asarray(layer[kept], np.float64) for layer in batch]
        if not self.rows:  # HSIC does not change when rows are shifted, but loses fewer digits
            self._shift = [layer.mean(0) for layer in layers]
        self.rows += len(layers[0])
        self._energy += [(layer**2).sum() for layer in layers]
        layers = [layer - shift for layer, shift in zip(layers, self._shift, strict=True)]
        squares = np.stack([(layer**2).sum(1) for layer in layers])
        self._norms += squares @ squares.T
        self._traces += squares.sum(1)
        for x, total, weighted in zip(layers, self._sums, self._weighted, strict=True):
            total += x.sum(0)
            weighted += squares @ x
        for i, j in self._cross:
            self._cross[i, j] += layers[i].T @ layers[j]

    def constant(self) -> Bool[ndarray, " layers"]:
        """Which layers have (almost) the same vector in every row."""
        if not self.rows:
            return np.zeros(len(self._energy), bool)
        means = [(total @ total) / self.rows for total in self._sums]
        found: ndarray = (self._traces - means) <= CONSTANT * self._energy
        return found

    def hsic(self, i: int, j: int) -> float:
        """Unbiased HSIC of two layers."""
        n, cross, x_sum, y_sum = self.rows, self._cross[i, j], self._sums[i], self._sums[j]
        trace = float((cross**2).sum()) - self._norms[i, j]
        totals = (x_sum @ x_sum - self._traces[i]) * (y_sum @ y_sum - self._traces[j])
        rows = x_sum @ cross @ y_sum - x_sum @ self._weighted[i][j] - y_sum @ self._weighted[j][i]
        rows += self._norms[i, j]
        unbiased = trace + totals / ((n - 1) * (n - 2)) - 2 * rows / (n - 2)
        return float(unbiased / (n * (n - 3)))
