"""The console that tables are printed on."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

PLAIN_WIDTH = 120
"""Columns where stdout is no terminal: a file or a pipe has no width of its own."""


def console() -> Console:
    """A console on stdout; numbers are not coloured, and lines of text are never wrapped."""
    from rich.console import Console

    out = Console(highlight=False, soft_wrap=True)
    return out if out.is_terminal else Console(highlight=False, soft_wrap=True, width=PLAIN_WIDTH)


def counted(number: int, noun: str) -> str:
    """`1 layer`, `1,200 layers`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
