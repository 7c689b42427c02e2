"""Named entities, and any labels of words: a tag a word, decoded to spans that the scheme allows."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from layerwise.analysis.label_codes import as_classes
from layerwise.errors import LabelError, SourceError, UsageError
from layerwise.models.encoded_text import EncodedText
from layerwise.models.tokenization import Tokenization
from layerwise.ops.bio import (
    Grammar,
    Span,
    best_path,
    join_tag,
    scheme_of,
    spans_of,
    split_tag,
    tags_of,
)
from layerwise.reports.answers import Entity, TaggedText, TaggedWord
from layerwise.reports.wording import counted
from layerwise.text.class_names import whole
from layerwise.text.sources import SourceOptions
from layerwise.text.words import parse_words
from layerwise.train.tasks.classify import class_scores
from layerwise.train.tasks.example import Array, DataColumns, Example, Feature
from layerwise.train.tasks.given_entities import cut_at, given_spans, tags_of_words, with_words
from layerwise.train.tasks.task import Task, cross_entropy, most_frequent
from layerwise.types import TextRecord

NO_NAME = re.compile(r"-?\d+$|.*[=|:][BI][-_]")
"""Numbers of classes without their names, and tags with something before them (`name=B-PER`)."""

MANY_TEXTS = 50
"""From so many on it is no accident that each has one word."""

NAMELESS = "entity"
"""The label of entities that are all of one type, which the tags do not name."""


class Tagging(Task):
    """A tag a word, read at the word's first token (Devlin et al. 2019, §5.3).

    A text that is longer than the model is read in windows; each word's tag is from the window where it has
    most context. A word that gets no token is outside, unless the entity before it goes on behind it.
    """

    name = "ner"
    head = "token"
    metric = "f1"

    def __init__(self, tokenizer: Any, max_length: int, labels: Sequence[str] = ()) -> None:
        super().__init__(tokenizer, max_length, labels)
        self.class_weights: Tensor | None = None
        self.scheme = scheme_of(labels) if labels else None
        self._strict = True
        self._shared = 0
        self._grammar = Grammar.of(self.labels) if labels else None
        self._written = {split_tag(label): label for label in self.labels}
        self.tokenization = Tokenization(tokenizer, max_length, words="given")

    @classmethod
    def source(cls, columns: DataColumns, with_target: bool) -> SourceOptions:
        keep = (columns.label or "label",) if with_target else ()
        return SourceOptions(columns.text, None, columns.id, columns.words, keep=keep, format=columns.format)

    @classmethod
    def example(cls, record: TextRecord, columns: DataColumns, with_target: bool) -> Example:
        if not with_target:
            return Example(record if record.words is not None else with_words(record, ()))
        name = columns.label or "label"
        value = record.kept[name]
        if record.words is None:
            spans = given_spans(record, value, name)
            record = with_words(record, spans)
            assert record.words is not None
            tags = tuple(tags_of_words(record.words, spans))
            return Example(replace(record, kept={}), tags, spans=tuple(spans))
        if isinstance(value, str):  # a field of a table, as words are given there
            try:
                value = parse_words(value)
            except UsageError as error:
                raise SourceError(f"{record.place}, column {name!r}: {error}") from error
        if isinstance(value, list):
            value = list(map(whole, value))
        if not isinstance(value, list) or not all(isinstance(tag, str | int) for tag in value):
            raise SourceError(
                f"{record.place}: the column {name!r} is {str(value)[:60]!r}; expected a list with a tag a word: name "
                "another with --label, or leave such rows out with --skip-bad."
            )
        if len(value) != len(record.words):
            raise SourceError(
                f"{record.place}: there are {len(value)} tags in {name!r} and {len(record.words)} words: expected as "
                "many; correct the row, or leave such rows out with --skip-bad."
            )
        if not all(str(tag).strip() for tag in value):
            number = next(place for place, tag in enumerate(value) if not str(tag).strip())
            raise SourceError(
                f"{record.place}: word {number + 1}, {record.text[slice(*record.words[number])]!r}, has an empty tag in "
                f"{name!r}: give it one (O for none), or leave such rows out with --skip-bad."
            )
        return Example(replace(record, kept={}), tuple(str(tag).strip() for tag in value))

    @classmethod
    def labels_of(cls, examples: Sequence[Example], column: str = "label") -> tuple[str, ...]:
        tags = [tag for example in examples for tag in example.target]
        if not tags:
            raise LabelError("the training data has no words: expected some with tags.")
        labels = set(as_classes(np.array(tags, object), column)[1])
        prefixes = {"BIO": "BI", "IOBES": "BIES"}.get(scheme_of(labels) or "", "")
        if (
            prefixes
        ):  # as the scheme has them, which IOB1 and BILOU have not: a span of one word may be longer tomorrow
            kinds = {kind for prefix, kind in map(split_tag, labels) if prefix != "O"}
            labels = {"O"} | {join_tag(prefix, kind) for prefix in prefixes for kind in kinds}
        return as_classes(np.array([*labels], object), column)[1]

    def prepare(self, examples: Sequence[Example]) -> None:
        if len(examples) == 1:
            raise LabelError(
                f"the training data is one text of {len(examples[0].target):,} words: expected sentences, in .conll with an "
                "empty line after each."
            )
        if len(examples) >= MANY_TEXTS and all(len(example.target) == 1 for example in examples):
            raise LabelError(
                f"each of the {len(examples):,} texts has one word, as where a table has a word a row: bring the words of a "
                "sentence together in lists, or write them as .conll, with an empty line after each sentence."
            )

    @property
    def classes(self) -> tuple[str, ...]:
        """Kinds of entities, or the labels of words."""
        if self.scheme is None:
            return self.labels
        kinds = {kind or NAMELESS for prefix, kind in map(split_tag, self.labels) if prefix != "O"}
        return tuple(sorted(kinds))

    def weigh_classes(self, examples: Sequence[Example]) -> None:
        """Weights against imbalance: n / (classes · n_class), as scikit-learn's `balanced`, of the tags that occur."""
        counts = Counter(self.labels[code] for example in examples for code in self.codes(example))
        total = sum(counts.values()) / len(counts)
        self.class_weights = torch.tensor([total / max(counts[label], 1) for label in self.labels])

    def fitting(self, example: Example) -> Example:
        """With the words that the text alone has: where they are cut at entities, a model is told their ends."""
        if example.spans is None:
            return example
        record = with_words(example.record, ())
        assert record.words is not None
        return replace(example, record=record, target=tuple(tags_of_words(record.words, example.spans)))

    def count(self, encoded: EncodedText) -> None:
        super().count(encoded)
        same = (np.diff(encoded.word_start) == 0) & (np.diff(encoded.word_end) == 0)
        self._shared += int(same.sum())

    def features(self, example: Example, encoded: EncodedText) -> list[Feature]:
        words, first = np.unique(encoded.edge_word, return_index=True)
        tokens = encoded.edge_token[first]
        codes = None
        if example.target is not None:
            codes = np.array(self.codes(example), np.int64)
        found = []
        for number, window in enumerate(encoded.sequences):
            mine = encoded.window[tokens] == number
            if not mine.any():  # a step of such sequences alone would have no mean
                continue
            target = None if codes is None else codes[words[mine]]
            places = encoded.position[tokens[mine]]
            found.append(Feature(window.input_ids, window.token_type_ids, places, target, owner=words[mine]))
        return found

    def notes(self) -> list[str]:
        notes = super().notes()
        if self._shared:
            notes.append(
                f'{counted(self._shared, "word has", "words have")} the same characters as the word before, as French "du" '
                'is "de" and "le" in a treebank: such words have the same tokens, and get the same label.'
            )
        return notes + self._strays()

    def _strays(self) -> list[str]:
        """Tags of no entity among others, or where others were meant."""
        parts = {label: split_tag(label) for label in self.labels}
        strays = [label for label, (prefix, kind) in parts.items() if prefix != "O" and not (prefix and kind)]
        if self.scheme is not None:
            return []
        letters = all(len(label) == 1 for label in self.labels)  # word classes of tweets, O among them
        classes = "O" not in self.labels or letters
        some = len(self.labels) - ("O" in self.labels)
        if classes and len(strays) >= some and not any(map(NO_NAME.match, strays)):
            return []  # parts of speech, say
        shown = ", ".join(map(repr, strays[:3])) + (", …" if len(strays) > 3 else "")
        return [
            f"{shown} {'is no tag' if len(strays) == 1 else 'are no tags'} of an entity (B-…, I-…, O), so all tags are "
            "learned as labels of words, and no entities are scored.",
        ]

    def codes(self, example: Example) -> list[int]:
        """Numbers of the tags; of spans, in the words of the model's own scheme."""
        tags = list(example.target)
        if self.scheme is not None and all(split_tag(tag)[0] for tag in tags):
            tags = [self._as_written(tag) for tag in tags_of(spans_of(tags), len(tags), self.scheme)]
        return [self.code(tag, example) for tag in tags]

    def _as_written(self, tag: str) -> str:
        """The model's own tag for one of BIO or IOBES: a `B-X` that it does not know may be its `I-X`, or its `M_X`."""
        prefix, kind = split_tag(tag)
        return self._written.get((prefix, kind)) or self._written.get(("I", kind), tag)

    def loss(self, outputs: Mapping[str, Tensor], labels: Tensor, num_items_in_batch: Any = None) -> Tensor:
        return cross_entropy(outputs["logits"], labels, num_items_in_batch, self.class_weights)

    def read(
        self, outputs: Mapping[str, Tensor], features: Sequence[Feature], from_states: bool
    ) -> list[Array]:
        scores = outputs["logits"].float().log_softmax(-1).cpu().numpy()
        if from_states:
            return [row[: len(feature.places)] for row, feature in zip(scores, features, strict=True)]
        return [row[feature.places] for row, feature in zip(scores, features, strict=True)]

    def assemble(
        self, number: int, example: Example, features: Sequence[Feature], said: Sequence[Array]
    ) -> TaggedText:
        record, outside = example.record, self.labels.index("O") if "O" in self.labels else 0
        assert record.words is not None and self._grammar is not None
        # A word without a token, such as a space that is a row of its own, is outside unless an entity goes on behind it.
        scores = np.full((len(record.words), len(self.labels)), -1e-3 if self.scheme is None else -1e6)
        scores[:, [split_tag(label)[0] == "I" for label in self.labels]] = -1e-3
        scores[:, outside] = 0.0
        read = np.zeros(len(record.words), bool)
        for feature, rows in zip(features, said, strict=True):
            scores[feature.owner] = rows
            read[feature.owner] = True
        read |= "O" in self.labels
        path = best_path(scores, self._grammar)
        shares = np.exp(scores[np.arange(len(path)), path])
        words = tuple(
            TaggedWord(record.text[start:end], start, end, self.labels[code], float(share))
            if known
            else TaggedWord(record.text[start:end], start, end, None, None)
            for (start, end), code, share, known in zip(record.words, path, shares, read, strict=True)
        )
        return TaggedText(number, record.id, record.text, words, self._entities(record.text, words))

    def _entities(self, text: str, words: Sequence[TaggedWord]) -> tuple[Entity, ...] | None:
        if self.scheme is None:
            return None
        return tuple(_entity(text, words, span) for span in spans_of([word.label or "O" for word in words]))

    def scores(self, examples: Sequence[Example], predictions: Sequence[TaggedText]) -> dict[str, float]:
        pairs = [self._compared(*both) for both in zip(examples, predictions, strict=True)]
        return tag_scores([given for given, _ in pairs], [said for _, said in pairs], self.scheme is not None)

    def _compared(self, example: Example, prediction: TaggedText) -> tuple[list[str], list[str]]:
        """Tags that are given and that are said, of the same words."""
        if example.spans is None or prediction.entities is None:
            given = [self.labels[code] for code in self.codes(example)]
            return given, [word.label or "_" for word in prediction.words]
        gold = [replace(span, kind=span.kind or NAMELESS) for span in example.spans]
        said = [Span(one.start, one.end, one.label) for one in prediction.entities]
        words = cut_at([(word.start, word.end) for word in prediction.words], gold, said)
        return tags_of_words(words, gold), tags_of_words(words, said)

    def baseline(self, examples: Sequence[Example]) -> float | None:
        if self.scheme is not None:
            return 0.0
        given = [tag for example in examples for tag in example.target]
        return class_scores(given, [most_frequent(given)] * len(given))["macro_f1"]

    def document(self) -> dict[str, Any]:
        return {**super().document(), "scheme": self.scheme, "strict": self._strict}

    def configure(self, document: Mapping[str, Any]) -> None:
        # From elsewhere: perhaps of IOB1, which only B-X of adjacent spans tells from BIO.
        self._strict = bool(document.get("strict", "task" in document))
        self._grammar = Grammar.of(self.labels, self._strict)


