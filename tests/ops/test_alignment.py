"""Words and tokens over mixed scripts, each compared with a slow way to say the same."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from layerwise.ops.alignment import (
    WORD_FINDERS,
    Spans,
    assign,
    attach_marks,
    is_space,
    trim,
    unicode_words,
    whitespace_words,
)

MARKS = (
    *("\u0301", "\u0308", "\u0327", "\u064e", "\u0651", "\u0670", "\u05b8", "\u0903", "\u3099"),
    *("\u20dd", "\u20e3", "\ufe0e", "\ufe0f", "\u200c", "\u200d", "\U000e0100", "\U000e0067"),
)
SPACES = (" ", "\t", "\n", "\r", "\x0b", "\x1c", "\x1f", "\x85", "\u00a0", "\u2003", "\u2028", "\u3000")
OTHERS = (
    *("a", "Z", "é", "ß", "7", "_", ".", ",", "'", '"', "’", "-", "汉", "字", "𠮷", "か", "カ", "ー", "한"),
    *("ا", "ب", "ت", "ש", "👩", "👧", "❤", "☝", "🏽", "🇩", "🇪", "\x00", "\x07", "\x7f", "\xad", "\u200b"),
    *("\ufeff", "\ud800", "\udfff", "\U0010ffff"),
)
TEXTS = st.lists(
    st.sampled_from(OTHERS) | st.sampled_from(OTHERS) | st.sampled_from(MARKS) | st.sampled_from(SPACES),
    max_size=24,
).map("".join) | st.text(st.characters(), max_size=12)
MARKED_TEXTS = st.lists(st.sampled_from(OTHERS + MARKS + MARKS + SPACES), max_size=24).map("".join)
FINDERS = pytest.mark.parametrize("find", WORD_FINDERS.values(), ids=WORD_FINDERS)

Pair = tuple[int, int]


def array(pairs: list[Pair]) -> Spans:
    return np.array(pairs, np.int64).reshape(-1, 2)


def pairs(spans: Spans) -> list[Pair]:
    return [(start, end) for start, end in spans.tolist()]


@st.composite
def texts_with_spans(draw: st.DrawFn) -> tuple[str, list[Pair]]:
    """A text and spans in it, in any order; they may overlap or have no width."""
    text = draw(TEXTS)
    edge = st.integers(0, len(text))
    spans = draw(st.lists(st.tuples(edge, edge), max_size=8))
    return text, [(min(span), max(span)) for span in spans]


@st.composite
def disjoint_spans(draw: st.DrawFn, size: int = 30) -> list[Pair]:
    """Sorted spans that do not overlap, each at least one character wide."""
    edges = sorted(draw(st.sets(st.integers(0, size), max_size=16)))
    spans = list(pairwise(edges))
    kept = draw(st.lists(st.booleans(), min_size=len(spans), max_size=len(spans)))
    return [span for span, keep in zip(spans, kept, strict=True) if keep]


@FINDERS
@given(text=TEXTS)
def test_words_are_sorted_disjoint_and_not_empty(find: Callable[[str], Spans], text: str) -> None:
    edges = find(text).ravel().tolist()
    assert edges == sorted(edges)
    assert all(0 <= start < end <= len(text) for start, end in find(text))


@FINDERS
@given(text=TEXTS)
def test_words_hold_no_white_space(find: Callable[[str], Spans], text: str) -> None:
    assert not any(character.isspace() for start, end in find(text) for character in text[start:end])


@FINDERS
@given(text=TEXTS)
def test_words_and_the_gaps_of_white_space_between_them_give_back_the_text(
    find: Callable[[str], Spans], text: str
) -> None:
    edges = [0, *find(text).ravel().tolist(), len(text)]
    parts = [text[start:end] for start, end in pairwise(edges)]
    assert "".join(parts) == text
    assert all(not gap or gap.isspace() for gap in parts[::2])


@given(text=TEXTS)
def test_whitespace_words_are_those_of_split(text: str) -> None:
    assert [text[start:end] for start, end in whitespace_words(text)] == text.split()


@given(text=TEXTS)
def test_no_unicode_word_reaches_over_white_space(text: str) -> None:
    inside = assign(unicode_words(text), whitespace_words(text))[0]
    assert sorted(inside.tolist()) == list(range(len(unicode_words(text))))


def test_is_space_is_what_isspace_says_of_every_code_point() -> None:
    everything = "".join(map(chr, range(0x110000)))
    assert is_space(everything).tolist() == [character.isspace() for character in everything]


def slow_trim(text: str, span: Pair) -> Pair:
    start, end = span
    surface = text[start:end]
    if not surface.strip():
        return span
    return start + len(surface) - len(surface.lstrip()), end - len(surface) + len(surface.rstrip())


@given(texts_with_spans())
@example((" a ", [(0, 3), (3, 3), (0, 0), (0, 1)]))
def test_trim_strips_each_span(given_: tuple[str, list[Pair]]) -> None:
    text, spans = given_
    assert pairs(trim(text, array(spans))) == [slow_trim(text, span) for span in spans]


@given(texts_with_spans())
def test_trim_twice_is_trim_once_and_leaves_its_argument_alone(given_: tuple[str, list[Pair]]) -> None:
    text, spans = given_
    before = array(spans)
    once = trim(text, before)
    assert pairs(trim(text, once)) == pairs(once)
    assert pairs(before) == spans
    assert not np.shares_memory(once, before)


def slow_attach(text: str, spans: list[Pair], index: int) -> Pair:
    start, end = spans[index]
    if start == end or text[end - 1].isspace():
        return start, end
    covered = {place for other in spans for place in range(*other)}
    while end < len(text) and text[end] in MARKS and end not in covered:
        end += 1
    return start, end


@given(text=MARKED_TEXTS, data=st.data())
def test_marks_behind_a_span_become_part_of_it(text: str, data: st.DataObject) -> None:
    spans = data.draw(disjoint_spans(size=len(text)))
    expected = [slow_attach(text, spans, index) for index in range(len(spans))]
    assert pairs(attach_marks(text, array(spans))) == expected


@pytest.mark.parametrize(
    "spans",
    [
        pytest.param([(0, 1), (1, 2)], id="sound"),
        pytest.param([(0, 2), (1, 3)], id="the-mark-is-covered-by-a-span-that-starts-before-it"),
        pytest.param([(0, 1), (1, 2), (2, 2)], id="a-span-without-width-covers-nothing"),
    ],
)
def test_marks_that_no_other_span_covers_are_attached(spans: list[Pair]) -> None:
    text = "ae\u0301"
    expected = [slow_attach(text, spans, index) for index in range(len(spans))]
    assert pairs(attach_marks(text, array(spans))) == expected


@given(text=TEXTS, data=st.data())
def test_attached_marks_make_no_spans_overlap(text: str, data: st.DataObject) -> None:
    spans = attach_marks(text, array(data.draw(disjoint_spans(size=len(text)))))
    edges = spans.ravel().tolist()
    assert edges == sorted(edges)


@given(
    tokens=st.lists(st.tuples(st.integers(0, 30), st.integers(0, 5)), max_size=20),
    words=disjoint_spans(),
)
def test_assign_finds_every_pair_that_overlaps(tokens: list[Pair], words: list[Pair]) -> None:
    spans = [(start, start + width) for start, width in tokens]
    token, word = assign(array(spans), array(words))
    assert list(zip(word.tolist(), token.tolist(), strict=True)) == [
        (w, t)
        for w, (word_start, word_end) in enumerate(words)
        for t, (start, end) in enumerate(spans)
        if max(start, word_start) < min(end, word_end)
    ]


def test_a_token_over_two_words_belongs_to_each() -> None:
    token, word = assign(array([(0, 2), (2, 3)]), unicode_words("这本书"))
    assert (token.tolist(), word.tolist()) == ([0, 0, 1], [0, 1, 2])


def test_a_word_without_width_gets_no_token() -> None:
    token, word = assign(array([(0, 5)]), array([(2, 2)]))
    assert (token.tolist(), word.tolist()) == ([], [])
