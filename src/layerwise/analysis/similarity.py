"""How alike layers are: debiased linear CKA, neighbour overlap, self-similarity of words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

CONSTANT = 1e-10
"""A layer is constant if its variance is below this share of its mean square norm: float32 has no more."""

FEWEST_ROWS = 4
"""The unbiased HSIC divides by n − 3."""


class LinearCka:
    """Debiased linear CKA between all pairs of layers, fed batch by batch.

    CKA is HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L)) with K = XXᵀ (Kornblith et al. 2019, section 3). The plain
    HSIC is biased upwards when rows are few beside dimensions; here it is the unbiased one (Song et
    al. 2012, eq. 5; used for CKA by Nguyen et al. 2021, section 2.1). Its three terms are sums over
    rows, so no n × n matrix is made: memory is the cross-products, 8 bytes × size² × pairs of layers.
    """

    def __init__(self, layers: int) -> None:
        self.rows = 0
        self._layers = layers
        self._shift: list[Float[ndarray, " size"]] = []
        self._sums: list[Float[ndarray, " size"]] = []
        self._energy = np.zeros(layers)  # Σ‖x‖² before the shift
        self._norms = np.zeros((layers, layers))  # Σ kᵢ lᵢ with kᵢ = ‖xᵢ‖²
        self._traces = np.zeros(layers)  # Σ kᵢ
        self._weighted: dict[tuple[int, int], Float[ndarray, " size"]] = {}  # Σ lᵢ xᵢ
        self._cross: dict[tuple[int, int], Float[ndarray, "size other"]] = {}  # XᵀY

    def add(self, batch: Sequence[Float[ndarray, "rows _"]]) -> None:
        """Add the same rows of every layer; rows that are NaN in any layer are left out."""
        assert len(batch) == self._layers
        kept = ~np.any([np.isnan(layer).any(axis=1) for layer in batch], axis=0)
        layers = [np.asarray(layer[kept], np.float64) for layer in batch]
        if not kept.any():
            return
        if not self.rows:  # HSIC does not change when rows are shifted, but loses fewer digits
            self._shift = [layer.mean(0) for layer in layers]
            self._sums = [np.zeros(layer.shape[1]) for layer in layers]
        self.rows += len(layers[0])
        self._energy += [(layer**2).sum() for layer in layers]
        layers = [layer - shift for layer, shift in zip(layers, self._shift, strict=True)]
        squares = np.stack([(layer**2).sum(1) for layer in layers])
        self._norms += squares @ squares.T
        self._traces += squares.sum(1)
        for i, x in enumerate(layers):
            self._sums[i] = self._sums[i] + x.sum(0)
            for j, y in enumerate(layers):
                self._weighted[i, j] = self._weighted.get((i, j), 0.0) + squares[j] @ x
                if i <= j:
                    self._cross[i, j] = self._cross.get((i, j), 0.0) + x.T @ y

    def matrix(self) -> Float[ndarray, "layers layers"]:
        """CKA of every pair: 1 on the diagonal; NaN for constant layers and for fewer than four rows.

        Values of unrelated layers scatter around 0 and may be slightly negative.
        """
        hsic = np.full((self._layers, self._layers), np.nan)
        if self.rows >= FEWEST_ROWS:
            for i, j in self._cross:
                hsic[i, j] = hsic[j, i] = self._hsic(i, j)
        own = np.diag(hsic).copy()
        own[~(own > 0) | self.constant()] = np.nan
        matrix: Float[ndarray, "layers layers"] = hsic / np.sqrt(own[:, None] * own[None, :])
        np.fill_diagonal(matrix, np.where(np.isnan(own), np.nan, 1.0))
        return matrix

    def constant(self) -> ndarray:
        """Which layers have (almost) the same vector in every row: bool, (layers,)."""
        if not self.rows:
            return np.zeros(self._layers, bool)
        means = [(total @ total) / self.rows for total in self._sums]
        found: ndarray = (self._traces - means) <= CONSTANT * self._energy
        return found

    def _hsic(self, i: int, j: int) -> float:
        n, cross, x_sum, y_sum = self.rows, self._cross[i, j], self._sums[i], self._sums[j]
        trace = float((cross**2).sum()) - self._norms[i, j]
        totals = (x_sum @ x_sum - self._traces[i]) * (y_sum @ y_sum - self._traces[j])
        rows = x_sum @ cross @ y_sum - x_sum @ self._weighted[i, j] - y_sum @ self._weighted[j, i]
        rows += self._norms[i, j]
        unbiased = trace + totals / ((n - 1) * (n - 2)) - 2 * rows / (n - 2)
        return float(unbiased / (n * (n - 3)))


def linear_cka(batches: Iterable[Sequence[Float[ndarray, "rows _"]]]) -> Float[ndarray, "layers layers"]:
    """Debiased linear CKA between all pairs of layers; a batch is the same rows of every layer."""
    cka: LinearCka | None = None
    for batch in batches:
        cka = cka or LinearCka(len(batch))
        cka.add(batch)
    return np.zeros((0, 0)) if cka is None else cka.matrix()


def nearest(rows: Float[ndarray, "rows size"], k: int = 10) -> Int[ndarray, "rows k"]:
    """The k nearest other rows of each row by cosine, in no order. Memory is rows² × 4 bytes.

    Args:
        rows: no NaN among them, and more than `k` of them.
    """
    assert len(rows) > k
    unit = _unit(rows).astype(np.float32)
    cosines = unit @ unit.T
    np.fill_diagonal(cosines, -np.inf)
    return np.argpartition(-cosines, k - 1, axis=1)[:, :k]


def neighbour_overlap(first: Int[ndarray, "rows k"], second: Int[ndarray, "rows k"]) -> float:
    """Mean share of a row's k nearest neighbours that two layers have in common: 0 to 1.

    By chance it is k / (rows − 1).
    """
    both = np.sort(np.concatenate([first, second], axis=1), axis=1)
    return float((both[:, 1:] == both[:, :-1]).sum() / first.size)


def self_similarity(rows: Float[ndarray, "rows size"], words: Int[ndarray, " rows"]) -> float:
    """Mean over words of the mean cosine between two occurrences of the word (Ethayarajh 2019, section 3.2).

    Args:
        words: which word a row is; words of one occurrence do not count, nor do rows of NaN.

    Returns:
        NaN where no word occurs twice. Anisotropy is still in it: take `mean_cosine` of random rows off.
    """
    there = ~np.isnan(rows).any(axis=1)
    unit, (_, number) = _unit(rows[there]), np.unique(words[there], return_inverse=True)
    counts = np.bincount(number) if len(number) else np.zeros(0, int)
    sums = np.zeros((len(counts), rows.shape[1]))
    np.add.at(sums, number, unit)
    selves = np.bincount(number, weights=(unit**2).sum(1), minlength=len(counts))
    several = counts > 1
    if not several.any():
        return float("nan")
    pairs = counts[several] * (counts[several] - 1)
    return float((((sums[several] ** 2).sum(1) - selves[several]) / pairs).mean())


def mean_cosine(rows: Float[ndarray, "rows size"]) -> float:
    """Mean cosine of two different rows: anisotropy (Ethayarajh 2019, section 3.3); rows of NaN left out."""
    return self_similarity(rows, np.zeros(len(rows), np.int64))


def _unit(rows: Float[ndarray, "rows size"]) -> Float[ndarray, "rows size"]:
    wide = np.asarray(rows, np.float64)
    lengths = np.linalg.norm(wide, axis=1, keepdims=True)
    return wide / np.where(lengths > 0, lengths, 1)
