"""`layerwise inspect`: what is in a store, and whether it is whole."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from layerwise.cli import options
from layerwise.cli.console import console, print_table
from layerwise.reports.wording import counted, without_nan

if TYPE_CHECKING:
    from layerwise.store.verify import CheckReport
    from layerwise.study.summary import StoreSummary


def command(
    store: Annotated[str, typer.Argument(metavar="OUT", help="A store.")],
    check: Annotated[
        bool, typer.Option("--check", help="Read everything: counts, finiteness and the recorded checksums.")
    ] = False,
    as_json: options.JsonOption = False,
) -> None:
    """Show what is in a store: model, layers, rows, sizes, and the geometry of each layer."""
    from layerwise.store.reader import open_store
    from layerwise.study.summary import summarise

    opened = open_store(store)
    report = None
    if check:
        from layerwise.store.verify import check as verify

        report = verify(opened)
    summary = summarise(opened)
    if as_json:
        document = summary.to_dict() | {"check": None if report is None else asdict(report)}
        typer.echo(json.dumps(without_nan(document), ensure_ascii=False))
    else:
        _print(summary, report)


def _print(summary: StoreSummary, report: CheckReport | None) -> None:
    from rich.text import Text

    from layerwise.cli.progress import size

    out = console()
    model = summary.metadata
    at = f" at {model['revision']}" if model.get("revision") else ""
    limit = model.get("limit")
    unfinished = "" if summary.complete else "  (not finished: run the same command again)"
    unfinished += f"  (the first {counted(limit, 'text')} of the source, by --limit)" if limit else ""
    out.print(Text.assemble((str(summary.path), "bold"), unfinished))
    out.print(
        f"model      {model['model']}{at}, {model['architecture']}, {model['engine']}, {model['dtype']}\n"
        f"units      {counted(summary.rows, model['unit'])} of {counted(summary.texts, 'text')}, "
        f"{counted(summary.tokens, 'token')}"
        + (f"; {summary.not_embedded:,} not embedded" if summary.not_embedded else "")
        + f"\nmade by    {_recipe(model)}\n"
        f"lengths    {counted(summary.windowed_texts, 'text')} in several windows, "
        + (
            f"{summary.truncated_texts:,} cut, {summary.truncated_tokens:,} tokens lost"
            if summary.truncated_texts
            else "none cut"
        )
        + f"\nsize       {size(summary.bytes)} on disk; a layer is {size(summary.bytes_per_layer)} of {model['store_dtype']}"
    )
    if report is not None:
        out.print(
            f"check      passed: {report.commits:,} commits, {report.rows:,} rows × {report.columns} columns read, "
            "checksums agree"
        )
    out.print()
    rows = []
    for column, layer in summary.geometry.items():
        constant = layer.constant_dimensions
        shown = ", ".join(map(str, constant[:6])) + (
            f" and {len(constant) - 6} more" if len(constant) > 6 else ""
        )
        name = column.removeprefix("layer_")
        name = str(int(name)) if name.isdigit() else name
        rows.append([name, _shown(layer.mean_norm), _shown(layer.mean_cosine), shown or "none"])
    print_table(out, ["layer", "mean norm", "mean cosine", "constant dimensions"], rows)


def _shown(value: float) -> str:
    return "–" if value != value else f"{value:.3f}"


def _recipe(model: dict[str, Any]) -> str:
    words = f", words {model['words']}" if model["unit"] != "text" else ""
    pairs = f", pairs {model['pairs']}" if "pairs" in model else ""
    projection = model.get("projection")
    projected = "" if projection is None else ", projection {kind} to {dim}".format(**projection)
    pooling = f"pooling {model['pooling']}" if model["unit"] != "token" else "no pooling"
    stride = "" if model["stride"] is None else f", stride {model['stride']}"
    longer = {"window": f"in windows{stride}", "truncate": "truncated", "error": "refused"}[
        str(model["long_text"])
    ]
    made = f"{pooling}{words}{pairs}, mix {model['mix']}{projected}"
    return f"{made}; texts of more than {model['max_length']} tokens {longer}"
