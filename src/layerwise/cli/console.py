"""The console that tables are printed on, and tables whose numbers are never cut."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
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


def print_table(
    out: Console, heads: Sequence[str], rows: Sequence[Sequence[str]], styles: Sequence[str] = ()
) -> None:
    """A table of numbers. Where it is wider than the console, heads and intervals take a second line; where
    that is not enough, columns follow in blocks below, each beside the first column. No cell is ever cut.

    Args:
        rows: cells; a row may end early.
        styles: rich's style of each row, "" for none.
    """
    from rich.table import Table

    columns = [[row[place] if place < len(row) else "" for row in rows] for place in range(len(heads))]
    heads = list(heads)
    widths = [_width([head, *column]) for head, column in zip(heads, columns, strict=True)]
    if sum(widths) + GAP * (len(widths) - 1) > out.width:
        columns[1:] = [[cell.replace(" (", "\n(") for cell in column] for column in columns[1:]]
        heads[1:] = [
            _folded(head, _width(column)) for head, column in zip(heads[1:], columns[1:], strict=True)
        ]
        widths = [_width([head, *column]) for head, column in zip(heads, columns, strict=True)]
    for number, block in enumerate(_blocks(widths, out.width)):
        if number:
            out.print()
        table = Table(box=None, pad_edge=False)
        for place in block:
            table.add_column(
                heads[place], justify="right" if place else "left", no_wrap=True, min_width=widths[place]
            )
        for row in range(len(rows)):
            style = styles[row] if styles else ""
            table.add_row(*(columns[place][row] for place in block), style=style or None)
        out.print(table)


GAP = 2
"""Columns of the console between two columns of a table."""


def _width(cells: Sequence[str]) -> int:
    from rich.cells import cell_len

    return max((cell_len(line) for cell in cells for line in cell.split("\n")), default=0)


def _folded(head: str, width: int) -> str:
    if " (" in head:
        return head.replace(" (", "\n(")
    return "\n".join(textwrap.wrap(head, max(width, 1), break_long_words=False, break_on_hyphens=False))


def _blocks(widths: Sequence[int], most: int) -> Iterator[list[int]]:
    """Columns that are printed beside each other: the first in each block, and as many as fit."""
    block, taken = [0], widths[0]
    for place in range(1, len(widths)):
        if len(block) > 1 and taken + GAP + widths[place] > most:
            yield block
            block, taken = [0], widths[0]
        block.append(place)
        taken += GAP + widths[place]
    yield block
