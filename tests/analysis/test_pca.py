"""Principal components against the singular value decomposition."""

from __future__ import annotations

import numpy as np

from layerwise.analysis.pca import pca


def test_places_and_shares_are_those_of_the_svd() -> None:
    rows = np.random.default_rng(0).normal(size=(40, 5)) * [5, 4, 1, 1, 0] + 3
    left, singular, _ = np.linalg.svd(rows - rows.mean(0), full_matrices=False)
    placed, shares = pca(rows)
    np.testing.assert_allclose(np.abs(placed), np.abs(left[:, :2] * singular[:2]), atol=1e-9)
    np.testing.assert_allclose(shares, singular[:2] ** 2 / (singular**2).sum())


def test_a_constant_layer_and_a_single_dimension() -> None:
    assert np.isnan(pca(np.full((5, 3), 0.1, np.float32))[1]).all()
    placed, shares = pca(np.arange(4.0)[:, None])
    assert placed.shape == (4, 2) and shares.tolist() == [1, 0]
