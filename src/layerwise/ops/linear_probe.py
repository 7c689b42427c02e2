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
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from layerwise.errors import LayerwiseError, UsageError

KEY = "layerwise_probe"


@dataclass(frozen=True, slots=True)
class LinearProbe:
    """Scores of vectors as they come out of the model: `vectors @ weight.T + bias`.

    Attributes:
        weight: (classes, size) float32; one row in regression. Standardisation is folded in.
        bias: (classes,) float32.
        classes: names in the order of the rows; empty in regression.
        document: what the probe was trained on: `label`, `task`, `layer`, `unit`, `pooling`, `words`,
            `model`, `weights_sha256`, `l2`, `scores`, `versions`.
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
            LayerwiseError: it cannot be written.
        """
        document = {**self.document, "classes": list(self.classes)}
        tensors = {"weight": np.ascontiguousarray(self.weight), "bias": self.bias}
        try:
            save_file(tensors, path, metadata={KEY: json.dumps(document, ensure_ascii=False)})
        except (OSError, SafetensorError) as error:
            raise LayerwiseError(f"the probe cannot be written to {path}: {error}.") from error

    @classmethod
    def load(cls, path: str | Path) -> LinearProbe:
        """Read a file that `save` wrote.

        Raises:
            UsageError: there is none, or it is something else.
        """
        try:
            with safe_open(path, "numpy") as file:
                document = json.loads((file.metadata() or {})[KEY])
                weight, bias = file.get_tensor("weight"), file.get_tensor("bias")
        except (OSError, KeyError, ValueError, SafetensorError) as error:
            raise UsageError(
                f"{path} is not a probe ({error}): expected a file that `layerwise probe --save` wrote."
            ) from error
        return cls(weight, bias, tuple(document.pop("classes")), document)
