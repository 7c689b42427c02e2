"""Tags of words and the spans they stand for: BIO (Ramshaw & Marcus 1995) and IOBES, read and decoded.

A tag is `O`, or a prefix, `-` or `_`, and a type; where all entities are of one type, the prefix alone. Prefixes of
other schemes are read as their equals: `L` is `E`, `U` and `W` are `S`, `M` is `I` (BILOU, BMES). Where `I-X` follows
no `X` it opens a span, as CoNLL's own scorer has it (conlleval), and as the oldest sets are written (IOB1).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

TAG = re.compile(r"([BIOESLUWM])(?:[-_](.+))?")
_EQUALS = {"L": "E", "U": "S", "W": "S", "M": "I"}

IMPOSSIBLE = -1e30
"""Score of a step that the scheme forbids: below any sum of logits."""


@dataclass(frozen=True, slots=True)
class Span:
    """Words `start` to `end` (half-open) that are one entity of a type."""

    start: int
    end: int
    kind: str
    """Empty where all are of one."""


def split_tag(tag: str) -> tuple[str, str]:
    """Prefix (B, I, O, E or S) and type of a tag, which may be empty; `("", tag)` for one that is none."""
    found = TAG.fullmatch(tag)
    if found is None or (found[1] == "O" and found[2] is not None):
        return "", tag
    return _EQUALS.get(found[1], found[1]), found[2] or ""


def join_tag(prefix: str, kind: str) -> str:
    """The tag of a prefix and a type."""
    return f"{prefix}-{kind}" if kind else prefix


def scheme_of(tags: Iterable[str]) -> str | None:
    """`"IOBES"` if a tag says where a span ends, `"BIO"` if all are tags of spans; None: they are labels of words.

    Letters alone are tags of spans only where `B` and `O` are among them: there are word classes of one letter.
    """
    parts = {split_tag(tag) for tag in tags}
    prefixes = {prefix for prefix, _ in parts}
    if "" in prefixes or not prefixes & {"B", "I", "E", "S"}:
        return None
    typed = {bool(kind) for prefix, kind in parts if prefix != "O"}
    if False in typed and (True in typed or not {"B", "O"} <= prefixes):
        return None
    return "IOBES" if prefixes & {"E", "S"} else "BIO"


def spans_of(tags: Sequence[str]) -> list[Span]:
    """The spans that tags stand for, also where they break their scheme: read as conlleval reads them."""
    spans: list[Span] = []
    begun: tuple[int, str] | None = None
    for place, tag in enumerate((*tags, "O")):
        prefix, kind = split_tag(tag)
        if begun is not None and (prefix in "OBS" or kind != begun[1]):
            spans.append(Span(begun[0], place, begun[1]))
            begun = None
        if prefix in ("B", "I", "E", "S") and begun is None:
            begun = place, kind
        if begun is not None and prefix in ("E", "S"):
            spans.append(Span(begun[0], place + 1, begun[1]))
            begun = None
    return spans


def tags_of(spans: Iterable[Span], words: int, scheme: str = "BIO") -> list[str]:
    """Tags in BIO or IOBES for `words` words; spans do not overlap."""
    tags = ["O"] * words
    for span in spans:
        tags[span.start : span.end] = [join_tag("I", span.kind)] * (span.end - span.start)
        tags[span.start] = join_tag("B", span.kind)
        if scheme == "IOBES":
            tags[span.end - 1] = join_tag("S" if span.end - span.start == 1 else "E", span.kind)
    return tags


@dataclass(frozen=True)
class Grammar:
    """Which tag may follow which.

    Attributes:
        start, end: (tags,) may open, may close a text.
        step: (tags, tags) the second may follow the first.
    """

    start: Bool[ndarray, " tags"]
    end: Bool[ndarray, " tags"]
    step: Bool[ndarray, "tags tags"]

    @classmethod
    def of(cls, tags: Sequence[str], strict: bool = True) -> Grammar:
        """The grammar of a set of tags; where they are labels of words, everything may follow everything.

        Args:
            strict: whether `I-X` needs an `X` before it; not in IOB1, nor for a type that no `B-X` opens.
        """
        scheme = scheme_of(tags)
        if scheme is None:
            every = np.ones(len(tags), bool)
            return cls(every, every, np.ones((len(tags), len(tags)), bool))
        parts = [split_tag(tag) for tag in tags]
        begun = {kind for prefix, kind in parts if prefix == "B"}
        opens = np.array(
            [
                prefix not in ("I", "E") or (prefix == "I" and (not strict or kind not in begun))
                for prefix, kind in parts
            ]
        )
        unfinished = np.array([scheme == "IOBES" and prefix in ("B", "I") for prefix, _ in parts])
        step = np.zeros((len(tags), len(tags)), bool)
        for first, (before, of) in enumerate(parts):
            for second, (after, kind) in enumerate(parts):
                goes_on = before in ("B", "I") and after in ("I", "E") and of == kind
                step[first, second] = goes_on or (opens[second] and not unfinished[first])
        return cls(opens, ~unfinished, step)


def best_path(scores: Float[ndarray, "words tags"], grammar: Grammar) -> list[int]:
    """The tags with the highest sum of scores that the grammar allows (Viterbi 1967)."""
    if not len(scores):
        return []
    if grammar.step.all() and grammar.start.all() and grammar.end.all():  # labels of words
        best: list[int] = scores.argmax(axis=1).tolist()
        return best
    step = np.where(grammar.step, 0.0, IMPOSSIBLE)
    total = scores[0] + np.where(grammar.start, 0.0, IMPOSSIBLE)
    origins = []
    for row in scores[1:]:
        reached = total[:, None] + step
        origins.append(reached.argmax(axis=0))
        total = reached.max(axis=0) + row
    path = [int((total + np.where(grammar.end, 0.0, IMPOSSIBLE)).argmax())]
    for origin in reversed(origins):
        path.append(int(origin[path[-1]]))
    return path[::-1]
