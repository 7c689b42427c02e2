"""`finetune`: a head on a model, trained for a task."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from layerwise.errors import UsageError, choose
from layerwise.models.embedded import MINILM
from layerwise.models.locate import locate
from layerwise.reports.training import FinetuneReport, TrainingProgress
from layerwise.text.locations import STDIN, source_names
from layerwise.train.choices import FinetuneChoices
from layerwise.train.data import Skipped
from layerwise.train.finetune_run import Finetuning
from layerwise.train.given import folder_of, name_of, plain
from layerwise.train.processes import this_process
from layerwise.train.run_folder import held, refuse, refuse_own_sources, same_run
from layerwise.train.settings import FINETUNING, TrainingSettings, pick_precision, require_training
from layerwise.train.surroundings import own_surroundings
from layerwise.train.tasks.by_name import TASKS
from layerwise.train.tasks.example import DataColumns

__all__ = ["FinetuneChoices", "finetune"]


@own_surroundings()
def finetune(
    task: str,
    data: str | Path | Sequence[str | Path],
    output: str | Path,
    *,
    model: str | Path = MINILM,
    dev: str | Path | Sequence[str | Path] | None = None,
    columns: DataColumns | None = None,
    choices: FinetuneChoices | None = None,
    settings: TrainingSettings | None = None,
    skip_bad: bool = False,
    resume: bool = False,
    overwrite: bool = False,
    revision: str | None = None,
    allow_pickle: bool = False,
    progress: Callable[[TrainingProgress], None] | None = None,
) -> FinetuneReport | None:
    """Train a head on a model, and with it the model unless it is frozen.

    The weights with the best score on the development part are kept. Under `torchrun` or `accelerate launch` the
    same call trains on several devices; only the first process returns a report.

    Args:
        task: `classify`, `ner`, `qa`, `similarity`, `seq2seq`.
        data: as for `extract`; for `qa` also `.json` as SQuAD is published.
        output: the folder to write.
        dev: the development part; None: what the column `columns.split` says, else a tenth of the texts is held
            out.
        skip_bad: leave out rows that cannot be used; the report counts them.
        resume: go on from the last whole checkpoint in `output`.

    Raises:
        UsageError: an option that does not exist or does not fit; the folder is there.
        SourceError: the data cannot be read, or a row of it cannot be used.
        LabelError: the labels cannot be learned: one class only, or too few texts.
        ModelError: the model cannot be loaded, or has no such head.
        NumericError: the loss became NaN or infinite.
        DeviceMemoryError: a batch does not fit.
        InterruptedRunError: Ctrl-C or SIGTERM; a checkpoint is written first.
        MissingExtraError: the extra `train` is not installed.
    """
    require_training()
    chosen = plain(choices, FinetuneChoices, "choices")
    how = plain(settings, TrainingSettings, "settings").or_else(FINETUNING)
    named = plain(columns, DataColumns, "columns")
    name, train = name_of(model), source_names(data)
    held_out = None if dev is None else source_names(dev)
    choose("task", task, TASKS)
    how.check()
    if named.split is not None and held_out is not None:
        raise UsageError("--dev and --split were given: expected one of them.")
    if [*train, *(held_out or ())].count(STDIN) > 1:
        raise UsageError("'-' was given twice: stdin can be read only once, so name a file for one of them.")
    chosen.refuse_unfit(task)
    state, device = this_process(how.device)
    if state.num_processes > 1 and STDIN in (*train, *(held_out or ())):
        raise UsageError(
            f"'-' was given to {state.num_processes} processes, which cannot all read stdin: name a file that each can read."
        )
    precision = pick_precision(how.precision, device)
    shares = state.num_processes * how.accumulate
    if how.batch_size % shares:
        raise UsageError(
            f"the batch size is {how.batch_size}, for {state.num_processes} processes and --accumulate {how.accumulate}: "
            f"expected a multiple of {shares}."
        )
    folder = folder_of(output)
    find = partial(locate, revision=revision, allow_pickle=allow_pickle)
    document = same_run(task, name, train, held_out, named, chosen, how, skip_bad)
    with ExitStack() as stack:
        with state.main_process_first():
            if state.is_main_process:
                stack.enter_context(held(folder))
                refuse(folder, document, resume, overwrite)
                if folder.exists() and not resume:  # else nothing goes
                    models = [find(one).folder for one in chosen.models(name)]
                    refuse_own_sources(folder, *models, *train, *(held_out or ()))
        return Finetuning(
            kind=TASKS[task],
            name=name,
            data=train,
            folder=folder,
            dev=held_out,
            columns=named,
            chosen=chosen,
            how=how,
            skipped=Skipped(skip_bad),
            resume=resume,
            find=find,
            state=state,
            device=device,
            precision=precision,
            document=document,
            progress=progress,
        ).run()
