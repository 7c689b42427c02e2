"""Eight bits: weights stored, and products computed, in int8, activations scaled as they come (dynamic quantisation).

Done by onnxruntime, whose kernels are fast on plain CPUs; the graph is `onnx/model_quantized.onnx`, the name that
Optimum and transformers.js look for.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from layerwise.errors import UsageError, require
from layerwise.models.layered import LayeredModel, PairModel
from layerwise.models.onnx_export import REQUIREMENT, open_graph, require_onnx, write_graph
from layerwise.models.padding import looks_at_padding
from layerwise.train.subject import Subject, TrainedSubject

PATH = Path("onnx/model_quantized.onnx")


class _Outputs(nn.Module):
    """A model with inputs by position and its outputs as a tuple."""

    def __init__(self, model: Any, names: Sequence[str], outputs: Sequence[str]) -> None:
        super().__init__()
        self.model, self.names, self.outputs = model, tuple(names), tuple(outputs)

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """The outputs that are named, in their order."""
        found = self.model(**dict(zip(self.names, inputs, strict=True)))
        if self.outputs == ("last_hidden_state",):
            return (found[0],)
        return tuple(found[name] for name in self.outputs)


def require_int8() -> None:
    """Refuse before any work is done if the packages are not there.

    Raises:
        MissingExtraError: one is not installed.
    """
    require_onnx()
    require("onnxruntime.quantization", REQUIREMENT, "int8 quantisation")


def require_graph(subject: Subject) -> None:
    """Refuse a model that has no graph of one forward pass.

    Raises:
        UsageError: it has none.
    """
    model = subject.model
    if isinstance(model, LayeredModel | PairModel) or (
        isinstance(subject, TrainedSubject) and subject.task.head in ("seq2seq", "pair")
    ):
        raise UsageError(
            "--int8 was given for a head of layerwise's own or an encoder-decoder, which are not exported: leave it out."
        )
    if looks_at_padding(model):
        raise UsageError(
            f"--int8 was given for {type(model).__name__}, which looks at padding, and a graph is fed with padded texts: "
            "leave it out."
        )


def quantise(subject: Subject, folder: Path) -> Callable[..., dict[str, Tensor]]:
    """Write the graph in int8; what is returned runs it in the model's place.

    Raises:
        ModelError: the exporter cannot take this architecture.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    model = subject.model
    batch = next(iter(subject.batches()))
    names = [name for name in batch if name not in ("labels", "pool_mask")]
    example = {name: batch[name][:2].contiguous() for name in names}
    outputs = _outputs(model, example)
    path = folder / PATH
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = path.with_name("model.onnx")
    attention = model.config._attn_implementation
    model.set_attn_implementation("eager")
    try:
        write_graph(_Outputs(model, names, outputs), whole, example, outputs, 512, "leave --int8 out")
    finally:
        model.set_attn_implementation(attention)
    with _silent():
        quantize_dynamic(whole, path, weight_type=QuantType.QInt8, per_channel=True)
    for one in path.parent.glob("model.onnx*"):
        one.unlink()
    session = open_graph(path)
    taken = {one.name for one in session.get_inputs()}

    def run(**inputs: Tensor) -> dict[str, Tensor]:
        feed = {name: value.numpy() for name, value in inputs.items() if name in taken}
        found = [torch.from_numpy(one) for one in session.run(None, feed)]
        keys = ["logits"] if outputs == ["last_hidden_state"] else outputs
        return dict(zip(keys, found, strict=True))

    return run


def _outputs(model: Any, example: dict[str, Tensor]) -> list[str]:
    with torch.no_grad():
        found = model(**example)
    known = ("start_logits", "end_logits", "prediction_logits", "logits")
    names = [name for name in known if name in found]
    return names or ["last_hidden_state"]


@contextlib.contextmanager
def _silent() -> Any:
    """It says on the root logger that it would like its input prepared."""
    logger = logging.getLogger()
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)
