"""`layerwise finetune`: train a head on a model for a task."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from layerwise.cli import options
from layerwise.cli import training_options as training
from layerwise.reports.wording import without_nan


def command(
    task: Annotated[str, typer.Argument(metavar="TASK", help="classify, ner, qa, similarity, seq2seq.")],
    data: training.DataArgument,
    output: Annotated[str, typer.Option("--output", "-o", help="The folder to write.")],
    model: options.ModelOption = "minilm",
    revision: options.RevisionOption = None,
    dev: Annotated[
        list[str] | None,
        typer.Option(
            help="File of the development part, which chooses the weights that are kept (may be given more than once).",
            show_default="a tenth of the texts",
        ),
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="Column that says train or dev (validation), in place of --dev.")
    ] = None,
    text_column: training.TextColumnOption = None,
    pair_column: training.PairColumnOption = None,
    label: training.LabelOption = None,
    words_column: training.WordsColumnOption = None,
    format: options.FormatOption = None,
    skip_bad: training.SkipBadOption = False,
    layers: Annotated[
        int | None,
        typer.Option("--layers", "-l", help="Keep the first blocks only, so many.", show_default="all"),
    ] = None,
    frozen: Annotated[
        bool,
        typer.Option("--frozen", help="The encoder stays as it is: it runs once, and the head alone learns."),
    ] = False,
    mix: Annotated[
        str,
        typer.Option(
            help="What the head reads: none (the last layer), scalar (a learned mix of all layers)."
        ),
    ] = "none",
    decoder: Annotated[
        str | None,
        typer.Option(
            help="seq2seq: the model that the decoder begins as; 'new' or 'new:BLOCKS': a small one, with a vocabulary of "
            "the targets.",
            show_default="the same; new if its vocabulary lacks the targets",
        ),
    ] = None,
    class_weights: Annotated[
        bool, typer.Option("--class-weights", help="Rare classes count more, as scikit-learn's 'balanced'.")
    ] = False,
    max_length: Annotated[
        int | None,
        typer.Option(
            help="Most tokens of a sequence, special tokens included.",
            show_default="the model's, at most 512",
        ),
    ] = None,
    epochs: Annotated[
        float | None,
        typer.Option(help="Passes over the data.", show_default="3; with few examples more, at most 20"),
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Optimiser steps, in place of --epochs.")] = None,
    batch_size: Annotated[int, typer.Option(help="Examples of one optimiser step, over all devices.")] = 32,
    accumulate: training.AccumulateOption = 1,
    lr: Annotated[
        float | None,
        typer.Option(
            help="Highest learning rate.",
            show_default="5e-5 · 768 / width; seq2seq five times that; --frozen 1e-2",
        ),
    ] = None,
    warmup: training.WarmupOption = 0.1,
    weight_decay: Annotated[float, typer.Option(help="Of AdamW.")] = 0.01,
    patience: Annotated[
        int, typer.Option(help="Evaluations without a better score before training stops; 0: never.")
    ] = 3,
    evaluate_every: Annotated[
        int | None, typer.Option(help="Steps between two evaluations.", show_default="an epoch")
    ] = None,
    log_every: training.LogEveryOption = 10,
    precision: training.PrecisionOption = "auto",
    device: training.TrainingDeviceOption = "auto",
    seed: options.SeedOption = 0,
    resume: training.ResumeOption = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace what an earlier run wrote.")
    ] = False,
    allow_pickle: options.AllowPickleOption = False,
    as_json: options.JsonOption = False,
) -> None:
    """Train a head on a model: classify texts, tag words, answer questions, compare or generate texts.

    Runs on several devices under `torchrun` or `accelerate launch`, with the same curve but for dropout.
    """
    from layerwise.cli.training_table import print_finetuned
    from layerwise.train.finetune import FinetuneChoices, finetune
    from layerwise.train.settings import TrainingSettings
    from layerwise.train.tasks.example import DataColumns

    with training.live_training() as progress:
        found = finetune(
            task,
            data,
            output,
            model=model,
            revision=revision,
            allow_pickle=allow_pickle,
            dev=dev,
            columns=DataColumns(text_column, pair_column, label, words_column, format=format, split=split),
            choices=FinetuneChoices(
                layers, frozen, mix, class_weights, max_length, patience or None, decoder
            ),
            settings=TrainingSettings(
                epochs=epochs,
                steps=steps,
                batch_size=batch_size,
                accumulate=accumulate,
                lr=lr,
                warmup=warmup,
                weight_decay=weight_decay,
                precision=precision,
                seed=seed,
                device=device,
                evaluate_every=evaluate_every,
                log_every=log_every,
            ),
            skip_bad=skip_bad,
            resume=resume,
            overwrite=overwrite,
            progress=progress,
        )
    if found is None:
        return
    if as_json:
        typer.echo(json.dumps(without_nan(found.to_dict()), ensure_ascii=False))
    else:
        print_finetuned(found)
