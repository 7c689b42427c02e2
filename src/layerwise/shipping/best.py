"""Ship a layer of the model that a store was made with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from layerwise.errors import UsageError
from layerwise.models.encoder import Encoder
from layerwise.ops.linear_probe import LinearProbe
from layerwise.reports.shipping import Shipment
from layerwise.shipping.ship import ship


def ship_layer(
    made: Mapping[str, Any],
    output: str | Path,
    layer: int | str,
    *,
    probe: LinearProbe | None = None,
    model: str | None = None,
    **options: Any,
) -> Shipment:
    """Cut the model of a store to a layer, with the pooling of the store.

    Args:
        made: the store's metadata document.
        layer: a layer of the store.
        probe: trained on that layer; it goes along if `predict` can run it (texts and words).
        model: where the model is, if not where the document says.
        options: `normalize`, `license`, `onnx`, `overwrite` of `ship`.

    Raises:
        UsageError: the store's rows are mixes of layers or projected, or the model has other weights.
        ModelError: the model cannot be loaded, or no cut of it gives that layer.
    """
    if layer == "mix" or made.get("projection"):
        raise UsageError(
            "the store holds mixed or projected vectors, which are no layer of a model: extract the layers themselves "
            "to ship one."
        )
    name = model or str(made["model"])
    encoder = Encoder.from_pretrained(name, revision=None if model else made.get("revision"), device="cpu")
    if encoder.files.weights_sha256 != made.get("weights_sha256"):
        raise UsageError(
            f"the model {name!r} has other weights than the one that the store was made with: name that one with --model."
        )
    unit = made.get("unit")
    return ship(
        encoder,
        output,
        layer=layer,
        pooling=str(made["pooling"]) if unit == "text" else None,
        probe=probe if unit in ("text", "word") else None,
        **options,
    )
