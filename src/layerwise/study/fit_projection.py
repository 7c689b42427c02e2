"""Fit a projection on one layer of a store."""

from __future__ import annotations

from dataclasses import replace
from importlib.metadata import version

import numpy as np
import numpy.typing as npt

from layerwise.analysis.similarity import recall
from layerwise.analysis.spectrum import Moments
from layerwise.errors import UsageError, choose
from layerwise.ops.fitted_file import reading_of
from layerwise.ops.projection import KINDS, Projection, principal_components
from layerwise.reports.shipping import ProjectionFit
from layerwise.store.layer_column import LayerColumn
from layerwise.store.reader import Store
from layerwise.study.samples import sample_rows
from layerwise.types import place_of
from layerwise.version import __version__

SAMPLE_ROWS = 1_000
HELD_OUT_SHARE = 5
"""One row in five, at most `SAMPLE_ROWS`, is kept out of the fit to measure recall on."""

FEWEST_HELD_OUT = 50


def fit_projection(
    store: Store, layer: int | str, kind: str = "pca", dim: int = 256, seed: int = 0
) -> tuple[Projection, ProjectionFit]:
    """Principal components of a layer's vectors, in one pass over the store.

    The recall of neighbours is measured on a sample of rows that the fit does not see; a store too
    small for that is fitted on all its rows, and says so.

    Args:
        layer: a layer of the store.
        kind: `"pca"`, or `"whiten"`, which also scales each direction to variance 1.
        dim: size of the projected vectors.
        seed: of the sample.

    Raises:
        UsageError: no such layer, kind or seed; the vectors were mixed or projected already; they vary in
            fewer than `dim` directions.
        LayerSelectionError: the layer was not extracted.
    """
    choose("kind", kind, KINDS)
    metadata = store.metadata
    if store.layers == ("mix",) or metadata.get("projection"):
        what = "mixed from several layers" if store.layers == ("mix",) else "projected already"
        raise UsageError(
            f"the vectors of {store.path} are {what}: fit a projection on a store of plain layers, extracted "
            "without --mix and --projection."
        )
    column = store.layer(layer)
    name = store.layers[place_of(layer, store.layers, store.num_hidden_layers, store.has_final)]
    size = column.shape[1]
    if dim < 1 or dim > size:
        raise UsageError(
            f"a projection to {dim} dimensions was asked for: expected 1 to {size}, the size of the vectors of layer "
            f"{name}."
        )
    sample, held_out = _sample(len(column), dim, seed)
    found, rows = _moments(column, sample if held_out else np.zeros(0, np.int64)), column[sample]
    if not found.rows:
        raise UsageError("there is no vector: no row of this layer is embedded.")
    rows = rows[~np.isnan(rows).any(axis=1)]
    projection = principal_components(found.covariance(), found.mean, dim, kind, {})
    kept = recall(rows.astype(np.float32), projection(rows.astype(np.float32)))
    explained = float(projection.explained.sum(dtype=np.float64))
    document = {
        "kind": kind,
        "layer": name,
        **{key: metadata[key] for key in ("unit", "words", "pooling", "model", "revision", "weights_sha256")},
        **reading_of(metadata),
        "windowed_texts": int((store.ledger().num_windows > 1).sum()),
        "rows": found.rows,
        "explained_variance": explained,
        "recall_at_10": kept,
        "held_out": held_out,
        "seed": seed,
        "versions": {"layerwise": __version__, "numpy": version("numpy")},
    }
    fit = ProjectionFit(
        path="",
        kind=kind,
        layer=name,
        size=size,
        dim=dim,
        rows=found.rows,
        not_embedded=store.num_not_embedded,
        explained_variance=explained,
        recall_at_10=kept,
        sample=len(rows),
        held_out=held_out,
    )
    return replace(projection, document=document), fit


def _sample(rows: int, dim: int, seed: int) -> tuple[npt.NDArray[np.int64], bool]:
    """Rows to measure recall on, in order, and whether the fit can do without them."""
    apart = min(SAMPLE_ROWS, rows // HELD_OUT_SHARE)
    held_out = apart >= FEWEST_HELD_OUT and rows - apart > dim
    count = apart if held_out else min(SAMPLE_ROWS, rows)
    return sample_rows(rows, max(count, 1), seed), held_out


def _moments(column: LayerColumn, without: npt.NDArray[np.int64]) -> Moments:
    found, first = Moments(column.shape[1]), 0
    for batch in column.batches():
        here = without[(without >= first) & (without < first + len(batch))] - first
        found.add(np.delete(batch, here, axis=0) if len(here) else batch)
        first += len(batch)
    return found
