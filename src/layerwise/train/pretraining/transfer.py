"""A new vocabulary for a trained model: what it has learned of the old pieces goes over to the new ones.

A piece that both vocabularies have keeps its vector; another begins as the mean of the old pieces that it is made of
(Gee et al. 2022, §3, fast vocabulary transfer); one that the old vocabulary cannot spell, such as most Chinese
characters in an English one, is drawn from the normal distribution that the old vectors have (Hewitt 2021).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

ROLES = ("cls_token", "sep_token", "mask_token", "pad_token", "unk_token")
INSIDE = "##"


@dataclass(frozen=True)
class Transfer:
    """Which old pieces each new piece begins as.

    Attributes:
        sources: for each new piece ids of old ones; empty: the old vocabulary cannot spell it.
        kept: how many are in both vocabularies.
    """

    sources: tuple[tuple[int, ...], ...]
    kept: int

    @classmethod
    def between(cls, old: Any, new: Any) -> Transfer:
        """From the vocabulary of one tokenizer to that of another."""
        pieces = new.convert_ids_to_tokens(list(range(len(new))))
        known = old.get_vocab()
        same = {
            getattr(new, role): known[getattr(old, role)] for role in ROLES if getattr(old, role) is not None
        }
        same |= {piece: known[piece] for piece in pieces if piece in known and piece not in same}
        others = [piece for piece in pieces if piece not in same]
        spelled = dict(zip(others, _spell(old, [one.removeprefix(INSIDE) for one in others]), strict=True))
        sources = tuple((same[piece],) if piece in same else spelled[piece] for piece in pieces)
        return cls(sources, len(same))

    @property
    def made(self) -> int:
        """How many begin as the mean of others."""
        return sum(map(bool, self.sources)) - self.kept

    @property
    def random(self) -> int:
        """How many begin at random."""
        return len(self.sources) - self.kept - self.made

    def vectors(self, old: Tensor) -> Tensor:
        """(old pieces, dim) as (new pieces, dim); those that cannot be spelled are drawn anew at each call."""
        following = iter(_alike(old, self.random))
        return self._placed(old, lambda: next(following))

    def numbers(self, old: Tensor) -> Tensor:
        """(old pieces,) as (new pieces,); those that cannot be spelled get the mean."""
        return self._placed(old, lambda: old.mean(0))

    def _placed(self, old: Tensor, otherwise: Callable[[], Tensor]) -> Tensor:
        rows = [old[list(ids)].mean(0) if ids else otherwise() for ids in self.sources]
        return torch.stack(rows)


def _spell(tokenizer: Any, words: Sequence[str]) -> list[tuple[int, ...]]:
    """The ids of each word's pieces; none where one of them is unknown."""
    if not words:
        return []
    found = tokenizer(list(words), add_special_tokens=False)["input_ids"]
    unknown = tokenizer.unk_token_id
    return [() if unknown in ids else tuple(ids) for ids in found]


def _alike(vectors: Tensor, number: int) -> Tensor:
    """So many drawn from the normal distribution with the mean and the covariance of the rows."""
    if not number:
        return vectors[:0]
    values, axes = torch.linalg.eigh(torch.cov(vectors.T.double()))  # a covariance may have no Cholesky root
    spread = axes * values.clamp_min(0).sqrt()
    drawn = torch.randn(number, len(values), dtype=torch.float64) @ spread.T
    found: Tensor = vectors.mean(0) + drawn.to(vectors.dtype)
    return found
