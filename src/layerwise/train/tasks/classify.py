"""Classification of texts and of pairs of texts: one label each (Devlin et al. 2019, §4.1)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from layerwise.analysis.label_codes import as_classes
from layerwise.errors import SourceError, UsageError
from layerwise.models.encoded_text import EncodedText
from layerwise.models.tokenization import Tokenization
from layerwise.reports.answers import Shares, TextLabel
from layerwise.text.class_names import whole
from layerwise.text.sources import SourceOptions
from layerwise.train.tasks.example import Array, DataColumns, Example, Feature
from layerwise.train.tasks.task import Task, cross_entropy, most_frequent
from layerwise.types import TextRecord

SECOND = ("question", "sentence2", "text_b", "text_pair", "text2", "hypothesis")
"""Columns that hold the other text of a pair in published sets: left out unseen, half of the pair would be learned."""


class Classification(Task):
    """A class a text. A text that is longer than the model is cut at its end, and counted."""

    name = "classify"
    head = "sequence"
    metric = "macro_f1"
    pooled = True

    def __init__(self, tokenizer: Any, max_length: int, labels: Sequence[str] = ()) -> None:
        super().__init__(tokenizer, max_length, labels)
        self.class_weights: Tensor | None = None
        self.pairs: bool | None = None
        self.tokenization = Tokenization(tokenizer, max_length, long_text="truncate", align=False)

    @classmethod
    def source(cls, columns: DataColumns, with_target: bool) -> SourceOptions:
        keep = (columns.label or "label",) if with_target else ()
        also = SECOND if columns.text is None and columns.pair is None else ()
        return SourceOptions(
            columns.text, columns.pair, columns.id, keep=keep, also=also, format=columns.format
        )

    @classmethod
    def example(cls, record: TextRecord, columns: DataColumns, with_target: bool) -> Example:
        if others := [name for name in SECOND if columns.text is None and _is_text(record.kept.get(name))]:
            raise UsageError(
                f"{record.place}: there is a column {others[0]!r} beside the text: name the text with --text-column, and "
                "the second of a pair, if it is one, with --pair-column."
            )
        if not with_target:
            return Example(replace(record, kept={}))
        name = columns.label or "label"
        label = record.kept[name]
        if isinstance(label, list) and len(label) == 1 and isinstance(label[0], str):
            label = label[0]  # as doccano writes it
        if isinstance(label, str):
            label = label.strip()  # nobody sees a space at its end
        if label is None or label == "" or label != label or isinstance(label, list | dict | bytes):
            raise SourceError(
                f"{record.place}: the label {name!r} is {label!r}; expected one class, a text or a number "
                "(a list of tags is for ner): correct the row, or leave such rows out with --skip-bad."
            )
        return Example(replace(record, kept={}), str(whole(label)))

    @classmethod
    def labels_of(cls, examples: Sequence[Example], column: str = "label") -> tuple[str, ...]:
        return as_classes(np.array([example.target for example in examples], object), column)[1]

    def prepare(self, examples: Sequence[Example]) -> None:
        self.pairs = any(example.record.text_pair is not None for example in examples)

    def document(self) -> dict[str, Any]:
        return {**super().document(), "pairs": self.pairs}

    def configure(self, document: Mapping[str, Any]) -> None:
        self.pairs = document.get("pairs")

    def fitting(self, example: Example) -> Example:
        if self.pairs is not None and self.pairs != (example.record.text_pair is not None):
            was = "pairs of texts" if self.pairs else "single texts"
            fix = "name the second with --pair-column" if self.pairs else "leave --pair-column out"
            raise UsageError(f"the model was trained on {was}, and {example.place} is none of these: {fix}.")
        return example

    def weigh_classes(self, examples: Sequence[Example]) -> None:
        """Weights against imbalance: n / (classes · n_class), as scikit-learn's `balanced` (King & Zeng 2001)."""
        counts = Counter(example.target for example in examples)
        total = len(examples) / len(counts)
        self.class_weights = torch.tensor([total / max(counts[label], 1) for label in self.labels])

    def features(self, example: Example, encoded: EncodedText) -> list[Feature]:
        window = encoded.sequences[0]
        target = None if example.target is None else self.codes(example)[0]
        return [Feature(window.input_ids, window.token_type_ids, encoded.position, target)]

    def loss(self, outputs: Mapping[str, Tensor], labels: Tensor, num_items_in_batch: Any = None) -> Tensor:
        return cross_entropy(outputs["logits"], labels, num_items_in_batch, self.class_weights)

    def read(
        self, outputs: Mapping[str, Tensor], features: Sequence[Feature], from_states: bool
    ) -> list[Array]:
        return list(outputs["logits"].float().softmax(-1).cpu().numpy())

    def assemble(
        self, number: int, example: Example, features: Sequence[Feature], said: Sequence[Array]
    ) -> TextLabel:
        [shares] = said
        best = int(shares.argmax())
        record = example.record
        return TextLabel(
            number,
            record.id,
            record.text,
            record.text_pair,
            self.labels[best],
            float(shares[best]),
            Shares(self.numbers, shares),
        )

    def scores(self, examples: Sequence[Example], predictions: Sequence[TextLabel]) -> dict[str, float]:
        given = [example.target for example in examples]
        return class_scores(given, [prediction.label for prediction in predictions])

    def baseline(self, examples: Sequence[Example]) -> float | None:
        given = [example.target for example in examples]
        return class_scores(given, [most_frequent(given)] * len(given))["macro_f1"]


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def class_scores(given: Sequence[str], found: Sequence[str]) -> dict[str, float]:
    """Accuracy and macro-F1 by scikit-learn; macro over the classes that are given or found."""
    from sklearn.metrics import accuracy_score, f1_score

    return {
        "accuracy": float(accuracy_score(given, found)),
        "macro_f1": float(f1_score(given, found, average="macro", zero_division=0.0)),
    }
