"""`layerwise probe`: which layer carries a label, and how sure that is."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from layerwise.cli import options
from layerwise.cli.console import without_nan


def command(
    store: Annotated[str, typer.Argument(metavar="STORE", help="A store that kept the labels (--keep).")],
    label: Annotated[str, typer.Option("--label", help="Kept column with the labels, or numbers.")],
    task: Annotated[
        str,
        typer.Option(
            help="classification, regression; auto: numbers of which some are not whole are a quantity."
        ),
    ] = "auto",
    layers: options.LayersOption = "all",
    pair: Annotated[
        bool,
        typer.Option("--pair", help="Compare the two texts of a pair (a store made with --pairs separate)."),
    ] = False,
    group: Annotated[
        str | None,
        typer.Option(help="Kept column: rows with equal values stay in one part.", show_default="the text"),
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="Kept column that says train, dev, test.", show_default="drawn")
    ] = None,
    folds: Annotated[
        int | None,
        typer.Option(
            help="1: draw 60, 20, 20 % of the texts; 5: five times, so that each is tested once.",
            show_default="5 below 2,000 texts",
        ),
    ] = None,
    min_count: Annotated[
        int | None, typer.Option(help="Leave out rows of classes with fewer examples.")
    ] = None,
    skip_missing: Annotated[
        bool, typer.Option("--skip-missing", help="Leave out rows without a label.")
    ] = False,
    control: Annotated[
        bool, typer.Option("--control/--no-control", help="Probe a control task too (words and tokens).")
    ] = True,
    codelength: Annotated[bool, typer.Option("--codelength", help="Add the online code length.")] = False,
    l2: Annotated[
        str | None,
        typer.Option(
            help="L2 strengths to choose from, comma separated.", show_default="1e-5 to 100 by tens"
        ),
    ] = None,
    seed: options.SeedOption = 0,
    save: Annotated[
        str | None,
        typer.Option(help="Write the trained probe of a layer (safetensors), for `layerwise ship --probe`."),
    ] = None,
    layer: Annotated[
        str | None, typer.Option(help="The layer whose probe --save writes.", show_default="the best")
    ] = None,
    csv: options.CsvOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Compare layers on labels: scores with intervals, baselines, and the layer to take."""
    from layerwise.cli.probe_table import print_report
    from layerwise.cli.progress import live_status
    from layerwise.cli.tables import write_csv
    from layerwise.reports.verdict import rows_of
    from layerwise.store.reader import open_store
    from layerwise.study.probing import probe

    opened = open_store(store)
    with live_status("probing") as progress:
        found = probe(
            opened,
            label,
            task=task,
            layers=layers,
            pair=pair,
            group=group,
            split=split,
            folds=folds,
            min_count=min_count,
            skip_missing=skip_missing,
            control=control,
            codelength=codelength,
            strengths=options.strengths(l2),
            seed=seed,
            progress=progress,
        )
    if save is not None:
        found.probe(opened.layers[opened.columns.index(opened.column(layer))] if layer else None).save(save)
    if csv is not None:
        write_csv(rows_of(found.report), csv)
    if as_json:
        typer.echo(json.dumps(without_nan(found.report.to_dict()), ensure_ascii=False))
    else:
        print_report(found.report)
