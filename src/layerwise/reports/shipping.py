"""What shipping a model left, and what fitting a projection found."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Shipment:
    """A folder that `ship` wrote.

    Attributes:
        path: the folder.
        model, layer: what was shipped.
        blocks, num_hidden_layers: blocks kept, of how many.
        pooling: of texts, as the folder does it.
        size: of a vector, after the projection if there is one.
        normalize: whether vectors are scaled to length 1.
        error: worst difference from the layer it was cut from, relative to its largest value (at least 1).
        bytes: size on disk.
        probe, onnx: files in the folder, or "".
        license: of the base model.
        notes: what a user should know before trusting the vectors.
    """

    path: str
    model: str
    layer: int | str
    blocks: int
    num_hidden_layers: int
    pooling: str
    size: int
    normalize: bool
    error: float
    bytes: int
    probe: str
    onnx: str
    license: str
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class ProjectionFit:
    """A projection that was fitted.

    Attributes:
        path: the file, or "" if none was written.
        kind: `pca` or `whiten`; layer: the layer it is for.
        size, dim: of a vector before and after.
        rows: vectors it was fitted on; not_embedded: rows without a vector, left out.
        explained_variance: share of the variance that the new dimensions hold.
        recall_at_10: share of the 10 nearest neighbours by cosine that stay among the 10 nearest, on a
            sample; None if there are too few rows.
        sample: rows of that sample; held_out: whether the projection was fitted without them.
    """

    path: str
    kind: str
    layer: int | str
    size: int
    dim: int
    rows: int
    not_embedded: int
    explained_variance: float
    recall_at_10: float | None
    sample: int
    held_out: bool

    def to_dict(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return asdict(self)
