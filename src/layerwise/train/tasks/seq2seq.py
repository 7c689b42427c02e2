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
from layerwise.ops.spacing import Spacing
from layerwise.reports.answers import GeneratedText
from layerwise.text.sources import SourceOptions
from layerwise.train.tasks.example import Array, DataColumns, Example, Feature, batched
from layerwise.train.tasks.task import PIECE, Task, cross_entropy, most_frequent
from layerwise.train.writing import Writing
from layerwise.types import TextRecord

MOST_LOST = 0.001
"""Share of the target's words that a decoder's vocabulary may lack; it can never write them."""


class Generation(Task):
    """A text from a text. A source or target that is longer than its model is cut at its end, and counted.

    Attributes:
        target_tokenizer: the decoder's; `tokenizer` is the encoder's.
        target_length: most tokens of an output.
        writing: how its pieces become a text.
    """

    name = "seq2seq"
    head = "seq2seq"
    metric = "chrf"
    lr = 2.5e-4  # cross-attention, at least, begins at random
    enough = 500

    def __init__(self, tokenizer: Any, max_length: int, labels: Sequence[str] = ()) -> None:
        super().__init__(tokenizer, max_length, labels)
        self.tokenization = Tokenization(tokenizer, max_length, long_text="truncate", align=False)
        self.target_length = max_length
        self.use_target_tokenizer(tokenizer)

    def use_target_tokenizer(self, tokenizer: Any) -> None:
        """Take another tokenizer for the targets."""
        self.target_tokenizer = tokenizer
        self.writing = Writing(tokenizer)
        self._targets = Tokenization(tokenizer, self.max_length, long_text="truncate", align=False)

    @classmethod
    def source(cls, columns: DataColumns, with_target: bool) -> SourceOptions:
        text = columns.text or "source"
        pair = (columns.pair or columns.label or "target") if with_target else None
        return SourceOptions(text, pair, columns.id, format=columns.format)

    @classmethod
    def example(cls, record: TextRecord, columns: DataColumns, with_target: bool) -> Example:
        bare = replace(record, text_pair=None, kept={})
        if not with_target:
            return Example(bare)
        for name, text in (("source", record.text), ("target", record.text_pair)):
            if not text or not text.strip():
                raise SourceError(
                    f"{record.place}: the {name} is empty; expected a text: write one, or leave such rows out with "
                    "--skip-bad."
                )
        return Example(bare, record.text_pair)

    def prepare(self, examples: Sequence[Example]) -> None:
        """Outputs may be half as long again as the longest target of training, and have spaces where these have them."""
        texts = [example.target for example in examples]
        longest = 0
        for piece in batched(texts, PIECE):
            encoded = self._targets.encode([TextRecord(text) for text in piece])
            longest = max(longest, *(len(one.sequences[0]) for one in encoded))
        self.target_length = min(self.max_length, longest + longest // 2 + 8)
        self.writing.learn(texts)

    def featurise(self, examples: Sequence[Example]) -> Iterator[list[Feature]]:
        for piece in batched(examples, PIECE):
            sources = self.tokenization.encode([example.record for example in piece])
            targets: list[EncodedText | None] = [None] * len(piece)
            if piece[0].target is not None:
                targets = [*self._targets.encode([TextRecord(example.target) for example in piece])]
            for source, target in zip(sources, targets, strict=True):
                self.count(source)
                if target is not None and not source.num_truncated:  # a row that is cut counts once
                    self.truncated += target.num_truncated > 0
                window = source.sequences[0]
                # [CLS] begins, [SEP] ends: what the decoder sees is its target moved by one.
                ids = None if target is None else target.sequences[0].input_ids
                yield [Feature(window.input_ids, window.token_type_ids, np.arange(0), ids)]

    def loss(self, outputs: Mapping[str, Tensor], labels: Tensor, num_items_in_batch: Any = None) -> Tensor:
        return cross_entropy(outputs["logits"], labels, num_items_in_batch)

    def run(self, model: Any, inputs: Mapping[str, Tensor]) -> Any:
        return model.generate(
            input_ids=inputs["input_ids"],
            attention_mask=inputs["attention_mask"],
            num_beams=self.beams,
            max_length=self.target_length,
            do_sample=False,
        )

    def read(self, outputs: Any, features: Sequence[Feature], from_states: bool) -> list[Array]:
        return list(outputs.cpu().numpy())

    def assemble(
        self, number: int, example: Example, features: Sequence[Feature], said: Sequence[Array]
    ) -> GeneratedText:
        record = example.record
        output = (
            self.writing.text(said[0].tolist()) if record.text.strip() else ""
        )  # from nothing it would invent
        return GeneratedText(number, record.id, record.text, output)

    def scores(self, examples: Sequence[Example], predictions: Sequence[GeneratedText]) -> dict[str, float]:
        return text_scores(
            [self.writing.as_written(example.target) for example in examples],
            [prediction.output for prediction in predictions],
        )

    def baseline(self, examples: Sequence[Example]) -> float | None:
        given = [self.writing.as_written(example.target) for example in examples]
        return text_scores(given, [most_frequent(given)] * len(given))["chrf"]

    def notes(self) -> list[str]:
        notes = super().notes()
        if self.writing.lost > MOST_LOST:
            notes.append(
                f"{self.writing.lost:.1%} of the target's words are unknown to the decoder, or not with their accents: it "
                "can never write them; take a --decoder whose vocabulary has them, or --decoder new."
            )
        if self.writing.loses_capitals:
            notes.append(
                "The decoder's vocabulary has no capitals: it writes lower case, and is scored against targets in lower "
                "case; --decoder new keeps capitals."
            )
        return notes

    def document(self) -> dict[str, Any]:
        spacing = self.writing.spacing
        kept = None if spacing is None else spacing.document()
        return {**super().document(), "target_length": self.target_length, "spacing": kept}

    def configure(self, document: Mapping[str, Any]) -> None:
        self.target_length = int(document.get("target_length", self.max_length))
        if document.get("spacing") is not None:
            self.writing.spacing = Spacing.read(document["spacing"])


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
