"""Signals of layers that need no label, and what they can and cannot say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

MEANING: Mapping[str, str] = {
    "mean_cosine": (
        "Anisotropy: mean cosine of two rows (Ethayarajh 2019). Near 1, raw cosines say little because all "
        "vectors share a direction. It does not say that information is missing."
    ),
    "centred_cosine": (
        "The same after the mean is removed. Near 0 here and high before, the shared direction was only the "
        "mean: subtract it before you compare vectors."
    ),
    "effective_rank": (
        "How many directions the variance is spread over (Roy & Vetterli 2007). Low: a few directions "
        "dominate. High does not mean better: noise has full rank, and the rank says nothing about whether "
        "the variance is the information you want."
    ),
    "rank_me": (
        "The same for singular values of the vectors as they are (Garrido et al. 2023). Proposed for "
        "choosing among self-supervised models; between layers of one model it is a hint, not a ranking."
    ),
    "two_views": (
        "Share of texts whose one half of the words finds the other half of the same text. High: a word's vector "
        "carries its text. Both halves were encoded in one text, so attention has mixed them already and the share "
        "rises with depth for that reason too; whether it is the topic or something else, it does not say."
    ),
}
"""What each signal can and cannot say, a sentence or two each."""

SIGNALS: Mapping[str, tuple[str, int]] = {
    "mean_cosine": ("mean cosine", 3),
    "centred_cosine": ("mean removed", 3),
    "effective_rank": ("effective rank", 1),
    "rank_me": ("RankMe", 1),
    "two_views": ("two views", 3),
}
"""Field of a layer's signals to its name in tables, and the digits shown."""

CAUTION = (
    "No label was seen. Such signals correlate with scores on tasks (Skean et al. 2025, Layer by Layer), they do "
    "not replace them: with a hundred labelled examples, `layerwise probe --label` is the better judge."
)


@dataclass(frozen=True, slots=True)
class LayerSignals:
    """Signals of one layer; NaN where one cannot be computed.

    Attributes:
        layer: number, `"final"` or `"mix"`.
        mean_cosine, centred_cosine: anisotropy before and after removing the mean.
        effective_rank: of the centred covariance.
        rank_me: of the vectors as they are.
        two_views: retrieval of a text's other half.
        constant: whether all rows are the same; then only `mean_cosine` and `rank_me` say anything.
    """

    layer: int | str
    mean_cosine: float
    centred_cosine: float
    effective_rank: float
    rank_me: float
    two_views: float
    constant: bool


@dataclass(frozen=True, slots=True)
class SignalsReport:
    """What `layerwise probe --unsupervised` finds.

    Attributes:
        store: its path; model: that of the store; unit: what a row is.
        layers: an entry a layer, in order.
        rows: rows looked at, of `of_rows`; those not embedded count in neither signal.
        two_view_texts: texts in the two-view test; chance: its chance level (NaN without it).
        seed: of the sample and of the halves.
        notes: what could not be computed and why, and `CAUTION`.
    """

    store: str
    model: str
    unit: str
    layers: tuple[LayerSignals, ...]
    rows: int
    of_rows: int
    two_view_texts: int
    chance: float
    seed: int
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return asdict(self) | {"meaning": dict(MEANING)}
