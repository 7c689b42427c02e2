"""`.json` as SQuAD is published: data → paragraphs → qas (Rajpurkar et al. 2016, 2018); DRCD and CMRC 2018 too."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator, Sequence
from glob import glob
from pathlib import Path
from typing import Any

from layerwise.errors import LayerwiseError, SourceError
from layerwise.text.formats import is_known
from layerwise.text.jsonl import refuse_surrogates
from layerwise.types import TextRecord
from layerwise.whole_file import local_path

IMPOSSIBLE = "is_impossible"
"""The key of questions without an answer, whose answers, where there are some, are only plausible."""


def squad_files(sources: Sequence[str | Path], format: str | None) -> list[Path]:
    """The files of sources that all end with `.json` (also `.json.gz`), with folders and globs; none if others do not.

    Raises:
        SourceError: some of the files named do, and some do not.
    """
    if format is not None:
        return []
    found = [path for source in sources for path in _files(local_path(source))]
    ours = [path for path in found if _is_ours(path)]
    if ours and len(ours) < len(found):
        other = next(path for path in found if path not in ours)
        raise SourceError(
            f"{ours[0]} and {other} were given: expected files of one kind, .json as SQuAD is published or tables and "
            ".jsonl; run them apart, or bring them into one form."
        )
    return ours


def _files(path: Path) -> list[Path]:
    """The file, or the tables of a folder or glob, or its `.json` where there are none; hidden files are no user's own."""
    if path.is_dir():
        inside = [one for one in path.rglob("*") if not _is_hidden(one.relative_to(path))]
    elif path.exists() or not (
        inside := [Path(one) for one in glob(str(path), recursive=True)]  # noqa: PTH207 (absolute ones)
    ):
        return [path]
    files = sorted(one for one in inside if one.is_file())
    tables = [one for one in files if is_known(one.name) and ".txt" not in one.suffixes]
    return tables or list(filter(_is_ours, files))  # beside tables .json says what is in them


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _is_ours(path: Path) -> bool:
    return path.name.lower().endswith((".json", ".json.gz"))


def read_squad(
    sources: Sequence[Path], column: str, on_bad_row: Callable[[LayerwiseError], None]
) -> Iterator[TextRecord]:
    """A record a question: the question, its context, its answers under `column`.

    Raises:
        SourceError: a file cannot be read or is not of this shape.
    """
    empty = True
    for source in sources:
        for record in _read(source, column, on_bad_row):
            empty = False
            yield record
    if empty:
        raise SourceError(
            f"{', '.join(map(str, sources))}: there is no question in it; expected at least one."
        )


def _read(path: Path, column: str, on_bad_row: Callable[[LayerwiseError], None]) -> Iterator[TextRecord]:
    try:
        opened = gzip.open if path.suffix.lower() == ".gz" else open
        with opened(path, "rb") as file:
            document = json.loads(file.read().decode("utf-8-sig"))
    except (OSError, EOFError) as error:
        raise SourceError(
            f"{path} cannot be read: {getattr(error, 'strerror', None) or error}; expected a file on this disk."
        ) from error
    except ValueError as error:
        raise SourceError(
            f"{path} is not JSON in UTF-8 ({error}): expected a file as SQuAD is published; pass --format jsonl if it has a "
            "JSON object a line."
        ) from error
    for question, context, where in _questions(document, path):
        try:
            if not isinstance(question, dict):
                raise SourceError(
                    f"{where}: a question is {str(question)[:40]!r}; expected an object with question, id and answers."
                )
            yield _record(question, context, column, f"{path}, question {question.get('id', '?')}")
        except SourceError as error:
            on_bad_row(error)


def _questions(document: Any, path: Path) -> Iterator[tuple[Any, Any, str]]:
    """Each question, its context and where it stands: in the shape of SQuAD, as a list (Hugging Face), as CMRC 2018."""
    if (
        isinstance(document, list)
        and document
        and isinstance(document[0], dict)
        and "context_text" in document[0]
    ):
        for number, paragraph in enumerate(document):
            where = f"{path}, paragraph {number}"
            context = paragraph.get("context_text") if isinstance(paragraph, dict) else None
            for question in _list(paragraph, "qas", where):
                yield _of_cmrc(question, context), context, where
        return
    articles = document.get("data") if isinstance(document, dict) else None
    if not isinstance(articles, list):
        raise SourceError(
            f"{path} has no list 'data': expected a file as SQuAD is published, or JSON lines (.jsonl) with question, "
            "context and answers (jq -c '.[]' makes them of a list)."
        )
    for number, article in enumerate(articles):
        where = f"{path}, article {number}"
        if isinstance(article, dict) and "paragraphs" not in article and "question" in article:
            yield article, article.get("context"), where
            continue
        for paragraph in _list(article, "paragraphs", where):
            for question in _list(paragraph, "qas", where):
                yield question, paragraph.get("context"), where


def _of_cmrc(question: Any, context: Any) -> Any:
    """A question of CMRC 2018 under SQuAD's names; its answers do not say where they are, so it is where they are first."""
    if not isinstance(question, dict):
        return question
    named = {**question, "id": question.get("query_id"), "question": question.get("query_text")}
    texts = question.get("answers")
    if isinstance(texts, list) and all(isinstance(text, str) for text in texts) and isinstance(context, str):
        named["answers"] = {"text": texts, "answer_start": [context.find(text) for text in texts]}
    return named


def _record(question: dict[str, Any], context: Any, column: str, where: str) -> TextRecord:
    text = question.get("question")
    if not isinstance(text, str) or not isinstance(context, str):
        raise SourceError(f"{where}: question or context is no text; expected both.")
    refuse_surrogates({**question, "context": context}, where)
    answers = question.get("answers")  # without the key: not said
    if says_impossible(question.get(IMPOSSIBLE)):
        answers = []
    identity = None if question.get("id") is None else str(question["id"])
    return TextRecord(text, context, kept={column: answers}, id=identity, place=where)


def says_impossible(value: Any) -> bool:
    """Whether a question has no answer; some converters wrote a word or a number, and NaN where it is not said."""
    if isinstance(value, str):
        return value.strip().lower() in ("true", "yes", "1", "1.0")
    return bool(value) and value == value


def _list(holder: Any, key: str, where: str) -> list[Any]:
    found = holder.get(key) if isinstance(holder, dict) else None
    if not isinstance(found, list):
        raise SourceError(f"{where} has no list {key!r}: expected a file as SQuAD is published.")
    return found
