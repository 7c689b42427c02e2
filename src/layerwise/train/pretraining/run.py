"""`pretrain`: a BERT from raw text, trained on masked tokens and sentence pairs; from its beginning, or further."""

from __future__ import annotations

import multiprocessing
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from transformers import AutoTokenizer

from layerwise.errors import UsageError
from layerwise.models.load import quiet
from layerwise.models.locate import locate
from layerwise.models.tokenizer_files import save_tokenizer
from layerwise.reports.training import PretrainReport, TrainingProgress
from layerwise.reports.wording import counted
from layerwise.text.locations import STDIN, source_names
from layerwise.train.assembling import arguments, build_loop
from layerwise.train.given import folder_of, name_of, plain
from layerwise.train.masking import Masking
from layerwise.train.pretraining.batches import Frame, PairDataset, packed_batch
from layerwise.train.pretraining.corpus import Corpus
from layerwise.train.pretraining.held_out import HeldOut, split_documents
from layerwise.train.pretraining.losses import Losses
from layerwise.train.pretraining.preparing import CORPUS, TOKENIZER, Preparing
from layerwise.train.pretraining.remarks import remarks
from layerwise.train.pretraining.shape import PretrainShape
from layerwise.train.pretraining.start import Source, at_random, open_source, same_pairs, trained
from layerwise.train.processes import this_process
from layerwise.train.run_folder import (
    CHECKPOINTS,
    LOG,
    held,
    published,
    publishing,
    refuse,
    refuse_own_sources,
    resume_from,
)
from layerwise.train.settings import PRETRAINING, TrainingSettings, pick_precision, require_training
from layerwise.train.surroundings import own_surroundings

if TYPE_CHECKING:
    from accelerate import PartialState

__all__ = ["PretrainShape", "pretrain"]

LR = 5e-4
"""The learning rate where none is given."""

FURTHER_LR, BERT_WIDTH = 1e-4, 768
"""That of a trained model, at BERT's width (Gururangan et al. 2020, §B), in proportion to 1 / width."""

PREPARED = ("corpus", "model", "weights_sha256", "vocab_size", "cased", "max_length", "format", "text_column")
"""What vocabulary and token ids depend on."""


