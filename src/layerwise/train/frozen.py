"""A frozen encoder runs once: the states that its head reads are computed before training, and kept."""

from __future__ import annotations

import os
from collections.abc import Sequence

import torch

from layerwise.errors import DeviceMemoryError
from layerwise.models.layered import LayeredModel
from layerwise.text.batching import padded
from layerwise.train.batches import TokenBatches
from layerwise.train.memory import within_memory
from layerwise.train.predictor import autocast
from layerwise.train.tasks.task import Feature, Task

BATCH_TOKENS = 4096
SHARE_OF_MEMORY = 0.6


def remember_states(
    model: LayeredModel, features: Sequence[Feature], batches: TokenBatches, task: Task, precision: str
) -> None:
    """Run the encoder over all features and keep, in float32, the states at their places.

    Raises:
        DeviceMemoryError: they would not fit in this machine's memory, or a batch not on the device.
    """
    sequences = [*features, *(one.other for one in features if one.other is not None)]
    _refuse_too_many(model, sequences, task)
    device = next(model.parameters()).device
    model.eval()
    for rows in padded([len(one.input_ids) for one in sequences], BATCH_TOKENS):
        part = [sequences[row] for row in rows]
        bare = [Feature(one.input_ids, one.token_type_ids, one.places) for one in part]
        inputs = {name: value.to(device) for name, value in batches(bare).items()}
        mask = inputs.pop("pool_mask", None)
        with within_memory(device, "lower --max-length"), torch.no_grad(), autocast(device, precision):
            states = model.states(inputs, mask).float().cpu()
        for one, state in zip(part, states, strict=True):
            one.states = state.clone() if task.pooled else state[torch.from_numpy(one.places)].clone()


def _refuse_too_many(model: LayeredModel, sequences: Sequence[Feature], task: Task) -> None:
    vectors = len(sequences) if task.pooled else sum(len(one.places) for one in sequences)
    needed = vectors * len(model.layers) * int(model.config.hidden_size) * 4
    there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > SHARE_OF_MEMORY * there:
        raise DeviceMemoryError(
            f"the states of the frozen encoder take {needed / 1e9:,.0f} GB ({vectors:,} vectors of {len(model.layers)} "
            f"layers), and this machine has {there / 1e9:,.0f} GB of memory: take fewer rows, leave --mix scalar out, or "
            "train without --frozen."
        )
