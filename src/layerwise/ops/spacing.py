"""Where spaces stand between words that a tokenizer cut at punctuation and forgot how they stood: learned from texts.

A WordPiece tokenizer gives back `2024 - 05 - 03` and `twenty - one`. Whether two neighbours touch depends nearly
always on what kind they are of, and on the one before them: this counts what is usual in given texts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import regex

_HAN, _MARK = regex.compile(r"\p{Han}"), regex.compile(r"[\p{P}\p{S}]")
_TWO_FACED = '"'
"""Opens and closes: its kind says which, by turns."""

Gap = tuple[str, str, str]
"""The kind of the word before, and of the two between which a space may stand."""


class Spacing:
    """Whether words touch.

    Attributes:
        touching: what was learned, by gap; with an empty first kind of all gaps between the other two.
    """

    def __init__(self, touching: dict[Gap, bool] | None = None) -> None:
        self.touching = touching or {}

    @classmethod
    def learn(cls, texts: Iterable[tuple[str, Sequence[tuple[int, int]]]]) -> Spacing:
        """What is usual in texts, given with the (start, end) of their words in characters."""
        counts: Counter[Gap] = Counter()
        for text, words in texts:
            kinds = _kinds([text[start:end] for start, end in words])
            for at in range(1, len(words)):
                vote = 1 if words[at - 1][1] == words[at][0] else -1
                for gap in _gaps(kinds, at):
                    counts[gap] += vote
        return cls({gap: votes > 0 for gap, votes in counts.items()})

    def join(self, words: Sequence[str]) -> str:
        """The words as a text."""
        kinds = _kinds(words)
        parts = list(words[:1])
        for at in range(1, len(words)):
            known = [self.touching[gap] for gap in _gaps(kinds, at) if gap in self.touching]
            touch = known[0] if known else _usually_touch(*kinds[at - 1 : at + 1])
            parts += words[at : at + 1] if touch else (" ", words[at])
        return "".join(parts)

    def document(self) -> list[list[Any]]:
        """For JSON."""
        return [[*gap, touch] for gap, touch in sorted(self.touching.items())]

    @classmethod
    def read(cls, document: Iterable[Sequence[Any]]) -> Spacing:
        """What `document` kept."""
        return cls({(before, one, two): bool(touch) for before, one, two, touch in document})


def _gaps(kinds: Sequence[str], at: int) -> tuple[Gap, Gap]:
    """The gap before a word, more and less exactly."""
    before = kinds[at - 2] if at > 1 else "^"
    return (before, kinds[at - 1], kinds[at]), ("", kinds[at - 1], kinds[at])


def _kinds(words: Sequence[str]) -> list[str]:
    """Of each word: `han`, `number`, `letters`, or the mark that it is."""
    kinds, quotes = [], 0
    for word in words:
        if _HAN.match(word):
            kind = "han"
        elif word[:1].isdigit():
            kind = "number"
        elif len(word) == 1 and _MARK.match(word):
            kind = word + "<>"[quotes % 2] if word == _TWO_FACED else word
            quotes += word == _TWO_FACED
        else:
            kind = "letters"
        kinds.append(kind)
    return kinds


def _usually_touch(one: str, two: str) -> bool:
    """Of gaps that were not seen: Chinese has no spaces, and a mark stands at the word before it, or opens."""
    if "han" in (one, two):
        return "letters" not in (one, two)
    return (
        two in {*".,;:!?)]}%…’”", '">'}
        or one in {*"([{¿¡‘“", '"<'}
        or {one, two} <= {*"，。、；：？！“”《》（）"}
    )
