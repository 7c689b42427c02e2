"""Is the folder that was written the layer it was cut from?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from layerwise.errors import ModelError
from layerwise.models.cut import output_vectors
from layerwise.models.encoder import Encoder
from layerwise.models.tokenization import plain_backend
from layerwise.ops.projection import Projection
from layerwise.shipping.sentence_transformers_layout import behind_pooling
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

PADDED = PROBES[:3]
"""Short ones of different lengths, as one batch."""

LOOKS_AT_PADDING = (
    "this architecture looks at padding, so in a batch of texts of different lengths its vectors depend on the "
    "others: give sentence-transformers batch_size=1."
)


def verify(
    encoder: Encoder,
    folder: Path,
    layer: Layer,
    pooling: str,
    projection: Projection | None = None,
    normalize: bool = False,
) -> tuple[Encoder, float]:
    """Load the folder and compare its vectors with `layer` of the model it was cut from.

    Compared are the tokens; the vectors of tokens and of texts as layerwise reads them; and what
    transformers alone gives, for texts alone and in a padded batch. The texts are in several scripts,
    one is empty and one longer than the model. What the modules behind the pooling make of the
    vectors of texts is compared with the projection.

    Returns:
        the shipped model, and the worst difference from the layer.

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
    _refuse_other_tokens(encoder, shipped)
    there: Layer = "final" if shipped.has_final else shipped.num_hidden_layers
    options: dict[str, Any] = {"long_text": "truncate"}
    errors = []
    for unit, by in (("token", None), ("text", pooling)):
        before = encoder.encode(PROBES, layer, unit, pooling=by, **options)
        after = shipped.encode(PROBES, there, unit, pooling=by, **options)
        errors += [_difference(a.layer(there), b.layer(layer)) for a, b in zip(after, before, strict=True)]
    vectors = {one.text: one.layer(layer)[0] for one in before if one.units[0].embedded}
    batches = [[text] for text in vectors]
    if shipped.engine.mixes_lengths:
        batches.append([text for text in PADDED if text in vectors])
    for batch in batches:
        for text, hidden in zip(batch, output_vectors(shipped, batch), strict=True):
            errors.append(_difference(pool(hidden.numpy(), pooling), vectors[text]))
    worst = float(np.max(errors))  # NaN, unlike Python's max, comes through
    if not worst <= TOLERANCE:
        raise ModelError(
            f"layer {layer} of {name!r} cannot be shipped: the model cut to its blocks gives vectors that differ from "
            f"that layer by {worst:.1e}, and at most {TOLERANCE:.0e} would be rounding; nothing was written."
        )
    behind = _behind(folder, np.stack(list(vectors.values())), projection, normalize)
    if not behind <= TOLERANCE:
        raise ModelError(
            f"layer {layer} of {name!r} cannot be shipped so: the modules behind the pooling give vectors that differ "
            f"from the projected ones by {behind:.1e}, and at most {TOLERANCE:.0e} would be rounding; nothing was "
            "written."
        )
    return shipped, worst


def _refuse_other_tokens(encoder: Encoder, shipped: Encoder) -> None:
    """Refuse a tokenizer that is another one once it is saved: some are only what their class makes of old files."""
    ours, theirs = (plain_backend(one.tokenizer) for one in (encoder, shipped))
    for text in PROBES:
        if (before := ours.encode(text).ids) != (after := theirs.encode(text).ids):
            raise ModelError(
                f"{encoder.files.name!r} cannot be shipped: its tokenizer, saved and loaded again by transformers, "
                f"gives other tokens (of {text[:30]!r} {str(after[:6])[1:-1]}, … and not {str(before[:6])[1:-1]}, …); "
                "put a tokenizer.json that gives the right ones into the model's folder."
            )


def _behind(
    folder: Path,
    pooled: npt.NDArray[np.floating[Any]],
    projection: Projection | None,
    normalize: bool,
) -> float:
    """Worst difference between the modules behind the pooling and what they stand for.

    It is relative to the largest number that is summed: whitening multiplies the vectors' mean, and its rounding.
    """
    expected, scale = pooled.astype(np.float64), 1.0
    if projection is not None:
        expected = (expected - projection.mean) @ projection.matrix.astype(np.float64)
        scale = max(scale, float(np.abs(projection.bias).max()))
    found = behind_pooling(folder, pooled)
    if normalize:  # back to the length it had, as short vectors would make rounding look large
        found = found * np.linalg.norm(expected, axis=1, keepdims=True)
    return _difference(found / scale, expected / scale)


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
