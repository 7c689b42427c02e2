"""From examples to predictions: features, batches of like length, the model, and what it says put together."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import nn

from layerwise.models.memory import within_memory
from layerwise.text.batching import padded
from layerwise.train.batches import StateBatches, TokenBatches
from layerwise.train.tasks.example import Array, Example, Feature, batched
from layerwise.train.tasks.task import Task

AT_ONCE = 1024
"""Examples that are sorted by length together."""

_AUTOCAST = {"bf16": torch.bfloat16, "fp16": torch.float16}


def autocast(device: torch.device, precision: str) -> contextlib.AbstractContextManager[Any]:
    """Around a forward pass in `fp32`, `bf16` or `fp16`."""
    if precision == "fp32":
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype=_AUTOCAST[precision])


class Predictor:
    """A model and its task.

    Attributes:
        model: gives logits of a batch.
        task: what they mean.
        batches: how features become a batch.
        device, precision: where and how it runs.
        batch_tokens: most tokens of a batch, padding and beams included.
        told: told after each batch how many examples are done.
    """

    def __init__(
        self,
        model: nn.Module,
        task: Task,
        batches: TokenBatches | StateBatches,
        device: torch.device,
        precision: str = "fp32",
        batch_tokens: int = 4096,
        told: Callable[[int], None] | None = None,
    ) -> None:
        self.model, self.task, self.batches = model, task, batches
        self.device, self.precision = device, precision
        self.batch_tokens = max(batch_tokens // task.beams, 1)
        self.told = told or (lambda done: None)

    def __call__(self, examples: Iterable[Example], first: int = 0) -> Iterator[Any]:
        """One prediction an example, in order; memory stays bounded.

        Raises:
            SourceError: an example has a label that was not seen in training.
            DeviceMemoryError: a batch does not fit on the device.
        """
        for piece in batched(examples, AT_ONCE):
            features = list(self.task.featurise(piece))
            yield from self.of_features(piece, features, first)
            first += len(piece)

    def of_features(
        self, examples: Sequence[Example], features: Sequence[Sequence[Feature]], first: int = 0
    ) -> Iterator[Any]:
        """The same for examples whose features are made already."""
        flat = [one for group in features for one in group]
        said = iter(self._say(flat, lambda share: self.told(first + int(share * len(examples)))))
        for number, (example, group) in enumerate(zip(examples, features, strict=True), first):
            yield self.task.assemble(number, example, group, [next(said) for _ in group])

    def _say(self, features: Sequence[Feature], told: Callable[[float], None]) -> list[Array]:
        said: list[Any] = [None] * len(features)
        done = 0
        was_training = self.model.training
        self.model.eval()
        try:
            for rows in padded([len(one) for one in features], self.batch_tokens):
                part = [features[row] for row in rows]
                for row, one in zip(rows, self._batch(part), strict=True):
                    said[row] = one
                done += len(rows)
                told(done / len(features))
        finally:
            self.model.train(was_training)
        return said

    def _batch(self, features: Sequence[Feature]) -> list[Array]:
        inputs = {name: value.to(self.device) for name, value in self.batches(features).items()}
        inputs.pop("labels", None)
        with within_memory(self.device, "lower --batch-tokens"), torch.inference_mode():
            with autocast(self.device, self.precision):
                outputs = self.task.run(self.model, inputs)
            return self.task.read(outputs, features, isinstance(self.batches, StateBatches))
