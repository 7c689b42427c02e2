"""What makes the scores of pretraining mean less than they say."""

from __future__ import annotations

import numpy as np

from layerwise.train.pretraining.corpus import Corpus, Part

AT_ONCE = 1 << 24
"""Tokens that are looked at together, which are on the disk."""

MANY_UNKNOWN = 0.05
"""Share of tokens without a piece of their own from which a source is named."""

LOPSIDED, ENOUGH = 0.9, 10
"""Share of random pairs, and number of pairs, from which there is no next sentence to be learned."""


def remarks(corpus: Corpus, unknown: int | None, pairs: int, random: int) -> list[str]:
    """Sentences about unknown tokens, and about pairs of one kind.

    Args:
        unknown: id of [UNK].
        pairs, random: how many pairs were made, and how many of them have a random second part.
    """
    found = []
    for part in corpus.parts:
        share = _share(corpus, part, unknown)
        if share >= MANY_UNKNOWN:
            found.append(
                f"{share:.0%} of the tokens of {part.name} are [UNK], for which the vocabulary has no piece: they are "
                "easily predicted, and count in its accuracy; a larger or new vocabulary has pieces for them (pretrain "
                "--vocab-size)."
            )
    if pairs >= ENOUGH and random >= LOPSIDED * pairs:
        found.append(
            f"{random / pairs:.0%} of the pairs are random ones, since most documents have one sentence, which nothing "
            "follows: the accuracy of next sentences says nothing."
        )
    return found


def _share(corpus: Corpus, part: Part, token: int | None) -> float:
    """Of the tokens of a source, those that are `token`."""
    first, last = (int(corpus.sentences[corpus.documents[number]]) for number in (part.first, part.last))
    pieces = (corpus.tokens[at : min(at + AT_ONCE, last)] for at in range(first, last, AT_ONCE))
    return sum(np.count_nonzero(piece == token) for piece in pieces) / max(last - first, 1)
