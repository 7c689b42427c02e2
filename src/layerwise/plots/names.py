"""Names that are short enough for a figure: of classes, columns and models."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from layerwise.plots.fonts import printable

MOST = 24
"""Places of a name; a Chinese character takes two."""

MOST_OF_MODEL = 40

CODE_POINT = 8
"""Places of a character that no font draws: `U+4E66` and the space beside it."""


def width(text: str) -> int:
    """How many places a text takes when drawn, in Latin letters."""
    return sum(map(_places, text))


def inches(text: str, size: float) -> float:
    """About how long a text of a font size in points is; a place is at most 0.62 of the size in running text."""
    return width(text) * 0.62 * size / 72


def short(text: str, most: int = MOST, *, end: bool = False) -> str:
    """A text in one line of at most so many places, what is left out marked by `…`.

    Args:
        end: keep the end and not the beginning: that of a path says more.
    """
    text = " ".join(text.split())
    if width(text) <= most:
        return text
    kept, left = "", most - 1
    for char in reversed(text) if end else text:
        left -= _places(char)
        if left < 0:
            break
        kept = char + kept if end else kept + char
    return "…" + kept.lstrip() if end else kept.rstrip() + "…"


def short_model(name: str) -> str:
    """The name of a model, of a long path its end."""
    return short(name, MOST_OF_MODEL, end=True)


def short_names(names: Sequence[str], most: int = MOST) -> list[str]:
    """Names of at most so many places; those that are the same then have a number: `prefix… (2)`."""
    found: list[str] = []
    taken = {name for name in names if short(name, most) == name}
    for name in names:
        drawn, number = short(name, most), 1
        if drawn != name:
            while drawn in taken:
                number += 1
                drawn = f"{_cut(name, most - 3 - len(str(number)))} ({number})"
            taken.add(drawn)
        found.append(drawn)
    return found


def in_lines(text: str, most: int) -> str:
    """A text in lines of at most so many places, broken at spaces; within a word where it alone is longer."""
    lines: list[str] = []
    for word in text.split():
        if lines and width(lines[-1]) + 1 + width(word) <= most:
            lines[-1] += " " + word
            continue
        lines.append("")
        for char in word:
            if lines[-1] and width(lines[-1]) + _places(char) > most:
                lines.append("")
            lines[-1] += char
    return "\n".join(lines)


def _cut(text: str, most: int) -> str:
    """As `short`, but always with the mark."""
    made = short(text, most)
    return made if made.endswith("…") else made + "…"


def _places(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    if char.isascii():
        return 1
    if printable(char).startswith("U+"):
        return CODE_POINT
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1
