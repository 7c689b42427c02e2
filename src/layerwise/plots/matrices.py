"""Maps of numbers: the similarity of layers, the confusion of classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from layerwise.plots.drawing import MAP, entitle, names_of, new_figure
from layerwise.plots.fonts import printable
from layerwise.plots.names import inches, short_names

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COUNTS_MAP = "Blues"
"""White where nothing is, as most of a confusion; darker the more, so it prints and is a scale in grey."""

LUMINANCE = np.array([0.2126, 0.7152, 0.0722])

TICK = 8
"""Points."""

MOST_WRITTEN = 14
"""Columns up to which the numbers stand in their cells."""

MOST_COUNTS = 24
"""The same for counts, of which most cells have none."""


def heatmap(
    values: Sequence[Sequence[float]],
    rows: Sequence[int | str],
    columns: Sequence[int | str],
    *,
    title: str,
    of: str,
    row_title: str = "layer",
    column_title: str = "layer",
) -> Figure:
    """A similarity matrix, layer 0 at the bottom left; 0 to 1 (below 0 is drawn as 0); NaN is hatched.

    Args:
        of: what the colours stand for.
    """
    matrix = np.asarray(values, float)
    texts = np.vectorize(lambda one: f"{one:.2f}", otypes=[str])(matrix)
    shown = texts if max(matrix.shape, default=0) <= MOST_WRITTEN else None
    return _map(matrix, rows, columns, title, of, row_title, column_title, "lower", MAP, shown)


def confusion(counts: Sequence[Sequence[int]], classes: Sequence[str], *, title: str) -> Figure:
    """Right class by row, answer by column, as shares of the row; the numbers are rows of the test part."""
    table = np.asarray(counts, float)
    sums = table.sum(1, keepdims=True)
    shares = np.where(sums > 0, table / np.where(sums > 0, sums, 1), np.nan)
    texts = np.vectorize(lambda one: f"{one:.0f}" if one else "", otypes=[str])(table)
    shown = texts if len(classes) <= MOST_COUNTS else None
    names = ("share of the right class", "right", "answered")
    short = short_names(classes)
    return _map(shares, short, short, title, *names, "upper", COUNTS_MAP, shown)


def _map(
    values: np.ndarray[Any, Any],
    rows: Sequence[int | str],
    columns: Sequence[int | str],
    title: str,
    of: str,
    row_title: str,
    column_title: str,
    origin: Literal["lower", "upper"],
    colours: str,
    written: np.ndarray[Any, Any] | None,
) -> Figure:
    wide, high = len(columns), len(rows)
    cell = 0.28 if written is None else 0.5 if max(wide, high) <= MOST_WRITTEN else 0.36
    length = max((inches(str(name), TICK) for name in (*rows, *columns)), default=0.0)
    more = max(0.0, length - 0.3)  # beyond the names of layers
    figure = new_figure(max(4.6, wide * cell + 2.2) + more, max(3.6, high * cell + 1.2) + more)
    axes = figure.add_subplot(facecolor="white")
    axes.patch.set(hatch="///", edgecolor="#bbbbbb")
    image = axes.imshow(np.clip(values, 0, 1), cmap=colours, vmin=0, vmax=1, origin=origin, aspect="equal")
    texts, long = names_of(columns), max(map(len, map(str, columns)), default=0) > 3
    axes.set_xticks(range(wide), texts, rotation=90 if long else 0, fontsize=TICK)
    axes.set_yticks(range(high), names_of(rows), fontsize=TICK)
    axes.set_xlabel(printable(column_title))
    axes.set_ylabel(printable(row_title))
    entitle(figure, title)
    axes.tick_params(length=0)
    figure.colorbar(image, ax=axes, label=of, shrink=0.8)
    if written is not None:
        for (row, column), value in np.ndenumerate(values):
            if np.isfinite(value):
                light = image.cmap(image.norm(np.clip(value, 0, 1)))[:3] @ LUMINANCE > 0.45
                ink, text = "black" if light else "white", str(written[row, column])
                axes.text(column, row, text, ha="center", va="center", fontsize=7, color=ink)
    return figure
