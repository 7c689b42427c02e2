"""A trained linear probe as a file: safetensors with `weight`, `bias` and a JSON document."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from safetensors import numpy as safetensors

from layerwise.ops.fitted_file import expected, is_number, read_fitted
from layerwise.whole_file import whole_file

KEY = "layerwise_probe"


@dataclass(frozen=True, slots=True)
class LinearProbe:
    """Scores of vectors as they come out of the model: `vectors @ weight.T + bias`.

    Attributes:
        weight: (classes, size) float32; one row in regression. Standardisation is folded in.
        bias: (classes,) float32.
        classes: names in the order of the rows; empty in regression.
        document: what the probe was trained on: `label`, `task`, `layer`, `unit`, `pooling`, `words`,
            `max_length`, `stride`, `long_text`, `pairs`, `model`, `weights_sha256`, `l2`, `scores`, `folds`,
            `parts`, `versions`.
    """

    weight: Float[ndarray, "classes size"]
    bias: Float[ndarray, " classes"]
    classes: tuple[str, ...]
    document: Mapping[str, Any]

    def __call__(self, vectors: Float[ndarray, "rows size"]) -> Float[ndarray, "rows classes"]:
        """Logits, or the predicted numbers in one column."""
        scores: ndarray[Any, Any] = np.asarray(vectors, np.float32) @ self.weight.T + self.bias
        return scores

    def save(self, path: str | Path) -> None:
        """Write the file; readable with safetensors alone.

        Raises:
            UsageError: there is no such folder, or it is one. LayerwiseError: it cannot be written.
        """
        document = {**self.document, "classes": list(self.classes)}
        tensors = {"weight": np.ascontiguousarray(self.weight), "bias": self.bias}
        with whole_file(path) as stream:
            stream.write(safetensors.save(tensors, {KEY: json.dumps(document, ensure_ascii=False)}))

    @classmethod
    def load(cls, path: str | Path) -> LinearProbe:
        """Read a file that `save` wrote.

        Raises:
            UsageError: there is none, or it is something else.
        """
        with expected(path, "a probe", "layerwise probe --save"):
            arrays, document = read_fitted(path, KEY, {"weight": 2, "bias": 1})
            classes = _classes(document.pop("classes", None))
            weight, bias = arrays["weight"], arrays["bias"]
            if not len(weight) == len(bias) == max(1, len(classes)):
                raise ValueError(
                    f"it has {len(classes)} classes, {len(weight)} rows of weights and {len(bias)} of 'bias', and one a "
                    "class was expected, or one for numbers"
                )
            if not isinstance(document.get("label", ""), str):
                raise ValueError(f"'label' is {str(document['label'])[:40]!r}, no name")
            document |= {"scores": _scores(document), "parts": _parts(document)}
        return cls(weight, bias, classes, document)


def _classes(named: Any) -> tuple[str, ...]:
    if not isinstance(named, list) or not all(isinstance(name, str) for name in named):
        raise ValueError(f"'classes' is {str(named)[:40]}, no list of names")
    if len(set(named)) != len(named):
        raise ValueError("'classes' names one more than once")
    return tuple(named)


def _scores(document: Mapping[str, Any]) -> dict[str, Any]:
    """What a card can say: a score, or one with its interval. Nothing is computed from them, so others are left out."""
    given = document.get("scores")
    return {
        name: value
        for name, value in (given.items() if isinstance(given, dict) else ())
        if is_number(value) or (isinstance(value, list) and len(value) == 3 and all(map(is_number, value)))
    }


def _parts(document: Mapping[str, Any]) -> dict[str, int]:
    given = document.get("parts")
    rows = given.items() if isinstance(given, dict) else ()
    return {name: count for name, count in rows if is_number(count) and isinstance(count, int)}
