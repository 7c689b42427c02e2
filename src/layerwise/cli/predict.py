"""`layerwise predict`: label texts with the probe of a shipped folder."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from layerwise.cli import options

if TYPE_CHECKING:
    from layerwise.reports.prediction import Label, Prediction


def command(
    model: Annotated[
        str, typer.Argument(metavar="FOLDER", help="A folder that `layerwise ship --probe` wrote.")
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
        str | None, typer.Option(help="Column with the text.", show_default="text, sentence, or the only one")
    ] = None,
    words_column: Annotated[
        str | None, typer.Option(help="Column with the words, for a probe of words that are given.")
    ] = None,
    limit: options.LimitOption = None,
    device: options.DeviceOption = "auto",
    batch_tokens: options.BatchTokensOption = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file if it exists.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a text.")] = False,
) -> None:
    """Label texts: a line with label, probability and text each.

    A probe of words gives a line with word, label and probability for each word, and an empty line
    after each text.
    """
    from itertools import islice

    from layerwise.errors import UsageError
    from layerwise.shipping.predict import Predictor
    from layerwise.text.sources import SourceOptions, Sources
    from layerwise.whole_file import refuse_existing, whole_file

    if limit is not None and limit < 1:
        raise UsageError(f"the limit is {limit}: expected at least 1 text.")
    if output is not None:
        refuse_existing(output, overwrite)
    sources = Sources(source, SourceOptions(text_column, words_column=words_column, format=format))
    trained = Predictor.load(model, device, batch_tokens)
    predictor = trained.for_texts(sources.give_words)
    if predictor.words != trained.words:
        typer.echo(
            "layerwise: note: the probe was trained on words that its source gave, and this one gives none: they are "
            "taken by Unicode's rules (UAX #29).",
            err=True,
        )
    found = predictor(islice(sources.records(), limit))
    lines = _json(found) if as_json else _lines(found)
    if output is None:
        for line in lines:
            typer.echo(line)
        return
    with whole_file(output, overwrite) as stream:
        for line in lines:
            stream.write(f"{line}\n".encode())


def _json(found: Iterable[Prediction]) -> Iterator[str]:
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
