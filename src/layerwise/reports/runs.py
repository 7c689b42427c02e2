"""What a run of `extract` tells while it goes on and at its end, and what a store holds."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is.

    Attributes:
        texts, tokens: encoded so far in this run, special tokens included.
        seconds: since the run began to encode.
        share: of the source that is encoded, 0 to 1; None where its size is unknown.
        layers: number of layers extracted.
        bytes_written: to the store, by this run.
        resumed_from: texts that an earlier run had committed.
    """

    texts: int
    tokens: int
    seconds: float
    share: float | None
    layers: int
    bytes_written: int
    resumed_from: int


@dataclass(frozen=True, slots=True)
class Totals:
    """What a store holds.

    Attributes:
        path: the store.
        texts, rows, tokens: special tokens are not counted.
        not_embedded: rows whose unit got no token.
        windowed_texts: texts longer than one window.
        truncated_texts, truncated_tokens: what was cut off (0 unless `long_text="truncate"`).
        bytes: size on disk.
    """

    path: str
    texts: int
    rows: int
    tokens: int
    not_embedded: int
    windowed_texts: int
    truncated_texts: int
    truncated_tokens: int
    bytes: int

    def to_dict(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class ExtractSummary(Totals):
    """What a finished run left, earlier parts of it included.

    Attributes:
        layers: names of the layers, in order.
        unit: what a row is.
        seconds, tokens_per_second: of this run alone; its tokens include the special ones.
        resumed_from: texts that an earlier run had committed.
        engine: `"packed"` or `"padded"`.
        note: why the model runs padded; else empty.
    """

    layers: tuple[int | str, ...]
    unit: str
    seconds: float
    tokens_per_second: float
    resumed_from: int
    engine: str
    note: str
