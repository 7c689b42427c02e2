"""What to do where a batch does not fit into the memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from layerwise.errors import DeviceMemoryError


@contextmanager
def within_memory(device: torch.device, advice: str, what: str = "a batch") -> Iterator[None]:
    """Around what may need too much memory; `advice` says which flags to lower.

    Raises:
        DeviceMemoryError: it did.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not _is_memory(error):
            raise
        raise DeviceMemoryError(f"{what} does not fit in the memory of {device}: {advice}.") from error


def _is_memory(error: BaseException) -> bool:
    """torch says it in its own class on CUDA, and in words on the CPU."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    said = str(error).lower()
    return "can't allocate memory" in said or "not enough memory" in said or "out of memory" in said
