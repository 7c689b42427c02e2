"""Stopping a long run from outside without losing what it has done."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)
"""Ctrl-C, and what schedulers and `kill` send some time before they kill."""


@contextmanager
def interruptible() -> Iterator[threading.Event]:
    """Turn the first of these signals into an event, so that nothing is cut in two; a second one stops at once.

    Beside the main thread, where Python takes no signals, the event is never set. A handler that the program has set
    itself, or that it ignores the signal, stays.
    """
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event
        return

    def handle(number: int, frame: Any) -> None:
        if event.is_set():
            raise KeyboardInterrupt
        event.set()

    usual = (signal.SIG_DFL, signal.default_int_handler)
    previous = {
        number: signal.signal(number, handle) for number in SIGNALS if signal.getsignal(number) in usual
    }
    try:
        yield event
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
