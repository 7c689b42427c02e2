"""`layerwise evaluate`: the scores of a trained model."""

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
            help="What `layerwise finetune` or `pretrain` wrote, or a checkpoint with a head that transformers knows.",
        ),
    ],
    data: training.DataArgument,
    text_column: training.TextColumnOption = None,
    pair_column: training.PairColumnOption = None,
    label: training.LabelOption = None,
    words_column: training.WordsColumnOption = None,
    format: options.FormatOption = None,
    skip_bad: training.SkipBadOption = False,
    beams: Annotated[int, typer.Option(help="seq2seq: beams of the search.")] = 4,
    revision: options.RevisionOption = None,
    device: options.DeviceOption = "auto",
    precision: Annotated[str, typer.Option(help="fp32, bf16, fp16, auto.")] = "fp32",
    batch_tokens: Annotated[int, typer.Option(help="Most tokens of one forward pass.")] = 4096,
    allow_pickle: options.AllowPickleOption = False,
    as_json: options.JsonOption = False,
) -> None:
    """Scores on data with answers: macro-F1, entity F1, exact match and F1, Spearman, BLEU and chrF.

    Of what `pretrain` wrote, on texts: masked accuracy, perplexity, NSP accuracy.
    """
    from layerwise.cli.progress import live_status
    from layerwise.cli.training_table import print_evaluated
    from layerwise.train.evaluate import evaluate
    from layerwise.train.tasks.example import DataColumns

    training.leave_to_the_first("evaluate")
    with live_status("evaluating") as progress:
        found = evaluate(
            model,
            data,
            columns=DataColumns(text_column, pair_column, label, words_column, format=format),
            skip_bad=skip_bad,
            beams=beams,
            device=device,
            precision=precision,
            batch_tokens=batch_tokens,
            revision=revision,
            allow_pickle=allow_pickle,
            progress=progress,
        )
    if as_json:
        typer.echo(json.dumps(without_nan(found.to_dict()), ensure_ascii=False))
    else:
        print_evaluated(found)
