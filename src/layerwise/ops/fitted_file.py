"""The file of what was fitted on a store: safetensors with arrays, and a JSON document of what they were fitted on.

Nothing in such a file is taken on trust: it may come from anywhere, and a wrong number in it would
only be seen in vectors and labels that are wrong.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open

from layerwise.errors import UsageError
from layerwise.types import LONG_TEXT, PAIRS, WORDS

_CHOICES: Mapping[str, tuple[str, ...]] = {"words": WORDS, "long_text": LONG_TEXT, "pairs": PAIRS}
_COUNTS = ("max_length", "stride")


def reading_of(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """How the texts of a store were read, for the document: what changes a vector of the same layer and pooling.

    Args:
        metadata: the store's.

    Returns:
        `max_length`, `stride`, `long_text`, and `pairs`, which is None where the texts are no pairs.
    """
    options = (metadata.get("source") or {}).get("options") or {}
    paired = options.get("pair_column") is not None
    return {
        **{key: metadata.get(key) for key in ("max_length", "stride", "long_text")},
        "pairs": metadata.get("pairs", "joint") if paired else None,
    }


@contextmanager
def expected(path: str | Path, what: str, command: str) -> Iterator[None]:
    """Turn whatever is found wrong with a file into a sentence of what it should be.

    Raises:
        UsageError: in place of the error.
    """
    try:
        yield
    except (OSError, ValueError, TypeError, AttributeError, RecursionError, SafetensorError) as error:
        shown = str(path) or "the empty file name ''"
        raise UsageError(
            f"{shown} is not {what} ({error}): expected a file that `{command}` wrote."
        ) from error


def read_fitted(
    path: str | Path, key: str, ranks: Mapping[str, int]
) -> tuple[dict[str, npt.NDArray[np.float32]], dict[str, Any]]:
    """Read the arrays as float32, and the document.

    Args:
        key: of the document in the file's metadata.
        ranks: the arrays, and how many dimensions each has.

    Raises:
        ValueError, TypeError, OSError, RecursionError, SafetensorError: it is no such file; use `expected`.
    """
    if not str(path):
        raise ValueError("no file was named")
    with safe_open(path, "numpy") as file:
        written = (file.metadata() or {}).get(key)
        found = {name: file.get_tensor(name) for name in ranks}
    if written is None:
        raise ValueError(f"its metadata has no {key!r}")
    document = json.loads(written)
    if not isinstance(document, dict):
        raise ValueError(f"the document {key!r} is {written[:40]}, no JSON object")
    json.dumps(document, ensure_ascii=False).encode()  # half a surrogate pair could not be written again
    _check_choices(document)
    return {name: _floats(name, found[name], rank) for name, rank in ranks.items()}, document


def _floats(name: str, array: npt.NDArray[Any], rank: int) -> npt.NDArray[np.float32]:
    if array.dtype.kind != "f":
        raise ValueError(f"{name!r} holds {array.dtype}, no floating-point numbers")
    if array.ndim != rank or not array.size:
        shape = " × ".join(map(str, array.shape)) or "that of one number"
        raise ValueError(f"{name!r} has the shape {shape}, and {rank} dimensions of at least 1 were expected")
    with np.errstate(over="ignore"):  # what overflows float32 is seen in the next line
        found: npt.NDArray[np.float32] = array.astype(np.float32)
    if not np.isfinite(found).all():
        raise ValueError(f"{name!r} holds NaN or infinity")
    return found


def _check_choices(document: Mapping[str, Any]) -> None:
    for name, known in _CHOICES.items():
        value = document.get(name)
        if value is not None and value not in known:
            raise ValueError(f"{name!r} is {str(value)[:40]!r}, none of {', '.join(known)}")
    for name in _COUNTS:
        value = document.get(name)
        if value is not None and not (is_number(value) and isinstance(value, int) and value >= 0):
            raise ValueError(f"{name!r} is {str(value)[:40]!r}, no number of tokens")


def is_number(value: Any) -> bool:
    """Whether a value of JSON is a number that can be printed: not `true`, NaN or 10^400."""
    return isinstance(value, int | float) and not isinstance(value, bool) and -1e15 < value < 1e15
