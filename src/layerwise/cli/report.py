"""`layerwise report`: one HTML page about a label and the layers that carry it."""

from __future__ import annotations

import json
import os
import shlex
import sys
from typing import Annotated

import typer

from layerwise.cli import options
from layerwise.cli import probe_options as asked
from layerwise.reports.wording import without_nan


def command(
    store: asked.StoreArgument,
    label: asked.LabelOption,
    output: Annotated[str, typer.Option("--output", "-o", help="The page to write, such as report.html.")],
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
    figures: Annotated[str | None, typer.Option(help="Also write each figure into this folder.")] = None,
    figure_format: Annotated[
        str | None, typer.Option(help="Of these figures: png, svg, pdf.", show_default="png")
    ] = None,
    as_json: options.JsonOption = False,
) -> None:
    """Write one page with scores, control task, mix, similarity of layers, confusion and examples."""
    from layerwise.cli.progress import live_status
    from layerwise.errors import UsageError, choose
    from layerwise.plots.drawing import FORMATS
    from layerwise.reports.verdict import verdict
    from layerwise.store.reader import open_store
    from layerwise.study.report import refuse_other_ending, report
    from layerwise.whole_file import check_folder

    refuse_other_ending(output)
    if figure_format is not None:
        choose("figure format", figure_format, FORMATS)
        if figures is None:
            raise UsageError(
                "--figure-format was given without --figures: name the folder of the figures too."
            )
    if figures is not None:
        check_folder(figures)
    opened = open_store(store)
    with live_status("probing") as progress:
        found = report(
            opened,
            label,
            command=_typed(),
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
    found.save(output)
    if figures is not None:
        found.save_figures(figures, figure_format or "png")
    if as_json:
        typer.echo(json.dumps(without_nan(found.probed.report.to_dict()), ensure_ascii=False))
    else:
        typer.echo(f"{output}: {' '.join(verdict(found.probed.report))}")


def _typed() -> str:
    """The command as it was typed; a locale of ASCII hides other characters from `sys.argv`."""
    return os.fsencode(shlex.join(["layerwise", *sys.argv[1:]])).decode("utf-8", "replace")
