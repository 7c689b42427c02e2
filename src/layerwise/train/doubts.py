"""What a user should look at in data that is about to be learned or scored, such as marks that stand for no answer."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence

from layerwise.reports.wording import counted
from layerwise.train.tasks.example import Example
from layerwise.train.tasks.task import Task

NO_LABEL = ("null", "nan", "n/a", "na", "__null__")

FEW = 5
"""Examples that the other classes have where a class of one example is told."""

MOST_ALONE = 0.5
"""Share of the texts whose class has no other text, from which on it is told."""

FEWEST, SHARE = 10, 0.05
"""From so many equal targets on, and such a share of them all, they are told."""


def doubts(kind: type[Task], labels: tuple[str, ...], train: Sequence[Example]) -> Iterator[str]:
    """What a user should look at in the training data, in sentences."""
    if kind.head == "sequence":
        others = [label for label in labels if label not in ("-", "-1")]
        if "-" in labels and "+" not in labels:
            yield (
                "the class '-' is what SNLI and MultiNLI have where annotators did not agree: leave these rows out of the "
                "data if it is no class."
            )
        if "-1" in labels and others and all(label.isdecimal() for label in others):
            yield "the class '-1' often stands for no label: leave these rows out of the data if it is no class."
        counts = Counter(example.target for example in train)
        first = next((one.target for one in train if (one.record.place or "").endswith(", line 1")), None)
        if counts[first] == 1 and all(count >= FEW for label, count in counts.items() if label != first):
            yield (
                f"the class {first!r} is that of the first line alone: if it is the name of a column, name columns by their "
                "names, or remove the line."
            )
        alone = sum(count == 1 for count in counts.values())
        if alone > MOST_ALONE * len(train):
            yield (
                f"{alone:,} of {len(train):,} texts have a class that no other has: if the labels are numbers or texts of "
                "their own, name another column with --label."
            )
        forms: dict[str, str] = {}
        for label in labels:
            other = forms.setdefault(unicodedata.normalize("NFC", label), label)
            if other != label:
                yield (
                    f"the classes {other!r} and {label!r} look alike, written in two forms of Unicode (NFC, NFD): bring "
                    "them into one if they are one."
                )
            if label.lower() in NO_LABEL:
                yield f"the class {label!r} often stands for no label: leave these rows out of the data if it is no class."
    if kind.head == "pair" and train:
        lowest, *higher = sorted({example.target for example in train})
        if lowest == -1 and higher and higher[0] >= 0:
            number = sum(example.target == -1 for example in train)
            yield (
                f"{counted(number, 'pair has', 'pairs have')} the score -1, which often stands for no score: leave these "
                "rows out of the data if it is none."
            )
    if kind.head == "seq2seq" and train:
        [(target, number)] = Counter(example.target for example in train).most_common(1)
        if number >= max(FEWEST, SHARE * len(train)):
            yield (
                f"{number:,} of {len(train):,} targets are {target[:40]!r}: leave these rows out of the data if that stands "
                "for no text."
            )


def seen_before(train: Sequence[Example], dev: Sequence[Example]) -> list[str]:
    """A sentence about a development part that has texts of the training part."""
    known = {(one.record.text, one.record.text_pair) for one in train}
    number = sum((one.record.text, one.record.text_pair) in known for one in dev)
    if not number:
        return []
    return [
        f"{number:,} of {counted(len(dev), 'text')} of the development part {'is' if number == 1 else 'are'} in the "
        "training part too: the scores say little of texts that are new."
    ]


def blind(kind: type[Task], examples: Sequence[Example]) -> list[str]:
    """A sentence about data that is about to be scored and has no answers."""
    if kind.head == "question" and examples and all(one.target.start is None for one in examples):
        return [
            f"none of {counted(len(examples), 'question')} has an answer in the data: a test part whose answers are kept "
            "back cannot be scored."
        ]
    return []
