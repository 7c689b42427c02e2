"""Answers as data gives them: texts, and where they stand in a context."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from layerwise.errors import SourceError
from layerwise.text.class_names import whole
from layerwise.train.squad_json import IMPOSSIBLE, says_impossible
from layerwise.types import TextRecord


@dataclass(frozen=True, slots=True)
class GivenAnswers:
    """The answers to a question: their texts, and where the first begins, which is learned; neither where there is none."""

    texts: tuple[str, ...]
    start: int | None


def given_answers(record: TextRecord, name: str) -> GivenAnswers:
    """Answers as SQuAD has them: {"text": [...], "answer_start": [...]}, or a list of {"text", "answer_start"}.

    Raises:
        SourceError: they are none, or none stands in the context where it says.
    """
    if says_impossible(record.kept.get(IMPOSSIBLE)):
        return GivenAnswers((), None)
    value = record.kept[name]
    if value is None:
        raise SourceError(
            f"{record.place}: there are no {name!r}, and a test part whose answers are kept back can neither be learned nor "
            "scored: name data with answers, or leave such rows out with --skip-bad."
        )
    if isinstance(value, str):  # in a field of a table, as JSON
        with contextlib.suppress(ValueError):
            value = json.loads(value)
    if isinstance(value, Mapping) and not {"text", "answer_start"} & value.keys():
        raise SourceError(
            f"{record.place}: the object in {name!r} has {', '.join(map(repr, value)) or 'nothing'}; expected answers as "
            'SQuAD has them, {"text": [...], "answer_start": [...]}, with empty lists for none: correct the row, or leave '
            "such rows out with --skip-bad."
        )
    if isinstance(value, Mapping) and not isinstance(value.get("text"), str):
        texts, starts = list(value.get("text") or ()), list(value.get("answer_start") or ())
    else:
        listed = [value] if isinstance(value, Mapping) else value if isinstance(value, list) else None
        if listed is None or not all(isinstance(one, Mapping) for one in listed):
            raise SourceError(
                f"{record.place}: the column {name!r} is {str(value)[:60]!r}; expected answers as SQuAD has them, "
                '{"text": [...], "answer_start": [...]}, with empty lists for none: correct the row, or leave such rows '
                "out with --skip-bad."
            )
        texts = [one.get("text") for one in listed]
        starts = [one.get("answer_start") for one in listed]
    if len(texts) != len(starts) or not all(isinstance(text, str) for text in texts):
        raise SourceError(
            f"{record.place}: {name!r} has {len(texts)} texts and {len(starts)} starts: expected as many, texts and "
            "numbers; correct the row, or leave such rows out with --skip-bad."
        )
    kept = [(text, whole(start)) for text, start in zip(texts, starts, strict=True) if text]
    if not kept:
        return GivenAnswers((), None)
    there = [one for one in kept if _is_there(record, *one)]
    if not there:
        raise _elsewhere(record, *kept[0])
    text, start = there[
        0
    ]  # others may be no span, as in CMRC 2018: scores compare with their texts all the same
    return GivenAnswers((text, *(other for other, _ in kept if other != text)), start)


def _is_there(record: TextRecord, text: str, start: Any) -> bool:
    context = record.text_pair or ""
    if isinstance(start, str) or start is None:
        raise SourceError(
            f"{record.place}: the answer {text[:40]!r} has the answer_start {start!r}; expected a number: correct the row, "
            "or leave such rows out with --skip-bad."
        )
    return isinstance(start, int) and start >= 0 and context[start : start + len(text)] == text


def _elsewhere(record: TextRecord, text: str, start: Any) -> SourceError:
    there, where = (record.text_pair or "").find(text), "nowhere in the context"
    if there >= 0:
        where = f"not in the context at its answer_start {start}, it is at {there}"
    return SourceError(
        f"{record.place}: the answer {text[:40]!r} is {where}: correct the row (offsets count Unicode code points), or "
        "leave such rows out with --skip-bad."
    )
