"""The console that tables are printed on."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

PLAIN_WIDTH = 120
"""Columns where stdout is no terminal: a file or a pipe has no width of its own."""


def console() -> Console:
    """A console on stdout; numbers are not coloured, lines of text are never wrapped, and brackets in
    names are brackets, not rich's markup.
    """
    from rich.console import Console

    out = Console(highlight=False, soft_wrap=True, markup=False)
    return (
        out if out.is_terminal else Console(highlight=False, soft_wrap=True, markup=False, width=PLAIN_WIDTH)
    )


def without_nan(value: object) -> object:
    """NaN has no place in JSON: null instead."""
    if isinstance(value, float) and value != value:
        return None
    if isinstance(value, dict):
        return {key: without_nan(item) for key, item in value.items()}
    return [without_nan(item) for item in value] if isinstance(value, list | tuple) else value
