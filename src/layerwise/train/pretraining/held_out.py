"""Documents that are never trained on, and what a model makes of them, source by source."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from layerwise.models.memory import within_memory
from layerwise.train.masking import Masking
from layerwise.train.predictor import autocast
from layerwise.train.pretraining.batches import Frame, masked_pair, packed_batch
from layerwise.train.pretraining.corpus import Corpus
from layerwise.train.pretraining.losses import Losses
from layerwise.train.pretraining.pairs import build_pairs

EVERY = 100
"""One document of so many is held out, and two at least of each source that has `FEWEST`."""

FEWEST = 10

MOST_PAIRS = 512
"""Pairs of each source that are scored: some 10,000 masked tokens."""

AT_ONCE = 32
SEED = 20_180_101


def split_documents(corpus: Corpus) -> tuple[list[list[int]], list[list[int]]]:
    """Numbers of the documents to train on and of those held out, by source."""
    train, held = [], []
    for part in corpus.parts:
        numbers = list(range(part.first, part.last))
        order = np.random.default_rng(SEED).permutation(len(numbers))
        count = max(len(numbers) // EVERY, 2) if len(numbers) >= FEWEST else 0
        out = {numbers[place] for place in order[:count]}
        train.append([number for number in numbers if number not in out])
        held.append(sorted(out))
    return train, held


class HeldOut:
    """The same pairs with the same masks each time."""

    def __init__(
        self,
        corpus: Corpus,
        held: Sequence[Sequence[int]],
        longest: int,
        frame: Frame,
        masking: Masking,
        most: int | None = MOST_PAIRS,
    ) -> None:
        self._parts: dict[str, list[Any]] = {}
        every = [number for part in held for number in part]
        for part, numbers in zip(corpus.parts, held, strict=True):
            if not numbers or len(every) < 2:
                continue
            pairs = build_pairs(corpus, [numbers], longest, SEED, every)
            name = part.name
            while name in self._parts:
                name += "_"
            self._parts[name] = [
                masked_pair(corpus, pair, frame, masking, (SEED, place))
                for place, pair in enumerate(pairs[:most])
            ]

    @property
    def names(self) -> list[str]:
        """Of the sources."""
        return list(self._parts)

    @property
    def random_next(self) -> list[int]:
        """Of all pairs: 1 if the second part is random."""
        return [pair.random_next for pairs in self._parts.values() for pair in pairs]

    @property
    def masked(self) -> dict[str, int]:
        """Masked tokens of each source."""
        return {name: sum(len(pair.places) for pair in pairs) for name, pairs in self._parts.items()}

    def scores(
        self,
        model: Any,
        device: torch.device,
        precision: str,
        progress: Callable[[str], None] = lambda text: None,
    ) -> dict[str, float]:
        """Losses, accuracies and the perplexity of masked tokens, as `masked_accuracy_en`; without dropout."""
        was_training = model.training
        model.eval()
        found: dict[str, float] = {}
        for name, pairs in self._parts.items():
            losses = Losses(len(pairs))
            for at in range(0, len(pairs), AT_ONCE):
                batch = {
                    key: value.to(device) for key, value in packed_batch(pairs[at : at + AT_ONCE]).items()
                }
                labels = batch.pop("labels")
                with (
                    within_memory(device, "lower --batch-tokens"),
                    torch.no_grad(),
                    autocast(device, precision),
                ):
                    losses(model(**batch), labels)
                progress(f"{min(at + AT_ONCE, len(pairs)):,} of {len(pairs):,} pairs of {name}")
            means = losses.drain()
            found |= {f"{key}_{name}": value for key, value in means.items()}
            found[f"perplexity_{name}"] = float(np.exp(min(means["mlm_loss"], 700.0)))
        model.train(was_training)
        first = [f"masked_accuracy_{name}" for name in self._parts]  # what counts, and is shown on the way
        return {**{name: found[name] for name in first}, **found}
