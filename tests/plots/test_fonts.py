"""What no font draws stands as code points in figures, and as itself in a page."""

from __future__ import annotations

import pytest

pytest.importorskip("matplotlib")

from layerwise.plots import curves, drawing, fonts


@pytest.fixture
def no_cjk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fonts, "cjk_fonts", tuple)


@pytest.mark.usefixtures("no_cjk")
@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("书 one", "U+4E66 one"),
        ("the '书店' of", "the 'U+4E66 U+5E97' of"),
        ("a书b", "a U+4E66 b"),
        ("naïve – Ω Я ع $x$", r"naïve – Ω Я ع \$x\$"),
        ("क\a", "U+0915 U+0007"),
    ],
)
def test_code_points_for_what_is_not_drawn(text: str, shown: str) -> None:
    assert fonts.printable(text) == shown
    with fonts.for_browser():
        assert fonts.printable(text) == text.replace("$", r"\$")


@pytest.mark.usefixtures("no_cjk")
def test_a_figure_knows_that_it_has_code_points() -> None:
    figure = curves.bars([0], [1.0], title="书 one")
    assert fonts.uncovered(figure) and "U+4E66" in drawing.to_svg(figure)
    assert not fonts.uncovered(curves.bars([0], [1.0], title="one"))


def test_chinese_is_drawn_where_there_is_a_font() -> None:
    if not fonts.cjk_fonts():
        pytest.skip("no font with Chinese characters is installed")
    assert fonts.printable("书店 one") == "书店 one"
