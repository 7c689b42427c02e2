"""Figures: the same bytes each time, no text outside or on another, no empty boxes."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from layerwise.errors import UsageError
from layerwise.plots import clouds, curves, drawing, matrices

matplotlib = pytest.importorskip("matplotlib")
RNG = np.random.default_rng(0)


def figures(count: int) -> dict:
    layers, score = list(range(count)), np.linspace(0.4, 0.9, count)
    beside = [*layers, "mean", "concat", "scalar"]
    scores = [*score, 0.8, 0.85, 0.9]
    low, high = np.array(scores) - 0.03, np.array(scores) + 0.02
    points = [RNG.normal(size=(90, 2)) for _ in layers]
    return {
        "heatmap": matrices.heatmap(np.outer(score, score), layers, layers, title="CKA", of="CKA"),
        "layers": curves.layers(
            beside, scores, low, high, axis="macro-F1", title="scores", baselines={"majority": 0.2}
        ),
        "bars": curves.bars(layers, [1 / count] * count, title="mix"),
        "norms": curves.norms(layers, score, {"5 to 95 %": (score - 0.1, score + 0.1)}, title="norms"),
        "scatter": clouds.small_multiples(
            points,
            [f"layer {n}" for n in layers],
            title="PCA",
            label="topic",
            classes=["a", "b"],
            class_of=np.arange(90) % 3 - 1,
            axes_named=[("PC1, 40 % of variance", "PC2, 20 % of variance")] * count,
        ),
        "path": clouds.path(
            RNG.normal(size=(3, count, 2)), layers, list("abc"), title="w", axes_named=("PC1", "PC2")
        ),
        "confusion": matrices.confusion([[5, 1], [0, 0]], ["yes", "no"], title="confusion"),
    }


def overlapping(figure) -> list[tuple[str, str]]:
    """Pairs of tick labels on one axis that lie on each other."""
    renderer = figure.canvas.get_renderer()
    found = []
    for axes in figure.axes:
        for labels in (axes.get_xticklabels(), axes.get_yticklabels()):
            shown = [label for label in labels if label.get_text() and not label.get_rotation() % 90]
            for one, other in itertools.pairwise(shown):
                if one.get_window_extent(renderer).overlaps(other.get_window_extent(renderer)):
                    found.append((one.get_text(), other.get_text()))
    return found


@pytest.mark.parametrize("count", [7, 13, 25])
def test_labels_do_not_overlap_nor_leave_the_figure(count: int) -> None:
    for name, figure in figures(count).items():
        from matplotlib.backends.backend_agg import FigureCanvasAgg

        FigureCanvasAgg(figure).draw()
        assert not overlapping(figure), name
        tight, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
        inside = (
            tight.x0 > -0.05 and tight.y0 > -0.05 and tight.x1 < width + 0.05 and tight.y1 < height + 0.05
        )
        assert inside, (name, tight, width, height)


def test_the_same_figure_gives_the_same_bytes(tmp_path: Path) -> None:
    for ending in ("png", "svg", "pdf"):
        for name in ("a", "b"):
            drawing.save(curves.bars([0, 1], [0.3, 0.7], title="mix"), tmp_path / f"{name}.{ending}")
        assert (tmp_path / f"a.{ending}").read_bytes() == (tmp_path / f"b.{ending}").read_bytes()
    svg = drawing.to_svg(curves.bars([0, 1], [0.3, 0.7], title="mix"))
    assert svg.startswith("<svg") and "<text" in svg and "dc:date" not in svg


def test_a_target_is_refused_before_the_work(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"expected \.png, \.svg or \.pdf"):
        drawing.check_target(tmp_path / "a.gif")
    with pytest.raises(UsageError, match="there is no folder"):
        drawing.check_target(tmp_path / "no" / "a.png")


def test_a_name_is_never_read_as_a_formula() -> None:
    """`$` begins a formula in matplotlib: one that is wrong would end the drawing."""
    name = r"price in $\frac$"
    for figure in (
        matrices.heatmap([[1.0]], [0], [0], title=name, of="CKA", row_title=name, column_title=name),
        matrices.confusion([[5, 1], [0, 2]], [name, "no"], title=name),
        curves.bars([0, 1], [0.3, 0.7], title=name),
    ):
        assert drawing.to_svg(figure).count("price in $") >= 1
