"""The processes that train together: one for each device, as `torchrun` and `accelerate launch` start them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch

from layerwise.models.load import pick_device

if TYPE_CHECKING:
    from accelerate import PartialState


def this_process(device: str) -> tuple[PartialState, torch.device]:
    """What this process is among them, and its device. accelerate is in the extra `train`: `require_training` first.

    Raises:
        UsageError: there is no such device.
    """
    from accelerate import PartialState

    picked = pick_device(device)
    state = PartialState(cpu=picked.type == "cpu")
    return state, state.device if device == "auto" else picked


def in_shares(count: int, rank: int, world: int, work: Callable[[list[int]], list[Any]]) -> list[Any]:
    """Do `work` on every `world`-th of `count` items in each process, and hand all of them the whole list."""
    if world == 1:
        return work(list(range(count)))
    from accelerate.utils import gather_object

    mine = list(range(rank, count, world))
    parts = gather_object(list(zip(mine, work(mine), strict=True)))
    return [item for _, item in sorted(parts, key=lambda pair: pair[0])]
