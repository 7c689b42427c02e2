"""One fine-tuning: from the examples to the folder of a model."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from layerwise.errors import SourceError
from layerwise.models.layered import HeadOnStates, LayeredModel
from layerwise.models.locate import ModelFiles
from layerwise.models.padding import looks_at_padding
from layerwise.reports.training import FinetuneReport, TrainingProgress
from layerwise.train.assembling import arguments, build_loop
from layerwise.train.batches import InParts, StateBatches, TokenBatches, fingerprint
from layerwise.train.building import build, usual_rate
from layerwise.train.choices import FinetuneChoices
from layerwise.train.data import (
    Skipped,
    hold_out,
    known_to,
    read_examples,
    refuse_parts_together,
    split_by,
)
from layerwise.train.doubts import seen_before
from layerwise.train.folder import batches_for, save_trained, takes_texts
from layerwise.train.frozen import remember_states
from layerwise.train.loop import Loop
from layerwise.train.predictor import Predictor
from layerwise.train.processes import in_shares, refuse_unlike
from layerwise.train.run_folder import CHECKPOINTS, LOG, claim, publishing, resume_from
from layerwise.train.settings import TrainingSettings
from layerwise.train.tasks.example import DataColumns, Example, Feature
from layerwise.train.tasks.task import Task

if TYPE_CHECKING:
    from accelerate import PartialState


@dataclass
class Finetuning:
    """One run, step by step; the fields are the arguments of `finetune`, checked."""

    kind: type[Task]
    name: str
    data: Any
    folder: Path
    dev: Any
    columns: DataColumns
    chosen: FinetuneChoices
    how: TrainingSettings
    skipped: Skipped
    resume: bool
    find: Callable[[str], ModelFiles]
    state: PartialState
    device: torch.device
    precision: str
    document: dict[str, Any]
    progress: Callable[[TrainingProgress], None] | None
    notes: list[str] = field(default_factory=list)
    began: float = field(default_factory=time.perf_counter)

    def run(self) -> FinetuneReport | None:
        """Train, and write the folder; None in processes that are not the first."""
        self._say("reading")
        train, dev = self._examples()
        self.notes += seen_before(train, dev)
        torch.manual_seed(self.how.seed)
        model, task = build(self.kind, self.name, self.find, self.chosen, train, self.notes.append)
        dev = list(map(task.fitting, known_to(task, dev, self.skipped)))
        if not dev:
            raise self.skipped.refuse_nothing("development part")
        batches: TokenBatches | StateBatches = batches_for(model, task)
        self._say(f"tokenising {len(train) + len(dev):,} examples")
        train_features = [one for group in task.featurise(train) for one in group]
        if not train_features:
            raise SourceError(
                "no row of the data has anything to learn from: its texts or contexts are empty; expected texts."
            )
        task.learn_from(train_features)
        dev_features = list(task.featurise(dev))
        flat = [*train_features, *(one for group in dev_features for one in group)]
        self.how = self.how.filled(usual_rate(model, task), len(train_features), task.enough)
        read = fingerprint(flat)
        refuse_unlike(self.state.num_processes, read)
        self.document |= {"sequences_sha256": read, **self._weights()}
        if self.state.is_main_process:
            claim(self.folder, self.document, self.resume)
        self.state.wait_for_everyone()
        trained: Any = model
        if isinstance(model, LayeredModel) and model.frozen:
            self._run_once(model, task, flat, batches)
            trained, batches = HeadOnStates(model), StateBatches()
        predictor = Predictor(trained.to(self.device), task, batches, self.device, self.precision)
        evaluate = self._evaluation(predictor, dev, dev_features)
        untrained = evaluate()[task.metric]
        loop = self._loop(trained, task, train_features, batches, evaluate)
        checkpoint = resume_from(self.folder) if self.resume else None
        self.state.wait_for_everyone()
        result = loop.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        scores = loop.kept_scores() or evaluate()
        scores = {task.metric: scores[task.metric], **scores}  # a log that was read again is sorted by name
        computed = loop.computed()
        if not self.state.is_main_process:
            self.state.wait_for_everyone()
            return None
        if loop.best.lost is not None:
            self.notes.append(
                f"the best weights of the run before, those of step {loop.best.lost:,}, were damaged on the disk: these are "
                "the best of what came after it was resumed."
            )
        report = self._report(model, task, len(train), dev, scores, untrained, loop, result, computed)
        with publishing(self.folder):
            document = {**self.document, "report": report.to_dict()}
            save_trained(self.folder, model.cpu(), task, document, self.name)
        shutil.rmtree(self.folder / CHECKPOINTS, ignore_errors=True)
        self.state.wait_for_everyone()
        return report

    def _say(self, doing: str) -> None:
        """Tell what is done before and between the steps."""
        if self.progress is not None and self.state.is_main_process:
            self.progress(TrainingProgress(0, 0, None, 0, 0.0, doing=doing))

    def _run_once(self, model: LayeredModel, task: Task, features: list[Feature], batches: Any) -> None:
        """Run a frozen encoder over all texts."""
        processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))  # torchrun says how many are on this machine
        model.to(self.device)
        remember_states(model, features, batches, task, self.precision, self.folder, processes, self._say)

    def _evaluation(
        self, predictor: Predictor, dev: list[Example], features: list[list[Feature]]
    ) -> Callable[[], dict[str, float]]:
        """A function that scores the development part; the metric that counts comes first."""
        task = predictor.task

        def work(rows: list[int]) -> list[Any]:
            predictor.told = lambda done: self._say(f"evaluating {done:,} of {len(rows):,} examples")
            part = [dev[row] for row in rows]
            return list(predictor.of_features(part, [features[row] for row in rows]))

        def evaluate() -> dict[str, float]:
            found = in_shares(len(dev), self.state.process_index, self.state.num_processes, work)
            scores = task.scores(dev, found)
            return {task.metric: scores[task.metric], **scores}

        return evaluate

    def _weights(self) -> dict[str, str]:
        """Checksums of the models that the run begins from."""
        names = zip(("weights_sha256", "decoder_sha256"), self.chosen.models(self.name), strict=False)
        return {key: self.find(name).weights_sha256 for key, name in names}

    def _examples(self) -> tuple[list[Example], list[Example]]:
        if self.columns.split is None:
            refuse_parts_together(self.data, self.columns.format, squad=self.kind.name == "qa")
        train = list(read_examples(self.kind, self.data, self.columns, self.skipped))
        if not train:
            raise self.skipped.refuse_nothing()
        if self.columns.split is not None:
            return split_by(train, self.columns.split)
        if self.dev is None:
            self.kind.labels_of(
                train, self.columns.label or "label"
            )  # with one class only there is nothing to hold out
            return hold_out(train, self.how.seed, self.kind.head in ("sequence", "token"))
        dev = list(read_examples(self.kind, self.dev, self.columns, self.skipped))
        return train, dev

    def _loop(
        self,
        model: Any,
        task: Task,
        features: list[Feature],
        batches: TokenBatches | StateBatches,
        evaluate: Callable[[], dict[str, float]],
    ) -> Loop:
        every = self.how.evaluate_every
        strategy = {"eval_strategy": "epoch", "save_strategy": "epoch"}
        if every is not None:
            strategy = {"eval_strategy": "steps", "save_strategy": "steps"}
        collate: Any = batches
        pads = False
        if isinstance(batches, TokenBatches) and self._pads(model, task):
            pads = True
            collate = InParts(batches) if self.device.type == "cpu" else batches
        args = arguments(
            self.how,
            self.folder / CHECKPOINTS,
            self.precision,
            self.device,
            self.state.num_processes,
            eval_steps=every,
            save_steps=every or 500,
            load_best_model_at_end=True,
            metric_for_best_model=f"eval_{task.metric}",
            greater_is_better=True,
            **strategy,
        )
        return build_loop(
            model,
            args,
            features,
            collate=collate,
            loss=task.loss,
            lengths=[one.longest for one in features],
            evaluator=evaluate,
            patience=self.chosen.patience,
            log=self.folder / LOG,
            report=self.progress,
            pads=pads,
        )

    def _pads(self, model: Any, task: Task) -> bool:
        """Whether the padding of a batch is computed."""
        if isinstance(model, LayeredModel):
            return model.reader.pads(self.device)
        return not looks_at_padding(takes_texts(model, task))

    def _report(
        self,
        model: Any,
        task: Task,
        examples: int,
        dev: list[Example],
        scores: dict[str, float],
        untrained: float,
        loop: Loop,
        result: Any,
        computed: tuple[int, int],
    ) -> FinetuneReport:
        tokens, padding = computed
        seconds = float(result.metrics.get("train_runtime", 0.0))
        mixed = isinstance(model, LayeredModel) and len(model.layers) > 1
        return FinetuneReport(
            task=task.name,
            model=self.name,
            output=str(self.folder),
            head=self._head_in_words(model),
            examples=examples,
            dev_examples=len(dev),
            metric=task.metric,
            scores=scores,
            untrained=untrained,
            majority=task.baseline(dev),
            best_step=loop.state.best_global_step or result.global_step,
            steps=result.global_step,
            epochs=float(result.metrics["epoch"]),
            lr=float(self.how.lr or 0),
            precision=self.precision,
            seconds=time.perf_counter() - self.began,
            tokens_per_second=tokens / seconds if seconds else 0.0,
            padding=padding / max(tokens + padding, 1),
            classes=task.classes,
            layers=model.layers if mixed else (),
            shares=tuple(model.head.shares) if mixed else (),
            notes=tuple(self._notes(task, untrained, scores[task.metric])),
        )

    def _head_in_words(self, model: Any) -> str:
        if not isinstance(model, LayeredModel):
            return type(model).__name__
        of = "a learned mix of all layers" if len(model.layers) > 1 else f"layer {model.layers[0]}"
        return f"{'frozen ' if model.frozen else ''}{type(model.encoder).__name__}, {of}"

    def _notes(self, task: Task, untrained: float, score: float) -> list[str]:
        notes = [*self.skipped.note(), *self.notes]
        if score != score:
            notes.append(
                f"The {task.metric} of the development part means nothing, as all of it has one answer: the weights are not "
                "the best, but the first; name another part with --dev."
            )
        elif not score > untrained:
            notes.append(
                "training made nothing better on the development part: train longer (--epochs), with another --lr, or on "
                "more data."
            )
        return notes + task.notes()
