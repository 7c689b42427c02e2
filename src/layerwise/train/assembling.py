"""A loop put together: the settings in transformers' words, and its callbacks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import PrinterCallback, TrainerCallback, TrainingArguments

from layerwise.train.callbacks import Logbook, Over, Patience, Report, Stop
from layerwise.train.checkpoints import Sealing
from layerwise.train.loop import Evaluate, Loop, Meter
from layerwise.train.settings import TrainingSettings


def arguments(
    settings: TrainingSettings, folder: Path, precision: str, device: torch.device, world: int, **more: Any
) -> TrainingArguments:
    """The settings in transformers' words; `more` has the last one."""
    given: dict[str, Any] = {
        "output_dir": str(folder),
        "num_train_epochs": settings.epochs,
        "max_steps": settings.steps or -1,
        "per_device_train_batch_size": settings.batch_size // (world * settings.accumulate),
        "gradient_accumulation_steps": settings.accumulate,
        "learning_rate": settings.lr,
        "lr_scheduler_type": "linear",
        "weight_decay": settings.weight_decay,
        "bf16": precision == "bf16",
        "fp16": precision == "fp16",
        "use_cpu": device.type == "cpu",
        "seed": settings.seed,
        "logging_strategy": "steps",
        "logging_steps": settings.log_every,
        "logging_first_step": True,
        "logging_nan_inf_filter": False,
        "save_total_limit": 2,
        "restore_callback_states_from_checkpoint": True,  # the patience of early stopping
        "remove_unused_columns": False,
        "report_to": "none",
        "disable_tqdm": True,
        "dataloader_pin_memory": device.type == "cuda",
        "ddp_find_unused_parameters": False,
        "log_level": "error",
        "log_level_replica": "error",
        "warmup_steps": settings.warmup,
    }
    found = TrainingArguments(**{**given, **more})
    # One process trains on one GPU: transformers would put a DataParallel over all that it sees, and batches would grow.
    found._n_gpu = min(found.n_gpu, 1)
    return found


def build_loop(
    model: Any,
    args: TrainingArguments,
    data: Any,
    *,
    collate: Callable[[Sequence[Any]], Any],
    loss: Callable[..., torch.Tensor] | None,
    lengths: Sequence[int] | None,
    evaluator: Evaluate,
    patience: int | None,
    log: Path,
    report: Report | None,
    meter: Meter | None = None,
    minutes: float | None = None,
    pads: bool = True,
) -> Loop:
    """A loop with its callbacks: log, progress, early stopping, sealed checkpoints.

    Args:
        pads: whether the model computes the padding of its batches.
    """
    logbook = Logbook(log, report)
    stop = Stop(minutes)
    callbacks: list[TrainerCallback] = [logbook, stop]
    if patience is not None:
        callbacks.append(Patience(patience))
    callbacks.append(Over())
    loop = Loop(
        stop,
        model=model,
        args=args,
        data_collator=collate,
        train_dataset=data,
        eval_dataset=[],  # the evaluator has it
        compute_loss_func=loss,
        callbacks=callbacks,
        lengths=lengths,
        evaluator=evaluator,
        meter=meter,
        pads=pads,
    )
    loop.remove_callback(PrinterCallback)  # the log is ours
    loop.add_callback(Sealing(loop.accelerator.wait_for_everyone))
    logbook.loop = loop
    return loop
