"""`.json` as SQuAD is published: data → paragraphs → qas (Rajpurkar et al. 2016, 2018); CMRC 2018 and DRCD too."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from layerwise.errors import LayerwiseError, SourceError
from layerwise.types import TextRecord


def is_squad(sources: Sequence[str | Path], format: str | None) -> bool:
    """Whether all sources are files with the ending `.json`."""
    return format is None and all(str(source).lower().endswith(".json") for source in sources)


def read_squad(
    sources: Sequence[str | Path], column: str, on_bad_row: Callable[[LayerwiseError], None]
) -> Iterator[TextRecord]:
    """A record a question: the question, its context, its answers under `column`.

    Raises:
        SourceError: a file cannot be read or is not of this shape.
    """
    empty = True
    for source in sources:
        for record in _read(Path(source).expanduser(), column, on_bad_row):
            empty = False
            yield record
    if empty:
        raise SourceError(
            f"{', '.join(map(str, sources))}: there is no question in it; expected at least one."
        )


def _read(path: Path, column: str, on_bad_row: Callable[[LayerwiseError], None]) -> Iterator[TextRecord]:
    try:
        document = json.loads(path.read_text("utf-8-sig"))
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror or error}.") from error
    except ValueError as error:
        raise SourceError(
            f"{path} is not JSON in UTF-8 ({error}): expected a file as SQuAD is published."
        ) from error
    articles = document.get("data") if isinstance(document, dict) else None
    if not isinstance(articles, list):
        raise SourceError(
            f"{path} has no list 'data': expected a file as SQuAD is published, or JSON lines (.jsonl) with question, "
            "context and answers."
        )
    for number, article in enumerate(articles):
        for paragraph in _list(article, "paragraphs", f"{path}, article {number}"):
            context = paragraph.get("context")
            for question in _list(paragraph, "qas", f"{path}, article {number}"):
                where = f"{path}, question {question.get('id', '?')}"
                try:
                    yield _record(question, context, column, where)
                except SourceError as error:
                    on_bad_row(error)


def _record(question: dict[str, Any], context: Any, column: str, where: str) -> TextRecord:
    text = question.get("question")
    if not isinstance(text, str) or not isinstance(context, str):
        raise SourceError(f"{where}: question or context is no text; expected both.")
    answers = question.get("answers") or []
    if question.get("is_impossible"):
        answers = []
    identity = None if question.get("id") is None else str(question["id"])
    return TextRecord(text, context, kept={column: answers}, id=identity, place=where)


def _list(holder: Any, key: str, where: str) -> list[Any]:
    found = holder.get(key) if isinstance(holder, dict) else None
    if not isinstance(found, list):
        raise SourceError(f"{where} has no list {key!r}: expected a file as SQuAD is published.")
    return found
