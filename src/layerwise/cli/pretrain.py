"""`layerwise pretrain`: a BERT from raw text."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from layerwise.cli import options
from layerwise.cli import training_options as training
from layerwise.reports.wording import without_nan


def command(
    corpus: Annotated[
        list[str],
        typer.Argument(
            metavar="CORPUS...",
            help="Documents: .txt with a paragraph a line and an empty line between documents, or a row a document (jsonl, "
            "parquet, csv). Each source is scored apart.",
        ),
    ],
    output: Annotated[str, typer.Option("--output", "-o", help="The folder to write.")],
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "-m",
            help="Go on from this BERT: 'minilm' or 'bilingual' (embedded), a folder, or a name on the Hugging Face Hub.",
            show_default="random weights",
        ),
    ] = None,
    vocab_size: Annotated[
        int | None,
        typer.Option(
            help="Pieces of the WordPiece vocabulary, special ones included; with --model a new one, to which its vectors "
            "go over.",
            show_default="16000; with --model its own vocabulary",
        ),
    ] = None,
    cased: Annotated[
        bool | None,
        typer.Option(
            "--cased/--uncased", help="Keep capitals and accents, or drop both.", show_default="uncased"
        ),
    ] = None,
    layers: Annotated[
        int | None, typer.Option(help="Blocks; with --model its first.", show_default="6; with --model all")
    ] = None,
    hidden: Annotated[int | None, typer.Option(help="Width.", show_default="256")] = None,
    heads: Annotated[
        int | None, typer.Option(help="Attention heads.", show_default="one for about each 64 of the width")
    ] = None,
    max_length: Annotated[int, typer.Option(help="Tokens of a pair of sentences.")] = 128,
    steps: Annotated[int, typer.Option(help="Optimiser steps.")] = 10_000,
    batch_tokens: Annotated[int, typer.Option(help="Tokens of one step, over all devices.")] = 8_192,
    accumulate: training.AccumulateOption = 1,
    lr: Annotated[
        float | None,
        typer.Option(help="Highest learning rate.", show_default="5e-4; with --model 1e-4 · 768 / width"),
    ] = None,
    warmup: training.WarmupOption = 0.05,
    weight_decay: Annotated[float, typer.Option(help="Of AdamW.")] = 0.01,
    whole_words: Annotated[
        bool, typer.Option("--whole-words", help="Mask all pieces of a word together.")
    ] = False,
    dropout: Annotated[
        float,
        typer.Option(
            help="In pretraining; the config that is saved says 0.1 (with --model its own) for fine-tuning."
        ),
    ] = 0.0,
    save_every: Annotated[
        int, typer.Option(help="Steps between two checkpoints, at which held-out documents are scored.")
    ] = 500,
    minutes: Annotated[
        float | None, typer.Option(help="Stop after so many, with a checkpoint; --resume goes on.")
    ] = None,
    prepare_only: Annotated[
        bool, typer.Option("--prepare-only", help="Train the vocabulary, tokenise the corpus, and stop.")
    ] = False,
    format: options.FormatOption = None,
    text_column: Annotated[str | None, typer.Option(help="Column with the document.")] = None,
    revision: options.RevisionOption = None,
    allow_pickle: options.AllowPickleOption = False,
    log_every: training.LogEveryOption = 50,
    precision: training.PrecisionOption = "auto",
    device: training.TrainingDeviceOption = "auto",
    seed: options.SeedOption = 0,
    resume: training.ResumeOption = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace what an earlier run wrote.")
    ] = False,
    as_json: options.JsonOption = False,
) -> None:
    """Pretrain a BERT on raw text: vocabulary, masked tokens, next sentences; or train one further.

    Runs on several devices under `torchrun` or `accelerate launch`, with the same curve but for dropout.
    """
    from layerwise.cli.training_table import print_pretrained
    from layerwise.train.pretraining.run import PretrainShape, pretrain
    from layerwise.train.settings import TrainingSettings

    with training.live_training() as progress:
        found = pretrain(
            corpus,
            output,
            model=model,
            shape=PretrainShape(
                vocab_size, cased, layers, hidden, heads, max_length, batch_tokens, whole_words, dropout
            ),
            settings=TrainingSettings(
                steps=steps,
                accumulate=accumulate,
                lr=lr,
                warmup=warmup,
                weight_decay=weight_decay,
                precision=precision,
                seed=seed,
                device=device,
                log_every=log_every,
            ),
            save_every=save_every,
            minutes=minutes,
            prepare_only=prepare_only,
            format=format,
            text_column=text_column,
            resume=resume,
            overwrite=overwrite,
            revision=revision,
            allow_pickle=allow_pickle,
            progress=progress,
            say=training.say,
        )
    if found is None:
        return
    if as_json:
        typer.echo(json.dumps(without_nan(found.to_dict()), ensure_ascii=False))
    else:
        print_pretrained(found)
