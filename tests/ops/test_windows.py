"""What `plan` promises of its windows, each promise against all windows by brute force."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from layerwise.errors import UsageError
from layerwise.ops.windows import Windows, default_stride, plan

Case = tuple[int, int, int]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Tokens, capacity, stride: any that `plan` accepts, near the edges as often as far from them."""
    capacity = draw(st.integers(1, 24))
    stride = draw(st.integers(0, capacity - 1))
    return draw(st.integers(0, 120)), capacity, stride


@st.composite
def long_cases(draw: st.DrawFn) -> Case:
    """Cases that need more than one window."""
    _, capacity, stride = draw(cases())
    return capacity + draw(st.integers(1, 100)), capacity, stride


def contexts(windows: Windows, num_tokens: int) -> np.ndarray:
    """Tokens between each token and the nearest cut of each window, -1 outside it: (windows, tokens).

    An edge of the text is no cut, however near: there is nothing behind it to be missed.
    """
    best = np.full((len(windows), num_tokens), -1, np.int64)
    for window, (start, end) in enumerate(zip(windows.start, windows.end, strict=True)):
        for token in range(start, end):
            left = token - start if start > 0 else num_tokens
            right = end - 1 - token if end < num_tokens else num_tokens
            best[window, token] = min(left, right)
    return best


@given(cases())
def test_every_token_is_in_the_window_that_owns_it(case: Case) -> None:
    windows = plan(*case)
    assert len(windows.owner) == case[0]
    assert (windows.start[windows.owner] <= np.arange(case[0])).all()
    assert (np.arange(case[0]) < windows.end[windows.owner]).all()


@given(cases())
def test_windows_run_from_the_first_token_to_the_last(case: Case) -> None:
    windows = plan(*case)
    assert windows.start[0] == 0
    assert windows.end[-1] == case[0]
    assert (np.diff(windows.start) > 0).all()


@given(cases())
@example((0, 1, 0))
@example((24, 24, 23))
def test_what_fits_is_one_window_and_what_does_not_is_more(case: Case) -> None:
    num_tokens, capacity, _ = case
    windows = plan(*case)
    assert (len(windows) == 1) == (num_tokens <= capacity)
    if len(windows) == 1:
        assert (windows.start.tolist(), windows.end.tolist()) == ([0], [num_tokens])
        assert windows.owner.tolist() == [0] * num_tokens


@given(long_cases())
def test_every_window_is_full_when_there_is_more_than_one(case: Case) -> None:
    windows = plan(*case)
    assert (windows.end - windows.start == case[1]).all()


@given(long_cases())
def test_neighbours_overlap_by_at_least_stride_and_all_but_the_last_by_just_that(case: Case) -> None:
    windows = plan(*case)
    overlap = windows.end[:-1] - windows.start[1:]
    assert (overlap >= case[2]).all()
    assert (overlap[:-1] == case[2]).all()


@given(long_cases())
def test_no_plan_with_this_overlap_has_fewer_windows(case: Case) -> None:
    num_tokens, capacity, stride = case
    fewer = len(plan(*case)) - 1
    assert capacity + (fewer - 1) * (capacity - stride) < num_tokens


@given(long_cases())
@example((20, 10, 9))
def test_no_window_gives_a_token_more_context_than_its_owner_and_ties_go_to_the_earlier(case: Case) -> None:
    windows = plan(*case)
    assert windows.owner.tolist() == contexts(windows, case[0]).argmax(axis=0).tolist()


@given(long_cases())
def test_at_least_half_the_stride_is_between_a_token_and_a_cut(case: Case) -> None:
    windows = plan(*case)
    context = contexts(windows, case[0])[windows.owner, np.arange(case[0])]
    assert context.min() >= case[2] // 2


@given(cases())
def test_each_window_owns_one_run_of_tokens(case: Case) -> None:
    windows = plan(*case)
    assert (np.diff(windows.owner) >= 0).all()
    assert (np.diff(windows.owner) <= 1).all()


def test_a_small_plan_is_as_drawn_by_hand() -> None:
    windows = plan(10, 6, 2)  # 012345 / 456789
    assert windows.start.tolist() == [0, 4]
    assert windows.end.tolist() == [6, 10]
    assert windows.owner.tolist() == [0, 0, 0, 0, 0, 1, 1, 1, 1, 1]


def test_the_last_window_is_moved_left_to_be_full() -> None:
    windows = plan(11, 6, 2)  # 012345 / 456789 / 56789(10)
    assert windows.start.tolist() == [0, 4, 5]
    assert windows.end.tolist() == [6, 10, 11]


@pytest.mark.parametrize("num_tokens", [0, 4, 100])
@pytest.mark.parametrize(("capacity", "stride"), [(8, -1), (8, 8), (8, 9), (1, 1), (0, 0)])
def test_a_stride_out_of_range_is_a_usage_error(num_tokens: int, capacity: int, stride: int) -> None:
    with pytest.raises(UsageError, match=f"windows of {capacity} tokens cannot overlap by {stride}"):
        plan(num_tokens, capacity, stride)


def test_the_error_names_the_strides_that_are_possible() -> None:
    with pytest.raises(UsageError, match="expected a stride of 0 to 7"):
        plan(100, 8, 8)


@pytest.mark.parametrize(
    ("capacity", "stride"), [(1, 0), (3, 0), (4, 1), (126, 31), (255, 63), (256, 64), (510, 64), (8190, 64)]
)
def test_the_default_stride_is_a_quarter_of_the_window_and_at_most_64(capacity: int, stride: int) -> None:
    assert default_stride(capacity) == stride


@given(st.integers(1, 10_000))
def test_the_default_stride_is_always_in_range(capacity: int) -> None:
    plan(capacity + 1, capacity, default_stride(capacity))
