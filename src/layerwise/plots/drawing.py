"""What all figures share: the gate to matplotlib, colours, fonts, and how a figure is saved."""

from __future__ import annotations

import io
import re
import unicodedata
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any

from layerwise.errors import LayerwiseError, UsageError, require

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")
"""Okabe & Ito (2008): told apart by colour-blind readers. Markers and line styles do it in grey."""

OTHER = "#999999"
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
LINES = ("-", "--", "-.", ":")
MAP = "viridis"
"""Rises in lightness from end to end, so it is a scale in grey too."""

CJK_FONTS = (
    "Noto Sans CJK SC",
    "Noto Sans SC",
    "Source Han Sans SC",
    "WenQuanYi Micro Hei",
    "WenQuanYi Zen Hei",
    "Droid Sans Fallback",
    "PingFang SC",
    "Hiragino Sans GB",
    "Microsoft YaHei",
    "SimHei",
    "Noto Sans CJK JP",
    "AR PL UMing CN",
    "Unifont",
)
FORMATS = ("png", "svg", "pdf")
DOTS_PER_INCH = 150


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of so many inches, without pyplot's global state."""
    require("matplotlib", "layerwise[plots]", "drawing a figure")
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def cjk_fonts() -> list[str]:
    """The installed one of `CJK_FONTS` that comes first, or none."""
    from matplotlib import font_manager

    there = {font.name for font in font_manager.fontManager.ttflist}
    return [name for name in CJK_FONTS if name in there][:1]


def uncovered(figure: Figure) -> bool:
    """Whether code points stand in the figure where a font for them is missing."""
    from matplotlib.text import Text

    return any(_CODE_POINT.search(text.get_text()) for text in figure.findobj(Text))


_CODE_POINT = re.compile(r"U\+[0-9A-F]{4,6}\b")


_IN_BROWSER: ContextVar[bool] = ContextVar("in_browser", default=False)


@contextmanager
def for_browser() -> Iterator[None]:
    """Within it, figures are made for SVG in a page: text stays text, as a browser has fonts of its own."""
    token = _IN_BROWSER.set(True)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from font", UserWarning)
            yield
    finally:
        _IN_BROWSER.reset(token)


def printable(text: str) -> str:
    """The text, or its code points where no font draws it: `U+4E66`, never an empty box."""
    if not _wide(text) or cjk_fonts() or _IN_BROWSER.get():
        return text.replace("$", r"\$")
    return " ".join(f"U+{ord(char):04X}" if _wide(char) else char for char in text)


def _wide(text: str) -> bool:
    return any(unicodedata.east_asian_width(char) in "WF" for char in text)


def check_target(path: str | Path) -> Path:
    """Where a figure can be written, looked at before any work is done.

    Raises:
        UsageError: the ending is unknown, or the folder is not there.
    """
    target = Path(path)
    if target.suffix.lower().removeprefix(".") not in FORMATS:
        raise UsageError(f"the figure {target} has no known ending: expected .png, .svg or .pdf.")
    if not target.parent.is_dir():
        raise UsageError(f"there is no folder {target.parent} for the figure {target.name}: make it first.")
    if target.is_dir():
        raise UsageError(f"{target} is a folder: give the figure another name.")
    return target


def save(figure: Figure, path: str | Path) -> None:
    """Write a figure as PNG, SVG or PDF, by its ending; the same figure gives the same bytes.

    Raises:
        UsageError: see `check_target`. LayerwiseError: it cannot be written.
    """
    target = check_target(path)
    kind = target.suffix.lower().removeprefix(".")
    drawn = _drawn(figure, kind)
    try:
        target.write_bytes(drawn)
    except OSError as error:
        raise LayerwiseError(f"the figure {target} cannot be written: {error.strerror}.") from error


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
        text.set_fontfamily(["DejaVu Sans", *cjk_fonts(), *(["sans-serif"] if _IN_BROWSER.get() else [])])
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
