"""Similarity of two texts by the cosine of their vectors, each encoded apart (Reimers & Gurevych 2019, §3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from layerwise.errors import LabelError, SourceError
from layerwise.models.encoded_text import EncodedText
from layerwise.models.tokenization import Tokenization
from layerwise.reports.answers import Similarity
from layerwise.text.sources import SourceOptions
from layerwise.train.tasks.example import Array, DataColumns, Example, Feature
from layerwise.train.tasks.task import Task, mean_over
from layerwise.types import TextRecord


class SimilarityTask(Task):
    """A score a pair. The cosine is fitted to the scores, scaled so that the highest of training is 1 and the lowest 0.

    A text that is longer than the model is cut at its end, and counted.
    """

    name = "similarity"
    head = "pair"
    metric = "spearman"
    pooled = True

    def __init__(self, tokenizer: Any, max_length: int, labels: Sequence[str] = ()) -> None:
        super().__init__(tokenizer, max_length, labels)
        self.lowest, self.highest = 0.0, 1.0
        self.tokenization = Tokenization(
            tokenizer, max_length, long_text="truncate", align=False, pairs="separate"
        )

    @classmethod
    def source(cls, columns: DataColumns, with_target: bool) -> SourceOptions:
        keep = (columns.label or "score",) if with_target else ()
        text, pair = columns.text or "sentence1", columns.pair or "sentence2"
        return SourceOptions(text, pair, columns.id, keep=keep, format=columns.format)

    @classmethod
    def example(cls, record: TextRecord, columns: DataColumns, with_target: bool) -> Example:
        bare = replace(record, kept={})
        if not with_target:
            return Example(bare)
        name = columns.label or "score"
        value = record.kept[name]
        try:
            score = float(value)
        except (TypeError, ValueError):
            score = float("nan")
        if not np.isfinite(score):
            raise SourceError(
                f"{record.place}: the score {name!r} is {value!r}; expected a number: correct the row, or leave such rows "
                "out with --skip-bad."
            )
        return Example(bare, score)

    def prepare(self, examples: Sequence[Example]) -> None:
        scores = [example.target for example in examples]
        self.lowest, self.highest = min(scores), max(scores)
        if self.lowest == self.highest:
            raise LabelError(
                f"every pair has the score {self.lowest:g}: there is nothing to tell apart; expected scores that differ."
            )

    def features(self, example: Example, encoded: EncodedText) -> list[Feature]:
        assert encoded.apart is not None
        target = None
        if example.target is not None:
            target = np.float32((example.target - self.lowest) / (self.highest - self.lowest))
        halves = []
        for first in (0, encoded.apart.first_sequence):
            window = encoded.sequences[first]
            # sentence-transformers' mean has the special tokens in it, and so the folder is right there too.
            halves.append(Feature(window.input_ids, window.token_type_ids, np.arange(len(window))))
        halves[0].target, halves[0].other = target, halves[1]
        return halves[:1]

    def loss(self, outputs: Mapping[str, Tensor], labels: Tensor, num_items_in_batch: Any = None) -> Tensor:
        total = torch.nn.functional.mse_loss(outputs["logits"].float(), labels, reduction="sum")
        return mean_over(total, num_items_in_batch, labels.numel())

    def read(
        self, outputs: Mapping[str, Tensor], features: Sequence[Feature], from_states: bool
    ) -> list[Array]:
        return list(outputs["logits"].float().cpu().numpy())

    def assemble(
        self, number: int, example: Example, features: Sequence[Feature], said: Sequence[Array]
    ) -> Similarity:
        cosine = float(said[0])
        record = example.record
        score = self.lowest + cosine * (self.highest - self.lowest)
        return Similarity(number, record.id, record.text, record.text_pair or "", cosine, score)

    def scores(self, examples: Sequence[Example], predictions: Sequence[Similarity]) -> dict[str, float]:
        from scipy.stats import pearsonr, spearmanr

        given = np.array([example.target for example in examples])
        # Equal pairs in different batches differ by rounding: they are ties.
        found = np.round([prediction.cosine for prediction in predictions], 6)
        if len(set(given.tolist())) < 2 or len(set(found.tolist())) < 2:
            return {"spearman": float("nan"), "pearson": float("nan")}
        return {
            "spearman": float(spearmanr(given, found).statistic),
            "pearson": float(pearsonr(given, found).statistic),
        }

    def baseline(self, examples: Sequence[Example]) -> float | None:
        return 0.0

    def document(self) -> dict[str, Any]:
        return {**super().document(), "lowest": self.lowest, "highest": self.highest}

    def configure(self, document: Mapping[str, Any]) -> None:
        self.lowest = float(document.get("lowest", 0.0))
        self.highest = float(document.get("highest", 1.0))
