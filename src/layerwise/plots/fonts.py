"""Which fonts draw a text, and what stands for the characters that none of them draws."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DEFAULT = "DejaVu Sans"
"""Comes with matplotlib: Latin, Greek, Cyrillic, Arabic, Hebrew and signs, but no Chinese."""

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


def families() -> list[str]:
    """The fonts a figure is drawn with, the first that has a character draws it."""
    return [DEFAULT, *cjk_fonts(), *(["sans-serif"] if _IN_BROWSER.get() else [])]


@cache
def cjk_fonts() -> tuple[str, ...]:
    """The installed one of `CJK_FONTS` that comes first, or none."""
    from matplotlib import font_manager

    manager = font_manager.fontManager
    if not any(font.name in CJK_FONTS for font in manager.ttflist):
        known = {font.fname for font in manager.ttflist}  # a list that matplotlib made once and keeps
        for path in set(font_manager.findSystemFonts()) - known:
            try:
                manager.addfont(path)
            except (OSError, RuntimeError):  # no font that matplotlib can read
                continue
    there = {font.name for font in manager.ttflist}
    return tuple(name for name in CJK_FONTS if name in there)[:1]


def printable(text: str) -> str:
    """The text, with code points for what no font draws: `U+4E66`, never an empty box."""
    text = text.replace("$", r"\$")
    if _IN_BROWSER.get() or (text.isascii() and text.isprintable()):
        return text
    drawn = _characters((DEFAULT,))
    if any(ord(char) not in drawn for char in text):
        drawn |= _characters(cjk_fonts())
    missing = [ord(char) not in drawn and not char.isspace() for char in text]
    out = ""
    for place, char in enumerate(text):
        beside = place > 0 and (missing[place] or missing[place - 1])
        gap = " " if beside and out[-1].isalnum() and (missing[place] or char.isalnum()) else ""
        out += gap + (f"U+{ord(char):04X}" if missing[place] else char)
    return out


def uncovered(figure: Figure) -> bool:
    """Whether code points stand in the figure where a font for them is missing."""
    from matplotlib.text import Text

    return any(_CODE_POINT.search(text.get_text()) for text in figure.findobj(Text))


@cache
def _characters(names: tuple[str, ...]) -> frozenset[int]:
    """Code points that fonts have glyphs for."""
    from matplotlib import font_manager

    found = [font_manager.get_font(font_manager.findfont(name)).get_charmap() for name in names]
    return frozenset().union(*found)
