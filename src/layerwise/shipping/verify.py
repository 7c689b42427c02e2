"""Is the folder that was written the layer it was cut from?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from layerwise.errors import ModelError
from layerwise.models.cut import output_vectors
from layerwise.models.encoder import Encoder
from layerwise.types import Layer

TOLERANCE = 1e-5
"""Most that a vector may differ by, relative to the layer's largest value (at least 1)."""

PROBES = (
    "Every layer of every encoder: extract it, understand it, ship the best one.",
    "我爱你。北京是中国的首都。",
    "Emoji 👩‍👧 between words ❤️, and an accent: naïve.",
    "",
    "the sea is calm tonight " * 400,
)

LOOKS_AT_PADDING = (
    "this architecture looks at padding, so in a batch of texts of different lengths its vectors depend on the "
    "others: give sentence-transformers batch_size=1."
)


def verify(encoder: Encoder, folder: Path, layer: Layer, pooling: str) -> tuple[Encoder, float]:
    """Load the folder and compare its vectors with `layer` of the model it was cut from.

    Compared are the vectors of tokens and of texts as layerwise reads them, and what transformers
    alone gives. The texts are in several scripts, one is empty and one longer than the model.

    Returns:
        the shipped model, and the worst difference.

    Raises:
        ModelError: it cannot be loaded, or differs by more than 1e-5.
    """
    name = encoder.files.name
    try:
        shipped = Encoder.from_pretrained(str(folder), device="cpu")
    except ModelError as error:
        raise ModelError(
            f"layer {layer} of {name!r} cannot be shipped: the model cut to it cannot be loaded "
            f"({str(error).replace(str(folder), 'the folder')})"
        ) from error
    there: Layer = "final" if shipped.has_final else shipped.num_hidden_layers
    options: dict[str, Any] = {"long_text": "truncate"}
    errors = []
    for unit, by in (("token", None), ("text", pooling)):
        before = encoder.encode(PROBES, layer, unit, pooling=by, **options)
        after = shipped.encode(PROBES, there, unit, pooling=by, **options)
        errors += [_difference(a.layer(there), b.layer(layer)) for a, b in zip(after, before, strict=True)]
    for text, states in zip(PROBES, before, strict=True):
        if states.units[0].embedded:
            alone = pool(output_vectors(shipped, text).numpy(), pooling)
            errors.append(_difference(alone, states.layer(layer)[0]))
    worst = float(np.max(errors))  # NaN, unlike Python's max, comes through
    if not worst <= TOLERANCE:
        raise ModelError(
            f"layer {layer} of {name!r} cannot be shipped: the model cut to its blocks gives vectors that differ from "
            f"that layer by {worst:.1e}, and at most {TOLERANCE:.0e} would be rounding; nothing was written."
        )
    return shipped, worst


def pool(hidden: npt.NDArray[np.floating[Any]], pooling: str) -> npt.NDArray[np.floating[Any]]:
    """One text's (tokens, size), special tokens included, to (size,)."""
    if pooling == "mean_with_special":
        pooled: npt.NDArray[np.floating[Any]] = hidden.mean(axis=0)
        return pooled
    if pooling == "max_with_special":
        largest: npt.NDArray[np.floating[Any]] = hidden.max(axis=0)
        return largest
    one: npt.NDArray[np.floating[Any]] = hidden[0 if pooling == "cls" else -1]
    return one


def _difference(found: npt.NDArray[np.floating[Any]], expected: npt.NDArray[np.floating[Any]]) -> float:
    if found.shape != expected.shape:
        return float("inf")
    if not found.size or (np.isnan(found).all() and np.isnan(expected).all()):
        return 0.0
    return float(np.abs(found - expected).max() / max(1.0, float(np.abs(expected).max())))
