"""Entities given as spans of characters, and the words with tags that they make of a text."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import regex

from layerwise.errors import SourceError
from layerwise.ops.alignment import WORD_FINDERS
from layerwise.ops.bio import Span, tags_of
from layerwise.types import TextRecord

_CLITICS = regex.compile(
    r"(?<=.)(?=n['’]t$|['’](?:s|re|ve|ll|d|m)$)|(?<=['’])(?!(?:s|re|ve|ll|d|m)$|(?<=n['’])t$)(?=.)",
    regex.IGNORECASE,
)
"""Where UAX #29 keeps together what treebanks have as two words: Albert|'s, do|n't, l'|Italie, qu'|Amélie."""


def given_spans(record: TextRecord, value: Any, name: str) -> list[Span]:
    """Entities given as [start, end, label] or objects (`_triple`), in characters; sorted, without overlap.

    Or as CLUENER has them: {label: {entity: [[start, last], …]}}, with the last character in it.
    """
    if isinstance(value, Mapping):
        value = _by_label(record, value, name)
    if not isinstance(value, list):
        raise SourceError(
            f"{record.place}: the column {name!r} is {str(value)[:60]!r}, and there are no words: expected entities as "
            '[start, end, "label"] in characters, or a list of words (--words-column) with a tag each.'
        )
    every = {_span(record, one, name) for one in value}  # given twice, it is one
    spans = sorted(every, key=lambda span: (span.start, span.end, span.kind))
    for before, after in pairwise(spans):
        if after.start < before.end:
            raise SourceError(
                f"{record.place}: the entities [{before.start}, {before.end}, {before.kind!r}] and [{after.start}, "
                f"{after.end}, {after.kind!r}] overlap, and a word has one tag: keep one of them, or leave such rows "
                "out with --skip-bad."
            )
    return spans


def _by_label(record: TextRecord, value: Mapping[str, Any], name: str) -> list[list[Any]]:
    found = []
    try:
        for label, entities in value.items():
            for surface, places in entities.items():
                for start, last in places:
                    if record.text[start : last + 1] != surface:
                        raise SourceError(
                            f"{record.place}: the entity {surface[:40]!r} in {name!r} is not at {start} to {last}, where "
                            f"the text has {record.text[start : last + 1][:40]!r} (the last character counts): correct "
                            "it, or leave such rows out with --skip-bad."
                        )
                    found.append([start, last + 1, label])
    except (AttributeError, TypeError, ValueError):
        raise SourceError(
            f'{record.place}: the column {name!r} is {str(value)[:60]!r}; expected entities as [start, end, "label"] in '
            "characters, or by label as CLUENER has them: correct it, or leave such rows out with --skip-bad."
        ) from None
    return found


def _span(record: TextRecord, given: Any, name: str) -> Span:
    one = _triple(record, given) if isinstance(given, Mapping) else given
    fits = (
        isinstance(one, list)
        and len(one) == 3
        and all(isinstance(bound, int) and not isinstance(bound, bool) for bound in one[:2])
        and isinstance(one[2], str)
    )
    if not fits or not 0 <= one[0] < one[1] <= len(record.text):
        raise SourceError(
            f'{record.place}: an entity in {name!r} is {str(given)[:80]}; expected [start, end, "label"] with 0 ≤ start < '
            f"end ≤ {len(record.text)}, the length of the text in characters: correct it, or leave such rows out with "
            "--skip-bad."
        )
    if isinstance(given, Mapping):
        _refuse_other_surface(record, given, one, name)
    if not record.text[one[0] : one[1]].strip():
        raise SourceError(
            f"{record.place}: the entity [{one[0]}, {one[1]}, {one[2]!r}] has no word in it, only white space: correct its "
            "bounds, or leave such rows out with --skip-bad."
        )
    return Span(*one)


def _triple(record: TextRecord, given: Mapping[str, Any]) -> list[Any]:
    """An object as a triple, by the names of Hugging Face, doccano, Label Studio and CMeEE.

    Where it says its text, that tells whether the end is the last character, as in CMeEE, or the one behind it.
    """
    start, end = (_first(given, key, f"{key}_offset", f"{key}_idx") for key in ("start", "end"))
    label = _first(given, "label", "type", "labels")
    if isinstance(label, list) and len(label) == 1:
        [label] = label
    surface = _first(given, "text", "entity")
    if isinstance(surface, str) and isinstance(start, int) and isinstance(end, int):
        exact = record.text[start:end].strip() == surface.strip()
        end += not exact and record.text[start : end + 1].strip() == surface.strip()
    return [start, end, label]


def _first(given: Mapping[str, Any], *names: str) -> Any:
    return next((given[name] for name in names if given.get(name) is not None), None)


def _refuse_other_surface(
    record: TextRecord, given: Mapping[str, Any], one: Sequence[Any], name: str
) -> None:
    surface, found = _first(given, "text", "entity"), record.text[one[0] : one[1]]
    if isinstance(surface, str) and surface.strip() != found.strip():
        raise SourceError(
            f"{record.place}: the entity {surface[:40]!r} in {name!r} is not at {one[0]} to {one[1]}, where the text has "
            f"{found[:40]!r}: correct it, or leave such rows out with --skip-bad."
        )


def with_words(record: TextRecord, spans: Sequence[Span]) -> TextRecord:
    """Words by Unicode's rules (UAX #29), without the clitics that they keep, cut where an entity begins or ends."""
    return replace(record, words=cut_at(_words(record.text), spans))


def cut_at(words: Sequence[tuple[int, int]], *spans: Sequence[Span]) -> tuple[tuple[int, int], ...]:
    """Words, cut where a span of characters begins or ends."""
    borders = sorted({bound for some in spans for span in some for bound in (span.start, span.end)})
    return tuple(_cut(words, borders))


def _words(text: str) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for start, end in WORD_FINDERS["unicode"](text).tolist():
        word = text[start:end]
        places = {cut.start() for cut in _CLITICS.finditer(word)} if "'" in word or "’" in word else ()
        borders = [start, *(start + place for place in sorted(places)), end]
        found += pairwise(borders)
    return found


def _cut(words: Sequence[Sequence[int]], borders: Sequence[int]) -> Iterator[tuple[int, int]]:
    for start, end in words:
        for border in borders[bisect_right(borders, start) : bisect_left(borders, end)]:
            yield start, border
            start = border
        yield start, end


def tags_of_words(words: Sequence[tuple[int, int]], spans: Sequence[Span]) -> list[str]:
    """A tag for each of some words, which are in the order of the text and do not overlap.

    A word that reaches over an end of an entity is in it, if no entity before has it.
    """
    starts, ends = [start for start, _ in words], [end for _, end in words]
    inside: list[Span] = []
    for span in spans:
        first, last = bisect_right(ends, span.start), bisect_left(starts, span.end)
        first = max(first, inside[-1].end) if inside else first
        if first < last:
            inside.append(Span(first, last, span.kind))
    return tags_of(inside, len(words))
