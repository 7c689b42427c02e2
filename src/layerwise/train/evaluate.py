"""`evaluate`: the scores of a trained model on data with answers."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from layerwise.models.heads import kind_of_head
from layerwise.models.load import pick_device
from layerwise.models.locate import locate
from layerwise.reports.training import EvaluationReport
from layerwise.text.locations import source_names
from layerwise.train.data import Skipped, known_to, read_examples, texts_alone, whole_data
from layerwise.train.doubts import blind
from layerwise.train.folder import load_trained, read_document
from layerwise.train.given import check_counts, name_of, plain
from layerwise.train.predictor import Predictor
from layerwise.train.pretraining.evaluate import pretraining_scores
from layerwise.train.settings import pick_precision, require_training
from layerwise.train.tasks.example import DataColumns
from layerwise.train.tasks.seq2seq import Generation


def evaluate(
    model: str | Path,
    data: str | Path | Sequence[str | Path],
    *,
    columns: DataColumns | None = None,
    skip_bad: bool = False,
    beams: int = 4,
    device: str = "auto",
    precision: str = "fp32",
    batch_tokens: int = 4096,
    revision: str | None = None,
    allow_pickle: bool = False,
    progress: Callable[[str], None] | None = None,
) -> EvaluationReport:
    """Scores of what `finetune` wrote, or of any checkpoint with a head that transformers knows.

    Args:
        data: as for `finetune`.
            For a masked-language model texts, or documents if it was trained on next sentences too.
        skip_bad: leave out rows that cannot be used, those with labels unseen in training among them.
        beams: of the search, for texts that are generated.
        progress: told what is done, as `2,048 of 4,999 examples`.

    Raises:
        ModelError: the model cannot be loaded, or its head was never trained.
        UsageError: it is for no task that can be run.
        SourceError: the data cannot be read, or a row of it cannot be used.
    """
    require_training()
    check_counts(beams, batch_tokens=batch_tokens)
    began, progress = time.perf_counter(), progress or (lambda text: None)
    place = pick_device(device)
    chosen = pick_precision(precision, place)
    name, sources = name_of(model), source_names(data)
    named = whole_data(plain(columns, DataColumns, "columns"))
    files, skipped = locate(name, revision, allow_pickle), Skipped(skip_bad)
    kind = kind_of_head(files)
    if kind in ("masked", "pretraining") and read_document(files) is None:
        scores, masked, notes = pretraining_scores(
            files, kind, sources, texts_alone(named, name), skipped, place, chosen, progress
        )
        spent = time.perf_counter() - began
        return EvaluationReport(
            "pretraining", name, masked, "masked_accuracy", scores, None, spent, (*skipped.note(), *notes)
        )
    trained = load_trained(files).to_run()
    task = trained.task
    if isinstance(task, Generation):
        task.beams = beams
    examples = list(read_examples(type(task), sources, named, skipped, no_text=trained.no_text))
    examples = known_to(task, examples, skipped)
    if not examples:
        raise skipped.refuse_nothing()
    trained.look_at(examples)
    predictor = Predictor(
        trained.model.to(place),
        task,
        trained.batches,
        place,
        chosen,
        batch_tokens,
        told=lambda done: progress(f"{done:,} of {len(examples):,} examples"),
    )
    predictions = list(predictor(map(task.fitting, examples)))
    notes = skipped.note()
    notes += [*task.notes(), *blind(type(task), examples)]
    scores = task.scores(examples, predictions)
    return EvaluationReport(
        task.name,
        name,
        len(examples),
        task.metric,
        {task.metric: scores[task.metric], **scores},
        task.baseline(examples),
        time.perf_counter() - began,
        tuple(notes),
    )
