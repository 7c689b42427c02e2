"""Words that a source gives itself, as half-open character spans of its text."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from layerwise.errors import UsageError

Spans = tuple[tuple[int, int], ...]


def word_spans(text: str, words: Sequence[Any]) -> Spans:
    """Spans of `words` in `text`.

    Args:
        text: the text.
        words: the words in the order of the text, which they need not cover; or their
            `[start, end]` spans in code points, half-open and in order (they may overlap).

    Raises:
        UsageError: a word is not in the text, a span is out of range or out of order, or `words`
            is neither.
    """
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
        start = text.find(word, position)
        if start < 0:
            raise UsageError(
                f"word {number} ({_shown(word)}) is not in the text after its character {position}: "
                "give the words as they stand in the text and in its order, or their [start, end] spans."
            )
        position = start + len(word)
        spans.append((start, position))
    return tuple(spans)


def _span(number: int, span: Any) -> tuple[int, int]:
    # bool is an int to Python, and never a character offset.
    if (
        isinstance(span, Sequence)
        and not isinstance(span, str)
        and len(span) == 2
        and all(isinstance(bound, int) and not isinstance(bound, bool) for bound in span)
    ):
        return span[0], span[1]
    raise UsageError(
        f"word {number} is {_shown(span)}: expected all words to be strings, or all [start, end] spans."
    )


def _checked(text: str, spans: Sequence[tuple[int, int]]) -> Spans:
    last = (0, 0)
    for number, (start, end) in enumerate(spans, 1):
        if not 0 <= start <= end <= len(text):
            raise UsageError(
                f"word {number} is the span [{start}, {end}]: "
                f"expected 0 ≤ start ≤ end ≤ {len(text)}, the length of the text in characters."
            )
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
