"""Signals that need no label, in a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layerwise.cli.console import console, print_table
from layerwise.reports.signals import MEANING, SIGNALS
from layerwise.reports.wording import counted

if TYPE_CHECKING:
    from layerwise.reports.signals import SignalsReport


def print_signals(report: SignalsReport) -> None:
    """Table, what each column can and cannot say, notes."""
    from rich.text import Text

    out = console()
    looked_at = f"{report.rows:,} of {counted(report.of_rows, report.unit)}"
    out.print(Text.assemble((report.store, "bold"), f"  {report.model}, {looked_at}, seed {report.seed}"))
    out.print()
    rows = []
    for layer in report.layers:
        cells = [(getattr(layer, name), digits) for name, (_, digits) in SIGNALS.items()]
        shown = ["–" if value != value else f"{value:z.{digits}f}" for value, digits in cells]
        rows.append([str(layer.layer), *shown])
    print_table(out, ["layer", *(head for head, _ in SIGNALS.values())], rows)
    out.print()
    if report.chance == report.chance:
        out.print(f"Two views: {counted(report.two_view_texts, 'text')}, chance {report.chance:.4f}.")
    for name, (head, _) in SIGNALS.items():
        out.print(Text.assemble((f"{head}: ", "bold"), MEANING[name]))
    for note in report.notes:
        out.print(Text(f"Note: {note}", style="dim"))
