"""A frozen encoder runs once: the states that its head reads are computed before training, and kept."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from itertools import accumulate
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from layerwise.errors import LayerwiseError
from layerwise.models.layered import LayeredModel
from layerwise.models.memory import within_memory
from layerwise.text.batching import padded
from layerwise.train.batches import TokenBatches
from layerwise.train.predictor import autocast
from layerwise.train.tasks.example import Feature
from layerwise.train.tasks.task import Task

BATCH_TOKENS = 4096
SHARE_OF_MEMORY = 0.4
"""Of the machine's memory, over all processes: states that take more lie in a file."""


def remember_states(
    model: LayeredModel,
    features: Sequence[Feature],
    batches: TokenBatches,
    task: Task,
    precision: str,
    folder: Path,
    processes: int = 1,
    told: Callable[[str], None] = lambda text: None,
) -> None:
    """Run the encoder over all features and keep, in float32, the states at their places.

    Args:
        folder: where what the memory does not hold is put while the process lives.
        processes: how many on this machine keep them, each for itself.
        told: told after each batch how many sequences are done.

    Raises:
        LayerwiseError: neither memory nor disk has room for them.
        DeviceMemoryError: a batch does not fit on the device.
    """
    sequences = [*features, *(one.other for one in features if one.other is not None)]
    places = [1 if task.pooled else len(one.places) for one in sequences]
    ends = list(accumulate(places))
    kept = _room((ends[-1], len(model.layers), int(model.config.hidden_size)), folder, processes)
    device = next(model.parameters()).device
    model.eval()
    done = 0
    for rows in padded([len(one.input_ids) for one in sequences], BATCH_TOKENS):
        part = [sequences[row] for row in rows]
        bare = [Feature(one.input_ids, one.token_type_ids, one.places) for one in part]
        inputs = {name: value.to(device) for name, value in batches(bare).items()}
        mask = inputs.pop("pool_mask", None)
        with within_memory(device, "lower --max-length"), torch.no_grad(), autocast(device, precision):
            states = model.states(inputs, mask).float().cpu()
        for row, one, state in zip(rows, part, states, strict=True):
            own = kept[ends[row] - places[row] : ends[row]]
            own.copy_(state if task.pooled else state[torch.from_numpy(one.places)])
            one.states = own[0] if task.pooled else own
        done += len(rows)
        told(f"encoding {done:,} of {len(sequences):,} sequences")


def _room(shape: tuple[int, int, int], folder: Path, processes: int) -> Tensor:
    """A tensor of float32, in memory or in a file without a name, which is gone with the process however it ends."""
    needed = 4 * int(np.prod(shape, dtype=np.int64))
    there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed * processes <= SHARE_OF_MEMORY * there:
        return torch.empty(shape)
    folder.mkdir(parents=True, exist_ok=True)  # on another machine than the first process's
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            if hasattr(os, "posix_fallocate"):  # a page that the disk has no room for would end the process
                os.posix_fallocate(file.fileno(), 0, needed)
            return torch.from_numpy(np.memmap(file, np.float32, "w+", shape=shape))
    except OSError as error:
        raise LayerwiseError(
            f"the states of the frozen encoder take {needed / 1e9:,.1f} GB ({shape[0]:,} vectors of {shape[1]} layers); "
            f"this machine has {there / 1e9:,.1f} GB of memory, and a file in {folder} cannot hold them "
            f"({error.strerror}): make room there, take fewer rows, leave --mix scalar out, or train without --frozen."
        ) from error
