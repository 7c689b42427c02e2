"""Live progress on stderr: texts, tokens/s, share done, time left, layers, bytes written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from layerwise.reports.runs import Progress


@contextmanager
def live_progress() -> Iterator[Callable[[Progress], None]]:
    """A line that is redrawn in a terminal; where stderr is none (a log file), nothing is drawn."""
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda progress: None
        return
    with Live(console=console, refresh_per_second=4, transient=True) as live:
        yield lambda progress: live.update(Text(describe(progress), no_wrap=True, overflow="ellipsis"))


@contextmanager
def live_status(doing: str) -> Iterator[Callable[[str], None]]:
    """A line on stderr that says what is being done; where stderr is no terminal, nothing is drawn."""
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda step: None
        return
    with console.status(doing) as status:
        yield lambda step: status.update(f"{doing}: {step}")


def describe(progress: Progress) -> str:
    """One line, as `1,204 texts · 15,310 tokens/s · 42 % · 1:10 left · 7 layers · 38.2 MB`."""
    speed = progress.tokens / progress.seconds if progress.seconds else 0.0
    parts = [f"{progress.resumed_from + progress.texts:,} texts", f"{speed:,.0f} tokens/s"]
    if progress.share is not None:
        parts.append(f"{progress.share:.0%}")
        if 0 < progress.share < 1:
            left = progress.seconds * (1 - progress.share) / progress.share
            parts.append(f"{clock(left)} left")
    parts += [f"{progress.layers} layers", f"{size(progress.bytes_written)} written"]
    return " · ".join(parts)


def size(number: int) -> str:
    """Bytes for people, in powers of 1,000: `38.2 MB`."""
    value = float(number)
    for name in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {name}" if name == "B" else f"{value:.1f} {name}"
        value /= 1000
    return f"{value:.1f} TB"


def clock(seconds: float) -> str:
    """`1:10`, or `2:03:04` from an hour on."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
