"""Pairs of a corpus as packed batches: which pair stands at which place of the training, and its masks."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from layerwise.train.masking import Ints, Masking
from layerwise.train.pretraining.corpus import Corpus
from layerwise.train.pretraining.pairs import Pairs, build_pairs


@dataclass(frozen=True)
class MaskedPair:
    """One masked pair: ids and token types with special tokens, the masked positions, what stood there."""

    input_ids: Ints
    token_type_ids: Ints
    places: Ints
    labels: Ints
    random_next: int


@dataclass(frozen=True)
class Frame:
    """Ids of the tokens around a pair."""

    cls: int
    sep: int


def masked_pair(corpus: Corpus, pair: Any, frame: Frame, masking: Masking, seed: Sequence[int]) -> MaskedPair:
    """[CLS] first part [SEP] second part [SEP], masked as `seed` says."""
    a, b, c, d, random_next = (int(one) for one in pair)
    one, two = corpus.tokens[a:b].astype(np.int64), corpus.tokens[c:d].astype(np.int64)
    ids = np.concatenate([[frame.cls], one, [frame.sep], two, [frame.sep]])
    types = np.zeros(len(ids), np.int64)
    types[len(one) + 2 :] = 1
    maskable = np.concatenate([np.arange(1, 1 + len(one)), np.arange(len(one) + 2, len(ids) - 1)])
    draw = np.random.default_rng(list(seed))
    places = masking.choose(ids, maskable, draw)
    return MaskedPair(masking.replace(ids, places, draw), types, places, ids[places], random_next)


class PairDataset(Dataset[MaskedPair]):
    """All pairs of a training, pass after pass over the documents: what stands at a place depends on the seed alone."""

    def __init__(
        self,
        corpus: Corpus,
        groups: Sequence[Sequence[int]],
        longest: int,
        frame: Frame,
        masking: Masking,
        seed: int,
        count: int,
    ) -> None:
        self._corpus, self._groups, self._longest = corpus, groups, longest
        self._frame, self._masking, self._seed, self._count = frame, masking, seed, count
        self._passes = lru_cache(maxsize=2)(self._pass)
        self._ends: list[int] = []

    def _pass(self, number: int) -> Pairs:
        return build_pairs(self._corpus, self._groups, self._longest, self._seed * 1_000_003 + number)

    @property
    def first_pass(self) -> Pairs:
        """Pairs of the first pass over the documents."""
        return self._passes(0)

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, place: int) -> MaskedPair:
        while not self._ends or place >= self._ends[-1]:
            before = self._ends[-1] if self._ends else 0
            self._ends.append(before + len(self._passes(len(self._ends))))
        number = bisect_right(self._ends, place)
        pair = self._passes(number)[place - (self._ends[number - 1] if number else 0)]
        return masked_pair(self._corpus, pair, self._frame, self._masking, (self._seed, place))


def packed_batch(sequences: Sequence[MaskedPair]) -> dict[str, Tensor]:
    """What `BertForPreTraining` takes, and `labels`: sequences of equal length stand together, no token is padding."""
    ordered = sorted(sequences, key=lambda one: len(one.input_ids))
    lengths = np.array([len(one.input_ids) for one in ordered])
    begins = np.cumsum([0, *lengths[:-1]])

    def row(parts: list[Ints]) -> Tensor:
        return torch.from_numpy(np.concatenate(parts))

    return {
        "input_ids": row([one.input_ids for one in ordered])[None],
        "token_type_ids": row([one.token_type_ids for one in ordered])[None],
        "position_ids": row([np.arange(length) for length in lengths])[None],
        "lengths": torch.from_numpy(lengths),
        "places": row([one.places + begin for one, begin in zip(ordered, begins, strict=True)]),
        "labels": row([one.labels for one in ordered]),
        "next_labels": torch.tensor([one.random_next for one in ordered]),
    }
