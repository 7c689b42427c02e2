"""Curves over the layers: scores with intervals, norms; and bars of the scalar mix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from layerwise.plots.drawing import COLOURS, LEGEND, LINES, entitle, names_of, new_figure, quiet, thinned
from layerwise.plots.fonts import printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_LABELS = 16
EQUAL = "equal weights"


def layers(
    names: Sequence[int | str],
    values: Sequence[float],
    low: Sequence[float],
    high: Sequence[float],
    *,
    axis: str,
    title: str,
    baselines: Mapping[str, float] | None = None,
) -> Figure:
    """A score per layer with its interval; where both ends are the score itself, none is drawn.

    Args:
        axis: what the scores are, at the axis.
        names: layers, and what stands beside them (`mean`, `concat`, `scalar`): these are not joined by the line.
        baselines: name to score, drawn as lines across.
    """
    figure = new_figure(max(5.5, 0.36 * len(names) + 2.2), 3.6)
    axes = figure.add_subplot()
    place = list(range(len(names)))
    below = [max(value - edge, 0.0) for value, edge in zip(values, low, strict=True)]
    above = [max(edge - value, 0.0) for value, edge in zip(values, high, strict=True)]
    if any(below) or any(above):
        axes.errorbar(place, values, [below, above], fmt="none", ecolor=COLOURS[0], elinewidth=1.2, capsize=3)
    numbered = [n for n, name in enumerate(names) if isinstance(name, int) or name == "final"]
    others = [n for n in place if n not in numbered]
    axes.plot(numbered, [values[n] for n in numbered], "o-", color=COLOURS[0], markersize=5, label="layer")
    if others:
        mixed = [values[n] for n in others]
        axes.plot(
            others, mixed, "D", color=COLOURS[1], markersize=6, label="several layers", linestyle="none"
        )
    for number, (name, value) in enumerate((baselines or {}).items()):
        line = LINES[1 + number % (len(LINES) - 1)]
        axes.axhline(
            value, linestyle=line, color=COLOURS[(6, 2, 3)[number % 3]], linewidth=1.2, label=printable(name)
        )
    _ticks(axes, names)
    axes.set_ylabel(axis)
    legend = [*(["several layers"] if others else []), *(baselines or {})]
    entitle(figure, title, legend)
    axes.grid(axis="y", color="#dddddd", linewidth=0.6)
    if others or baselines:
        figure.legend(loc="outside right upper", fontsize=LEGEND, frameon=False)
    axes.tick_params(axis="y", labelsize=8)
    quiet(axes)
    return figure


def norms(
    names: Sequence[int | str],
    mean: Sequence[float],
    quantiles: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    *,
    title: str,
) -> Figure:
    """Mean norm per layer, with bands between quantiles.

    Args:
        quantiles: name of a band to its lower and upper edge, the widest first.
    """
    figure = new_figure(max(5.5, 0.3 * len(names) + 2.2), 3.6)
    axes = figure.add_subplot()
    place = range(len(names))
    for number, (name, (lower, upper)) in enumerate(quantiles.items()):
        shade = ("#d6e6f2", "#a9cbe3", "#7fb0d3")[number % 3]
        axes.fill_between(place, lower, upper, color=shade, linewidth=0, label=name)
    axes.plot(place, mean, "o-", color="#00476f", markersize=4, label="mean")
    _ticks(axes, names)
    axes.set_ylim(bottom=0)
    axes.set_ylabel("Euclidean norm")
    entitle(figure, title, list(quantiles))
    figure.legend(loc="outside right upper", fontsize=LEGEND, frameon=False)
    quiet(axes)
    return figure


def bars(names: Sequence[int | str], shares: Sequence[float], *, title: str, of: str = "weight") -> Figure:
    """A bar a layer: the weights of a scalar mix; the line across is an equal share."""
    figure = new_figure(max(5.0, 0.36 * len(names) + 1.6), 3.0)
    axes = figure.add_subplot()
    axes.bar(range(len(names)), shares, color=COLOURS[0], edgecolor="black", linewidth=0.5)
    axes.axhline(1 / max(len(names), 1), color="black", linestyle="--", linewidth=1, label=EQUAL)
    _ticks(axes, names)
    axes.set_ylabel(of)
    entitle(figure, title, [EQUAL])
    figure.legend(loc="outside right upper", fontsize=LEGEND, frameon=False)
    quiet(axes)
    return figure


def _ticks(axes: Any, names: Sequence[int | str]) -> None:
    """Every layer has a tick; where they are many, only some have their number. Names stand upright."""
    numbers = [n for n, name in enumerate(names) if isinstance(name, int)]
    shown = {numbers[n] for n in thinned(len(numbers), MOST_LABELS)} if numbers else set()
    texts = names_of(names)
    written = [text if n in shown or not isinstance(names[n], int) else "" for n, text in enumerate(texts)]
    axes.set_xticks(range(len(names)), written, fontsize=8)
    for text, name in zip(axes.get_xticklabels(), names, strict=True):
        if not isinstance(name, int):
            text.set(rotation=45, ha="right", rotation_mode="anchor")
    axes.set_xlabel("layer")
