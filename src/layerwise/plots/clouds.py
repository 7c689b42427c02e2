"""Points in the plane: rows of each layer, and the path of a word through the layers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from layerwise.plots.apart import apart
from layerwise.plots.drawing import (
    COLOURS,
    LEGEND,
    LINES,
    MAP,
    MARKERS,
    OTHER,
    entitle,
    legend_width,
    new_figure,
    quiet,
)
from layerwise.plots.fonts import printable
from layerwise.plots.names import short, short_names

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_CLASSES = 8
MOST_OF_CONTEXT = 90
"""Places of a line beneath the paths of a word."""

INSIDE = (400.0, 240.0)
"""About the points that the paths of a word stretch over, across and up, whatever stands beneath."""

Points = np.ndarray[Any, Any]


def small_multiples(
    points: Sequence[Points],
    titles: Sequence[str],
    *,
    title: str,
    label: str = "",
    classes: Sequence[str] | None = None,
    class_of: Points | None = None,
    numbers: Points | None = None,
    axes_named: Sequence[tuple[str, str]] | None = None,
) -> Figure:
    """A scatter a layer, each with axes of its own.

    Args:
        points: for each layer (rows, 2); an empty array says that nothing can be drawn.
        classes: names of at most eight classes; class_of: which one a row is, −1 for another (grey).
        numbers: for a continuous map instead of classes, one a row.
        axes_named: names of the two axes of each layer, such as "PC1 12 %".
    """
    across = min(len(points), 4 if len(points) <= 16 else 5)
    down = math.ceil(len(points) / across)
    classes = None if classes is None else short_names(classes)
    legend = (*classes, short(label)) if classes else ()
    figure = new_figure(2.1 * across + max(1.7, legend_width(legend)), 2.1 * down + 0.7)
    grid = figure.subplots(down, across, squeeze=False)
    drawn: list[Any] = []
    for place, axes in enumerate(grid.flat):
        axes.set_xticks([])
        axes.set_yticks([])
        if place >= len(points):
            axes.set_visible(False)
            continue
        axes.set_title(printable(titles[place]), fontsize=9)
        if axes_named and len(points[place]):
            axes.set_xlabel(axes_named[place][0], fontsize=7)
            axes.set_ylabel(axes_named[place][1], fontsize=7)
        if not len(points[place]):
            axes.text(0.5, 0.5, "constant", transform=axes.transAxes, ha="center", va="center", fontsize=8)
            continue
        drawn = _scatter(axes, points[place], classes, class_of, numbers)
    entitle(figure, title, legend)
    if classes and drawn:
        figure.legend(
            handles=drawn,
            loc="outside right upper",
            fontsize=LEGEND,
            frameon=False,
            title=printable(short(label)),
            markerscale=2,
        )
    elif numbers is not None and drawn:
        figure.colorbar(drawn[0], ax=grid, label=printable(short(label)), shrink=0.6)
    return figure


def _scatter(
    axes: Any, points: Points, classes: Sequence[str] | None, class_of: Points | None, numbers: Points | None
) -> list[Any]:
    size = 12 if len(points) <= 500 else 6
    if numbers is not None:
        known = np.isfinite(numbers)
        axes.scatter(*points[~known].T, s=size, color=OTHER, linewidths=0, rasterized=True)
        return [
            axes.scatter(*points[known].T, s=size, c=numbers[known], cmap=MAP, linewidths=0, rasterized=True)
        ]
    if not classes or class_of is None:
        return [axes.scatter(*points.T, s=size, color=COLOURS[0], alpha=0.5, linewidths=0, rasterized=True)]
    found = []
    if (class_of < 0).any():
        other = points[class_of < 0].T
        found.append(
            axes.scatter(
                *other, s=size, color=OTHER, marker=".", linewidths=0, label="other", rasterized=True
            )
        )
    for number, name in enumerate(classes):
        own = points[class_of == number].T
        style = {
            "color": COLOURS[number],
            "marker": MARKERS[number],
            "linewidths": 0.2,
            "edgecolors": "black",
        }
        found.append(axes.scatter(*own, s=size * 1.3, label=printable(name), rasterized=True, **style))
    return found[1:] + found[:1] if (class_of < 0).any() else found


def path(
    paths: Points,
    layers: Sequence[int | str],
    contexts: Sequence[str],
    *,
    title: str,
    axes_named: tuple[str, str],
) -> Figure:
    """A line an occurrence through its places at each layer: (occurrences, layers, 2).

    The first layer is a hollow ring, the last a filled marker; layers are numbered along the mean path, and
    numbers that have no room there stand beside it.
    """
    figure = new_figure(7.2, 4.8 + 0.2 * len(paths))  # see INSIDE
    axes = figure.add_subplot()
    for number, (one, context) in enumerate(zip(paths, contexts, strict=True)):
        colour, line = COLOURS[number % 7], LINES[number % len(LINES)]
        axes.plot(*one.T, line, color=colour, linewidth=1.2, label=printable(short(context, MOST_OF_CONTEXT)))
        axes.plot(*one[0], "o", color=colour, markerfacecolor="white", markersize=6)
        axes.plot(*one[-1], MARKERS[number % len(MARKERS)], color=colour, markersize=7)
    _number(axes, paths, layers)
    axes.plot(
        [], [], "o", color="#777777", markerfacecolor="white", label="number: the mean of these at that layer"
    )
    axes.set_xlabel(axes_named[0])
    axes.set_ylabel(axes_named[1])
    entitle(figure, title)
    figure.legend(loc="outside lower left", fontsize=LEGEND, frameon=False)
    quiet(axes)
    return figure


def _number(axes: Any, paths: Points, layers: Sequence[int | str]) -> None:
    """Numbers at the mean of the paths at each layer; where they would lie on each other, beside it on a line."""
    step = max(1, -(-len(layers) // 13))
    chosen = [number for number in range(len(layers)) if number % step == 0 or number == len(layers) - 1]
    texts = [printable(str(layers[number])) for number in chosen]
    mean = paths.mean(axis=0)[chosen]
    lowest, highest = paths.min(axis=(0, 1)), paths.max(axis=(0, 1))
    scale = INSIDE / np.where(highest > lowest, highest - lowest, 1.0)  # points
    points = (mean - lowest) * scale
    radii = np.array([4.6 + 2.4 * len(text) for text in texts])
    box = {"boxstyle": "circle,pad=0.15", "fc": "white", "ec": "#777777", "lw": 0.6}
    line = {"arrowstyle": "-", "color": "#777777", "lw": 0.6, "shrinkA": 0, "shrinkB": 0}
    for text, place, by in zip(texts, mean, apart(points, radii, INSIDE) - points, strict=True):
        axes.annotate(
            text,
            place,
            by,
            textcoords="offset points",
            fontsize=7,
            ha="center",
            va="center",
            bbox=box,
            arrowprops=line if np.hypot(*by) > 1 else None,
            zorder=5,
        )
