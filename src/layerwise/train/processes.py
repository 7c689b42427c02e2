"""The processes that train together: one for each device, as `torchrun` and `accelerate launch` start them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import torch

from layerwise.errors import UsageError
from layerwise.models.load import pick_device

if TYPE_CHECKING:
    from accelerate import PartialState

PATIENCE = timedelta(days=7)
"""How long processes wait for one another: the first prepares a large corpus alone. `torchrun` ends those of a dead one."""


def this_process(device: str) -> tuple[PartialState, torch.device]:
    """What this process is among them, and its device. accelerate is in the extra `train`: `require_training` first.

    Raises:
        UsageError: there is no such device, or it has a number.
    """
    from accelerate import PartialState

    picked = pick_device(device)
    if picked.index:
        raise UsageError(
            f"--device {device} was given for training, which takes the first GPU it sees, and each process of torchrun "
            f"its own: set CUDA_VISIBLE_DEVICES={picked.index}, and give cuda."
        )
    state = PartialState(cpu=picked.type == "cpu", timeout=PATIENCE)
    return state, state.device if device == "auto" else picked


def in_shares(count: int, rank: int, world: int, work: Callable[[list[int]], list[Any]]) -> list[Any]:
    """Do `work` on every `world`-th of `count` items in each process, and hand all of them the whole list."""
    if world == 1:
        return work(list(range(count)))
    from accelerate.utils import gather_object

    mine = list(range(rank, count, world))
    parts = gather_object(list(zip(mine, work(mine), strict=True)))
    return [item for _, item in sorted(parts, key=lambda pair: pair[0])]


def refuse_unlike(world: int, read: str) -> None:
    """Refuse processes that read other data, as from files of the same name on several machines.

    Args:
        read: checksum of what this process has read.

    Raises:
        UsageError: another has read something else.
    """
    if world == 1:
        return
    from accelerate.utils import gather_object

    if len(set(gather_object([read]))) > 1:
        raise UsageError(
            f"the {world} processes of this run have read different data: expected the same files on each machine, which "
            "do not change meanwhile."
        )
