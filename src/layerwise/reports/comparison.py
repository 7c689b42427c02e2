"""What `layerwise compare` finds: how alike the layers of one store or two are."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

Matrix = tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True)
class Compared:
    """One side of a comparison.

    Attributes:
        store: its path; model: that of the store.
        layers: names of the layers, in order.
        constant: layers that are the same vector in every row: nothing can be compared with them.
        anisotropy: mean cosine of two rows, one a layer.
        self_similarity: mean cosine of two occurrences of a word, one a layer; NaN where units are texts or
            no word occurs often enough. With `anisotropy` taken off it is Ethayarajh's adjusted one.
    """

    store: str
    model: str
    layers: tuple[int | str, ...]
    constant: tuple[int | str, ...]
    anisotropy: tuple[float, ...]
    self_similarity: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Rows of the matrices are layers of `first`, columns layers of `second` (or of `first` again).

    Attributes:
        first, second: the sides; None if there is one store.
        unit: what a row is.
        cka: debiased linear CKA; NaN beside a constant layer.
        overlap: mean share of common neighbours; NaN beside a constant layer.
        neighbours: how many neighbours a row has for `overlap`.
        chance: overlap of unrelated layers.
        rows: rows that CKA was computed on, of `of_rows`; neighbour_rows: rows for the neighbours.
        words: words in the self-similarity.
        seed: of the samples.
        notes: what a reader should know, a sentence each.
    """

    first: Compared
    second: Compared | None
    unit: str
    cka: Matrix
    overlap: Matrix
    neighbours: int
    chance: float
    rows: int
    of_rows: int
    neighbour_rows: int
    words: int
    seed: int
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return asdict(self)
