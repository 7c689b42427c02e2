"""Projections against scikit-learn's PCA, and as a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.decomposition import PCA

from layerwise import UsageError
from layerwise.analysis.spectrum import Moments
from layerwise.ops.projection import Projection, principal_components


def vectors(rows: int = 400, size: int = 24) -> np.ndarray:
    generator = np.random.default_rng(0)
    found = generator.normal(size=(rows, size)) @ generator.normal(size=(size, size)) + 50
    found[:, 5] = 3.25  # a constant dimension
    return found.astype(np.float32)


def fit(found: np.ndarray, dim: int, kind: str = "pca") -> Projection:
    of = Moments(found.shape[1])
    for part in np.array_split(found, 7):
        of.add(part)
    return principal_components(of.covariance(), of.mean, dim, kind, {"kind": kind})


@pytest.mark.parametrize("kind", ["pca", "whiten"])
def test_as_scikit_learn(kind: str) -> None:
    found, dim = vectors(), 6
    mine = fit(found, dim, kind)
    theirs = PCA(dim, whiten=kind == "whiten", svd_solver="full").fit(found.astype(np.float64))
    expected = theirs.transform(found.astype(np.float64))
    if kind == "whiten":  # scikit-learn divides the variance by n - 1
        expected *= np.sqrt(len(found) / (len(found) - 1))
    signs = np.sign((mine(found) * expected).sum(axis=0))
    np.testing.assert_allclose(mine(found) * signs, expected, atol=2e-3)
    np.testing.assert_allclose(mine.explained, theirs.explained_variance_ratio_, rtol=1e-5)
    if kind == "whiten":
        np.testing.assert_allclose(np.cov(mine(found).T, bias=True), np.eye(dim), atol=1e-4)


def test_more_dimensions_than_there_are() -> None:
    with pytest.raises(
        UsageError, match=r"vary in 23 directions of 24, and a projection to 24 was asked for"
    ):
        fit(vectors(), 24)
    with pytest.raises(UsageError, match="vary in 9 directions"):
        fit(vectors(rows=10), 12)
    assert np.isfinite(fit(vectors(), 23, "whiten")(vectors())).all()


def test_vectors_that_are_all_equal() -> None:
    with pytest.raises(UsageError, match="do not vary"):
        fit(np.ones((30, 4), np.float32), 1)


def test_there_and_back(tmp_path: Path) -> None:
    projection = fit(vectors(), 5)
    path = tmp_path / "p.safetensors"
    path.write_bytes(projection.to_bytes())
    again = Projection.load(path)
    np.testing.assert_array_equal(again(vectors()), projection(vectors()))
    assert again.sha256 == projection.sha256 != fit(vectors(), 6).sha256
    assert again.document == {"kind": "pca"}
    path.write_text("no")
    with pytest.raises(UsageError, match="is not a projection"):
        Projection.load(path)


def test_nan_stays_nan() -> None:
    found = vectors()
    found[3] = np.nan
    assert np.isnan(fit(vectors(), 2)(found)).any(axis=1).nonzero()[0].tolist() == [3]
