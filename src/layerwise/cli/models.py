"""`layerwise models`: the families and how each runs; or one model, layer by layer."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from layerwise.cli import options
from layerwise.cli.console import console

if TYPE_CHECKING:
    from layerwise.models.doctor import Diagnosis


def command(
    model: Annotated[
        str | None, typer.Argument(help="'minilm', 'bilingual', a model folder, or a name on the Hub.")
    ] = None,
    revision: options.RevisionOption = None,
    mermaid: Annotated[
        bool, typer.Option("--mermaid", help="Print the architecture as a Mermaid diagram.")
    ] = False,
    allow_pickle: options.AllowPickleOption = False,
    as_json: options.JsonOption = False,
) -> None:
    """List the families, or show one model's architecture and what is odd about it."""
    if model is None:
        _families(as_json)
        return
    from layerwise.models import architecture
    from layerwise.models.doctor import examine

    diagnosis = examine(model, revision, allow_pickle)
    encoder, config = diagnosis.loaded.model, diagnosis.loaded.model.config
    has_final = diagnosis.engine is not None and diagnosis.engine.has_final
    if mermaid:
        found = architecture.parts(encoder, config.num_hidden_layers, has_final)
        typer.echo(architecture.mermaid(found, config.hidden_size))
        return
    document = architecture.describe(encoder, config.num_hidden_layers, has_final, config.hidden_size)
    if as_json:
        document |= {
            "folder": str(diagnosis.files.folder),
            "revision": diagnosis.files.revision,
            "weights_sha256": diagnosis.files.weights_sha256,
            "self_check": None if diagnosis.self_check is None else asdict(diagnosis.self_check),
            "findings": [asdict(finding) for finding in diagnosis.findings],
        }
        typer.echo(json.dumps(document, ensure_ascii=False))
        return
    _print_model(diagnosis, document)


def _print_model(diagnosis: Diagnosis, document: dict[str, object]) -> None:
    from rich.table import Table
    from rich.text import Text

    from layerwise.models import architecture

    out = console()
    files, check = diagnosis.files, diagnosis.self_check
    at = f" at {files.revision}" if files.revision else ""
    about = f"{at}: {document['architecture']}, {document['num_parameters']:,} parameters"
    out.print(Text.assemble((files.name, "bold"), about))
    out.print(f"weights sha256 {files.weights_sha256}")
    if check is not None:
        runs = "packed" if check.packed else f"padded ({check.attention})"
        out.print(f"runs {runs}; every layer agrees with transformers within {check.error:.1e}")
    table = Table(box=None, pad_edge=False)
    for name, justify in (
        ("layer", "left"),
        ("part", "left"),
        ("tensor", "left"),
        ("shape", "right"),
        ("parameters", "right"),
    ):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    previous = None
    engine = diagnosis.engine
    config = diagnosis.loaded.model.config
    found = architecture.parts(
        diagnosis.loaded.model, config.num_hidden_layers, bool(engine and engine.has_final)
    )
    for part in found:
        table.add_row(part.layer, part.name, "", "", f"{part.num_parameters:,}", style="bold")
        shapes = [(name, shape) for name, shape in part.tensors]
        if shapes == previous:
            table.add_row("", "", "the same tensors as the block before", "", "")
        else:
            for name, shape in shapes:
                table.add_row("", "", name, " × ".join(map(str, shape)), "")
        previous = shapes
    out.print(table)
    out.print()
    if not diagnosis.findings:
        out.print("Nothing odd was found.")
    for finding in diagnosis.findings:
        colour = "red" if finding.severity == "problem" else "yellow"
        out.print(Text.assemble((finding.severity, colour), f": {finding.text}"))


def _families(as_json: bool) -> None:
    from layerwise.models.families import survey

    reports = list(survey())
    if as_json:
        typer.echo(json.dumps([asdict(report) for report in reports]))
        return
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for name in ("family", "runs", "final norm", "worst error", "why not packed"):
        table.add_column(name)
    for report in reports:
        check = report.self_check
        if check is None:
            table.add_row(report.family, "not here", "", "", report.problem)
            continue
        runs = "packed" if check.packed else "padded"
        table.add_row(
            report.family, runs, "yes" if report.has_final else "no", f"{check.error:.1e}", check.reason
        )
    out = console()
    out.print(table)
    out.print(
        "\nEach row was checked just now, on a tiny random model. 'minilm' and 'bilingual' (BERT) are embedded."
    )
