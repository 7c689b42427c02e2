"""Pairs of sentences for next-sentence prediction, as BERT makes them (Devlin et al. 2019, §A.2).

After Google's `create_pretraining_data.py`: sentences of a document are taken until a pair is as long as the model
reads; in half of the pairs the second part is what follows, in the other half it comes from another document; a tenth
of the documents is cut into shorter pairs. The other document is drawn from the same source: in a corpus of several
languages the language alone would give the answer away.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from layerwise.train.pretraining.corpus import Corpus

SHORT = 0.1
"""Share of documents whose pairs have a length drawn at random."""

Pairs = npt.NDArray[np.int64]
"""(pairs, 5): begin and end of the first part and of the second in the corpus's tokens; 1 if the second is random."""


def build_pairs(
    corpus: Corpus,
    groups: Sequence[Sequence[int]],
    longest: int,
    seed: int,
    every: Sequence[int] | None = None,
) -> Pairs:
    """All pairs of one pass over some documents, in an order drawn at random.

    Args:
        groups: numbers of documents, by source.
        longest: tokens of a sequence, its three special tokens included.
        seed: of everything that is drawn.
        every: all documents, where a group of one looks for another; None: those of the groups.
    """
    draw = random.Random(seed)
    every = [document for group in groups for document in group] if every is None else every
    pairs: list[tuple[int, int, int, int, int]] = []
    for group in groups:
        owed = 0
        others = group if len(group) > 1 else every
        for document in group:
            found, owed = _pairs_of(corpus, document, others, longest - 3, draw, owed)
            pairs += found
    table = np.array(pairs, np.int64).reshape(-1, 5)
    return table[np.random.default_rng(seed).permutation(len(table))]


def _pairs_of(
    corpus: Corpus, document: int, others: Sequence[int], longest: int, draw: random.Random, owed: int
) -> tuple[list[tuple[int, int, int, int, int]], int]:
    """The pairs of a document, and how many true ones are owed.

    A sentence as long as a pair leaves no room for what follows, and its pair has to be a random one. In Google's script
    most pairs are random then; here the next that can be true is, so that they stay half and half.
    """
    first, last = int(corpus.documents[document]), int(corpus.documents[document + 1])
    bounds = corpus.sentences[first : last + 1].tolist()
    target = draw.randint(2, longest) if draw.random() < SHORT else longest
    pairs = []
    begin = at = 0
    while at < last - first:
        at += 1
        if at < last - first and bounds[at] - bounds[begin] < target:
            continue
        middle = begin + (draw.randint(1, at - begin - 1) if at - begin >= 2 else 1)
        one = bounds[begin], bounds[middle]
        alone = at - begin == 1
        if alone or (owed <= 0 and draw.random() < 0.5):
            owed += alone
            two = _elsewhere(corpus, document, others, target - (one[1] - one[0]), draw)
            pairs.append((*_fitted(*one, *two, longest, draw), 1))
            at = middle  # what follows was not used, and begins the next pair
        else:
            owed = max(owed - 1, 0)
            pairs.append((*_fitted(*one, bounds[middle], bounds[at], longest, draw), 0))
        begin = at
    return pairs, owed


def _elsewhere(
    corpus: Corpus, document: int, others: Sequence[int], length: int, draw: random.Random
) -> tuple[int, int]:
    """Sentences of another document, from a random one on, until they have `length` tokens."""
    other = document
    while other == document:
        other = others[draw.randrange(len(others))]
    first, last = int(corpus.documents[other]), int(corpus.documents[other + 1])
    at = draw.randrange(first, last)
    begin = int(corpus.sentences[at])
    while at < last:
        at += 1
        if corpus.sentences[at] - begin >= length:
            break
    return begin, int(corpus.sentences[at])


def _fitted(a: int, b: int, c: int, d: int, longest: int, draw: random.Random) -> tuple[int, int, int, int]:
    """Cut a pair to `longest` tokens: from the longer part, at its beginning or end by chance."""
    while (b - a) + (d - c) > longest:
        excess = (b - a) + (d - c) - longest
        front = draw.random() < 0.5
        if b - a > d - c:
            cut = min(excess, (b - a) - (d - c))
            a, b = (a + cut, b) if front else (a, b - cut)
        else:
            cut = min(excess, max((d - c) - (b - a), (excess + 1) // 2))
            c, d = (c + cut, d) if front else (c, d - cut)
    return a, b, c, d
