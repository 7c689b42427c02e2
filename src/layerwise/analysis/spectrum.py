"""The spectrum of a layer, and whether its two halves of a text agree: signals that need no label."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray


class Moments:
    """Mean, scatter and directions of one layer, fed batch by batch, in float64.

    Attributes:
        rows: vectors counted; rows of NaN are left out.
    """

    def __init__(self, size: int) -> None:
        self.rows = 0
        self._shift = np.zeros(size)
        self._sum = np.zeros(size)
        self._products = np.zeros((size, size))  # of shifted rows: Σx² − (Σx)²/n then cancels little
        self._direction = np.zeros(size)
        self._selves = 0.0

    def add(self, batch: Float[ndarray, "rows size"]) -> None:
        """Add rows."""
        rows = np.asarray(batch, np.float64)
        rows = rows[~np.isnan(rows).any(axis=1)]
        if not len(rows):
            return
        if not self.rows:
            self._shift = rows.mean(0)
        lengths = np.linalg.norm(rows, axis=1)
        self._direction += (rows / np.where(lengths > 0, lengths, 1)[:, None]).sum(0)
        self._selves += float(np.count_nonzero(lengths))
        rows = rows - self._shift
        self._sum += rows.sum(0)
        self._products += rows.T @ rows
        self.rows += len(rows)

    @property
    def mean(self) -> Float[ndarray, " size"]:
        """The mean row."""
        return self._shift + self._sum / max(self.rows, 1)

    def covariance(self) -> Float[ndarray, "size size"]:
        """Covariance of the rows (divided by n)."""
        middle = self._sum / max(self.rows, 1)
        return self._products / max(self.rows, 1) - np.outer(middle, middle)

    def mean_cosine(self) -> float:
        """Mean cosine of two different rows, over all pairs: (‖Σu‖² − Σ‖u‖²) / n(n − 1)."""
        if self.rows < 2:
            return float("nan")
        pairs = self.rows * (self.rows - 1)
        return (float(self._direction @ self._direction) - self._selves) / pairs

    def effective_rank(self) -> float:
        """exp of the entropy of the centred covariance's normalised eigenvalues (Roy & Vetterli 2007).

        1 where all variance lies along one line, at most the layer's size. NaN for a constant layer.
        """
        if self.rows < 2:
            return float("nan")
        values = np.linalg.eigvalsh(self.covariance())
        energy = float(self.mean @ self.mean) + max(float(values.sum()), 0.0)
        return float("nan") if values.sum() <= _CONSTANT * energy else _exp_entropy(values)

    def rank_me(self) -> float:
        """exp of the entropy of the normalised singular values of the rows as they are (Garrido et al. 2023).

        Not centred, as the paper has it: a large mean vector lowers it.
        """
        if not self.rows:
            return float("nan")
        second = self.covariance() + np.outer(self.mean, self.mean)
        values = np.linalg.eigvalsh(second)
        # Singular values are square roots: what rounding leaves of a zero would count as something.
        values[values < _ROUNDING * values.max(initial=0.0)] = 0
        return _exp_entropy(np.sqrt(values))


_CONSTANT = 1e-10
_ROUNDING = 1e-12


def _exp_entropy(values: Float[ndarray, " size"]) -> float:
    positive = values[values > 0]
    if not len(positive):
        return float("nan")
    shares = positive / positive.sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))


@dataclass(frozen=True, slots=True)
class TwoViews:
    """How often half a text finds its other half.

    Attributes:
        found: share of texts whose nearest other half (cosine) is their own; NaN for fewer than two.
        chance: that of guessing.
        texts: how many took part.
    """

    found: float
    chance: float
    texts: int


class Halves:
    """Sums of the two random halves of each text's units, fed batch by batch."""

    def __init__(self, texts: int, size: int) -> None:
        self._sums = np.zeros((2, texts, size))
        self._counts = np.zeros((2, texts), np.int64)

    def add(
        self,
        batch: Float[ndarray, "rows size"],
        text: Int[ndarray, " rows"],
        half: Int[ndarray, " rows"],
    ) -> None:
        """Add rows: number of their text (−1: none of those looked at), and half 0 or 1."""
        there = (text >= 0) & ~np.isnan(batch).any(axis=1)
        rows, text, half = np.asarray(batch[there], np.float64), text[there], half[there]
        np.add.at(self._sums, (half, text), rows)
        np.add.at(self._counts, (half, text), 1)

    def two_views(self, mean: Float[ndarray, " size"]) -> TwoViews:
        """Share of texts whose first half is nearest to its own second half, `mean` taken off first."""
        both = (self._counts > 0).all(axis=0)
        texts = int(both.sum())
        if texts < 2:
            return TwoViews(float("nan"), float("nan"), texts)
        views = self._sums[:, both] / self._counts[:, both, None] - mean
        scale = float(np.linalg.norm(mean)) + float(np.abs(views).max())
        lengths = np.linalg.norm(views, axis=2, keepdims=True)
        if (lengths <= _CONSTANT * scale).all():  # a constant layer: every half is every other
            return TwoViews(float("nan"), 1 / texts, texts)
        first, second = views / np.where(lengths > 0, lengths, 1)
        cosines = first @ second.T
        others = np.where(np.eye(texts, dtype=bool), -np.inf, cosines).max(axis=1)
        return TwoViews(float((np.diag(cosines) > others).mean()), 1 / texts, texts)
