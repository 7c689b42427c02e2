"""`layerwise probe`: which layer carries a label, and how sure that is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated

import typer

from layerwise.cli import options
from layerwise.cli import probe_options as asked
from layerwise.errors import UsageError
from layerwise.reports.wording import without_nan


def command(
    store: asked.StoreArgument,
    label: Annotated[
        str | None, typer.Option("--label", help="Kept column with the labels, or numbers.")
    ] = None,
    task: asked.TaskOption = "auto",
    layers: options.LayersOption = "all",
    pair: asked.PairOption = False,
    group: asked.GroupOption = None,
    split: asked.SplitOption = None,
    folds: asked.FoldsOption = None,
    min_count: asked.MinCountOption = None,
    skip_missing: asked.SkipMissingOption = False,
    missing_label: asked.MissingLabelOption = None,
    rows: asked.RowsOption = None,
    control: asked.ControlOption = True,
    codelength: asked.CodelengthOption = False,
    l2: asked.StrengthsOption = None,
    seed: options.SeedOption = 0,
    save: Annotated[
        str | None,
        typer.Option(help="Write the trained probe of a layer (safetensors), for `layerwise ship --probe`."),
    ] = None,
    layer: Annotated[
        str | None, typer.Option(help="The layer whose probe --save writes.", show_default="the best")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the file of --save if it exists.")
    ] = False,
    unsupervised: Annotated[
        bool, typer.Option("--unsupervised", help="Without labels: geometry of the layers, as a hint only.")
    ] = False,
    csv: options.CsvOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Compare layers on labels: scores with intervals, baselines, and the layer to take."""
    if unsupervised != (label is None):
        given = "--unsupervised and --label" if unsupervised else "neither --label nor --unsupervised"
        raise UsageError(f"{given} were given: expected one of them.")
    if label is None:
        _refuse_given(
            {
                "--task": task != "auto",
                "--pair": pair,
                "--group": group is not None,
                "--split": split is not None,
                "--folds": folds is not None,
                "--min-count": min_count is not None,
                "--skip-missing": skip_missing,
                "--missing-label": missing_label is not None,
                "--no-control": not control,
                "--codelength": codelength,
                "--l2": l2 is not None,
                "--save": save is not None,
                "--layer": layer is not None,
                "--overwrite": overwrite,
            }
        )
        _signals(store, layers, rows, seed, csv, as_json)
        return
    from layerwise.cli.probe_table import print_report
    from layerwise.cli.progress import live_status
    from layerwise.cli.tables import write_csv
    from layerwise.reports.verdict import rows_of
    from layerwise.store.reader import open_store
    from layerwise.study.probing import probe
    from layerwise.whole_file import check_target, refuse_existing

    if layer is not None and save is None:
        raise UsageError(f"--layer {layer} was given without --save: expected both; --layers chooses layers.")
    if save is not None and pair:
        raise UsageError(
            "--save and --pair were given: what is learned of two texts cannot label one; leave one of them out."
        )
    if csv is not None:
        check_target(csv)
    if save is not None:
        refuse_existing(save, overwrite)
    opened = open_store(store)
    wanted = None if layer is None else opened.layers[opened.columns.index(opened.column(layer))]
    if wanted is not None and wanted not in (probed := opened.select(layers)):
        raise UsageError(
            f"--layer {layer} is none of the layers probed ({', '.join(map(str, probed))}): add it to --layers."
        )
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
            missing_label=missing_label,
            rows=rows,
            control=control,
            codelength=codelength,
            strengths=asked.strengths(l2),
            seed=seed,
            progress=progress,
        )
    if save is not None:
        found.probe(wanted).save(save)
    if csv is not None:
        write_csv(rows_of(found.report), csv)
    if as_json:
        typer.echo(json.dumps(without_nan(found.report.to_dict()), ensure_ascii=False))
    else:
        print_report(found.report)


def _refuse_given(options: Mapping[str, bool]) -> None:
    """Refuse what `--unsupervised` would ignore.

    Args:
        options: whether each was given.
    """
    for name, given in options.items():
        if given:
            raise UsageError(f"{name} is for --label, and --unsupervised was given: leave one of them out.")


def _signals(store: str, layers: str, rows: int | None, seed: int, csv: str | None, as_json: bool) -> None:
    from dataclasses import asdict

    from layerwise.cli.signals_table import print_signals
    from layerwise.cli.tables import write_csv
    from layerwise.store.reader import open_store
    from layerwise.study.signals import MOST_ROWS, unsupervised
    from layerwise.whole_file import check_target

    if csv is not None:
        check_target(csv)
    found = unsupervised(
        open_store(store), layers=layers, rows=MOST_ROWS if rows is None else rows, seed=seed
    )
    if csv is not None:
        write_csv([asdict(layer) for layer in found.layers], csv)
    if as_json:
        typer.echo(json.dumps(without_nan(found.to_dict()), ensure_ascii=False))
    else:
        print_signals(found)
