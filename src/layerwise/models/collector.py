"""Collects a chunk's rows, layer by layer, while the blocks run.

A layer is pooled on the device as soon as it exists and goes into one float32 buffer for the
chunk. A row whose tokens lie in several windows is filled in parts; its parts are already divided
by its number of tokens, so adding them up gives the mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from layerwise.models.rows import Rows
from layerwise.ops.pooling import segment_max, segment_sum
from layerwise.types import Layer


@dataclass(frozen=True)
class BatchEdges:
    """The edges of one batch, on the device.

    Attributes:
        token: (edges,) index into the batch's flat tokens, sorted by row.
        first: (batch_rows,) where the edges of each row begin.
        rows: (batch_rows,) rows of the chunk, on the CPU.
        scale: (batch_rows, 1) one over the number of tokens of each whole row.
    """

    token: Tensor
    first: Tensor
    rows: Tensor
    scale: Tensor


class Collector:
    """The buffer of one chunk: `vectors`, (num_layers, rows, hidden_size) float32."""

    def __init__(self, rows: Rows, layers: Sequence[Layer], hidden_size: int, device: torch.device) -> None:
        self._rows = rows
        self._index = {layer: i for i, layer in enumerate(layers)}
        self._device = device
        self._bounds = np.searchsorted(rows.edge_sequence, np.arange(rows.num_sequences + 1))
        self._in_parts = rows.in_parts
        self._vectors = torch.empty(len(layers), len(rows), hidden_size, dtype=torch.float32)
        if self._in_parts:
            self._vectors.fill_(-torch.inf if rows.reduction == "max" else 0.0)
        self._batch: BatchEdges | None = None
        self._staged: Tensor | None = None
        self._waiting: list[tuple[torch.cuda.Event, Tensor, Tensor]] = []

    def begin(self, sequences: Sequence[int], lengths: Sequence[int]) -> None:
        """Say which sequences of the chunk the next layers belong to, and their lengths."""
        edges = [np.arange(self._bounds[s], self._bounds[s + 1]) for s in sequences]
        first = np.concatenate(([0], np.cumsum(lengths)))[:-1]
        flat = np.concatenate([self._rows.edge_position[e] + f for e, f in zip(edges, first, strict=True)])
        row = self._rows.edge_row[np.concatenate(edges)]
        order = np.argsort(row, kind="stable")
        rows, counts = np.unique(row, return_counts=True)
        self._batch = BatchEdges(
            token=self._to_device(flat[order]),
            first=self._to_device(np.cumsum(counts) - counts),
            rows=torch.from_numpy(rows),
            scale=self._to_device(1 / self._rows.count[rows].astype(np.float32)).unsqueeze(1),
        )
        if self._device.type == "cuda":
            shape = (len(self._index), len(rows), self._vectors.shape[2])
            self._staged = torch.empty(shape, dtype=torch.float32, device=self._device)

    def take(self, layer: Layer, hidden: Tensor) -> None:
        """Pool one layer, (total_tokens, hidden_size), into the batch's rows."""
        assert self._batch is not None
        pooled = self._pool(hidden, self._batch)
        if self._staged is not None:
            self._staged[self._index[layer]] = pooled
        else:
            self._store(self._vectors[self._index[layer]], self._batch.rows, pooled.to("cpu"))

    def end(self) -> None:
        """Close the batch; on CUDA its copy to the host goes on while the next batch runs."""
        if self._staged is None or self._batch is None:
            return
        host = torch.empty(self._staged.shape, dtype=torch.float32, pin_memory=True)
        host.copy_(self._staged, non_blocking=True)
        done = torch.cuda.Event()  # type: ignore[no-untyped-call]
        done.record(torch.cuda.current_stream(self._device))  # not the current device's
        self._waiting.append((done, host, self._batch.rows))
        self._staged = None
        if len(self._waiting) > 1:
            self._drain()

    def finish(self) -> npt.NDArray[np.float32]:
        """(num_layers, rows, hidden_size); rows that are not embedded are NaN."""
        while self._waiting:
            self._drain()
        vectors: npt.NDArray[np.float32] = self._vectors.numpy()
        vectors[:, ~self._rows.embedded] = np.nan
        return vectors

    def _pool(self, hidden: Tensor, batch: BatchEdges) -> Tensor:
        if self._rows.reduction == "gather":
            return hidden[batch.token].float()
        if self._rows.reduction == "max":
            return segment_max(hidden, batch.token, batch.first)
        return segment_sum(hidden, batch.token, batch.first).mul_(batch.scale)

    def _store(self, layer: Tensor, rows: Tensor, pooled: Tensor) -> None:
        if not self._in_parts:
            layer.index_copy_(0, rows, pooled)
        elif self._rows.reduction == "max":
            layer[rows] = torch.maximum(layer[rows], pooled)
        else:
            layer.index_add_(0, rows, pooled)

    def _drain(self) -> None:
        done, host, rows = self._waiting.pop(0)
        done.synchronize()
        for layer, pooled in zip(self._vectors, host, strict=True):
            self._store(layer, rows, pooled)

    def _to_device(self, array: npt.NDArray[np.generic]) -> Tensor:
        tensor = torch.from_numpy(np.ascontiguousarray(array))
        if self._device.type == "cuda":  # from pageable memory the copy would wait for the stream
            tensor = tensor.pin_memory()
        return tensor.to(self._device, non_blocking=True)
