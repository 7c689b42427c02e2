"""Does what was fitted on a store, a projection or a probe, belong to this layer of this model?"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from layerwise.errors import UsageError
from layerwise.models.encoder import Encoder
from layerwise.ops.linear_probe import LinearProbe
from layerwise.ops.projection import Projection
from layerwise.types import POOLINGS, Layer

TASKS = ("classification", "regression")
"""What `layerwise predict` runs."""


def fitting_projection(
    projection: str | Path | Projection, encoder: Encoder, layer: Layer, texts: bool = True
) -> Projection:
    """The projection, if it was fitted on this layer of this model.

    Args:
        texts: whether vectors of texts are to be projected.

    Raises:
        UsageError: it was not; the message says what differs.
    """
    name = "the projection" if isinstance(projection, Projection) else f"the projection {projection}"
    found = projection if isinstance(projection, Projection) else Projection.load(projection)
    _refuse_other(name, found.document, encoder, layer, found.matrix.shape[0])
    if texts and found.document.get("unit") != "text":
        raise UsageError(
            f"{name} was fitted on vectors of {found.document.get('unit')}s, and a shipped folder gives vectors of "
            "texts: fit one on a store of texts (extract --unit text)."
        )
    if texts and found.document.get("pooling") not in POOLINGS["text"]:
        raise UsageError(
            f"{name} was fitted with the pooling {found.document.get('pooling')!r}: expected one of "
            f"{', '.join(POOLINGS['text'])}."
        )
    return found


def refuse_other_store(metadata: Mapping[str, Any], encoder: Encoder) -> None:
    """Refuse, before it is fitted on, a store whose projection would not fit a shipped folder of this model.

    Args:
        metadata: the store's.

    Raises:
        UsageError: it is of another model, or not of texts.
    """
    theirs, ours = metadata.get("weights_sha256"), encoder.files.weights_sha256
    if theirs != ours:
        raise UsageError(
            f"the store was made with the model {metadata.get('model')!r} with weights of sha256 {str(theirs)[:12]}…, and "
            f"{encoder.files.name!r} has {ours[:12]}…: extract one with the model that is shipped."
        )
    if metadata.get("unit") != "text":
        raise UsageError(
            f"the store holds vectors of {metadata.get('unit')}s, and a shipped folder gives vectors of texts: extract one "
            "with --unit text."
        )


def fitting_probe(probe: str | Path | LinearProbe, encoder: Encoder, layer: Layer) -> LinearProbe:
    """The probe, if it was trained on this layer of this model and `predict` can run it.

    Raises:
        UsageError: it was not; the message says what differs.
    """
    name = "the probe" if isinstance(probe, LinearProbe) else f"the probe {probe}"
    found = probe if isinstance(probe, LinearProbe) else LinearProbe.load(probe)
    document = found.document
    if document.get("projection"):
        raise UsageError(
            f"{name} was trained on projected vectors, and `layerwise predict` runs probes of the layers as they are: "
            "train one on a store that was extracted without --projection."
        )
    _refuse_other(name, document, encoder, layer, found.weight.shape[1])
    unit, task = document.get("unit"), document.get("task")
    if unit not in ("text", "word") or task not in TASKS:
        raise UsageError(
            f"{name} does {task} on {unit}s: `layerwise predict` runs {' and '.join(TASKS)} of texts and words."
        )
    if (task == "regression") != (not found.classes):
        raise UsageError(
            f"{name} does {task} with {len(found.classes)} classes: expected some in classification, and none in "
            "regression."
        )
    if document.get("pairs") == "joint":
        raise UsageError(
            f"{name} was trained on pairs of texts in one sequence (--pairs joint), and `layerwise predict` labels "
            "single texts: train one on a store of single texts, or of --pairs separate."
        )
    if document.get("pooling") not in POOLINGS[unit]:
        raise UsageError(
            f"{name} was trained with the pooling {document.get('pooling')!r}: expected one of "
            f"{', '.join(POOLINGS[unit])}."
        )
    try:
        encoder.tokenization(encoder.request(layer, unit, **request_of(found)))
    except UsageError as error:
        raise UsageError(
            f"{name} was trained on texts that {encoder.files.name!r} does not read so: {error}"
        ) from error
    return found


def request_of(probe: LinearProbe) -> dict[str, Any]:
    """The options of `Encoder.encode` under which a probe gets vectors like those it was trained on.

    A document of before the options were written there leaves the model's defaults. With
    `long_text="error"` no text of the store was longer than a window, so longer ones are read as by default.
    """
    document = probe.document
    long_text = document.get("long_text")
    return {
        "pooling": document["pooling"],
        "words": (document.get("words") if document["unit"] == "word" else None) or "tokenizer",
        "max_length": document.get("max_length"),
        "stride": document.get("stride"),
        "long_text": "truncate" if long_text == "truncate" else "window",
    }


def _refuse_other(name: str, document: Mapping[str, Any], encoder: Encoder, layer: Layer, size: int) -> None:
    of = document.get("layer")
    if of != layer:
        raise UsageError(
            f"{name} was fitted on layer {of} and the layer chosen is {layer}: take layer {of}, or fit one on "
            f"layer {layer}."
        )
    theirs, ours = document.get("weights_sha256"), encoder.files.weights_sha256
    if theirs != ours:
        raise UsageError(
            f"{name} was fitted on the model {document.get('model')!r} with weights of sha256 {str(theirs)[:12]}…, and "
            f"{encoder.files.name!r} has {ours[:12]}…: take the same model, or fit one on this."
        )
    if size != encoder.hidden_size:
        raise UsageError(
            f"{name} takes vectors of size {size}, and layer {layer} of {encoder.files.name!r} has {encoder.hidden_size}."
        )
