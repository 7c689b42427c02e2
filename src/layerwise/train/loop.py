"""transformers' Trainer with what layerwise promises of it.

The loss of a step is the mean over all its labels, on however many devices and in however many parts; batches are
of like length and depend on seed and epoch alone; scores come from whole predictions; a loss that is no number
stops the run and leaves its batch behind.
"""

from __future__ import annotations

import errno
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import Trainer

from layerwise.errors import InterruptedRunError, LayerwiseError, NumericError
from layerwise.interruption import another_process_failed, interruptible
from layerwise.models.layered import LayeredHead
from layerwise.models.load import quiet
from layerwise.models.memory import within_memory
from layerwise.train.batches import LengthOrder
from layerwise.train.callbacks import Epochs, Stop
from layerwise.train.checkpoints import Best
from layerwise.train.unreached import leave_out_unreached

MEMORY_ADVICE = "lower --batch-size or --max-length, raise --accumulate, or take bf16"
TORCH_WRITER = "inline_container"
"""In what torch says where `torch.save` could not write all: it does not say why."""

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS)
"""What goes wrong on a disk; other errors of a system may be of what `progress` calls."""

FAILED_BATCH = "failed_batch.json"

MIX_LR = 1e-2
"""Of the numbers of a mix of layers: one a layer begins at 0, and at the rate of a model's weights would stay there."""

Evaluate = Callable[[], dict[str, float]]
Meter = Callable[[Callable[[torch.Tensor], torch.Tensor]], dict[str, float]]
"""Means since its last call, of sums that the function it is given adds up over processes."""


