"""From sources to examples, and the part of them that is held out."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from glob import has_magic
from pathlib import Path
from typing import Any

from layerwise.analysis.split import DEVELOPMENT, TEST, TRAIN, part_in
from layerwise.errors import ColumnError, LabelError, LayerwiseError, SourceError, UsageError
from layerwise.reports.wording import counted
from layerwise.text.locations import locate, source_names
from layerwise.text.sources import SOURCE_FILE, Sources
from layerwise.train.squad_json import read_squad, squad_files
from layerwise.train.tasks.example import DataColumns, Example
from layerwise.train.tasks.task import Task
from layerwise.types import TextRecord
from layerwise.whole_file import local_path

HELD_OUT = 0.1
"""Share of the data that early stopping looks at where no dev part is given."""

LISTED = 3
"""Reasons that a note about skipped rows gives."""


_OPTIONS = (
    ("--label", "label", ("label", "score", "answers")),
    ("--text-column", "text", ("source", "question", "sentence1")),
    ("--pair-column", "pair", ("target", "context", "sentence2")),
)
"""What names a column that the task looks for by a usual name."""


class Skipped:
    """Rows that were left out, and why.

    Attributes:
        allowed: whether rows may be left out at all; else the first bad one is raised.
        reasons: one a row.
    """

    def __init__(self, allowed: bool) -> None:
        self.allowed = allowed
        self.reasons: list[str] = []

    def __call__(self, error: LayerwiseError) -> None:
        """A row is bad.

        Raises:
            LayerwiseError: `error`, unless rows may be left out.
        """
        if not self.allowed:
            raise error
        self.reasons.append(str(error))

    def refuse_nothing(self, part: str = "data") -> SourceError:
        """The error where no row is left."""
        if self.reasons:
            return SourceError(f"no row of the {part} can be used; the first: {self.reasons[0]}")
        return SourceError(f"no row of the {part} can be used.")

    def note(self) -> list[str]:
        """What was left out, in a sentence; none if nothing was."""
        if not self.reasons:
            return []
        number = len(self.reasons)
        shown = " ".join(self.reasons[:LISTED]) + (" …" if number > LISTED else "")
        return [f"{number:,} bad {'row was' if number == 1 else 'rows were'} left out: {shown}"]


def read_examples(
    task: type[Task],
    data: str | Path | Sequence[str | Path],
    columns: DataColumns,
    skipped: Skipped,
    with_target: bool = True,
    no_text: Sequence[str] = ("label",),
) -> Iterator[Example]:
    """The examples of one or more sources, in order.

    Args:
        no_text: columns that are not the text, where it is not named.

    Raises:
        SourceError: a source cannot be read, is empty, or has a bad row that may not be left out.
        UsageError: a column is named that the task does not read.
    """
    if columns.words is not None and task.name != "ner":
        raise UsageError(
            f"--words-column {columns.words} was given, and {task.name} reads texts: name their column with --text-column."
        )
    if columns.label is not None and columns.label in (columns.text, columns.pair):
        raise UsageError(
            f"the column {columns.label!r} was named for a text and with --label for what is to be learned: expected two "
            "columns; split them in the data if they are one."
        )
    given = source_names(data)
    files = squad_files(given, columns.format) if task.name == "qa" else []
    if files and columns.split is not None:
        raise UsageError(
            f"--split {columns.split} was given, and SQuAD's .json has no columns: name the development part with --dev."
        )
    if files:
        records: Iterator[TextRecord] = read_squad(files, columns.label or "answers", skipped)
    else:
        options = task.source(columns, with_target)
        options = replace(
            options,
            keep=(*options.keep, *([columns.split] if columns.split else [])),
            no_text=tuple(no_text),
            on_bad_row=skipped if skipped.allowed else None,
        )
        sources = Sources(given, options)
        if columns.text is None and sources.is_plain_text():
            sources.options = replace(options, text_column=None)  # the only column there
        records = sources.records()
    for record in _with_hint(records, columns, with_target):
        part = None if columns.split is None else record.kept.get(columns.split)
        if columns.split is not None and part_of(part) is None:  # a published test part may have no labels
            yield Example(record, part=part)
            continue
        try:
            yield replace(task.example(record, columns, with_target), part=part)
        except SourceError as error:
            skipped(error)


def whole_data(columns: DataColumns) -> DataColumns:
    """The columns, where all rows are read.

    Raises:
        UsageError: a column was named that splits the data.
    """
    if columns.split is not None:
        raise UsageError(
            f"the column {columns.split!r} was named as the one that splits the data, and here all rows are read: leave it "
            "out, and give the part that is meant in a file of its own."
        )
    return columns


def texts_alone(columns: DataColumns, model: str) -> DataColumns:
    """The columns, where a model reads texts without answers.

    Raises:
        UsageError: a column was named that goes with answers.
    """
    for option, value in (
        ("--label", columns.label),
        ("--pair-column", columns.pair),
        ("--words-column", columns.words),
    ):
        if value is not None:
            raise UsageError(
                f"{option} {value} was given, and the model {model!r} is scored on texts alone: leave it out."
            )
    return columns


def _with_hint(
    records: Iterator[TextRecord], columns: DataColumns, with_target: bool
) -> Iterator[TextRecord]:
    """Records; where a column was looked for by its usual name and is not there, with what to do."""
    try:
        yield from records
    except ColumnError as error:
        for option, named, usual in _OPTIONS:
            missing = error.column in usual and "a file of this kind" not in str(error)
            said = "; name the texts with --text-column and --pair-column" in str(error)
            if missing and not said and getattr(columns, named) is None and (with_target or named != "label"):
                raise ColumnError(
                    f"{str(error).rstrip('.')}; name the one that holds it with {option}."
                ) from None
        raise


def known_to(task: Task, examples: Sequence[Example], skipped: Skipped) -> list[Example]:
    """The examples whose labels were seen in training.

    Raises:
        SourceError: one was not, and may not be left out.
    """
    if not task.labels:
        return list(examples)
    known = []
    for example in examples:
        try:
            task.codes(example)
            known.append(example)
        except SourceError as error:
            skipped(error)
    return known


def hold_out(examples: Sequence[Example], seed: int, classes: bool) -> tuple[list[Example], list[Example]]:
    """A tenth of the texts, drawn at random; equal texts (contexts, for questions) stay in one part.

    Args:
        seed: of the draw.
        classes: whether targets are classes. Then each class of the tenth is in the training part too.

    Raises:
        LabelError: there are fewer than ten different texts, or none whose classes others have.
    """
    groups: dict[Any, list[Example]] = {}
    for example in examples:
        record = example.record
        context = isinstance(record.text_pair, str) and not isinstance(example.target, str | float)
        groups.setdefault(record.text_pair if context else record.text, []).append(example)
    if len(groups) < 1 / HELD_OUT:
        raise LabelError(
            f"the data has {counted(len(groups), 'text', 'different texts')}: too few to hold a tenth out; name a "
            "development part with --dev."
        )
    order = list(groups)
    random.Random(seed).shuffle(order)
    classes_of = {key: {label for one in groups[key] for label in one.classes} for key in order if classes}
    left = Counter(label for own in classes_of.values() for label in own)
    held: set[Any] = set()
    for key in order:
        own = classes_of.get(key, set())
        if len(held) < max(1, round(len(order) * HELD_OUT)) and all(left[label] > 1 for label in own):
            held.add(key)
            left.subtract(own)
    if not held:
        shown = ", ".join(repr(label[:20]) for label in sorted(left)[:3])
        raise LabelError(
            f"the data has {len(left):,} classes ({shown}, …), and each text has one that no other has: expected classes "
            "that repeat; name another column with --label, or a development part with --dev."
        )
    train = [example for key, group in groups.items() if key not in held for example in group]
    dev = [example for key, group in groups.items() if key in held for example in group]
    return train, dev


def part_of(value: Any) -> str | None:
    """`train` or `dev`, by what a row says (`train`, `validation`, `en-train.conllu`); None: neither."""
    part = part_in(value)
    return None if part is None else {TRAIN: "train", DEVELOPMENT: "dev"}.get(part)


def refuse_parts_together(sources: Sequence[str], format: str | None, squad: bool) -> None:
    """Refuse to train on all files of a folder whose names say that some are for scores.

    Args:
        squad: whether they may be `.json` as SQuAD.

    Raises:
        UsageError: one of the sources is such a folder, or a pattern that finds such files.
        SourceError: a source is not there.
    """
    for source in sources:
        if local_path(source).is_file() or not (local_path(source).is_dir() or has_magic(source)):
            continue
        names = [path.name for path in squad_files([source], format)] if squad else []
        names = names or [file.name for file in locate([source], format)]
        train = [name for name in names if part_in(name) == TRAIN]
        other = [name for name in names if part_in(name) in (DEVELOPMENT, TEST)]
        if train and other:
            raise UsageError(
                f"{source} has {train[0]} and {other[0]}, and all of it would be trained on: name the files to train on, "
                f"and one to choose the weights by with --dev, or pass --split {SOURCE_FILE}, which goes by their names."
            )


def split_by(examples: Sequence[Example], column: str) -> tuple[list[Example], list[Example]]:
    """Train and dev parts by a column that says which is which; others are left out.

    Raises:
        UsageError: one of the two has no row.
    """
    found: dict[str, list[Example]] = {"train": [], "dev": []}
    for example in examples:
        name = part_of(example.part)
        if name is not None:
            found[name].append(example)
    for name, rows in found.items():
        if not rows:
            seen = ", ".join(repr(part) for part in sorted({str(example.part) for example in examples})[:6])
            raise UsageError(
                f"no row has {name!r} in the column {column!r}: it has {seen}; name another with --split."
            )
    return found["train"], found["dev"]