@own_surroundings()
def pretrain(
    corpus: str | Path | Sequence[str | Path],
    output: str | Path,
    *,
    model: str | Path | None = None,
    shape: PretrainShape | None = None,
    settings: TrainingSettings | None = None,
    save_every: int = 500,
    minutes: float | None = None,
    prepare_only: bool = False,
    format: str | None = None,
    text_column: str | None = None,
    resume: bool = False,
    overwrite: bool = False,
    revision: str | None = None,
    allow_pickle: bool = False,
    progress: Callable[[TrainingProgress], None] | None = None,
    say: Callable[[str], None] | None = None,
) -> PretrainReport | None:
    """Train a vocabulary and a `BertForPreTraining` on documents, or train a BERT further on them.

    Each source is a part of its own: held-out documents are scored by source, so that languages in files of their own
    are told apart. A run that was stopped goes on with `resume`, with the losses of an undisturbed one.

    Args:
        corpus: sources as for `extract`; in `.txt` an empty line ends a document.
        output: the folder to write.
        model: a BERT that training goes on from, with its vocabulary, or, if the shape has a `vocab_size`, with a new
            one, to which the vectors of its pieces go over. None: begin with random weights.
        shape: what is trained, on what length of text.
        settings: `epochs`, `batch_size` and `evaluate_every` are not read: pretraining is counted in steps, the shape
            has `batch_tokens`, and held-out documents are scored at each checkpoint.
        save_every: steps between two checkpoints, at which the held-out documents are scored.
        minutes: stop after so many, with a checkpoint.
        prepare_only: train the vocabulary and tokenise the corpus, and stop there.

    Returns:
        The report of the whole training; None where it was stopped before its end, and in processes but the first.

    Raises:
        UsageError: an option out of its range, or one that the model decides; the folder is there.
        ModelError: the model cannot be loaded, or is no BERT.
        SourceError: a source cannot be read or holds too little.
        NumericError: the loss became NaN or infinite.
        DeviceMemoryError: a batch does not fit.
        InterruptedRunError: Ctrl-C or SIGTERM; a checkpoint is written first.
        MissingExtraError: the extra `train` is not installed.
    """
    require_training()
    say = say or (lambda text: None)
    name, sources = None if model is None else name_of(model), source_names(corpus)
    form = plain(shape, PretrainShape, "shape").filled(name)
    how = plain(settings, TrainingSettings, "settings").or_else(PRETRAINING)
    how.check()
    if form.vocab_size is not None and STDIN in sources:
        raise UsageError(
            "'-' was given, and a corpus is read twice, for its vocabulary and for its token ids: put the texts into a "
            "file, or go on from a model with --model and its vocabulary."
        )
    if not isinstance(save_every, int) or save_every < 1:
        raise UsageError(f"save-every is {save_every!r}: expected a whole number of steps, at least 1.")
    if minutes is not None and not (isinstance(minutes, int | float) and 0 < minutes < float("inf")):
        raise UsageError(f"minutes is {minutes!r}: expected a number above 0.")
    assert how.steps is not None
    state, device = this_process(how.device)
    precision = pick_precision(how.precision, device)
    pairs, shares = form.batch_tokens // form.max_length, state.num_processes * how.accumulate
    if pairs % shares:
        raise UsageError(
            f"--batch-tokens {form.batch_tokens:,} is {pairs:,} pairs of {form.max_length} tokens, for "
            f"{counted(state.num_processes, 'process', 'processes')} and --accumulate {how.accumulate}: expected a multiple "
            f"of {shares} pairs, as --batch-tokens {-(-pairs // shares) * shares * form.max_length}."
        )
    folder = folder_of(output)
    same = {
        key: value
        for key, value in how.document().items()
        if key not in ("device", "accumulate", "epochs", "batch_size")
    }
    with state.main_process_first():  # it may have to be fetched
        files = None if name is None else locate(name, revision, allow_pickle)
    document = {
        "corpus": sources,
        "model": name,
        "weights_sha256": None if files is None else files.weights_sha256,
        **asdict(form),
        **same,
        "format": format,
        "text_column": text_column,
        "pairs": pairs,
    }
    with ExitStack() as stack:
        with state.main_process_first():
            if state.is_main_process:
                stack.enter_context(held(folder))
                refuse(folder, document, resume, overwrite, PREPARED)
                if not resume:
                    refuse_own_sources(folder, *([] if files is None else [files.folder]), *sources)
            torch.manual_seed(how.seed)  # heads that the files lack are drawn
            source = None if files is None else open_source(files, form)
            if state.is_main_process:
                own = None if source is None else source.tokenizer
                if files is not None and same_pairs(files.folder, document):
                    say(
                        f"{files.name} was pretrained on these sources with seed {how.seed} too: the same pairs come again, "
                        "in the same order; pass another --seed for others"
                    )
                work = Preparing(sources, format, text_column, form, own, say)
                work.make_ready(folder, document, resume)
        if prepare_only:
            return None
        run = _Pretraining(
            folder, source, form, how, pairs, state, device, precision, progress, save_every, minutes, say
        )
        return run.train(resume)