def tag_scores(given: Sequence[list[str]], found: Sequence[list[str]], spans: bool) -> dict[str, float]:
    """Precision, recall and F1 of entities by seqeval, exact spans and types only; or accuracy and macro-F1 of words.

    Entities are compared as spans whatever the scheme: tags are read as conlleval reads them and written as BIO.
    """
    if not spans:
        scores = class_scores(_flat(given), _flat(found))
        return {**scores, "f1": scores["macro_f1"]}
    from seqeval.metrics import f1_score, precision_score, recall_score

    gold = [tags_of(spans_of(tags), len(tags)) for tags in given]
    said = [tags_of(spans_of(tags), len(tags)) for tags in found]
    return {
        "f1": float(f1_score(gold, said, zero_division=0)),
        "precision": float(precision_score(gold, said, zero_division=0)),
        "recall": float(recall_score(gold, said, zero_division=0)),
        "accuracy": class_scores(_flat(gold), _flat(said))["accuracy"],
    }


def _flat(rows: Sequence[Sequence[str]]) -> list[str]:
    return [tag for row in rows for tag in row]


def _entity(text: str, words: Sequence[TaggedWord], span: Span) -> Entity:
    part = words[span.start : span.end]
    start, end = part[0].start, max(word.end for word in part)
    share = sum(word.probability or 0.0 for word in part) / len(part)
    return Entity(text[start:end], start, end, span.kind or NAMELESS, share)
