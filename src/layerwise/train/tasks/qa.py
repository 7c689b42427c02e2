"""Questions whose answers are spans of a context (Devlin et al. 2019, §4.2 and §4.3), in windows over the context."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from layerwise.errors import SourceError
from layerwise.models.encoded_text import EncodedText
from layerwise.models.tokenization import Tokenization
from layerwise.ops.squad import squad_scores
from layerwise.reports.answers import Answer
from layerwise.reports.wording import counted
from layerwise.text.sources import SourceOptions
from layerwise.train.squad_json import IMPOSSIBLE
from layerwise.train.tasks.example import Array, DataColumns, Example, Feature
from layerwise.train.tasks.given_answers import GivenAnswers, given_answers
from layerwise.train.tasks.task import Task, mean_over
from layerwise.types import TextRecord

LONGEST_ANSWER = 30
"""Tokens of an answer, as in BERT's run_squad.py; more where answers of the training data have more."""


class QuestionAnswering(Task):
    """A span of the context, or none where the training data had questions without an answer.

    Attributes:
        no_answers: whether it had; None: not known.
        longest: the most tokens of an answer that it says.
    """

    name = "qa"
    head = "question"
    metric = "f1"
    enough = 500

    def __init__(self, tokenizer: Any, max_length: int, labels: Sequence[str] = ()) -> None:
        super().__init__(tokenizer, max_length, labels)
        self.no_answers: bool | None = None
        self.longest = LONGEST_ANSWER
        self._long_questions = self._in_no_window = 0
        self._long_answers: list[int] = []
        room = max_length - tokenizer.num_special_tokens_to_add(
            pair=True
        )  # half of it at least is the context's
        self.overlap = max(0, min(128, max_length // 4, room // 2 - 1))  # 128 of 384 in BERT's run_squad.py
        self.tokenization = Tokenization(tokenizer, max_length, self.overlap)

    @classmethod
    def source(cls, columns: DataColumns, with_target: bool) -> SourceOptions:
        keep = (columns.label or "answers",) if with_target else ()
        text, pair = columns.text or "question", columns.pair or "context"
        also = (IMPOSSIBLE,) if with_target and columns.label in (None, "answers") else ()
        return SourceOptions(text, pair, columns.id, keep=keep, also=also, format=columns.format)

    @classmethod
    def example(cls, record: TextRecord, columns: DataColumns, with_target: bool) -> Example:
        bare = replace(record, kept={})
        if not record.text.strip():
            raise SourceError(
                f"{record.place}: the question is empty: write one, or leave such rows out with --skip-bad."
            )
        if not with_target:
            return Example(bare)
        return Example(bare, given_answers(record, columns.label or "answers"))

    def prepare(self, examples: Sequence[Example]) -> None:
        self.no_answers = any(example.target.start is None for example in examples)

    def learn_from(self, features: Sequence[Feature]) -> None:
        spans = [one.target for one in features if one.target is not None]
        self.longest = max([LONGEST_ANSWER, *(last - first + 1 for first, last in spans)])

    def count(self, encoded: EncodedText) -> None:
        super().count(encoded)
        # Windows go over the first part of a pair too; only the first of them stands before the context.
        self._long_questions += bool((encoded.window[encoded.sequence_id == 0] > 0).any())

    def notes(self) -> list[str]:
        notes = super().notes()
        if self._long_questions:
            which = counted(self._long_questions, "question is", "questions are")
            notes.append(
                f"{which} longer than the half of a window that is theirs, and read up to there (--max-length "
                f"{self.max_length})."
            )
        if self._in_no_window:
            which = counted(self._in_no_window, "answer is", "answers are")
            notes.append(
                f"{which} whole in no window, which counts as no answer in training: windows of {self.max_length} tokens "
                f"overlap by {self.overlap} (--max-length)."
            )
        if number := sum(one > self.longest for one in self._long_answers):
            which = counted(number, "answer has", "answers have")
            notes.append(f"{which} more than {self.longest} tokens, the most that the model answers with.")
        return notes

    def features(self, example: Example, encoded: EncodedText) -> list[Feature]:
        if encoded.cls_position is None:
            raise SourceError(
                "the tokenizer of this model opens a text with no token, which stands for no answer: take another model."
            )
        found = []
        answer = None if example.target is None else _answer_of(encoded, example.target)
        for number, window in enumerate(encoded.sequences):
            first_token, first_place, count = _context_of(encoded, number)
            if not count:
                continue
            span = None
            if example.target is not None:
                first, last = answer or (-1, -1)
                whole = first_token <= first and last < first_token + count
                shift = first_place - first_token
                span = (first + shift, last + shift) if whole else (0, 0)  # of [CLS]
            found.append(
                Feature(
                    window.input_ids,
                    window.token_type_ids,
                    np.arange(len(window)),
                    span,
                    owner=(
                        encoded.start[first_token : first_token + count],
                        encoded.end[first_token : first_token + count],
                        first_place,
                    ),
                )
            )
        if answer is not None:
            if answer[1] - answer[0] >= LONGEST_ANSWER:
                self._long_answers.append(answer[1] - answer[0] + 1)
            self._in_no_window += all(one.target == (0, 0) for one in found)
        return found

    def loss(self, outputs: Mapping[str, Tensor], labels: Tensor, num_items_in_batch: Any = None) -> Tensor:
        logits = _start_end(outputs)  # (batch, 2, seq)
        total = torch.nn.functional.cross_entropy(
            logits.reshape(-1, logits.shape[-1]), labels.reshape(-1), reduction="sum"
        )
        return mean_over(total, num_items_in_batch, labels.numel())

    def read(
        self, outputs: Mapping[str, Tensor], features: Sequence[Feature], from_states: bool
    ) -> list[Array]:
        logits = _start_end(outputs).cpu().numpy()
        return [row[:, : len(feature.input_ids)] for row, feature in zip(logits, features, strict=True)]

    def assemble(
        self, number: int, example: Example, features: Sequence[Feature], said: Sequence[Array]
    ) -> Answer:
        record, best = example.record, (-np.inf, 0, 0)
        scores = []
        none = np.inf
        for feature, (start, end) in zip(features, said, strict=True):
            starts, ends, first = feature.owner
            count = len(starts)
            blank = _blank(record.text_pair or "", starts, ends)
            inside = slice(first, first + count)
            table = _span_scores(
                np.where(blank, -np.inf, start[inside]), np.where(blank, -np.inf, end[inside]), self.longest
            )
            scores.append(table.ravel())
            none = min(none, float(start[0] + end[0]))
            at, length = np.unravel_index(int(table.argmax()), table.shape)
            if table[at, length] > best[0]:
                best = float(table[at, length]), int(starts[at]), int(ends[at + length])
        identity = record.id if record.id is not None else str(number)
        if not np.isfinite(best[0]):  # nothing but white space
            return Answer(identity, record.text, "", None, None, 1.0, 1.0 if self.no_answers else None)
        every = np.concatenate([*scores, [none]] if self.no_answers else scores)
        total = np.logaddexp.reduce(every.astype(np.float64))
        nothing = float(np.exp(none - total)) if self.no_answers else None
        if self.no_answers and none >= best[0]:
            assert nothing is not None
            return Answer(identity, record.text, "", None, None, nothing, nothing)
        assert record.text_pair is not None
        answer = record.text_pair[best[1] : best[2]]
        return Answer(
            identity, record.text, answer, best[1], best[2], float(np.exp(best[0] - total)), nothing
        )

    def scores(self, examples: Sequence[Example], predictions: Sequence[Answer]) -> dict[str, float]:
        return _scores(examples, [prediction.answer for prediction in predictions])

    def baseline(self, examples: Sequence[Example]) -> float | None:
        """F1 of one who always says that there is no answer, if the data has such questions."""
        if not self.no_answers:
            return None
        return _scores(examples, [""] * len(examples))["f1"]

    def document(self) -> dict[str, Any]:
        known = {} if self.no_answers is None else {"no_answers": self.no_answers}
        return {**super().document(), **known, "longest_answer": self.longest}

    def configure(self, document: Mapping[str, Any]) -> None:
        self.no_answers = document.get("no_answers")
        self.longest = document.get("longest_answer", LONGEST_ANSWER)


def _scores(examples: Sequence[Example], found: Sequence[str]) -> dict[str, float]:
    contexts = [example.record.text_pair or "" for example in examples]
    return squad_scores(found, [example.target.texts for example in examples], contexts)


def _start_end(outputs: Mapping[str, Tensor]) -> Tensor:
    """(batch, 2, seq) in float32, of transformers' heads and of ours."""
    if "start_logits" in outputs:
        return torch.stack([outputs["start_logits"], outputs["end_logits"]], dim=1).float()
    return outputs["logits"].float().transpose(1, 2)


def _blank(context: str, starts: Array, ends: Array) -> Array:
    """(tokens,) which are white space alone, as the line breaks of byte-level tokenizers: no answer begins or ends there."""
    return np.array([not context[start:end].strip() for start, end in zip(starts, ends, strict=True)], bool)


def _span_scores(start: Array, end: Array, longest: int) -> Array:
    """(tokens, lengths): score of the span that begins at a token and has so many tokens more."""
    count = len(start)
    longest = min(longest, count)
    padded = np.concatenate([end, np.full(longest, -np.inf)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, longest)[:count]
    table: Array = start[:, None].astype(np.float64) + windows
    return table


def _context_of(encoded: EncodedText, window: int) -> tuple[int, int, int]:
    """First token of the context in a window, its position, and how many follow, it included."""
    context = encoded.sequence_id == 1
    if not context.any():
        return 0, 0, 0
    closing = len(encoded.special[-1][1])
    first_place = int(encoded.position[context][0])  # the question before it is the same in each window
    owned = np.flatnonzero(context & (encoded.window == window))
    if not len(owned):
        return 0, 0, 0
    first = int(owned[0] - (encoded.position[owned[0]] - first_place))
    return first, first_place, len(encoded.sequences[window]) - closing - first_place


def _answer_of(encoded: EncodedText, answers: GivenAnswers) -> tuple[int, int] | None:
    """First and last token of the answer; None where there is none, or it has no token.

    Spaces and characters that the tokenizer drops have none: an answer may reach over them.
    """
    if answers.start is None:
        return None
    start, end = answers.start, answers.start + len(answers.texts[0])
    tokens = np.flatnonzero((encoded.sequence_id == 1) & (encoded.start < end) & (encoded.end > start))
    return (int(tokens[0]), int(tokens[-1])) if len(tokens) else None
