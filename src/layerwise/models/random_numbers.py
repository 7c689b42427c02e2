"""torch's random numbers, which are of a whole process."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

TRAINING = threading.RLock()
"""Held by the thread that trains: the random numbers are its own."""


@contextmanager
def kept() -> Iterator[None]:
    """What is drawn within is not missed behind; where another thread trains, nothing is put back, as it draws too."""
    if not TRAINING.acquire(blocking=False):
        yield
        return
    try:
        with torch.random.fork_rng(devices=()):
            yield
    finally:
        TRAINING.release()
