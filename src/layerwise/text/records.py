"""Texts in any form that Python code has them in, as records."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from layerwise.errors import UsageError
from layerwise.text.words import refuse_out_of_range, word_spans
from layerwise.types import TextLike, TextRecord, TextsLike


def as_record(text: TextLike) -> TextRecord:
    """One text in any accepted form as a `TextRecord`.

    Raises:
        UsageError: it is none of these forms, holds half of a surrogate pair, or has words that are
            not in it.
    """
    record = _read(text)
    for part in (record.text, record.text_pair or ""):
        try:
            part.encode()
        except UnicodeEncodeError as error:
            raise UsageError(f"the text {_shown(part)} {_fault(part, error.start)}") from None
    return record


def _fault(text: str, place: int) -> str:
    byte = ord(text[place]) - 0xDC00
    if 0x80 <= byte <= 0xFF:  # as Python decodes arguments and stdin (PEP 383)
        return (
            f"has the byte 0x{byte:02x} at character {place}, which is not UTF-8: convert it to UTF-8 first."
        )
    return (
        f"has half of a surrogate pair at character {place}, which is no character of its own: remove it, or "
        "decode the text anew."
    )


def _read(text: TextLike) -> TextRecord:
    if isinstance(text, TextRecord):
        if text.words is not None:
            refuse_out_of_range(text.text, text.words)
        return text
    if isinstance(text, str):
        return TextRecord(text)
    if isinstance(text, tuple) and len(text) == 2 and all(isinstance(part, str) for part in text):
        return TextRecord(*text)
    if (
        isinstance(text, Mapping)
        and isinstance(text.get("text"), str)
        and isinstance(text.get("text_pair"), str | None)
    ):
        words = text.get("words")
        spans = None if words is None else word_spans(text["text"], words)
        return TextRecord(text["text"], text.get("text_pair"), spans)
    raise UsageError(
        f"a text was given as {type(text).__name__} ({_shown(text)}): expected a string, a (text, text_pair) "
        "tuple of strings, a dict with 'text', or a TextRecord."
    )


def as_records(texts: TextsLike, words: Sequence[Any] | None = None) -> Iterator[TextRecord]:
    """Records of a stream of texts, each with its own words if `words` has one list a text.

    Raises:
        UsageError: no stream of texts, a text in no accepted form, or not one list of words a text.
    """
    table = getattr(texts, "ndim", 1) != 1  # a DataFrame would give the names of its columns
    if table or isinstance(texts, str | Mapping | TextRecord) or not isinstance(texts, Iterable):
        raise UsageError(
            f"texts were given as {type(texts).__name__}: expected a list, a column or another iterable of texts."
        )
    if words is None:
        yield from map(as_record, texts)
        return
    number = 0
    for number, text in enumerate(texts, 1):
        if number > len(words):
            raise UsageError(
                f"words were given for {len(words)} texts and there are more: give one list a text."
            )
        record = as_record(text)
        yield replace(record, words=word_spans(record.text, words[number - 1]))
    if number < len(words):
        raise UsageError(
            f"words were given for {len(words)} texts and there are {number}: give one list a text."
        )


def _shown(value: object) -> str:
    return (
        ascii(str(value)[:60])
        if isinstance(value, str) and not value.isprintable()
        else repr(str(value)[:60])
    )
