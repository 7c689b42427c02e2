"""`layerwise predict`: what a trained model, or the probe of a shipped folder, says of texts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from layerwise.cli import options
from layerwise.cli import training_options as training

if TYPE_CHECKING:
    from layerwise.reports.prediction import Label, Prediction


OF_TRAINED = ("pair_column", "id_column", "skip_bad", "beams", "top", "revision", "precision", "allow_pickle")
"""Options that a shipped probe, which labels single texts, does not read."""


def command(
    context: typer.Context,
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="What `layerwise finetune`, `pretrain` or `ship --probe` wrote, or a checkpoint with a head that "
            "transformers knows.",
        ),
    ],
    source: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE...", help="As for `layerwise extract`: files, folders, URLs, '-' for stdin."
        ),
    ],
    output: Annotated[
        str | None, typer.Option("--output", "-o", help="The file to write.", show_default="stdout")
    ] = None,
    format: options.FormatOption = None,
    text_column: Annotated[
        str | None,
        typer.Option(
            help="Column with the text (qa: the question).", show_default="text, sentence, or the only one"
        ),
    ] = None,
    pair_column: Annotated[
        str | None, typer.Option(help="Column with the second text (qa: the context).")
    ] = None,
    words_column: Annotated[
        str | None, typer.Option(help="Column with the words, for words that are given.")
    ] = None,
    id_column: Annotated[
        str | None, typer.Option(help="Column with your own identifier of a text, for --json.")
    ] = None,
    limit: options.LimitOption = None,
    skip_bad: training.SkipBadOption = False,
    beams: Annotated[int, typer.Option(help="seq2seq: beams of the search.")] = 4,
    top: Annotated[int, typer.Option(help="fill-mask: tokens for each mask.")] = 5,
    revision: options.RevisionOption = None,
    device: options.DeviceOption = "auto",
    precision: Annotated[str, typer.Option(help="fp32, bf16, fp16, auto.")] = "fp32",
    batch_tokens: Annotated[
        int | None,
        typer.Option(
            help="Most tokens of one forward pass.",
            show_default="4096; a shipped probe: 2048 on CPU, 32768 on CUDA",
        ),
    ] = None,
    allow_pickle: options.AllowPickleOption = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file if it exists.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object a text; also where the file ends with .jsonl.")
    ] = False,
) -> None:
    """Predict: a line for each text, or for each entity, word or mask of it.

    Labels: label, probability, text. Entities and words: start, end, label, probability, text, and an empty line
    after each text. Answers: answer, start, end, probability, question. Similarity: score, cosine, texts.
    Generated texts: the text. Masks: tokens with probabilities.
    A shipped probe of words gives word, label and probability, and an empty line after each text.
    """
    from layerwise.cli.progress import live_status
    from layerwise.errors import UsageError
    from layerwise.models.shipped import is_shipped
    from layerwise.whole_file import refuse_existing, whole_file

    training.leave_to_the_first("predict")
    output = None if output == "-" else output
    if output is not None:
        refuse_existing(output, overwrite)
    in_json = as_json or (output or "").lower().endswith((".jsonl", ".ndjson"))
    if not is_shipped(model):
        from layerwise.train.predict import predict
        from layerwise.train.tasks.example import DataColumns

        said = predict(
            model,
            source,
            columns=DataColumns(text_column, pair_column, None, words_column, id_column, format),
            limit=limit,
            skip_bad=skip_bad,
            beams=beams,
            top=top,
            device=device,
            precision=precision,
            batch_tokens=batch_tokens,
            revision=revision,
            allow_pickle=allow_pickle,
            say=lambda note: typer.echo(f"layerwise: note: {note}", err=True),
        )
        lines = _json(said) if in_json else (line for one in said for line in one.lines())
    else:
        for name in OF_TRAINED:
            source_of = context.get_parameter_source(name)
            if source_of is not None and source_of.name == "COMMANDLINE":
                raise UsageError(
                    f"--{name.replace('_', '-')} was given for a shipped probe, which labels single texts in float32: leave "
                    "it out."
                )
        found = _probed(model, source, format, text_column, words_column, limit, device, batch_tokens)
        lines = _json(found) if in_json else _lines(found)
    if output is None:
        for line in lines:
            typer.echo(line)
        return
    with whole_file(output, overwrite) as stream, live_status("predicting") as progress:
        for number, line in enumerate(lines, 1):
            if number % 100 == 0:
                progress(f"{number:,} lines")
            stream.write(f"{line}\n".encode())


def _probed(
    model: str,
    source: list[str],
    format: str | None,
    text_column: str | None,
    words_column: str | None,
    limit: int | None,
    device: str,
    batch_tokens: int | None,
) -> Iterator[Prediction]:
    """Labels by the probe of a shipped folder."""
    from itertools import islice

    from layerwise.errors import UsageError
    from layerwise.shipping.predict import Predictor
    from layerwise.text.sources import SourceOptions, Sources

    if limit is not None and limit < 1:
        raise UsageError(f"the limit is {limit}: expected at least 1 text.")
    sources = Sources(source, SourceOptions(text_column, words_column=words_column, format=format))
    trained = Predictor.load(model, device, batch_tokens)
    predictor = trained.for_texts(sources.give_words)
    if predictor.words != trained.words:
        typer.echo(
            "layerwise: note: the probe was trained on words that its source gave, and this one gives none: they are "
            "taken by Unicode's rules (UAX #29).",
            err=True,
        )
    return predictor(islice(sources.records(), limit))


def _json(found: Iterable[Any]) -> Iterator[str]:
    for prediction in found:
        yield json.dumps(prediction.to_dict(), ensure_ascii=False)


def _lines(found: Iterable[Prediction]) -> Iterator[str]:
    for prediction in found:
        if prediction.unit == "text":
            [label] = prediction.labels
            yield "\t".join((*_label(label), _flat(label.surface)))
            continue
        for label in prediction.labels:
            yield "\t".join((_flat(label.surface), *_label(label)))
        yield ""


def _label(label: Label) -> tuple[str, str]:
    """Label and probability; `_` where there is none, as in CoNLL-U."""
    if label.label is None:
        return "_", "_"
    if label.probability is None:
        return f"{label.label:.6g}", "_"
    return _flat(str(label.label)), f"{label.probability:.4f}"


def _flat(text: str) -> str:
    """On one line, without tabs: these separate."""
    return " ".join(text.split()) if any(mark in text for mark in "\t\n\r\v\f\x85\u2028\u2029") else text
