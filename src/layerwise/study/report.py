"""`report`: everything about one label and one store, as figures and one page."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from layerwise.errors import LayerwiseError, UsageError
from layerwise.plots.curves import bars, layers
from layerwise.plots.drawing import check_target, new_figure, save, to_svg
from layerwise.plots.fonts import for_browser
from layerwise.plots.matrices import confusion, heatmap
from layerwise.plots.names import short, short_model
from layerwise.reports.comparison import Comparison
from layerwise.reports.probing import ProbeReport
from layerwise.reports.signals import SignalsReport
from layerwise.reports.verdict import METRIC_NAMES, PUT_TOGETHER, name_of
from layerwise.store.reader import Store
from layerwise.study.comparison import compare
from layerwise.study.probe_run import Probed, Progress
from layerwise.study.probing import probe
from layerwise.study.report_page import page
from layerwise.study.signals import unsupervised
from layerwise.whole_file import check_target as check_file
from layerwise.whole_file import whole_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_CLASSES = 60
"""A confusion of more classes is not drawn: nobody could read it."""


@dataclass(frozen=True, slots=True)
class Report:
    """A finished report.

    Attributes:
        probed: report and trained probes.
        comparison: CKA of the layers; None where there is one layer, or too few rows.
        signals: geometry of the layers; None where there are too few rows.
        html: the page.
    """

    probed: Probed
    comparison: Comparison | None
    signals: SignalsReport | None
    html: str

    def save(self, path: str | Path) -> None:
        """Write the page.

        Raises:
            UsageError: there is no such folder, or it is one. LayerwiseError: it cannot be written.
        """
        with whole_file(path) as stream:
            stream.write(self.html.encode())

    def save_figures(self, folder: str | Path, format: str = "png") -> tuple[Path, ...]:
        """Write each figure as `NAME.png`, `.svg` or `.pdf` into a folder, which is made if need be."""
        target = Path(folder)
        try:
            target.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise LayerwiseError(f"the folder {folder} cannot be made: {error.strerror}.") from error
        figures = draw(self.probed.report, self.comparison)
        paths = tuple(target / f"{name}.{format}" for name in figures)
        for path, figure in zip(paths, figures.values(), strict=True):
            check_target(path)
            save(figure, path)
        return paths


def report(
    store: Store, label: str, *, command: str = "", progress: Progress = lambda doing: None, **options: Any
) -> Report:
    """Probe a store and put down what there is to see.

    Args:
        command: what was run, for the page.
        options: those of `probe`.

    Raises:
        MissingExtraError: matplotlib is not installed.
        UsageError, LabelError: as `probe`.
    """
    new_figure(1, 1)  # a missing library is told before the work
    probed = probe(store, label, progress=progress, **options)
    chosen, seed = options.get("layers", "all"), options.get("seed", 0)
    progress("how alike the layers are")
    enough = store.num_rows - store.num_not_embedded > 10
    several = len(store.select(chosen)) > 1
    comparison = compare(store, layers=chosen, seed=seed) if enough and several else None
    progress("geometry")
    signals = unsupervised(store, layers=chosen, seed=seed) if enough else None
    with for_browser():
        figures = draw(probed.report, comparison)
        embedded = {name: _own_ids(to_svg(figure), name) for name, figure in figures.items()}
    html = page(probed.report, embedded, comparison, signals, command)
    return Report(probed, comparison, signals, html)


def draw(found: ProbeReport, comparison: Comparison | None = None) -> dict[str, Figure]:
    """The figures of a report: `scores`, `control`, `shares`, `confusion`, `cka`, those there are."""
    figures = {"scores": _scores(found)}
    if found.control:
        figures["control"] = _control(found)
    if found.scalar_mix is not None and not found.scalar_mix.even:
        mix = found.scalar_mix
        figures["shares"] = bars(
            list(mix.layers), list(mix.shares), title=f"Scalar mix for {short(found.label)}", of="share"
        )
    if found.confusion and len(found.classes) <= MOST_CLASSES:
        title = f"{short(found.label)} at {name_of(found.best)}, test part"
        figures["confusion"] = confusion(found.confusion, list(found.classes), title=title)
    if comparison is not None:
        names = comparison.first.layers
        figures["cka"] = heatmap(comparison.cka, names, names, title="Debiased linear CKA", of="CKA")
    return figures


def _scores(found: ProbeReport) -> Figure:
    metric = found.metrics[0]
    scale = 1 if metric == "r2" else 100
    scores = [row.scores[metric] for row in found.table]
    baselines = {"majority": scale * found.majority[metric]} if metric in found.majority else {}
    return layers(
        [PUT_TOGETHER.get(row.feature, row.feature) for row in found.table],
        [scale * score.value for score in scores],
        [scale * score.low for score in scores],
        [scale * score.high for score in scores],
        axis=f"{METRIC_NAMES[metric]} (bars: 95 % interval)",
        title=f"{short(found.label)} from {found.unit} vectors of {short_model(found.model)}",
        baselines={name: value for name, value in baselines.items() if value == value},
    )


def _control(found: ProbeReport) -> Figure:
    rows = [row for row in found.table if row.selectivity is not None]
    values = [100 * (row.selectivity or 0.0) for row in rows]
    return layers(
        [PUT_TOGETHER.get(row.feature, row.feature) for row in rows],
        values,
        values,
        values,
        axis="selectivity (" + ("accuracy" if found.task == "classification" else "Spearman") + ")",
        title="Task minus control task (no intervals)",
    )


def _own_ids(svg: str, name: str) -> str:
    """Ids that no other figure of the page has."""
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    return re.sub(r'(url\(#|href="#)', rf"\g<1>{name}-", svg)


def refuse_other_ending(path: str) -> None:
    """Say early that a report is an HTML page in a folder that exists.

    Raises:
        UsageError: another ending, no such folder, or a folder. LayerwiseError: a read-only folder.
    """
    target = check_file(path)
    if target.suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"the report {path} has the ending {target.suffix or 'none'!r}: expected .html.")
