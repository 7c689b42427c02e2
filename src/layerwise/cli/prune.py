"""`layerwise prune`: a model made cheaper, measured before and after."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from layerwise.cli import options
from layerwise.cli import training_options as training
from layerwise.reports.wording import without_nan


def command(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="What `finetune` or `pretrain` wrote, a checkpoint with a head, or a bare encoder.",
        ),
    ],
    output: Annotated[str, typer.Option("--output", "-o", help="The folder to write.")],
    data: Annotated[
        list[str] | None,
        typer.Option(
            help="Examples with answers for a model with a task, texts for others (may be given more than once)."
        ),
    ] = None,
    drop_layers: Annotated[str | None, typer.Option(help="Blocks to drop, from 1: '4,5'.")] = None,
    least_useful: Annotated[
        int, typer.Option(help="Drop so many blocks, each time the one without which the loss is lowest.")
    ] = 0,
    heads: Annotated[
        float,
        typer.Option(
            help="Share of the attention heads to remove, the least important (Michel et al. 2019)."
        ),
    ] = 0.0,
    magnitude: Annotated[
        float, typer.Option(help="Share of the weights in the blocks to set to 0, the smallest.")
    ] = 0.0,
    int8: Annotated[
        bool,
        typer.Option("--int8", help="Also write a graph in int8 for onnxruntime (dynamic quantisation)."),
    ] = False,
    text_column: training.TextColumnOption = None,
    pair_column: training.PairColumnOption = None,
    label: training.LabelOption = None,
    words_column: training.WordsColumnOption = None,
    format: options.FormatOption = None,
    skip_bad: training.SkipBadOption = False,
    revision: options.RevisionOption = None,
    allow_pickle: options.AllowPickleOption = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace what an earlier run wrote.")
    ] = False,
    as_json: options.JsonOption = False,
) -> None:
    """Prune a model: blocks, attention heads, weights, bits; with size, speed and quality before and after."""
    from layerwise.cli.training_table import print_pruned
    from layerwise.train.pruning.run import PruneCuts, prune
    from layerwise.train.tasks.example import DataColumns

    training.leave_to_the_first("prune")
    found = prune(
        model,
        output,
        PruneCuts(_numbers(drop_layers), least_useful, heads, magnitude, int8),
        data=data or (),
        columns=DataColumns(text_column, pair_column, label, words_column, format=format),
        skip_bad=skip_bad,
        overwrite=overwrite,
        revision=revision,
        allow_pickle=allow_pickle,
        say=training.say,
    )
    if as_json:
        typer.echo(json.dumps(without_nan(found.to_dict()), ensure_ascii=False))
    else:
        print_pruned(found)


def _numbers(given: str | None) -> tuple[int, ...]:
    """Read `--drop-layers`.

    Raises:
        UsageError: something in it is no number.
    """
    if given is None:
        return ()
    from layerwise.errors import UsageError

    try:
        return tuple(int(one) for one in given.split(","))
    except ValueError:
        raise UsageError(
            f"--drop-layers is {given!r}: expected numbers of blocks with commas between, from 1."
        ) from None
