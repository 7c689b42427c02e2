"""Whether two stores hold the same rows."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from layerwise.errors import StoreMismatchError
from layerwise.store.reader import Store

COLUMNS = ("text_id", "unit_id", "unit")
AT_ONCE = 8_192
ADVICE = (
    "extract both from one source, words with --words unicode (or given) so that no model's tokenizer decides"
)


def refuse_other_rows(first: Store, second: Store) -> None:
    """Two stores can be compared if row for row they hold the same units of the same texts; streamed.

    Raises:
        StoreMismatchError: they do not; the message names the first difference.
    """
    both = f"{first.path} and {second.path}"
    if first.unit != second.unit:
        raise StoreMismatchError(
            f"{both} hold different units, {first.unit}s and {second.unit}s: extract both with the same --unit."
        )
    for row, (one, other) in enumerate(zip(_batches(first), _batches(second), strict=False)):
        here, there = one.slice(0, other.num_rows), other.slice(0, one.num_rows)
        if not here.equals(there):
            raise StoreMismatchError(_difference(both, here, there, row * AT_ONCE))
    if first.num_rows != second.num_rows:
        raise StoreMismatchError(
            f"{both} hold different rows, {first.num_rows:,} and {second.num_rows:,}: {ADVICE}."
        )


def _batches(store: Store) -> Iterator[pa.Table]:
    """Batches of exactly `AT_ONCE` rows (the last one apart), wherever fragments end."""
    for first in range(0, store.num_rows, AT_ONCE):
        span = (first, min(first + AT_ONCE, store.num_rows))
        yield pa.Table.from_batches(store.batches(list(COLUMNS), rows=span)).combine_chunks()


def _difference(both: str, one: pa.Table, other: pa.Table, first: int) -> str:
    pairs = zip(one.to_pylist(), other.to_pylist(), strict=True)
    place, here, there = next((n, a, b) for n, (a, b) in enumerate(pairs) if a != b)
    return (
        f"{both} hold different rows: row {first + place} is {_said(here)} in the first and {_said(there)} in the "
        f"second; {ADVICE}."
    )


def _said(row: dict[str, object]) -> str:
    surface = str(row["unit"])
    shown = surface if len(surface) <= 40 else surface[:39] + "…"
    return f"{shown!r} (text {row['text_id']}, unit {row['unit_id']})"
