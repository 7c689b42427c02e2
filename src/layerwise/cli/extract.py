"""`layerwise extract`: sources of text to a store."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from layerwise.cli import options

if TYPE_CHECKING:
    from layerwise.reports.runs import ExtractSummary


def command(
    source: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE...",
            help="Files (.txt .jsonl .csv .tsv .parquet .conllu .conll; .gz, .zst), folders, globs, URLs, '-' for stdin.",
        ),
    ],
    output: Annotated[
        str, typer.Option("--output", "-o", help="The store to write, a folder such as out.lance.")
    ],
    model: options.ModelOption = "minilm",
    revision: options.RevisionOption = None,
    layers: options.LayersOption = "all",
    unit: options.UnitOption = "text",
    words: Annotated[
        str | None,
        typer.Option(
            help="What a word is: tokenizer, whitespace, unicode, given.",
            show_default="the source's own, else tokenizer",
        ),
    ] = None,
    words_column: Annotated[
        str | None,
        typer.Option(help="Column with a list of words, or of \\[start, end] spans; implies --words given."),
    ] = None,
    pooling: options.PoolingOption = None,
    mix: options.MixOption = "none",
    mix_weights: options.MixWeightsOption = None,
    dtype: options.DtypeOption = "float32",
    store_dtype: Annotated[
        str, typer.Option(help="Precision in the store: float32, float16 (half the size).")
    ] = "float32",
    device: options.DeviceOption = "auto",
    batch_tokens: options.BatchTokensOption = None,
    max_length: options.MaxLengthOption = None,
    stride: options.StrideOption = None,
    long_text: options.LongTextOption = "window",
    pairs: options.PairsOption = "joint",
    format: options.FormatOption = None,
    text_column: Annotated[
        str | None,
        typer.Option(
            help="Column with the text.",
            show_default="text, sentence, or the only one; sentence1 with --pairs separate",
        ),
    ] = None,
    pair_column: Annotated[
        str | None,
        typer.Option(
            help="Column with the second text of a pair.", show_default="sentence2 with --pairs separate"
        ),
    ] = None,
    id_column: Annotated[str | None, typer.Option(help="Column with your own identifier of a text.")] = None,
    keep: Annotated[
        list[str] | None,
        typer.Option(
            help="Columns (of .conllu also comments) to copy into the store, comma separated: 'label,split'; "
            "'source_file' is the file's name."
        ),
    ] = None,
    projection: Annotated[
        str | None,
        typer.Option(help="A file of `layerwise fit-projection`, for the one layer selected."),
    ] = None,
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite/--resume", help="Start again, or go on where an interrupted run stopped."),
    ] = False,
    limit: options.LimitOption = None,
    allow_pickle: options.AllowPickleOption = False,
    as_json: options.JsonOption = False,
) -> None:
    """Extract the embeddings of every layer into a store."""
    from layerwise.cli.progress import live_progress
    from layerwise.extraction.run import extract
    from layerwise.models.encoder import Encoder

    weights = options.mix_weights(mix_weights)

    def load() -> Encoder:
        encoder = Encoder.from_pretrained(
            model,
            revision=revision,
            device=device,
            dtype=dtype,
            batch_tokens=batch_tokens,
            allow_pickle=allow_pickle,
        )
        if encoder.note:
            typer.echo(f"layerwise: note: {encoder.note}", err=True)
        return encoder

    with live_progress() as progress:
        summary = extract(
            source,
            output,
            encoder=load,
            layers=layers,
            unit=unit,
            words=words,
            words_column=words_column,
            pooling=pooling,
            mix=mix,
            mix_weights=weights,
            store_dtype=store_dtype,
            max_length=max_length,
            stride=stride,
            long_text=long_text,
            pairs=pairs,
            text_column=text_column,
            pair_column=pair_column,
            id_column=id_column,
            format=format,
            keep=[name.strip() for names in keep or () for name in names.split(",")],
            projection=projection,
            limit=limit,
            overwrite=overwrite,
            progress=progress,
        )
    typer.echo(json.dumps(summary.to_dict(), ensure_ascii=False) if as_json else _line(summary))


def _line(summary: ExtractSummary) -> str:
    """The run in one line, the ledger of length included."""
    from layerwise.cli.progress import size
    from layerwise.reports.wording import counted

    lengths = f"{summary.windowed_texts:,} in several windows, " + (
        f"{summary.truncated_texts:,} cut ({counted(summary.truncated_tokens, 'token')} lost)"
        if summary.truncated_texts
        else "none cut"
    )
    missing = f" ({summary.not_embedded:,} not embedded)" if summary.not_embedded else ""
    speed = f"{summary.seconds:.1f} s, {summary.tokens_per_second:,.0f} tokens/s {summary.engine}"
    if summary.resumed_from == summary.texts:
        speed = "complete already, nothing was left to do"
    elif summary.resumed_from:
        speed += f", went on after {counted(summary.resumed_from, 'text')}"
    return (
        f"{summary.path}: {counted(summary.texts, 'text')}, {counted(summary.tokens, 'token')} ({lengths}); "
        f"{counted(summary.rows, f'{summary.unit} row')}{missing} × {counted(len(summary.layers), 'layer')}, "
        f"{size(summary.bytes)}; "
        f"{speed}"
    )
