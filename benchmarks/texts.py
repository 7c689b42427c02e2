"""The texts that the benchmarks run on: real prose, cut to mixed lengths."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import numpy as np

PROSE = Path(__file__).parent.parent / "examples" / "prose_en.txt"


@cache
def _words() -> tuple[str, ...]:
    return tuple(re.findall(r"\S+", PROSE.read_text(encoding="utf-8")))


def mixed_length(count: int, seed: int = 0, longest: int = 140) -> list[str]:
    """Texts of about 28 tokens on average, 4 to some 190, in random order.

    Lengths in words are log-normal (median 15, σ 0.75), as lengths of sentences are; each text is a run of
    consecutive words of the prose.
    """
    rng = np.random.default_rng(seed)
    lengths = np.clip(rng.lognormal(np.log(15), 0.75, count), 2, longest).astype(int)
    words = _words()
    first = rng.integers(0, len(words) - longest, count)
    return [" ".join(words[f : f + n]) for f, n in zip(first, lengths, strict=True)]
