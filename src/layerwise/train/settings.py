"""How to train: what every kind of training has in common."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from typing import Any

import torch

from layerwise.errors import UsageError, choose, require

PRECISIONS = ("auto", "fp32", "bf16", "fp16")

USUAL_EPOCHS, MOST_EPOCHS = 3, 20

REQUIREMENT = "accelerate>=1.10 scikit-learn>=1.6 seqeval>=1.2.2 sacrebleu>=2.5"
"""The extra `train`."""


@dataclass(frozen=True)
class TrainingSettings:
    """How to train.

    Attributes:
        epochs: passes over the data; may be a fraction. None: three, and with few examples as many as make enough
            steps, up to twenty. `steps` counts instead where it is given.
        steps: optimiser steps; None: by `epochs`, and 10,000 in pretraining.
        batch_size: examples of one optimiser step, over all devices: the curve does not depend on how many there are.
        accumulate: parts in which each device takes its share of them, for less memory.
        lr: the highest learning rate of AdamW; it falls linearly to 0 behind the warm-up (Devlin et al. 2019, §A.2).
            None: the task's.
        warmup: share of the steps in which it rises (below 1), or their number. None: 0.1, and 0.05 in pretraining.
        weight_decay: of AdamW (Loshchilov & Hutter 2019).
        precision: `fp32`, `bf16`, `fp16`; `auto`: bf16 where the device computes it, else fp32.
        seed: of everything drawn at random.
        device: `auto`, `cpu`, `cuda`.
        evaluate_every: steps between two evaluations; None: after each epoch.
        log_every: steps between two lines of the log. None: 10, and 50 in pretraining.
    """

    epochs: float | None = None
    steps: int | None = None
    batch_size: int = 32
    accumulate: int = 1
    lr: float | None = None
    warmup: float | None = None
    weight_decay: float = 0.01
    precision: str = "auto"
    seed: int = 0
    device: str = "auto"
    evaluate_every: int | None = None
    log_every: int | None = None

    def check(self) -> None:
        """Refuse what cannot be.

        Raises:
            UsageError: a number is out of its range, or an unknown precision.
        """
        choose("precision", self.precision, PRECISIONS)
        positive = {
            "epochs": 1 if self.epochs is None else self.epochs,
            "batch size": self.batch_size,
            "accumulate": self.accumulate,
            "learning rate": 1 if self.lr is None else self.lr,
            "log-every": 1 if self.log_every is None else self.log_every,
            "steps": 1 if self.steps is None else self.steps,
            "evaluate-every": 1 if self.evaluate_every is None else self.evaluate_every,
        }
        for name, value in positive.items():
            if not value > 0 or value == float("inf"):
                raise UsageError(f"the {name} is {value:g}: expected a number above 0.")
        if not 0 <= self.seed < 1 << 32:
            raise UsageError(f"the seed is {self.seed}: expected 0 to {(1 << 32) - 1}.")
        for name, number in (("warm-up", self.warmup or 0.0), ("weight decay", self.weight_decay)):
            if not 0 <= number < math.inf:
                raise UsageError(f"the {name} is {number:g}: expected 0 or more.")
        if self.steps is not None:
            self._refuse_long_warmup(self.steps)

    def _refuse_long_warmup(self, steps: int) -> None:
        if self.warmup is not None and self.warmup > steps:
            raise UsageError(
                f"the warm-up is {self.warmup:g} steps, and the run has {steps:,}: expected fewer, or a share below 1."
            )

    def or_else(self, usual: TrainingSettings) -> TrainingSettings:
        """With what is usual for a kind of training where nothing was given."""
        missing = {
            name: value
            for name, value in asdict(usual).items()
            if getattr(self, name) is None and value is not None
        }
        return replace(self, **missing)

    def filled(self, lr: float, examples: int = 0, enough: int = 0) -> TrainingSettings:
        """With numbers where nothing was given.

        BERT was fine-tuned for three epochs of thousands of examples (Devlin et al. 2019, §4.1); three of a few hundred
        are too few steps to learn anything, and twenty do no harm (Mosbach et al. 2021, §6).

        Args:
            lr: the task's learning rate.
            examples: of the training data.
            enough: steps that the task needs.

        Raises:
            UsageError: the warm-up is longer than the run.
        """
        steps_per_epoch = max(math.ceil(examples / self.batch_size), 1)
        epochs = min(max(USUAL_EPOCHS, math.ceil(enough / steps_per_epoch)), MOST_EPOCHS)
        filled = replace(
            self,
            lr=lr if self.lr is None else self.lr,
            epochs=float(epochs) if self.epochs is None else self.epochs,
        )
        if self.steps is None and examples:
            self._refuse_long_warmup(math.ceil((filled.epochs or 1) * steps_per_epoch))
        return filled

    def document(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


FINETUNING = TrainingSettings(warmup=0.1, log_every=10)
PRETRAINING = TrainingSettings(steps=10_000, warmup=0.05, log_every=50)
"""What is usual."""


def computes_bf16(device: torch.device) -> bool:
    """Whether a device has units for bfloat16: on a CPU without them it is more than ten times slower."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        known = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
        return any(getattr(torch.cpu, name, lambda: False)() for name in known)
    return False


def pick_precision(precision: str, device: torch.device) -> str:
    """`fp32`, `bf16` or `fp16` for a device.

    Raises:
        UsageError: unknown, or fp16 on another device than CUDA, where losses cannot be scaled.
    """
    choose("precision", precision, PRECISIONS)
    if precision == "fp16" and device.type != "cuda":
        raise UsageError(
            f"the precision fp16 was given on {device.type}: it needs a scaled loss, which is for CUDA only; choose bf16, "
            "fp32 or auto."
        )
    if precision != "auto":
        return precision
    return "bf16" if computes_bf16(device) else "fp32"


def require_training() -> None:
    """Refuse, before any work, where the extra `train` is not installed.

    Raises:
        MissingExtraError: it is not.
    """
    for module in ("accelerate", "sklearn", "seqeval", "sacrebleu"):
        if (
            find_spec(module) is None
        ):  # importing all of them takes a second, and not all are needed each time
            require(module, REQUIREMENT, "training")
