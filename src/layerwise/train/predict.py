"""`predict`: what a trained model says of texts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from layerwise.models.heads import kind_of_head
from layerwise.models.load import pick_device
from layerwise.models.locate import locate
from layerwise.text.locations import source_names
from layerwise.text.sources import SourceOptions, Sources
from layerwise.train.data import Skipped, read_examples, whole_data
from layerwise.train.folder import Trained, load_trained, read_document
from layerwise.train.given import check_counts, name_of, plain
from layerwise.train.masked import MaskFiller
from layerwise.train.predictor import Predictor
from layerwise.train.settings import pick_precision, require_training
from layerwise.train.tasks.example import DataColumns, Example, Prediction
from layerwise.train.tasks.seq2seq import Generation


def predict(
    model: str | Path,
    source: str | Path | Sequence[str | Path],
    *,
    columns: DataColumns | None = None,
    limit: int | None = None,
    skip_bad: bool = False,
    beams: int = 4,
    top: int = 5,
    device: str = "auto",
    precision: str = "fp32",
    batch_tokens: int | None = None,
    revision: str | None = None,
    allow_pickle: bool = False,
    say: Callable[[str], None] | None = None,
) -> Iterator[Prediction]:
    """What a model says of each text: labels, entities, answers, similarities, generated texts, filled masks.

    Args:
        model: what `finetune` or `pretrain` wrote, or a checkpoint with a head that transformers knows.
        source: as for `extract`; for questions a column `question` and one `context`, or `.json` as SQuAD.
        limit: take only the first texts.
        beams: of the search, for texts that are generated.
        top: tokens for each mask.
        say: told at the end, in sentences, what was left out or cut.

    Raises:
        UsageError: it is for no task that can be run.
        ModelError: it cannot be loaded, or its head was never trained.
        SourceError: a source cannot be read, or a row of it cannot be used.
    """
    require_training()
    say = say or (lambda text: None)
    check_counts(beams, top, limit, batch_tokens)
    place = pick_device(device)
    chosen, tokens = pick_precision(precision, place), batch_tokens or 4096
    files = locate(name_of(model), revision, allow_pickle)
    named, skipped = whole_data(plain(columns, DataColumns, "columns")), Skipped(skip_bad)
    kind = kind_of_head(files)
    if kind in ("masked", "pretraining") and read_document(files) is None:
        filler = MaskFiller(files, kind, place, chosen, tokens, top)
        return _filled(filler, source_names(source), named, skipped, limit, say)
    trained = load_trained(files).to_run()
    if isinstance(trained.task, Generation):
        trained.task.beams = beams
    predictor = Predictor(trained.model.to(place), trained.task, trained.batches, place, chosen, tokens)
    return _of_task(trained, predictor, source, named, skipped, limit, say)


def _filled(
    filler: MaskFiller,
    source: list[str],
    columns: DataColumns,
    skipped: Skipped,
    limit: int | None,
    say: Callable[[str], None],
) -> Iterator[Prediction]:
    options = SourceOptions(columns.text, id_column=columns.id, format=columns.format)
    options = replace(options, on_bad_row=skipped if skipped.allowed else None)
    yield from filler(islice(Sources(source, options).records(), limit), skipped)
    for note in skipped.note():
        say(note)


def _of_task(
    trained: Trained,
    predictor: Predictor,
    source: Any,
    columns: DataColumns,
    skipped: Skipped,
    limit: int | None,
    say: Callable[[str], None],
) -> Iterator[Prediction]:
    task = trained.task
    examples: Iterable[Example] = read_examples(
        type(task), source, columns, skipped, with_target=False, no_text=trained.no_text
    )
    yield from predictor(islice(map(task.fitting, examples), limit))
    for note in (*skipped.note(), *task.notes()):
        say(note)
