"""Ship a layer of the model that a store was made with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from layerwise.errors import ModelError, UsageError
from layerwise.models import cut
from layerwise.models.encoder import Encoder
from layerwise.ops.fitted_file import reading_of
from layerwise.ops.linear_probe import LinearProbe
from layerwise.reports.shipping import Shipment
from layerwise.shipping.sentence_transformers_layout import shipped_pooling
from layerwise.shipping.ship import ship


def encoder_of(made: Mapping[str, Any], model: str | None = None) -> Encoder:
    """The model that a store was made with, loaded before any work is put into choosing a layer.

    Args:
        made: the store's metadata document.
        model: where the model is, if not where the document says.

    Raises:
        UsageError: the store's rows are mixes of layers, projected, of pairs in one sequence, or pooled as no
            folder can be; or the model has other weights.
        ModelError: the model cannot be loaded.
    """
    if made.get("mix", "none") != "none" or made.get("projection"):
        raise UsageError(
            "the store holds mixed or projected vectors, which are no layer of a model: extract the layers themselves "
            "to ship one."
        )
    if reading_of(made)["pairs"] == "joint":
        raise UsageError(
            "the store's texts are pairs in one sequence (--pairs joint), and a shipped folder and `layerwise predict` "
            "read single texts: compare the layers with `layerwise probe`, or extract with --pairs separate."
        )
    name = model or str(made["model"])
    encoder = Encoder.from_pretrained(name, revision=None if model else made.get("revision"), device="cpu")
    if encoder.files.weights_sha256 != made.get("weights_sha256"):
        raise UsageError(
            f"the model {name!r} has other weights than the one that the store was made with: name that one with --model."
        )
    if made.get("unit") == "text":
        _refuse_pooling(encoder, str(made["pooling"]))
    return encoder


def _refuse_pooling(encoder: Encoder, pooling: str) -> None:
    """Refuse what `ship` would, and say how to extract instead: the store has to be made anew."""
    closes = encoder.tokenization(encoder.request(-1, "text", pooling="mean")).closes_texts
    try:
        shipped_pooling(pooling, closes)
    except UsageError as error:
        raise UsageError(
            f"the store's vectors are pooled by {pooling}, which cannot be shipped, since sentence-transformers takes the "
            "special token that closes a text: extract again with --pooling last_with_special."
        ) from error


def shippable(encoder: Encoder, layers: Sequence[int | str]) -> tuple[int | str, ...]:
    """Those of the layers that some cut of the model gives.

    Raises:
        ModelError: there is none; the message says why the last one is not.
    """
    found = []
    for layer in layers:
        try:
            cut.blocks_needed(encoder.engine, encoder.select(layer).layers[0], encoder.files.name)
        except ModelError as error:
            refused = error
        else:
            found.append(layer)
    if not found:
        raise refused
    return tuple(found)


def ship_layer(
    made: Mapping[str, Any],
    encoder: Encoder,
    output: str | Path,
    layer: int | str,
    *,
    probe: LinearProbe | None = None,
    **options: Any,
) -> Shipment:
    """Cut the model of a store to a layer, with the pooling of the store.

    Args:
        made: the store's metadata document.
        encoder: its model, as `encoder_of` loads it.
        layer: a layer of the store.
        probe: trained on that layer; it goes along if `predict` can run it (texts and words).
        options: `normalize`, `license`, `onnx`, `overwrite` of `ship`.

    Raises:
        UsageError: the folder is there.
        ModelError: no cut of the model gives that layer; the message says why.
    """
    unit = made.get("unit")
    return ship(
        encoder,
        output,
        layer=layer,
        pooling=str(made["pooling"]) if unit == "text" else None,
        probe=probe if unit in ("text", "word") else None,
        **options,
    )
