"""The report of a probe in a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layerwise.cli.console import console, print_table
from layerwise.reports.verdict import METRIC_NAMES, PUT_TOGETHER, shown, spread, verdict
from layerwise.reports.wording import NOTHING_MIXED, counted

if TYPE_CHECKING:
    from rich.console import Console

    from layerwise.reports.probing import FeatureScore, ProbeReport


def print_report(report: ProbeReport) -> None:
    """Head, table, verdict, notes."""
    out = console()
    out.print(_head(report))
    out.print()
    _print_table(out, report)
    out.print()
    for sentence in verdict(report):
        out.print(sentence, style="bold")
    if report.scalar_mix is not None and report.scalar_mix.even:
        out.print(NOTHING_MIXED)
    elif report.scalar_mix is not None:
        shares = zip(report.scalar_mix.layers, report.scalar_mix.shares, strict=True)
        out.print(
            "Shares in the scalar mix: " + ", ".join(f"{layer}: {share:.2f}" for layer, share in shares) + "."
        )
    for note in report.notes:
        out.print(f"Note: {note}", style="dim")


def _head(report: ProbeReport) -> str:
    kinds = {"classification": f"{counted(len(report.classes), 'class', 'classes')}", "regression": "numbers"}
    kind = kinds.get(report.task, "similarity, cosine of two texts")
    parts = ", ".join(f"{part.name} {part.rows:,} ({counted(part.groups, 'group')})" for part in report.parts)
    folds = f"; {report.folds} folds, each group is tested once" if report.folds > 1 else ""
    return (
        f"{report.label} ({kind}) from {report.unit} vectors of {report.model} in {report.store}\n"
        f"parts: {parts}{folds}; seed {report.seed}; {report.seconds:.1f} s"
    )


def _print_table(out: Console, report: ProbeReport) -> None:
    extra = [
        ("control", any(row.control is not None for row in report.table)),
        ("selectivity", any(row.selectivity is not None for row in report.table)),
        ("code length", any(row.code_length is not None for row in report.table)),
        ("compression", any(row.compression is not None for row in report.table)),
        ("L2", any(row.l2 is not None for row in report.table)),
    ]
    others = [name for name, there in extra if there]
    rows, styles = [], []
    for row in report.table:
        mark = " ← best" if row.feature == report.best else ""
        cells = [spread(row.scores[metric], metric) for metric in report.metrics]
        cells += [_cell(row, name) for name in others]
        rows.append([PUT_TOGETHER.get(row.feature, str(row.feature)) + mark, *cells])
        styles.append("bold" if mark else "")
    if report.majority:
        rows.append(["majority", *(shown(report.majority[metric], metric) for metric in report.metrics)])
        styles.append("dim")
    heads = ["layer", *(f"{METRIC_NAMES[metric]} (95 %)" for metric in report.metrics), *others]
    print_table(out, heads, rows, styles)


def _cell(row: FeatureScore, name: str) -> str:
    if name == "L2":
        return "–" if row.l2 is None else f"{row.l2:g}"
    if name == "code length":
        return "–" if row.code_length is None else f"{row.code_length / 1000:,.1f} kbit"
    if name == "compression":
        return "–" if row.compression is None else f"{row.compression:.2f}"
    value = row.control if name == "control" else row.selectivity
    return "–" if value is None else shown(value)