class Loop(Trainer):
    """A trainer of one task.

    Attributes:
        tokens, padding: real and filled up tokens that this process has computed in training.
        tokens_before: real tokens, over all processes, of the run that this one goes on with.
        best: knows whether the best checkpoint of that run is there.
    """

    def __init__(
        self,
        stop: Stop,
        *args: Any,
        lengths: Sequence[int] | None = None,
        evaluator: Evaluate,
        meter: Meter | None = None,
        pads: bool = True,
        **kwargs: Any,
    ) -> None:
        self._end, self._lengths, self._evaluator, self._meter = stop, lengths, evaluator, meter
        self.tokens = self.padding = self.tokens_before = 0
        self._pads, self._loaded = pads, False
        self.best = Best()
        with quiet():
            super().__init__(*args, **kwargs)
        self.add_callback(self.best)

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        if self._lengths is None:
            return super()._get_train_sampler(train_dataset)
        order = LengthOrder(self._lengths, self.get_total_train_batch_size(self.args), self.args.seed)
        self.add_callback(Epochs(order))
        return order

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        """As transformers makes it; a mix of layers learns at its own rate, without weight decay."""
        made = self.optimizer is not None
        optimizer: torch.optim.Optimizer = super().create_optimizer(model)
        whole = self.model if model is None else model
        assert whole is not None
        heads = [one for one in whole.modules() if isinstance(one, LayeredHead)]
        apart = [weight for head in heads for weight in head.mixing]
        if apart and not made:
            known = set(apart)  # tensors are told apart by identity there
            for group in optimizer.param_groups:
                group["params"] = [one for one in group["params"] if one not in known]
            rate = max(MIX_LR, self.args.learning_rate)
            optimizer.add_param_group({"params": apart, "lr": rate, "weight_decay": 0.0})
        return optimizer

    def train(self, *args: Any, **kwargs: Any) -> Any:
        """Train, without transformers' bars and reports.

        Raises:
            LayerwiseError: a checkpoint cannot be written, or that to go on from cannot be read.
            DeviceMemoryError: model, optimizer and gradients do not fit.
            InterruptedRunError: Ctrl-C or SIGTERM; a checkpoint is written.
            NumericError: the loss or the weights became NaN or infinite.
        """
        began, self._loaded = kwargs.get("resume_from_checkpoint"), False
        try:
            with (
                quiet(),
                interruptible() as self._end.interrupted,
                within_memory(self.args.device, MEMORY_ADVICE, "the training"),
            ):
                self._leave_out_unreached()
                if self.args.process_index:  # the same dropout on each device would be less of it
                    torch.manual_seed(self.args.seed + 1_000_003 * self.args.process_index)
                result = super().train(*args, **kwargs)
        except LayerwiseError:
            raise
        except Exception as error:
            if another_process_failed(error):
                raise
            if began and not self._loaded:  # whatever its files hold
                raise LayerwiseError(
                    f"the checkpoint {began} cannot be read ({' '.join(str(error).split())[:200]}): remove it, and --resume "
                    "goes on from the one before, or from the beginning."
                ) from error
            own = str(getattr(error, "filename", None) or "").startswith(str(self.args.output_dir))
            of_a_file = isinstance(error, OSError) and (own or error.errno in FULL)
            if not (of_a_file or isinstance(error, SafetensorError) or TORCH_WRITER in str(error)):
                raise
            said = getattr(error, "strerror", None) or "is the disk full?"
            raise LayerwiseError(
                f"a checkpoint cannot be written to {self.args.output_dir} ({said}): make room, and go on from the last "
                "whole one with --resume."
            ) from error
        self._refuse_broken_weights()
        if self._end.stopped == "interrupted" and self.state.global_step < self.state.max_steps:
            raise InterruptedRunError(
                f"interrupted: step {self.state.global_step:,} of {self.state.max_steps:,} is saved in "
                f"{Path(str(self.args.output_dir)).parent}; the same command with --resume goes on."
            )
        return result

    def _leave_out_unreached(self) -> None:
        """Look at the loss of one example for the weights that it depends on."""
        assert self.model is not None and self.train_dataset is not None
        inputs = self._prepare_inputs(self.data_collator([self.train_dataset[0]]))
        was_training = self.model.training
        self.model.eval()  # draws nothing
        loss = self.compute_loss(self.model, dict(inputs.get("parts", [inputs])[0]))
        assert isinstance(loss, torch.Tensor)
        leave_out_unreached(self.model, loss)
        self.model.train(was_training)
        if self._meter is not None:
            self._meter(lambda sums: sums)  # forgets that example

    def _save_checkpoint(self, *args: Any, **kwargs: Any) -> None:
        self._refuse_broken_weights()
        super()._save_checkpoint(*args, **kwargs)

    def _refuse_broken_weights(self) -> None:
        """A loss tells of the weights before its step; what the step made of them nobody would see before the next one."""
        assert self.model is not None
        if not all(bool(weight.isfinite().all()) for weight in self.model.parameters()):
            raise NumericError(
                f"the weights are NaN or infinite after step {self.state.global_step:,}: training stopped, and they are not "
                "kept; begin anew with a lower --lr, a longer --warmup, or --precision fp32."
            )

    def get_batch_samples(self, *args: Any, **kwargs: Any) -> Any:
        """The batches of a step; none where it was over before it began, which the trainer asks behind a step only."""
        return ([], None) if self.control.should_training_stop else super().get_batch_samples(*args, **kwargs)

    def _load_scaler(self, checkpoint: Any) -> None:
        super()._load_scaler(checkpoint)
        self._loaded = True  # behind weights, optimizer and state

    def _load_rng_state(self, checkpoint: Any) -> None:
        """Called behind the first batch where an epoch is gone on with."""
        self._loaded = False
        super()._load_rng_state(checkpoint)
        self._loaded = True

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Scores of the dev part; as in transformers, their names begin with `eval_`.

        Raises:
            NumericError: the weights are no numbers.
        """
        self._refuse_broken_weights()
        metrics = {f"eval_{name}": value for name, value in self._evaluator().items()}
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def kept_scores(self) -> dict[str, float]:
        """Scores of the checkpoint that was loaded at the end as the best; empty where none was."""
        best = self.state.best_global_step
        lines = [line for line in self.state.log_history if line["step"] == best]
        scores = {name: value for line in lines for name, value in line.items() if name.startswith("eval_")}
        loaded = Path(self.state.best_model_checkpoint or "").name == f"checkpoint-{best}"
        return {name.removeprefix("eval_"): value for name, value in scores.items()} if loaded else {}

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Log, with what the meter has and the tokens so far, which a resumed run finds in the log again."""
        if "loss" in logs:
            measured = {} if self._meter is None else self._meter(self._add_up)
            logs = {**logs, **measured, "tokens": self.tokens_before + self.computed()[0]}
        super().log(logs, start_time)

    def computed(self) -> tuple[int, int]:
        """Real and filled up tokens of this run over all processes; all of them have to ask."""
        own = torch.tensor([self.tokens, self.padding], device=self.args.device)
        if self.args.world_size > 1:
            own = self.accelerator.reduce(own, "sum")
        tokens, padding = own.tolist()
        return tokens, padding

    def _add_up(self, sums: torch.Tensor) -> torch.Tensor:
        if self.args.world_size == 1:
            return sums
        total: torch.Tensor = self.accelerator.reduce(sums.float().to(self.args.device), "sum").cpu()
        return total

    def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> torch.Tensor:
        """One forward and backward pass, or one for each part of the batch.

        Raises:
            NumericError: the loss is no number; the batch is in `failed_batch.json`.
            DeviceMemoryError: the batch does not fit.
        """
        self._loaded = True
        *others, last = inputs.get("parts", [inputs])
        with self.accelerator.no_sync(model):  # each device has parts of its own number
            losses = [self._pass(model, part, num_items_in_batch) for part in others]
        return sum(losses, self._pass(model, last, num_items_in_batch))

    def _pass(self, model: Any, inputs: Any, num_items_in_batch: Any) -> torch.Tensor:
        self._count(inputs)
        copy = dict(inputs)  # the loss takes the labels out
        with within_memory(self.args.device, MEMORY_ADVICE):
            loss: torch.Tensor = super().training_step(model, inputs, num_items_in_batch)
        if not math.isfinite(loss.item()):
            self._stop(loss.item(), copy)
        return loss

    def _count(self, inputs: Any) -> None:
        mask = inputs.get("attention_mask")
        if mask is not None:
            real = int(mask.sum())
            self.tokens += real
            self.padding += mask.numel() - real if self._pads else 0
        elif "input_ids" in inputs:
            self.tokens += inputs["input_ids"].numel()

    def _stop(self, loss: float, inputs: dict[str, Any]) -> None:
        step = self.state.global_step + 1
        path = Path(str(self.args.output_dir)).parent / FAILED_BATCH
        if self.args.world_size > 1:
            path = path.with_stem(f"{path.stem}_{self.args.process_index}")
        batch = {name: value.tolist() for name, value in inputs.items() if isinstance(value, torch.Tensor)}
        path.write_text(json.dumps({"step": step, "loss": str(loss), **batch}), "utf-8")
        raise NumericError(
            f"the loss of step {step} is {loss}: training stopped, and the batch is in {path}; begin anew with a "
            "lower --lr, a longer --warmup, or --precision fp32."
        )
