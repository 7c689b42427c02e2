"""Features as batches of tensors, the parts in which a CPU takes them, and the order in which training does."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import Sampler
from transformers.trainer_pt_utils import get_length_grouped_indices

from layerwise.train.tasks.example import Array, Feature
from layerwise.train.tasks.task import IGNORED

Batch = dict[str, Tensor]

PART_COSTS = 64
"""What a forward and backward pass costs a CPU whatever its size, in tokens (benchmarks/README.md, Training)."""


@dataclass(frozen=True)
class TokenBatches:
    """Sequences padded on the right to the longest of the batch.

    Attributes:
        pad_token_id: what fills them; masked, so that nothing depends on it.
        token_types: how many token types the model knows; 0: it takes none.
        pool_mask: whether the places are handed on as a mask, for a head that pools them.
        decoder_pad_token_id: of a decoder, whose targets are texts; None without one.
    """

    pad_token_id: int
    token_types: int
    pool_mask: bool = False
    decoder_pad_token_id: int | None = None

    def __call__(self, features: Sequence[Feature]) -> Batch:
        """One batch; with `labels` if the features have targets."""
        sequences = [*features, *(one.other for one in features if one.other is not None)]
        ids = [_one_at_least(one.input_ids, self.pad_token_id) for one in sequences]
        batch = {
            "input_ids": pad_sequence(ids, batch_first=True, padding_value=self.pad_token_id),
            "attention_mask": pad_sequence([torch.ones_like(one) for one in ids], batch_first=True),
        }
        if self.token_types:
            types = [_one_at_least(one.token_type_ids, 0) for one in sequences]
            # klue/roberta has a table of one and a tokenizer that knows two.
            batch["token_type_ids"] = pad_sequence(types, batch_first=True).clamp(max=self.token_types - 1)
        if self.pool_mask:
            batch["pool_mask"] = torch.zeros_like(batch["input_ids"])
            for row, one in enumerate(sequences):
                batch["pool_mask"][row, torch.from_numpy(one.places)] = 1
        if features[0].target is None:
            return batch
        if self.decoder_pad_token_id is not None:
            return {**batch, **_decoder(features, self.decoder_pad_token_id)}
        return {**batch, "labels": self._labels(features, batch["input_ids"].shape[1])}

    @staticmethod
    def _labels(features: Sequence[Feature], length: int) -> Tensor:
        if not isinstance(features[0].target, np.ndarray):
            return torch.tensor(np.array([one.target for one in features]))
        labels = torch.full((len(features), length), IGNORED)
        for row, one in enumerate(features):
            labels[row, torch.from_numpy(one.places)] = torch.from_numpy(one.target)
        return labels


def _one_at_least(values: Array, filling: int) -> Tensor:
    """A text without a token becomes one that pads, where nothing is pooled or asked: no model runs on nothing."""
    return torch.from_numpy(values if len(values) else np.full(1, filling, values.dtype))


@dataclass(frozen=True)
class InParts:
    """A batch in parts of like length, which give the gradient of the whole if the loss is a sum over examples.

    On a CPU time goes with the tokens, padding among them: where lengths differ much, parts cost less than what they
    spare. On a GPU a small part takes as long as a large one.
    """

    collate: TokenBatches

    def __call__(self, features: Sequence[Feature]) -> dict[str, Any]:
        """`parts`, and the `labels` of all, to be counted."""
        lengths = [one.longest for one in features]
        parts = [self.collate([features[row] for row in rows]) for rows in of_like_length(lengths)]
        return {"parts": parts, "labels": torch.cat([part["labels"].flatten() for part in parts])}


def of_like_length(lengths: Sequence[int]) -> list[list[int]]:
    """Rows in parts, by length; a cut is made where it spares more than `PART_COSTS` tokens of padding."""
    rows = sorted(range(len(lengths)), key=lengths.__getitem__)
    parts, whole = [], [rows]
    while whole:
        part = whole.pop()
        longest = lengths[part[-1]]
        spared = [place * (longest - lengths[part[place - 1]]) for place in range(1, len(part))]
        if max(spared, default=0) <= PART_COSTS:
            parts.append(part)
        else:
            cut = spared.index(max(spared)) + 1
            whole += [part[cut:], part[:cut]]
    return parts


def _decoder(features: Sequence[Feature], pad_token_id: int) -> Batch:
    """A decoder's inputs and labels: each target without its last token, and without its first."""
    targets = [torch.from_numpy(one.target) for one in features]
    inputs = [ids[:-1] for ids in targets]
    return {
        "decoder_input_ids": pad_sequence(inputs, batch_first=True, padding_value=pad_token_id),
        "decoder_attention_mask": pad_sequence([torch.ones_like(ids) for ids in inputs], batch_first=True),
        "labels": pad_sequence([ids[1:] for ids in targets], batch_first=True, padding_value=IGNORED),
    }


@dataclass(frozen=True)
class StateBatches:
    """States of a frozen encoder, which were computed once: (batch, layers, size) or (batch, places, layers, size)."""

    def __call__(self, features: Sequence[Feature]) -> Batch:
        """One batch; with `labels` if the features have targets."""
        states = [one.states for one in features]
        states += [one.other.states for one in features if one.other is not None]
        kept = [one for one in states if one is not None]
        batch = {"states": pad_sequence(kept, batch_first=True)}
        if kept[0].ndim == 3:
            marks = [torch.ones(len(one), dtype=torch.long) for one in kept]
            batch["places"] = pad_sequence(marks, batch_first=True)
        first = features[0].target
        if isinstance(first, np.ndarray):
            targets = [torch.from_numpy(one.target) for one in features]
            batch["labels"] = pad_sequence(targets, batch_first=True, padding_value=IGNORED)
        elif first is not None:
            batch["labels"] = torch.tensor(np.array([one.target for one in features]))
        return batch


def fingerprint(features: Sequence[Feature]) -> str:
    """sha256 of the token ids and targets of features, in their order: a run goes on with the same only."""
    digest = hashlib.sha256()
    for one in features:
        for part in (one, one.other):
            if part is not None:
                target = b"" if part.target is None else np.asarray(part.target).tobytes()
                digest.update(part.input_ids.tobytes() + target)
    return digest.hexdigest()


class LengthOrder(Sampler[int]):
    """An order in which sequences of like length meet in a batch, drawn anew each epoch.

    It depends on seed and epoch alone, so that a resumed run and one on several devices take the same batches.
    The last batch is filled up with examples of the one before it: all batches are whole.

    Attributes:
        epoch: set before each epoch.
    """

    def __init__(self, lengths: Sequence[int], batch_size: int, seed: int) -> None:
        self.epoch = 0
        self._lengths, self._batch_size, self._seed = list(lengths), batch_size, seed

    def __len__(self) -> int:
        return -(-len(self._lengths) // self._batch_size) * self._batch_size

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self._seed * 1_000_003 + self.epoch)
        runs = max(1, min(50, len(self._lengths) // self._batch_size))
        order = get_length_grouped_indices(  # type: ignore[no-untyped-call]
            self._lengths, self._batch_size, runs, generator
        )
        batches = [order[at : at + self._batch_size] for at in range(0, len(order), self._batch_size)]
        # What fills up the last batch are those before it, which are as long.
        batches[-1] = (order * -(-self._batch_size // len(order)))[-self._batch_size :]
        # Within a run batches are sorted by length, which training should not see; the first holds the longest
        # sequence, so that what is too large for the memory fails at once.
        yield from batches[0]
        for number in torch.randperm(len(batches) - 1, generator=generator).tolist():
            yield from batches[number + 1]
