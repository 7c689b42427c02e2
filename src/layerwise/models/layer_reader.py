"""Some layers of an encoder under a head, with gradients: packed on a CPU, padded elsewhere.

On a CPU time goes with the tokens, padding among them, so a padded batch is laid end to end there if the self-check
finds that the family can be packed. A GPU would attend to each length in a call of its own, as its kernels for packed
sequences know no dropout; it takes the batch as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from layerwise.models.anatomy import reading
from layerwise.models.engine import TokenSequence
from layerwise.models.load import quiet
from layerwise.models.packed_attention import PACKED
from layerwise.models.padding import by_length
from layerwise.models.self_check import build_engine, way
from layerwise.types import Layer


class LayerReader:
    """Runs an encoder and stacks the layers that are read.

    Outside of a call the encoder has the padded attention that the self-check chose.
    """

    def __init__(self, encoder: Any, layers: tuple[Layer, ...], pooled: bool) -> None:
        """Check the encoder.

        Args:
            layers: numbers, or `"final"`.
            pooled: whether a text gets one vector, the mean over the tokens marked; else each token has its own.

        Raises:
            ModelError: the encoder cannot be read.
        """
        self._layers, self._pooled = layers, pooled
        was_training = encoder.training
        encoder.eval()
        try:
            with quiet():  # of families that have one attention only
                self._engine, check = build_engine(encoder)
        finally:
            encoder.train(was_training)
        self._packs = check.packed
        if check.packed:
            assert check.padded is not None  # what the check compares with is one
            self._engine.use(*way(check.padded))
        self._anatomy = self._engine.anatomy
        self._highest = max((layer for layer in layers if isinstance(layer, int)), default=0)
        if "final" in layers:
            self._highest = self._anatomy.num_hidden_layers

    def packs(self, device: torch.device) -> bool:
        """Whether a batch is packed there."""
        return self._packs and device.type == "cpu"

    def pads(self, device: torch.device) -> bool:
        """Whether padding is computed there: it is not where a batch is packed, or each length runs by itself."""
        return self._engine.mixes_lengths and not self.packs(device)

    def __call__(self, inputs: Mapping[str, Tensor], pool_mask: Tensor | None = None) -> Tensor:
        """(batch, seq, layers, hidden_size); where texts are pooled (batch, layers, hidden_size), in float32.

        Args:
            inputs: as transformers takes them, (batch, seq) each, padded on the right; `attention_mask` among them.
            pool_mask: (batch, seq) 1 at the tokens that are pooled.
        """
        marked = inputs if pool_mask is None else {**inputs, "pool_mask": pool_mask}
        mask = inputs["attention_mask"]
        with self._engine.lock:
            if self.packs(mask.device):
                return self._packed(marked)
            if self._engine.mixes_lengths or bool(mask.all()):
                return self._padded(marked)
            of_texts = ("states",) if self._pooled else ()
            return by_length(lambda part: {"states": self._padded(part)}, marked, of_texts)["states"]

    def _padded(self, marked: Mapping[str, Tensor]) -> Tensor:
        states = self._run({name: value for name, value in marked.items() if name != "pool_mask"})
        if not self._pooled:
            return states
        weights = marked["pool_mask"].float()
        weights = weights / weights.sum(dim=1, keepdim=True).clamp(min=1)
        return (states * weights[..., None, None]).sum(dim=1)

    def _packed(self, marked: Mapping[str, Tensor]) -> Tensor:
        mask = marked["attention_mask"].bool()
        lengths = mask.sum(dim=1)
        order = lengths.argsort(stable=True)  # sequences of one length are attended to in one call
        ids = marked["input_ids"]
        types = marked.get("token_type_ids", torch.zeros_like(ids))
        sequences = [TokenSequence(ids[row, mask[row]], types[row, mask[row]]) for row in order.tolist()]
        inputs, real = self._engine.packed_inputs(sequences)
        with self._packed_attention():
            states = self._run(inputs)[real]
        rows, places = mask[order].nonzero(as_tuple=True)
        rows = order[rows]
        if not self._pooled:
            return states.new_zeros(*mask.shape, *states.shape[1:]).index_put((rows, places), states)
        weights = marked["pool_mask"].float()
        weights = weights / weights.sum(dim=1, keepdim=True).clamp(min=1)
        weighted = states * weights[rows, places][:, None, None]
        return weighted.new_zeros(len(mask), *states.shape[1:]).index_add(0, rows, weighted)

    @contextmanager
    def _packed_attention(self) -> Iterator[None]:
        padded = self._engine.attention
        self._engine.use(PACKED)
        try:
            yield
        finally:
            self._engine.use(padded)

    def _run(self, inputs: Mapping[str, Any]) -> Tensor:
        """(rows, seq, layers, hidden_size) of one forward pass."""
        held: dict[Layer, Tensor] = {}
        longest = inputs["input_ids"].shape[1]

        def keep(layer: Layer, hidden: Tensor) -> None:
            if layer in self._layers:
                held[layer] = hidden[:, :longest]  # Longformer fills up to whole windows

        output = None
        with reading(self._anatomy, self._highest, keep):
            output = self._engine.model(**inputs)
        if "final" in self._layers:
            assert output is not None
            held["final"] = output[0]
        return torch.stack([held[layer] for layer in self._layers], dim=-2)
