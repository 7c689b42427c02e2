"""What is done between the steps of a training: its log, when it stops, in which order an epoch goes through the data."""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import torch
from transformers import EarlyStoppingCallback, TrainerCallback

from layerwise.reports.training import TrainingProgress
from layerwise.reports.wording import without_nan
from layerwise.train.batches import LengthOrder

FIRST_STOP = 200
"""The step before which training does not stop early."""

Report = Callable[[TrainingProgress], None]


class Counted(Protocol):
    """A loop that counts its tokens, as `loop.Loop` does."""

    tokens: int
    tokens_before: int


class Epochs(TrainerCallback):
    """Tells the order which epoch begins."""

    def __init__(self, order: LengthOrder) -> None:
        self._order = order

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Called by the trainer; in a resumed run with the part of an epoch that is done."""
        self._order.epoch = int(state.epoch + 1e-6)


class Patience(EarlyStoppingCallback):
    """Early stopping that waits until a head can have learned something.

    Scores such as an entity's F1 stay at 0 for the first steps, and in few examples an epoch is a handful of them.
    """

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Called by the trainer; a run that had lost its patience, and goes on only to write its model, stops again."""
        super().on_train_begin(args, state, control, **kwargs)  # type: ignore[no-untyped-call]
        if self.early_stopping_patience_counter >= self.early_stopping_patience:
            control.should_training_stop = True

    def on_evaluate(self, args: Any, state: Any, control: Any, metrics: Any = None, **kwargs: Any) -> None:
        """Called by the trainer."""
        if state.global_step >= FIRST_STOP:
            super().on_evaluate(args, state, control, metrics, **kwargs)  # type: ignore[no-untyped-call]


class Over(TrainerCallback):
    """Notices a run that had come to its end, and goes on only to write its model: it makes no step more."""

    _over = False

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Called by the trainer."""
        if 0 < state.max_steps <= state.global_step:
            control.should_training_stop = True

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Called by the trainer, when `Patience` too has said what it had to."""
        self._over = control.should_training_stop

    def on_epoch_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Called by the trainer, also where it makes no step; what was scored is not scored again."""
        scored = any(
            line["step"] == state.global_step and any(name.startswith("eval_") for name in line)
            for line in state.log_history
        )
        if self._over and scored:
            control.should_log = control.should_evaluate = control.should_save = False


class Logbook(TrainerCallback):
    """Writes each line of the log to `log.jsonl`, and tells how far training has come."""

    def __init__(self, path: Path, report: Report | None) -> None:
        self.path, self._report = path, report
        self.loop: Counted  # the trainer, which is built with its callbacks
        self._began, self._first, self._loss = 0.0, 0, None
        self._scores: dict[str, float] = {}

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Called by the trainer."""
        self._began, self._first = time.perf_counter(), state.global_step
        logged = [line["tokens"] for line in state.log_history if "tokens" in line]
        if self._first and logged:
            self.loop.tokens_before = logged[-1]

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Called by the trainer."""
        _log_what_is_saved(control)
        if state.is_world_process_zero and self._report is not None:
            self._report(self._progress(args, state))

    def on_epoch_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Called by the trainer."""
        _log_what_is_saved(control)

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        """Called by the trainer."""
        if not state.is_world_process_zero or not logs or "train_runtime" in logs:
            return
        self._loss = logs.get("loss", self._loss)
        self._scores |= {
            name.removeprefix("eval_"): value for name, value in logs.items() if name.startswith("eval_")
        }
        line = {"step": state.global_step, "epoch": state.epoch, **logs}
        if "loss" in logs:
            seconds = time.perf_counter() - self._began
            line["tokens_per_second"] = round((logs["tokens"] - self.loop.tokens_before) / seconds, 1)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(without_nan(line)) + "\n")

    def _progress(self, args: Any, state: Any) -> TrainingProgress:
        tokens = self.loop.tokens * args.world_size
        seconds = time.perf_counter() - self._began
        return TrainingProgress(
            state.global_step, state.max_steps, self._loss, tokens, seconds, self._first, dict(self._scores)
        )


def _log_what_is_saved(control: Any) -> None:
    """A line of the log ends with each checkpoint: a run that goes on from it has the lines of an undisturbed one."""
    control.should_log = control.should_log or control.should_save


class Stop(TrainerCallback):
    """Stops with a checkpoint: after so many minutes, or where the run is interrupted.

    Attributes:
        interrupted: set from outside.
        stopped: what ended the training: `interrupted`, `minutes`; None: it went on.
    """

    def __init__(self, minutes: float | None) -> None:
        self.interrupted = threading.Event()
        self.stopped: str | None = None
        self._end = math.inf if minutes is None else time.perf_counter() + 60 * minutes

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Called by the trainer; what one process is told holds for all."""
        told = [self.interrupted.is_set(), time.perf_counter() >= self._end]
        if args.world_size > 1:
            sums = torch.tensor(told, dtype=torch.int32, device=args.device)
            torch.distributed.all_reduce(sums, torch.distributed.ReduceOp.MAX)
            told = [bool(one) for one in sums.tolist()]
        if any(told):
            self.stopped = "interrupted" if told[0] else "minutes"
            control.should_log = control.should_save = control.should_training_stop = True

    def on_epoch_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Called by the trainer, also where it stops within an epoch: what is scored there, an undisturbed run is not."""
        if self.stopped and abs(state.epoch - round(state.epoch)) > 1e-6:
            control.should_log = control.should_evaluate = control.should_save = False
