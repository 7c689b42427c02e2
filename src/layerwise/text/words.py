"""Words that a source gives itself, as half-open character spans of its text."""

from __future__ import annotations

import json
from collections.abc import Sequence
from numbers import Integral
from typing import Any

import regex

from layerwise.errors import UsageError

_JOINED = regex.compile(
    r"[\p{WB=ALetter}\p{WB=Hebrew_Letter}\p{WB=Numeric}\p{WB=ExtendNumLet}\p{WB=Katakana}\p{M}]"
)
"""Characters that stick to each other, by UAX #29: not those of Chinese or Thai."""

Spans = tuple[tuple[int, int], ...]


def word_spans(text: str, words: Sequence[Any]) -> Spans:
    """Spans of `words` in `text`.

    Args:
        text: the text.
        words: the words in the order of the text, which they need not cover (a word behind a gap is
            looked for as a whole: `a` is not found inside `cat`); or their `[start, end]` spans in
            code points, half-open and in order (they may overlap).

    Raises:
        UsageError: a word is not in the text, a span is out of range or out of order, or `words`
            is neither.
    """
    words = words.tolist() if hasattr(words, "tolist") else words
    if isinstance(words, str) or not isinstance(words, Sequence):
        raise UsageError(
            f"the words are {_shown(words)}: expected a list of strings or of [start, end] spans."
        )
    if all(isinstance(word, str) for word in words):
        return _find(text, words)
    return _checked(text, [_span(number, word) for number, word in enumerate(words, 1)])


def join_words(words: Sequence[str]) -> tuple[str, Spans]:
    """The words joined by single spaces, and where each of them is."""
    spans = []
    position = 0
    for word in words:
        spans.append((position, position + len(word)))
        position += len(word) + 1
    return " ".join(words), tuple(spans)


def parse_words(value: str) -> list[Any]:
    """Read a list of words or spans from a field of a csv: a JSON list, or words between spaces.

    Raises:
        UsageError: the field is a list as Python prints it, which is not JSON.
    """
    if value.startswith("["):
        try:
            parsed = json.loads(value)
        except ValueError:
            parsed = None
        if isinstance(parsed, list):
            if not _is_unicode(parsed):
                raise UsageError(
                    f"the words {_shown(value)} have half of a surrogate pair: remove the escape."
                )
            return parsed
        if value.startswith(("['", "[(")):
            raise UsageError(
                f"the words are {_shown(value)}, a list as Python prints it: "
                "write it as JSON (json.dumps), or the words separated by spaces."
            )
    return value.split()


def _find(text: str, words: Sequence[str]) -> Spans:
    spans = []
    position = 0
    for number, word in enumerate(words, 1):
        start = _next(text, word, position)
        if start < 0:
            raise UsageError(
                f"word {number} ({_shown(word)}) is not in the text after its character {position}: "
                "give the words as they stand in the text and in its order, or their [start, end] spans."
            )
        position = start + len(word)
        spans.append((start, position))
    return tuple(spans)


def _next(text: str, word: str, position: int) -> int:
    """Where `word` is from `position` on, or -1: right there, or later and then as a whole word."""
    if text.startswith(word, position):
        return position
    # Only now: where white space itself is a word, a run of it would be walked for each.
    behind_space = position
    while behind_space < len(text) and text[behind_space].isspace():
        behind_space += 1
    if text.startswith(word, behind_space):
        return behind_space
    start = text.find(word, position)
    while start >= 0 and (_is_inside(text, start) or _is_inside(text, start + len(word))):
        start = text.find(word, start + 1)
    return start


def _is_inside(text: str, place: int) -> bool:
    """Whether the characters on both sides of `place` are of one word that is written without spaces."""
    return 0 < place < len(text) and bool(_JOINED.match(text[place - 1]) and _JOINED.match(text[place]))


def _span(number: int, span: Any) -> tuple[int, int]:
    # bool is an int to Python, and never a character offset.
    if (
        isinstance(span, Sequence)
        and not isinstance(span, str)
        and len(span) == 2
        and all(isinstance(bound, Integral) and not isinstance(bound, bool) for bound in span)
    ):
        return int(span[0]), int(span[1])
    raise UsageError(
        f"word {number} is {_shown(span)}: expected all words to be strings, or all [start, end] spans."
    )


def refuse_out_of_range(text: str, spans: Spans) -> None:
    """Refuse spans that are not in the text.

    Raises:
        UsageError: one is not.
    """
    for number, (start, end) in enumerate(spans, 1):
        if not 0 <= start <= end <= len(text):
            raise UsageError(
                f"word {number} is the span [{start}, {end}]: "
                f"expected 0 ≤ start ≤ end ≤ {len(text)}, the length of the text in characters."
            )


def _checked(text: str, spans: Sequence[tuple[int, int]]) -> Spans:
    refuse_out_of_range(text, tuple(spans))
    last = (0, 0)
    for number, (start, end) in enumerate(spans, 1):
        if start < last[0] or end < last[1]:
            raise UsageError(
                f"word {number} is the span [{start}, {end}] after [{last[0]}, {last[1]}]: "
                "expected the spans in the order of the text; sort them."
            )
        last = start, end
    return tuple(spans)


def _is_unicode(value: Any) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _shown(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else shown[:57] + "..."
