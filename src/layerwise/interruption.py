"""Stopping a long run from outside without losing what it has done."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)
"""Ctrl-C, and what schedulers and `kill` send some time before they kill."""

TOGETHER = 1.0
"""Seconds in which two signals are one: `torchrun` hands on to its processes what they may have been sent themselves."""


@contextmanager
def interruptible() -> Iterator[threading.Event]:
    """Turn the first of these signals into an event, so that nothing is cut in two; one after it stops at once.

    Beside the main thread, where Python takes no signals, the event is never set. A handler that the program has set
    itself, or that it ignores the signal, stays.
    """
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event
        return

    first = 0.0

    def handle(number: int, frame: Any) -> None:
        nonlocal first
        if not event.is_set():
            first = time.monotonic()
            event.set()
        elif time.monotonic() - first > TOGETHER:
            raise KeyboardInterrupt

    usual = (signal.SIG_DFL, signal.default_int_handler)
    previous = {
        number: signal.signal(number, handle) for number in SIGNALS if signal.getsignal(number) in usual
    }
    try:
        yield event
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def another_process_failed(error: Exception) -> bool:
    """Whether a process of several lost its connection: the one that failed has said why."""
    lost = ("gloo", "NCCL", "Connection closed", "Connection reset", "Broken pipe")
    several = os.environ.get("WORLD_SIZE", "1") != "1"
    return several and isinstance(error, RuntimeError) and any(word in str(error) for word in lost)


def not_the_first_process() -> bool:
    """Whether this is a process of `torchrun` or `accelerate launch` beside the first, which speaks and writes."""
    return os.environ.get("WORLD_SIZE", "1") != "1" and os.environ.get("RANK", "0") != "0"
