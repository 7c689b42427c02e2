"""What a Python caller hands in: brought to plain values, or refused in a sentence before any work."""

from __future__ import annotations

import operator
import sys
from collections.abc import Iterable
from dataclasses import fields, replace
from numbers import Real
from pathlib import Path
from types import NoneType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import numpy as np

from layerwise.errors import UsageError
from layerwise.whole_file import local_path

Options = TypeVar("Options")

_IN_WORDS = {bool: "True or False", int: "a whole number", float: "a number", str: "a text"}


def plain(options: Options | None, kind: type[Options], name: str) -> Options:
    """Options with Python's own numbers in place of numpy's; those of `kind()` for None.

    Raises:
        UsageError: they are of another class, or a value is of another type than its field.
    """
    if options is None:
        return kind()
    if not isinstance(options, kind):
        raise UsageError(f"{name} is {_shown(options)}: expected layerwise.{kind.__name__}(…).")
    hints = get_type_hints(kind)
    found = {
        field.name: _plain_value(getattr(options, field.name), hints[field.name], f"{name}.{field.name}")
        for field in fields(kind)  # type: ignore[arg-type]
    }
    return replace(options, **found)  # type: ignore[type-var]


def name_of(model: Any) -> str:
    """The name or folder of a model as a string.

    Raises:
        UsageError: it is neither a string nor a path.
    """
    if isinstance(model, str | Path):
        return str(model)
    raise UsageError(f"model is {_shown(model)}: expected the name of a model or its folder.")


MOST_BEAMS = 100
"""Each has a decoder's states of its own in memory."""


def check_counts(
    beams: int = 1, top: int = 1, limit: int | None = None, batch_tokens: int | None = None
) -> None:
    """Refuse counts of `predict` and `evaluate` that are out of their range.

    Raises:
        UsageError: one is.
    """
    for name, value in (("beams", beams), ("top", top), ("limit", limit), ("batch_tokens", batch_tokens)):
        optional = name in ("limit", "batch_tokens") and value is None
        if not optional and (isinstance(value, bool) or not hasattr(value, "__index__")):
            raise UsageError(f"{name} is {_shown(value)}: expected a whole number.")
    if not 1 <= beams <= MOST_BEAMS:
        raise UsageError(f"the number of beams is {beams}: expected 1 to {MOST_BEAMS}.")
    if top < 1:
        raise UsageError(f"top is {top}: expected at least 1 token.")
    if limit is not None and not 1 <= limit <= sys.maxsize:
        raise UsageError(f"the limit is {limit}: expected a number of texts, 1 or more.")
    if batch_tokens is not None and batch_tokens < 1:
        raise UsageError(f"batch-tokens is {batch_tokens}: expected at least 1 token.")


def folder_of(output: Any) -> Path:
    """The folder to write.

    Raises:
        UsageError: it is neither a string nor a path.
    """
    if isinstance(output, str | Path):
        return local_path(output)
    raise UsageError(f"output is {_shown(output)}: expected the folder to write.")


def _plain_value(value: Any, hint: Any, name: str) -> Any:
    allowed = [hint] if get_origin(hint) is tuple or not get_args(hint) else list(get_args(hint))
    if value is None and NoneType in allowed:
        return None
    for kind in allowed:
        if get_origin(kind) is tuple:
            if isinstance(value, Iterable) and not isinstance(value, str | bytes):
                return tuple(_plain_value(one, get_args(kind)[0], name) for one in value)
        elif isinstance(value, bool | np.bool_):
            if kind is bool:
                return bool(value)
        elif kind is int and hasattr(value, "__index__"):
            return operator.index(value)
        elif kind is float and isinstance(value, Real):
            return float(value)
        elif kind is str and isinstance(value, str):
            return value
    words = [_IN_WORDS.get(kind, "several whole numbers") for kind in allowed if kind is not NoneType]
    raise UsageError(f"{name} is {_shown(value)}: expected {' or '.join(words)}.")


def _shown(value: Any) -> str:
    shown = repr(value)
    return f"{shown[:57]}…" if len(shown) > 58 else shown
