"""What all figures share: the gate to matplotlib, colours, and how a figure is saved."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from layerwise.errors import UsageError, require
from layerwise.plots.fonts import families, printable
from layerwise.plots.names import in_lines, inches
from layerwise.whole_file import check_target as check_file
from layerwise.whole_file import whole_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")
"""Okabe & Ito (2008): told apart by colour-blind readers. Markers and line styles do it in grey."""

OTHER = "#999999"
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
LINES = ("-", "--", "-.", ":")
MAP = "viridis"
"""Rises in lightness from end to end, so it is a scale in grey too."""

FORMATS = ("png", "svg", "pdf")
DOTS_PER_INCH = 150
TITLE, LEGEND = 10, 8
"""Points."""


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of so many inches, without pyplot's global state."""
    require("matplotlib", "matplotlib>=3.9", "drawing a figure")
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def entitle(figure: Figure, title: str, legend: Sequence[str] = ()) -> None:
    """A title over the figure, in as many lines as it takes, for which the figure grows.

    Args:
        legend: the names that stand on the right of it.
    """
    whole = figure.get_figwidth()
    inside = whole - (legend_width(legend) if legend else 0.0)
    text = in_lines(title, int(inside / inches("x", TITLE)))
    figure.set_figheight(figure.get_figheight() + text.count("\n") * 1.2 * TITLE / 72)
    figure.suptitle(printable(text), x=inside / whole / 2, fontsize=TITLE)


def legend_width(names: Sequence[str]) -> float:
    """About how many inches a legend takes."""
    return max((inches(name, LEGEND) for name in names), default=0.0) + 0.6


def check_target(path: str | Path) -> Path:
    """Where a figure can be written, looked at before any work is done.

    Raises:
        UsageError: the ending is unknown, the folder is not there, or it is a folder itself.
        LayerwiseError: nothing may be written into its folder.
    """
    target = check_file(path)
    if target.suffix.lower().removeprefix(".") not in FORMATS:
        raise UsageError(f"the figure {target} has no known ending: expected .png, .svg or .pdf.")
    return target


def save(figure: Figure, path: str | Path) -> None:
    """Write a figure as PNG, SVG or PDF, by its ending; the same figure gives the same bytes.

    Raises:
        UsageError: see `check_target`. LayerwiseError: it cannot be written.
    """
    target = check_target(path)
    kind = target.suffix.lower().removeprefix(".")
    drawn = _drawn(figure, kind)
    with whole_file(target) as stream:
        stream.write(drawn)


def to_svg(figure: Figure) -> str:
    """A figure as an `<svg>` element to put into HTML: no XML declaration, no date."""
    text = _drawn(figure, "svg").decode("utf-8")
    return text[text.index("<svg") :]


def _drawn(figure: Figure, kind: str) -> bytes:
    import matplotlib

    undated: dict[str, Any] = {
        "svg": {"Date": None, "Creator": None},
        "pdf": {"CreationDate": None, "Producer": None, "Creator": None},
        "png": {"Software": None},
    }
    from matplotlib.text import Text

    settings: Any = {"svg.hashsalt": "layerwise", "svg.fonttype": "none", "pdf.fonttype": 42}
    for text in figure.findobj(Text):
        text.set_fontfamily(families())
    with matplotlib.rc_context(settings), io.BytesIO() as out:
        figure.savefig(out, format=kind, dpi=DOTS_PER_INCH, metadata=undated[kind])
        return out.getvalue()


def thinned(count: int, most: int) -> list[int]:
    """Places of at most about `most` labels among `count`, evenly spaced, the first one always."""
    step = max(1, -(-count // most))
    return list(range(0, count, step))


def names_of(layers: Sequence[int | str]) -> list[str]:
    """Layers as they are written at an axis."""
    return [printable(str(layer)) for layer in layers]


def quiet(axes: Any) -> None:
    """No frame at the top and on the right."""
    axes.spines[["top", "right"]].set_visible(False)
