"""`layerwise compare`: how alike the layers of one store, or of two, are."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from layerwise.cli import options
from layerwise.cli.console import console, print_table
from layerwise.reports.wording import without_nan

if TYPE_CHECKING:
    from layerwise.reports.comparison import Compared, Comparison, Matrix


def command(
    store: Annotated[str, typer.Argument(metavar="STORE", help="A store.")],
    other: Annotated[
        str | None, typer.Argument(metavar="STORE2", help="Another model's store of the same rows.")
    ] = None,
    layers: options.LayersOption = "all",
    rows: Annotated[int, typer.Option(help="Rows for CKA: a seeded sample of the store.")] = 10_000,
    seed: Annotated[int, typer.Option(help="Seed of the samples.")] = 0,
    output: Annotated[
        str | None, typer.Option("--output", "-o", help="Draw the CKA map: a .png, .svg or .pdf file.")
    ] = None,
    csv: Annotated[str | None, typer.Option(help="Write all numbers as CSV.")] = None,
    as_json: options.JsonOption = False,
) -> None:
    """Show how alike layers are: CKA, common neighbours, and how alike a word stays to itself."""
    from layerwise.store.reader import open_store
    from layerwise.study.comparison import compare

    if csv is not None:
        from layerwise.whole_file import check_target

        check_target(csv)
    if output is not None:
        from layerwise.plots.drawing import check_target as check_figure
        from layerwise.plots.drawing import new_figure

        check_figure(output)
        new_figure(1, 1)  # a missing library is told before the work
    found = compare(
        open_store(store), open_store(other) if other else None, layers=layers, rows=rows, seed=seed
    )
    if csv is not None:
        _write_csv(found, csv)
    if output is not None:
        _draw(found, output)
    if as_json:
        typer.echo(json.dumps(without_nan(found.to_dict()), ensure_ascii=False))
    else:
        _print(found)


def _draw(found: Comparison, path: str) -> None:
    from layerwise.plots.drawing import save
    from layerwise.plots.matrices import heatmap
    from layerwise.plots.names import short

    second = found.second or found.first
    down, across = short(found.first.model, end=True), short(second.model, end=True)
    named = {"row_title": f"layer of {down}", "column_title": f"layer of {across}"}
    title = f"Debiased linear CKA, {found.rows:,} {found.unit}s"
    save(heatmap(found.cka, found.first.layers, second.layers, title=title, of="CKA", **named), path)


def _write_csv(found: Comparison, path: str) -> None:
    from layerwise.cli.tables import write_csv

    second = found.second or found.first
    rows: list[tuple[object, ...]] = []
    for measure, matrix in (("cka", found.cka), ("neighbour_overlap", found.overlap)):
        for layer, values in zip(found.first.layers, matrix, strict=True):
            for other, value in zip(second.layers, values, strict=True):
                rows.append((measure, found.first.store, layer, second.store, other, value))
    for side in (found.first, *([found.second] if found.second else [])):
        for measure, each in (("anisotropy", side.anisotropy), ("self_similarity", side.self_similarity)):
            rows += [
                (measure, side.store, layer, None, None, value)
                for layer, value in zip(side.layers, each, strict=True)
            ]
    heads = ("measure", "store", "layer", "other_store", "other_layer", "value")
    write_csv([dict(zip(heads, row, strict=True)) for row in rows], path)


def _print(found: Comparison) -> None:
    out, second = console(), found.second or found.first
    _matrix(found, second, f"CKA (debiased, linear; {found.rows:,} of {found.of_rows:,} rows)", found.cka)
    _matrix(
        found,
        second,
        f"common neighbours (share of {found.neighbours}; {found.neighbour_rows:,} rows; "
        f"by chance {found.chance:.3f})",
        found.overlap,
    )
    for side in (found.first, *([found.second] if found.second else [])):
        _side(side, found)
    for note in found.notes:
        out.print(f"note: {note}")


def _matrix(found: Comparison, second: Compared, title: str, values: Matrix) -> None:
    from rich.text import Text

    out = console()
    out.print(Text(title, style="bold"))
    if found.second:
        out.print(f"down: {found.first.store}; across: {second.store}")
    rows = [[str(layer), *map(_shown, row)] for layer, row in zip(found.first.layers, values, strict=True)]
    print_table(out, ["layer", *map(str, second.layers)], rows)
    out.print()


def _side(side: Compared, found: Comparison) -> None:
    from rich.text import Text

    out = console()
    out.print(Text(f"{side.store}: mean cosines", style="bold"))
    rows = [
        [str(layer), _shown(other), *([_shown(own), _shown(own - other)] if found.words else [])]
        for layer, other, own in zip(side.layers, side.anisotropy, side.self_similarity, strict=True)
    ]
    print_table(out, ["layer", "of two rows", *(["of one word", "above"] if found.words else [])], rows)
    if found.words:
        out.print(
            f"of one word: two occurrences, mean over {found.words:,} words; above: beyond any two rows"
        )
    out.print()


def _shown(value: float) -> str:
    return "–" if value != value else f"{value:z.2f}"  # z: no -0.00
