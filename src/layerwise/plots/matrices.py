"""Maps of numbers: the similarity of layers, the confusion of classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from layerwise.plots.drawing import MAP, names_of, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_WRITTEN = 14
"""Columns up to which the numbers stand in their cells."""


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
    return _map(np.asarray(values, float), rows, columns, title, of, row_title, column_title, "lower")


def confusion(counts: Sequence[Sequence[int]], classes: Sequence[str], *, title: str) -> Figure:
    """Right class by row, answer by column, as shares of the row; the numbers are rows of the test part."""
    table = np.asarray(counts, float)
    sums = table.sum(1, keepdims=True)
    shares = np.where(sums > 0, table / np.where(sums > 0, sums, 1), np.nan)
    return _map(
        shares, classes, classes, title, "share of the right class", "right", "answered", "upper", table
    )


def _map(
    values: np.ndarray[Any, Any],
    rows: Sequence[int | str],
    columns: Sequence[int | str],
    title: str,
    of: str,
    row_title: str,
    column_title: str,
    origin: Literal["lower", "upper"],
    written: np.ndarray[Any, Any] | None = None,
) -> Figure:
    wide, high = len(columns), len(rows)
    cell = 0.5 if max(wide, high) <= MOST_WRITTEN else 0.28
    figure = new_figure(max(4.6, wide * cell + 2.2), max(3.6, high * cell + 1.2))
    axes = figure.add_subplot(facecolor="white")
    axes.patch.set(hatch="///", edgecolor="#bbbbbb")
    image = axes.imshow(np.clip(values, 0, 1), cmap=MAP, vmin=0, vmax=1, origin=origin, aspect="equal")
    texts, long = names_of(columns), max(map(len, map(str, columns)), default=0) > 3
    axes.set_xticks(range(wide), texts, rotation=90 if long else 0, fontsize=8)
    axes.set_yticks(range(high), names_of(rows), fontsize=8)
    axes.set_xlabel(column_title)
    axes.set_ylabel(row_title)
    axes.set_title(title, fontsize=10)
    axes.tick_params(length=0)
    figure.colorbar(image, ax=axes, label=of, shrink=0.8)
    if max(wide, high) <= MOST_WRITTEN:
        for (row, column), value in np.ndenumerate(values):
            if np.isfinite(value):
                shown = f"{value:.2f}" if written is None else f"{written[row, column]:.0f}"
                ink = "black" if value > 0.55 else "white"
                axes.text(column, row, shown, ha="center", va="center", fontsize=7, color=ink)
    return figure
