"""The vectors of labelled rows, arranged as a probe wants them: training, development, test part."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor

from layerwise.analysis.split import TRAIN
from layerwise.store.reader import Name, Store
from layerwise.study.labels import Labelled


@dataclass(frozen=True)
class Arranged:
    """Rows of a store in the order of their parts; within the training part, groups in random order.

    Attributes:
        store: where the vectors are.
        found: the labelled rows, in this order.
        parts: (rows,) training, development, test: 0, 1, 2, never falling.
    """

    store: Store
    found: Labelled
    parts: Int[ndarray, " rows"]

    @classmethod
    def of(
        cls, store: Store, found: Labelled, parts: Int[ndarray, " rows"], seed: int
    ) -> tuple[Arranged, Int[ndarray, " rows"]]:
        """Sort labelled rows by part; whole groups of the training part are shuffled. Also gives the order."""
        shuffled = np.random.default_rng(seed).permutation(int(found.groups.max()) + 1)
        place = np.where(parts == TRAIN, shuffled[found.groups], 0)
        order = np.lexsort((np.arange(len(parts)), place, parts))
        return cls(store, found.only(order), parts[order]), order

    @property
    def vectors(self) -> int:
        """Number of vectors: one a row, or two where rows are pairs."""
        return len(self.found) * (1 if self.found.partners is None else 2)

    @cached_property
    def _place(self) -> Int[ndarray, " store_rows"]:
        """Where each row of the store belongs, -1 for nowhere."""
        rows = self.found.rows
        if self.found.partners is not None:
            rows = np.concatenate([rows, self.found.partners])
        place = np.full(len(self.store), -1, np.int64)
        place[rows] = np.arange(len(rows))
        return place

    def read(self, layer: Name, into: Float[Tensor, "vectors size"] | None = None) -> Tensor:
        """A layer's vectors as float32: (vectors, size); of pairs all first texts, then all second.

        Reads the layer once, a batch at a time.
        """
        whole = torch.empty(self.vectors, self.store.layer(layer).shape[1]) if into is None else into
        for place, vectors in self._batches(layer):
            whole[place] = vectors
        return whole

    def mix(self, weights: Mapping[Name, float]) -> Float[Tensor, "vectors size"]:
        """Sum of layers times their weights, ordered as `read` does; one array of this size is held."""
        mixed = torch.zeros(self.vectors, self.store.layer(next(iter(weights))).shape[1])
        for layer, weight in weights.items():
            for place, vectors in self._batches(layer):
                mixed.index_add_(0, place, vectors, alpha=weight)
        return mixed

    def _batches(self, layer: Name) -> Iterator[tuple[Int[Tensor, " batch"], Float[Tensor, "batch size"]]]:
        """Vectors that are wanted, and where each belongs."""
        first = 0
        for batch in self.store.layer(layer).batches():
            place = self._place[first : first + len(batch)]
            first += len(batch)
            wanted = place >= 0
            if wanted.any():
                own = batch if wanted.all() else batch[wanted]
                yield torch.from_numpy(place[wanted]), torch.from_numpy(own.astype(np.float32))

    def features(self, vectors: Float[Tensor, "vectors size"]) -> Float[Tensor, "rows width"]:
        """What a probe sees: the vectors; of pairs |u − v| and u ∘ v (Conneau & Kiela 2018, SentEval)."""
        if self.found.partners is None:
            return vectors
        first, second = vectors.chunk(2)
        return torch.cat([(first - second).abs(), first * second], dim=1)
