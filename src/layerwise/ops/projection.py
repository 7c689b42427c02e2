"""A fitted linear map to fewer dimensions: principal components, whitened or not.

z = Pᵀ(h − μ), with μ the mean of the vectors it was fitted on and the columns of P the leading
eigenvectors of their covariance (Jolliffe 2002, §1.1); whitening scales each to variance 1 (Su et
al. 2021, "Whitening Sentence Representations", §3).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from safetensors.numpy import save

from layerwise.errors import UsageError
from layerwise.ops.fitted_file import expected, is_number, read_fitted

KEY = "layerwise_projection"
KINDS = ("pca", "whiten")

RANK_TOLERANCE = 1e-9
"""Variance below this share of the largest is none: float32 vectors carry about 1e-7 of their size."""


@dataclass(frozen=True, slots=True)
class Projection:
    """A linear map of one layer's vectors.

    Attributes:
        mean: (size,) float32.
        matrix: (size, dim) float32.
        explained: (dim,) float32, share of the variance along each new dimension.
        document: what it was fitted on: `kind`, `layer`, `unit`, `pooling`, `max_length`, `stride`, `long_text`,
            `pairs`, `model`, `weights_sha256`, `rows`, `explained_variance`, `recall_at_10`, `held_out`, `seed`,
            `versions`.
    """

    mean: Float[ndarray, " size"]
    matrix: Float[ndarray, "size dim"]
    explained: Float[ndarray, " dim"]
    document: Mapping[str, Any]

    @property
    def dim(self) -> int:
        """Size of a projected vector."""
        return int(self.matrix.shape[1])

    @property
    def bias(self) -> Float[ndarray, " dim"]:
        """−Pᵀμ, the map's constant part, summed in float64."""
        exact: ndarray[Any, Any] = -(self.matrix.T.astype(np.float64) @ self.mean.astype(np.float64))
        return exact.astype(np.float32)

    def __call__(self, vectors: Float[ndarray, "rows size"]) -> Float[ndarray, "rows dim"]:
        """Projected vectors; rows of NaN stay NaN."""
        projected: ndarray[Any, Any] = np.asarray(vectors, np.float32) @ self.matrix + self.bias
        return projected

    def to_bytes(self) -> bytes:
        """The file, as safetensors."""
        tensors = {
            "mean": self.mean,
            "matrix": np.ascontiguousarray(self.matrix),
            "explained": self.explained,
        }
        return save(tensors, metadata={KEY: json.dumps(dict(self.document), ensure_ascii=False)})

    @property
    def sha256(self) -> str:
        """Of the map itself, mean and matrix, whatever is written beside them."""
        numbers = np.concatenate([self.mean, self.matrix.ravel()]).astype("<f4")
        return hashlib.sha256(numbers.tobytes()).hexdigest()

    @classmethod
    def load(cls, path: str | Path) -> Projection:
        """Read a file that `layerwise fit-projection` wrote.

        Raises:
            UsageError: there is none, or it is something else.
        """
        with expected(path, "a projection", "layerwise fit-projection"):
            arrays, document = read_fitted(path, KEY, {"mean": 1, "matrix": 2, "explained": 1})
            mean, matrix, explained = arrays.values()
            if matrix.shape != (len(mean), len(explained)):
                raise ValueError(
                    f"its matrix is {len(matrix)} × {matrix.shape[1]}, for a mean of {len(mean)} and {len(explained)} "
                    "shares of variance"
                )
            if document.get("kind") not in KINDS:
                raise ValueError(f"'kind' is {str(document.get('kind'))[:40]!r}, none of {', '.join(KINDS)}")
            for name in ("explained_variance", "recall_at_10"):  # for the card; nothing is computed from them
                if name in document and not is_number(document[name]):
                    document[name] = None
        return cls(mean, matrix, explained, document)


def principal_components(
    covariance: Float[ndarray, "size size"],
    mean: Float[ndarray, " size"],
    dim: int,
    kind: str,
    document: Mapping[str, Any],
) -> Projection:
    """The projection to the `dim` directions of most variance.

    Each direction is turned so that its largest entry is positive: an eigenvector has no sign of its
    own. Dimensions that are constant have no variance and enter no direction.

    Raises:
        UsageError: the vectors vary in fewer than `dim` directions.
    """
    values, vectors = np.linalg.eigh(covariance.astype(np.float64))
    values, vectors = values[::-1].clip(min=0), vectors[:, ::-1]
    rank = int((values > RANK_TOLERANCE * values[0]).sum())
    if rank == 0:
        raise UsageError(
            "the vectors do not vary: a projection is fitted on the differences between vectors, so give it a store of "
            "more texts."
        )
    if not 1 <= dim <= rank:
        raise UsageError(
            f"the vectors vary in {rank} directions of {len(values)}, and a projection to {dim} was asked for: choose "
            f"1 to {rank} dimensions, or fit it on more rows."
        )
    chosen = vectors[:, :dim]
    chosen = chosen * np.sign(chosen[np.abs(chosen).argmax(axis=0), np.arange(dim)])
    if kind == "whiten":
        chosen = chosen / np.sqrt(values[:dim])
    return Projection(
        mean.astype(np.float32),
        np.ascontiguousarray(chosen, np.float32),
        (values[:dim] / values.sum()).astype(np.float32),
        document,
    )
