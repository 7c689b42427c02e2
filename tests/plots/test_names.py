"""Names in figures: short, in one line, and still told apart."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from layerwise.plots import clouds, drawing, matrices
from layerwise.plots.apart import apart
from layerwise.plots.names import MOST, in_lines, short, short_names, width

pytest.importorskip("matplotlib")
LONG = [
    "The longest class name that anybody could find in a data set, one",
    "The longest class name that anybody could find in a data set, two",
    "这是一个非常长的类别名称它有四十多个汉字用来测试图形的标签和图例会不会太宽太长",
    "short",
    "two\nlines",
]


def test_names_are_short_and_told_apart() -> None:
    found = short_names([*LONG, *(f"{LONG[0]} {number}" for number in range(20))])
    assert len(set(found)) == len(found) == 25
    assert max(map(width, found)) <= MOST and found[3:5] == ["short", "two lines"]
    assert found[1].startswith("The longest") and found[1].endswith("… (2)")
    taken = short("a" * 30)
    assert short_names(["a" * 30, taken, "a" * 31])[1] == taken
    assert short("/a/long/path/to/my-model", 12, end=True) == "…to/my-model"


def test_lines_break_at_spaces_and_within_what_has_none() -> None:
    assert in_lines("one two three", 7).split("\n") == ["one two", "three"]
    assert in_lines("名词动词", 5).split("\n") == ["名词", "动词"]


def figures(names: list[str]) -> list:
    points = [np.random.default_rng(0).normal(size=(40, 2))]
    of = np.arange(40) % len(names)
    title = f"{LONG[2]} of /models/a/folder/with/a/very/long/name/{'x' * 60}"
    scatter = clouds.small_multiples(
        points, ["layer 0"], title=title, label=LONG[0], classes=names, class_of=of
    )
    return [matrices.confusion(np.eye(len(names), dtype=int).tolist(), names, title=title), scatter]


def test_long_names_leave_room_for_what_is_named() -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    for figure in figures(LONG):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            drawing.to_svg(figure)
        FigureCanvasAgg(figure).draw()
        width, height = figure.get_size_inches() * figure.dpi
        axes = figure.axes[0].get_window_extent()
        assert axes.width > 0.35 * width and axes.height > 0.35 * height
        everything = figure.get_tightbbox()
        assert everything.x0 > -0.05 and everything.x1 < figure.get_figwidth() + 0.05
        title = figure.get_suptitle()
        assert title.count("\n") > 0
        for legend in figure.legends:
            [own] = [text for text in figure.texts if text.get_text() == title]
            assert not own.get_window_extent().overlaps(legend.get_window_extent())


@pytest.mark.parametrize("places", ["same", "near", "line"])
def test_marks_are_moved_apart_and_only_those_that_lie_on_each_other(places: str) -> None:
    near = {
        "same": np.full((12, 2), 50.0),
        "near": 50 + np.random.default_rng(1).normal(size=(12, 2)),
        "line": np.stack([np.linspace(40, 60, 12), np.full(12, 3.0)], axis=1),
    }[places]
    marks = np.concatenate([near, [[350.0, 200.0]]])
    radii = np.array([6.0, 8.0] * 6 + [6.0])
    moved = apart(marks, radii, (400.0, 250.0))
    far = np.linalg.norm(moved[:, None] - moved, axis=2) + 99 * np.eye(13)
    assert (far >= 0.98 * (radii[:, None] + radii)).all()
    assert (moved[-1] == marks[-1]).all()
    assert np.linalg.norm(moved - marks, axis=1).max() < 60
    assert (moved == apart(marks, radii, (400.0, 250.0))).all()