@dataclass
class _Pretraining:
    """One run, step by step."""

    folder: Path
    source: Source | None
    shape: PretrainShape
    how: TrainingSettings
    pairs: int
    state: PartialState
    device: torch.device
    precision: str
    progress: Callable[[TrainingProgress], None] | None
    save_every: int
    minutes: float | None
    say: Callable[[str], None]

    def train(self, resume: bool) -> PretrainReport | None:
        tokenizer = AutoTokenizer.from_pretrained(self.folder / TOKENIZER)
        corpus = Corpus.load(self.folder / CORPUS)
        masking = Masking.of(tokenizer, self.shape.whole_words)
        frame = Frame(tokenizer.cls_token_id, tokenizer.sep_token_id)
        torch.manual_seed(self.how.seed)
        if self.source is None:
            start = at_random(self.shape, tokenizer)
            self.how = self.how.filled(LR)
        else:
            start = trained(self.source, self.shape, tokenizer)
            self.how = self.how.filled(FURTHER_LR * BERT_WIDTH / int(start.model.config.hidden_size))
        assert self.how.steps is not None
        train, held = split_documents(corpus)
        data = PairDataset(
            corpus, train, self.shape.max_length, frame, masking, self.how.seed, self.how.steps * self.pairs
        )
        first_pass = data.first_pass  # built before there are workers, which inherit them
        random = int(first_pass[:, 4].sum())
        notes = (*start.notes, *remarks(corpus, tokenizer.unk_token_id, len(first_pass), random))
        if self.state.is_main_process:
            for note in notes:
                self.say(note)
        losses = Losses(self.pairs)
        scorer = HeldOut(corpus, held, self.shape.max_length, frame, Masking.of(tokenizer, False))

        def evaluate() -> dict[str, float]:
            return scorer.scores(loop.model, self.device, self.precision)

        checkpoint = resume_from(self.folder) if resume else None
        loop = self._loop(start.model, data, losses, evaluate, first=checkpoint is None)
        began = time.perf_counter()
        result = loop.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        tokens, _ = loop.computed()
        if result.global_step < self.how.steps or not self.state.is_main_process:
            if self.state.is_main_process:
                self.say(
                    f"stopped at step {result.global_step:,} of {self.how.steps:,}, with a checkpoint: the same command "
                    "with --resume goes on"
                )
            self.state.wait_for_everyone()
            return None
        scores = evaluate()
        with publishing(self.folder):
            self._save(loop.model, tokenizer, start.dropouts)
        seconds = time.perf_counter() - began
        self.state.wait_for_everyone()
        return PretrainReport(
            output=str(self.folder),
            model=None if self.source is None else self.source.files.name,
            parameters=sum(weight.numel() for weight in loop.model.parameters()),
            vocabulary=len(tokenizer),
            documents=len(corpus.documents) - 1,
            tokens=int(corpus.sentences[-1]),
            steps=result.global_step,
            trained_tokens=loop.tokens_before + tokens,
            passes=self.how.steps * self.pairs / max(len(first_pass), 1),
            scores=scores,
            precision=self.precision,
            seconds=seconds,
            tokens_per_second=tokens / seconds,
            notes=notes,
        )

    def _loop(
        self,
        model: Any,
        data: PairDataset,
        losses: Losses,
        evaluate: Callable[[], dict[str, float]],
        first: bool,
    ) -> Any:
        forking = self.device.type == "cuda" and "fork" in multiprocessing.get_all_start_methods()
        args = arguments(
            self.how,
            self.folder / CHECKPOINTS,
            self.precision,
            self.device,
            self.state.num_processes,
            per_device_train_batch_size=self.pairs // (self.state.num_processes * self.how.accumulate),
            num_train_epochs=1,
            train_sampling_strategy="sequential",
            adam_epsilon=1e-6,
            eval_on_start=first and self.source is not None,  # what a trained model knows before it goes on
            eval_strategy="steps",
            eval_steps=self.save_every,
            save_strategy="steps",
            save_steps=self.save_every,
            # They inherit corpus and pairs of the first pass, which other ways to start them would copy.
            dataloader_num_workers=4 if forking else 0,
            dataloader_multiprocessing_context="fork" if forking else None,
        )
        return build_loop(
            model,
            args,
            data,
            collate=packed_batch,
            loss=losses,
            lengths=None,
            evaluator=evaluate,
            patience=None,
            log=self.folder / LOG,
            report=self.progress,
            meter=losses.drain,
            minutes=self.minutes,
        )

    def _save(self, model: Any, tokenizer: Any, dropouts: dict[str, float]) -> None:
        """The model, with the dropout of fine-tuning in its config, and its tokenizer."""
        for name, value in dropouts.items():
            setattr(model.config, name, value)
        with published(self.folder) as draft, quiet():
            model.save_pretrained(draft)
            save_tokenizer(tokenizer, draft, takes_types=True)
        shutil.rmtree(self.folder / CHECKPOINTS, ignore_errors=True)
