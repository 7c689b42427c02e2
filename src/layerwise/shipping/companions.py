"""What goes along with a shipped model: a projection or a probe, written for the shipped weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from layerwise.models.encoder import Encoder
from layerwise.ops.linear_probe import LinearProbe
from layerwise.ops.projection import Projection
from layerwise.types import Layer

PROBE, PROJECTION = Path("probe.safetensors"), Path("projection.safetensors")


def ship_projection(folder: Path, projection: Projection, shipped: Encoder, layer: Layer) -> dict[str, Any]:
    """Write the projection for the shipped model, as `extract --projection` reads it; what the card says of it."""
    moved = Projection(
        projection.mean,
        projection.matrix,
        projection.explained,
        _moved(projection.document, shipped, layer),
    )
    (folder / PROJECTION).write_bytes(moved.to_bytes())
    known = ("kind", "rows", "explained_variance", "recall_at_10", "held_out", "pooling")
    return {
        **{key: projection.document.get(key) for key in known},
        "dim": projection.dim,
        "sha256": projection.sha256,
    }


def ship_probe(folder: Path, probe: LinearProbe, shipped: Encoder, layer: Layer) -> dict[str, Any]:
    """Write the probe for the shipped model; what the card says of it."""
    moved = LinearProbe(probe.weight, probe.bias, probe.classes, _moved(probe.document, shipped, layer))
    moved.save(folder / PROBE)
    known = ("label", "task", "unit", "words", "pooling", "scores", "folds", "parts")
    return {**{key: probe.document.get(key) for key in known}, "layer": layer, "classes": list(probe.classes)}


def _moved(document: Mapping[str, Any], shipped: Encoder, layer: Layer) -> dict[str, Any]:
    """A document that fits the shipped model, and says which it was fitted on."""
    keys = ("model", "revision", "weights_sha256", "layer")
    fitted = document.get("fitted_on") or {key: document[key] for key in keys if key in document}
    return {
        **document,
        "model": "the folder beside this file",
        "weights_sha256": shipped.files.weights_sha256,
        "layer": layer,
        "fitted_on": fitted,
    }
