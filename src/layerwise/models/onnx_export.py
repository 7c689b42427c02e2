"""A model as ONNX, run with onnxruntime and compared before anyone relies on it."""

from __future__ import annotations

import contextlib
import io
import logging
import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from layerwise.errors import ModelError, require
from layerwise.models.encoder import Encoder

REQUIREMENT = "onnx>=1.18 onnxruntime>=1.22 onnxscript>=0.5"
PACKAGES = ("onnx", "onnxruntime", "onnxscript")
PATH = Path("onnx/model.onnx")
"""Where sentence-transformers and text-embeddings-inference look for it."""

TOLERANCE = 1e-5
"""Most that a value may differ by, relative to the largest (at least 1)."""

MAX_BYTES = 1_900_000_000
"""Protobuf takes 2 GB; larger weights lie beside the graph."""


_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
"""What the exporter paints its messages with."""


class _LastHiddenState(nn.Module):
    """The encoder with inputs by position and one output."""

    def __init__(self, model: Any, names: Sequence[str]) -> None:
        super().__init__()
        self.model, self.names = model, tuple(names)

    def forward(self, *inputs: Tensor) -> Tensor:
        hidden: Tensor = self.model(**dict(zip(self.names, inputs, strict=True)))[0]
        return hidden


def require_onnx() -> None:
    """Refuse before any work is done if the packages are not there.

    Raises:
        MissingExtraError: one is not installed.
    """
    for package in PACKAGES:
        require(package, REQUIREMENT, "ONNX export")


def export(encoder: Encoder, folder: Path, texts: Sequence[str]) -> float:
    """Write `onnx/model.onnx`, whose output `last_hidden_state` is (batch, sequence, hidden_size).

    Batch and sequence are free. The graph is run with onnxruntime on `texts`, alone and as one padded
    batch, and compared with the model.

    Returns:
        the worst difference, relative to the largest value (at least 1).

    Raises:
        ModelError: the exporter cannot take this architecture, or the graph gives other vectors.
        OSError: the file cannot be written.
    """
    names = ["input_ids", "attention_mask"] + (["token_type_ids"] if encoder.engine.takes_types else [])
    batches = [_inputs(encoder, list(texts), names), *(_inputs(encoder, [text], names) for text in texts)]
    batches = [batch for batch in batches if batch["input_ids"].shape[1]]
    before = encoder.engine.attention
    encoder.engine.use("eager")
    try:
        _write(encoder, folder / PATH, names, batches[0])
        with torch.inference_mode():
            expected = [encoder.engine.model(**batch)[0].numpy() for batch in batches]
    finally:
        encoder.engine.use(before)
    error = max(_compare(folder / PATH, batches, expected, encoder))
    if not error <= TOLERANCE:
        raise ModelError(
            f"{encoder.files.name!r} cannot be shipped as ONNX: onnxruntime's vectors differ by {error:.1e}, and at "
            f"most {TOLERANCE:.0e} would be rounding; ship it without --onnx."
        )
    return error


def _inputs(encoder: Encoder, texts: list[str], names: Sequence[str]) -> dict[str, Tensor]:
    given = encoder.tokenizer(
        texts, padding=True, truncation=True, max_length=encoder.max_length, return_tensors="pt"
    )
    inputs = {"input_ids": given["input_ids"], "attention_mask": given["attention_mask"]}
    inputs["token_type_ids"] = given.get("token_type_ids", torch.zeros_like(given["input_ids"]))
    return {name: inputs[name] for name in names}


def _write(encoder: Encoder, path: Path, names: Sequence[str], example: dict[str, Tensor]) -> None:
    path.parent.mkdir()
    small = {name: example[name][:2, :9].contiguous() for name in names}
    write_graph(
        _LastHiddenState(encoder.engine.model, names),
        path,
        small,
        ["last_hidden_state"],
        encoder.max_length,
        "ship it without --onnx",
    )


def write_graph(
    module: nn.Module,
    path: Path,
    example: Mapping[str, Tensor],
    outputs: Sequence[str],
    max_length: int,
    advice: str,
) -> None:
    """Write a module, which takes its inputs by position, as a graph with free batch and sequence.

    Args:
        example: (batch, sequence) inputs by name, in their order.
        advice: what to do where the exporter fails.

    Raises:
        ModelError: the exporter cannot take this architecture.
        OSError: the file cannot be written.
    """
    axes = {0: torch.export.Dim("batch"), 1: torch.export.Dim("sequence", max=max_length)}
    size = sum(weight.numel() * weight.element_size() for weight in module.parameters())
    said, log = io.StringIO(), logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)  # it warns of torchvision's operators
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                module.eval(),
                tuple(example.values()),
                path,
                input_names=list(example),
                output_names=list(outputs),
                dynamic_shapes=(tuple(dict(axes) for _ in example),),
                dynamo=True,
                external_data=size > MAX_BYTES,
                verbose=False,
            )
    except Exception as error:  # the exporter has many ways to fail, and none is a class of its own
        cause = error.__cause__ or error
        if isinstance(cause, OSError) and cause.errno is not None:  # a full disk is no fault of the graph
            raise cause from None
        words = " ".join(_COLOUR.sub("", str(cause)).split()) or type(cause).__name__
        name = type(getattr(module, "model", module)).__name__
        raise ModelError(
            f"{name} cannot be exported to ONNX by torch {torch.__version__}: {words[:200]}; {advice}."
        ) from error
    finally:
        log.setLevel(level)


def open_graph(path: Path) -> Any:
    """A session of onnxruntime on the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # no warnings about constants it folds
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def _compare(
    path: Path, batches: list[dict[str, Tensor]], expected: list[Any], encoder: Encoder
) -> list[float]:
    """Worst difference of each batch, at tokens that are no padding."""
    session = open_graph(path)
    taken = {one.name for one in session.get_inputs()}
    errors = []
    for batch, right in zip(batches, expected, strict=True):
        feed = {name: value.numpy() for name, value in batch.items() if name in taken}
        try:
            found = session.run(["last_hidden_state"], feed)[0]
        except Exception as error:  # onnxruntime raises no class that it documents
            raise ModelError(
                f"{encoder.files.name!r} cannot be shipped as ONNX: onnxruntime does not run the graph on inputs of "
                f"{' × '.join(map(str, batch['input_ids'].shape))} ({' '.join(str(error).split())[:200]}); ship it "
                "without --onnx."
            ) from error
        real = batch["attention_mask"].numpy().astype(bool)
        scale = max(1.0, float(np.abs(right[real]).max()))
        errors.append(float(np.abs(found - right)[real].max()) / scale)
    return [float("inf") if np.isnan(error) else error for error in errors]
