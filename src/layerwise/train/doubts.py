"""Marks of published sets that stand for no answer, where they are about to be learned as one, or scored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from layerwise.reports.wording import counted
from layerwise.train.tasks.example import Example
from layerwise.train.tasks.task import Task

NO_LABEL = ("null", "nan", "n/a", "na", "__null__")

FEW = 5
"""Examples that the other classes have where a class of one example is told."""

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
        for label in labels:
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


def blind(kind: type[Task], examples: Sequence[Example]) -> list[str]:
    """A sentence about data that is about to be scored and has no answers."""
    if kind.head == "question" and examples and all(one.target.start is None for one in examples):
        return [
            f"none of {counted(len(examples), 'question')} has an answer in the data: a test part whose answers are kept "
            "back cannot be scored."
        ]
    return []
