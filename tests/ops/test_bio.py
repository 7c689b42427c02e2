"""Tags and spans: reading them as conlleval does, and decoding nothing that the scheme forbids."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from layerwise.ops.bio import Grammar, Span, best_path, scheme_of, spans_of, tags_of

BIO = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")
IOBES = ("O", "B-PER", "I-PER", "E-PER", "S-PER", "B-LOC", "I-LOC", "E-LOC", "S-LOC")


@pytest.mark.parametrize(
    ("tags", "spans"),
    [
        (["B-PER", "I-PER", "O", "B-LOC"], [Span(0, 2, "PER"), Span(3, 4, "LOC")]),
        (["B-PER", "B-PER"], [Span(0, 1, "PER"), Span(1, 2, "PER")]),
        (["I-PER", "I-PER", "I-LOC"], [Span(0, 2, "PER"), Span(2, 3, "LOC")]),  # IOB1
        (["B-PER", "I-PER", "E-PER", "S-LOC"], [Span(0, 3, "PER"), Span(3, 4, "LOC")]),
        (["B_PER", "M_PER", "E_PER"], [Span(0, 3, "PER")]),  # BMES, as Chinese sets have it
        (["U-PER", "B-LOC", "L-LOC"], [Span(0, 1, "PER"), Span(1, 3, "LOC")]),  # BILOU
        (["B", "I", "O", "B"], [Span(0, 2, ""), Span(3, 4, "")]),  # one type, which has no name
        ([], []),
    ],
)
def test_tags_are_read_as_spans(tags: list[str], spans: list[Span]) -> None:
    assert spans_of(tags) == spans


def test_which_tags_stand_for_spans() -> None:
    assert scheme_of(BIO) == "BIO"
    assert scheme_of(IOBES) == "IOBES"
    assert scheme_of(["NOUN", "VERB"]) is None
    assert scheme_of(["O"]) is None
    assert scheme_of(["B", "I"]) is None  # labels that are letters
    assert scheme_of(["B", "M", "E", "S"]) is None  # word segmentation, where nothing is outside
    assert scheme_of(["B", "I", "O"]) == "BIO"
    assert scheme_of(["B", "I", "O", "I-PER"]) is None


@given(st.lists(st.sampled_from(BIO), max_size=12))
def test_spans_of_tags_of_spans(tags: list[str]) -> None:
    spans = spans_of(tags)
    assert spans_of(tags_of(spans, len(tags))) == spans
    bare = [tag[0] for tag in tags]
    assert spans_of(tags_of(spans_of(bare), len(bare))) == spans_of(bare)


@pytest.mark.parametrize("tags", [BIO, IOBES])
def test_the_best_path_is_the_best_of_all_legal_ones(tags: tuple[str, ...]) -> None:
    grammar = Grammar.of(tags)
    draw = np.random.default_rng(0)
    for words in (1, 2, 3, 4):
        scores = draw.normal(size=(words, len(tags)))
        legal = [
            path
            for path in product(range(len(tags)), repeat=words)
            if grammar.start[path[0]]
            and grammar.end[path[-1]]
            and all(grammar.step[a, b] for a, b in pairwise(path))
        ]
        best = max(legal, key=lambda path: sum(scores[word, tag] for word, tag in enumerate(path)))
        assert tuple(best_path(scores, grammar)) == best
    assert best_path(np.zeros((0, len(tags))), grammar) == []


def test_what_a_grammar_allows() -> None:
    grammar = Grammar.of(BIO)
    allowed = {(a, b) for a, b in product(BIO, BIO) if grammar.step[BIO.index(a), BIO.index(b)]}
    assert ("B-PER", "I-PER") in allowed
    assert ("B-PER", "I-LOC") not in allowed
    assert ("O", "I-PER") not in allowed
    assert not grammar.start[BIO.index("I-PER")]
    closing = Grammar.of(IOBES)
    assert not closing.end[IOBES.index("B-PER")]
    assert not closing.step[IOBES.index("B-PER"), IOBES.index("O")]
    assert closing.step[IOBES.index("S-PER"), IOBES.index("B-LOC")]


def test_i_may_open_where_b_does_not_exist_or_the_scheme_is_not_known() -> None:
    only_inside = Grammar.of(["O", "I-X"])
    assert only_inside.start.all() and only_inside.step.all()
    labels = ["O", "B-X", "I-X"]
    assert not Grammar.of(labels).start[2]
    assert Grammar.of(labels, strict=False).start[2]


def test_spans_in_another_scheme() -> None:
    tags, iobes = ["B-X", "I-X", "I-X", "O", "B-Y"], ["B-X", "I-X", "E-X", "O", "S-Y"]
    assert tags_of(spans_of(tags), len(tags), "IOBES") == iobes
    assert tags_of(spans_of(iobes), len(tags)) == tags
