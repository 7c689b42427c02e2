"""Batches: every text once, none over the budget, longest first."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from layerwise.text.batching import by_tokens, padded

LENGTHS = st.lists(st.integers(0, 20))
BUDGET = st.integers(1, 50)


@given(LENGTHS, BUDGET)
def test_every_text_once_longest_first(lengths: list[int], budget: int) -> None:
    for cut in (by_tokens, padded):
        order = [index for batch in cut(lengths, budget) for index in batch]
        assert order == sorted(range(len(lengths)), key=lambda i: (-lengths[i], i))


@given(LENGTHS, BUDGET)
def test_within_the_budget(lengths: list[int], budget: int) -> None:
    for batch in by_tokens(lengths, budget):
        assert batch
        assert len(batch) == 1 or sum(lengths[i] for i in batch) <= budget
    for batch in padded(lengths, budget):
        assert batch
        assert len(batch) == 1 or len(batch) * max(lengths[i] for i in batch) <= budget


def test_examples() -> None:
    assert by_tokens([3, 9, 3, 4], 7) == [[1], [3, 0], [2]]
    assert padded([3, 4, 3, 2], 8) == [[1, 0], [2, 3]]
    assert by_tokens([], 7) == []
