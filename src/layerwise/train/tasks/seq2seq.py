"""Texts from texts: translation, summaries; an encoder and a decoder that both begin as encoders (Rothe et al. 2020)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import regex
from torch import Tensor

from layerwise.errors import SourceError
from layerwise.models.encoded_text import EncodedText
from layerwise.models.tokenization import Tokenization
from layerwise.reports.answers import GeneratedText
from layerwise.text.sources import SourceOptions
from layerwise.train.tasks.task import (
    Array,
    Columns,
    Example,
    Feature,
    Task,
    batched,
    cross_entropy,
    most_frequent,
)
from layerwise.types import TextRecord

_HAN_GAP = regex.compile(r"(?<=[\p{Han}\p{P}]) (?=[\p{Han}\p{P}])|(?<=\p{Han}) (?=\d)|(?<=\d) (?=\p{Han})")
"""The spaces that a WordPiece tokenizer puts around Chinese characters when it decodes."""


class Generation(Task):
    """A text from a text. A source or target that is longer than its model is cut at its end, and counted.

    Attributes:
        target_tokenizer: the decoder's; `tokenizer` is the encoder's.
        target_length: most tokens of an output.
        beams: of the search; 1 takes the most probable token each time.
        unknown: share of the target tokens of training that are none of the decoder's pieces.
    """

    name = "seq2seq"
    head = "seq2seq"
    metric = "chrf"

    def __init__(self, tokenizer: Any, max_length: int, labels: Sequence[str] = ()) -> None:
        super().__init__(tokenizer, max_length, labels)
        self.tokenization = Tokenization(tokenizer, max_length, long_text="truncate", align=False)
        self.target_length = max_length
        self.beams = 1
        self.unknown = 0.0
        self.use_target_tokenizer(tokenizer)

    def use_target_tokenizer(self, tokenizer: Any) -> None:
        """Take another tokenizer for the targets."""
        self.target_tokenizer = tokenizer
        self._targets = Tokenization(tokenizer, self.max_length, long_text="truncate", align=False)

    @classmethod
    def source(cls, columns: Columns, with_target: bool) -> SourceOptions:
        text = columns.text or "source"
        pair = (columns.pair or columns.label or "target") if with_target else None
        return SourceOptions(text, pair, columns.id, format=columns.format)

    @classmethod
    def example(cls, record: TextRecord, columns: Columns, with_target: bool) -> Example:
        bare = replace(record, text_pair=None, kept={})
        if not with_target:
            return Example(bare)
        if not record.text_pair or not record.text_pair.strip():
            raise SourceError(
                f"{record.place}: the target is empty; expected a text: write one, or leave such rows out with --skip-bad."
            )
        return Example(bare, record.text_pair)

    def prepare(self, examples: Sequence[Example]) -> None:
        """Outputs may be half as long again as the longest target of training."""
        longest = total = unknown = 0
        for piece in batched(examples, 512):
            encoded = self._targets.encode([TextRecord(example.target) for example in piece])
            sequences = [one.sequences[0].input_ids for one in encoded]
            longest = max(longest, *map(len, sequences))
            total += sum(map(len, sequences))
            unknown += sum(int((ids == self.target_tokenizer.unk_token_id).sum()) for ids in sequences)
        self.target_length = min(self.max_length, longest + longest // 2 + 8)
        self.unknown = unknown / max(total, 1)

    def featurise(self, examples: Sequence[Example]) -> Iterator[list[Feature]]:
        for piece in batched(examples, 512):
            sources = self.tokenization.encode([example.record for example in piece])
            targets: list[EncodedText | None] = [None] * len(piece)
            if piece[0].target is not None:
                targets = [*self._targets.encode([TextRecord(example.target) for example in piece])]
            for source, target in zip(sources, targets, strict=True):
                self.truncated += source.num_truncated > 0 or (
                    target is not None and target.num_truncated > 0
                )
                window = source.sequences[0]
                # [CLS] begins, [SEP] ends: what the decoder sees is its target moved by one.
                ids = None if target is None else target.sequences[0].input_ids
                yield [Feature(window.input_ids, window.token_type_ids, np.arange(0), ids)]

    def features(self, example: Example, encoded: EncodedText) -> list[Feature]:
        raise AssertionError("sources and targets are encoded together, by featurise")

    def loss(self, outputs: Mapping[str, Tensor], labels: Tensor, num_items_in_batch: Any = None) -> Tensor:
        return cross_entropy(outputs["logits"], labels, num_items_in_batch)

    def run(self, model: Any, inputs: Mapping[str, Tensor]) -> Any:
        return model.generate(
            input_ids=inputs["input_ids"],
            attention_mask=inputs["attention_mask"],
            num_beams=self.beams,
            max_length=self.target_length,
            early_stopping=self.beams > 1,
            do_sample=False,
        )

    def read(self, outputs: Any, features: Sequence[Feature], from_states: bool) -> list[Array]:
        return list(outputs.cpu().numpy())

    def assemble(
        self, number: int, example: Example, features: Sequence[Feature], said: Sequence[Array]
    ) -> GeneratedText:
        text = self.target_tokenizer.decode(said[0], skip_special_tokens=True)
        return GeneratedText(number, example.record.text, _HAN_GAP.sub("", text).strip())

    def scores(self, examples: Sequence[Example], predictions: Sequence[GeneratedText]) -> dict[str, float]:
        return text_scores(
            [self._as_decoded(example.target) for example in examples],
            [prediction.output for prediction in predictions],
        )

    def _as_decoded(self, text: str) -> str:
        """A given text as a tokenizer without capitals would give it back."""
        backend = self.target_tokenizer.backend_tokenizer.normalizer
        lowers = bool(getattr(backend, "lowercase", False)) or getattr(
            self.target_tokenizer, "do_lower_case", False
        )
        return text.lower() if lowers else text

    def baseline(self, examples: Sequence[Example]) -> float | None:
        given = [self._as_decoded(example.target) for example in examples]
        return text_scores(given, [most_frequent(given)] * len(given))["chrf"]

    def document(self) -> dict[str, Any]:
        return {**super().document(), "target_length": self.target_length}

    def configure(self, document: Mapping[str, Any]) -> None:
        self.target_length = int(document.get("target_length", self.max_length))


def text_scores(given: Sequence[str], found: Sequence[str]) -> dict[str, float]:
    """BLEU and chrF by sacrebleu (Post 2018), from 0 to 100, and the share of outputs that are exactly as given.

    BLEU splits Chinese into characters (sacrebleu's tokenizer `zh`) where the given texts are mostly Chinese.
    """
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.metrics.chrf import CHRF

    letters = "".join(given)
    han = len(regex.findall(r"\p{Han}", letters))
    tokenize = "zh" if han * 2 > len(regex.findall(r"\p{L}", letters)) else "13a"
    exact = sum(a == b for a, b in zip(given, found, strict=True)) / len(given)
    return {
        "bleu": float(BLEU(tokenize=tokenize).corpus_score(list(found), [list(given)]).score),
        "chrf": float(CHRF().corpus_score(list(found), [list(given)]).score),
        "exact_match": exact,
    }
