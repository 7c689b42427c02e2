"""`layerwise neighbours`: the units nearest to a word, at one layer or several."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from layerwise.cli import options
from layerwise.cli.console import console

if TYPE_CHECKING:
    from layerwise.study.neighbours import Neighbour


def command(
    stores: Annotated[
        list[str],
        typer.Argument(
            metavar="OUT... WORD", help="One store or several of one model, then the word (or text)."
        ),
    ],
    layer: Annotated[
        str | None,
        typer.Option(
            "--layer",
            "-l",
            help="The layer, or several: '4', '0,3,6', '-4:', 'all'.",
            show_default="the last of the store",
        ),
    ] = None,
    count: Annotated[int, typer.Option("--count", "-k", help="How many neighbours.")] = 10,
    context: Annotated[
        bool, typer.Option(help="Show the nearest occurrence with the units around it.")
    ] = True,
    as_json: options.JsonOption = False,
) -> None:
    """Show the units nearest to a word by cosine."""
    from layerwise.errors import UsageError
    from layerwise.store.reader import open_store
    from layerwise.study.neighbours import neighbours

    *paths, word = stores
    if not paths:
        raise UsageError("a store and a word are needed, as in: layerwise neighbours out.lance sea --layer 4")
    opened = [open_store(path) for path in paths]
    chosen = opened[0].layers[-1] if layer is None else layer
    found = {name: neighbours(opened, word, name, count) for name in opened[0].select(chosen)}
    if as_json:
        typer.echo(
            json.dumps(
                {name: [asdict(one) for one in near] for name, near in found.items()}, ensure_ascii=False
            )
        )
        return
    for name, near in found.items():
        _print(word, name, near, context)


def _print(word: str, layer: int | str, near: list[Neighbour], context: bool) -> None:
    from rich.cells import cell_len
    from rich.table import Table
    from rich.text import Text

    out = console()
    out.print(Text(f"nearest to {word!r} at layer {layer}", style="bold"))
    table = Table(box=None, pad_edge=False)
    widest = max((cell_len(one.surface) for one in near), default=0)
    table.add_column("cosine", justify="right", no_wrap=True, min_width=6)
    table.add_column("unit", no_wrap=True, min_width=min(widest, 30), max_width=40, overflow="ellipsis")
    table.add_column("times", justify="right", no_wrap=True, min_width=5)
    if context:
        table.add_column("as in", no_wrap=True, overflow="ellipsis", ratio=1)
    for one in near:
        row: list[str | Text] = [f"{one.cosine:.3f}", Text(one.surface), str(one.count)]
        table.add_row(*row, *([Text(f"{one.context}  (text {one.text_id})")] if context else []))
    out.print(table)
    out.print()
