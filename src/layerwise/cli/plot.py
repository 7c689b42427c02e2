"""`layerwise plot`: pictures of a store."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from layerwise.cli import options


def command(
    store: Annotated[str, typer.Argument(metavar="STORE", help="A store.")],
    output: Annotated[str, typer.Option("--output", "-o", help="The figure: a .png, .svg or .pdf file.")],
    label: Annotated[str | None, typer.Option(help="Kept column that colours the points.")] = None,
    method: Annotated[str, typer.Option(help="How vectors become points: pca, umap.")] = "pca",
    layers: options.LayersOption = "all",
    word: Annotated[
        str | None, typer.Option(help="Draw the path of this word's occurrences through the layers.")
    ] = None,
    norms: Annotated[bool, typer.Option("--norms", help="Draw the norms of each layer.")] = False,
    rows: Annotated[int, typer.Option(help="Rows drawn: a seeded sample of the store.")] = 2_000,
    seed: Annotated[int, typer.Option(help="Seed of the sample and of UMAP.")] = 0,
) -> None:
    """Draw a store: its rows layer by layer, their norms, or a word's path through the layers."""
    from layerwise.cli.progress import live_status
    from layerwise.errors import UsageError
    from layerwise.plots.drawing import check_target, new_figure, save
    from layerwise.plots.fonts import uncovered
    from layerwise.store.reader import open_store
    from layerwise.study.pictures import draw_layers, draw_norms, draw_word

    check_target(output)
    if word is not None and norms:
        raise UsageError("--word and --norms are two figures: give one of them.")
    if (word is not None or norms) and (label is not None or method != "pca"):
        raise UsageError("--label and --method are for the scatter of layers: leave out --word and --norms.")
    new_figure(1, 1)  # a missing library is told before the work
    opened = open_store(store)
    if word is not None:
        figure = draw_word(opened, word, layers=layers, rows=rows, seed=seed)
    elif norms:
        figure = draw_norms(opened, layers=layers, rows=rows, seed=seed)
    else:
        with live_status("drawing") as progress:
            figure = draw_layers(
                opened, label=label, method=method, layers=layers, rows=rows, seed=seed, progress=progress
            )
    save(figure, output)
    typer.echo(output)
    if uncovered(figure):
        sys.stderr.write(
            "layerwise: no installed font that figures use has some of the characters, so their code points are shown; "
            "for Chinese, install one, such as Noto Sans CJK SC.\n"
        )
