"""How people get embeddings of every layer today, each written as its own documentation would have it.

Each takes texts and leaves float32 arrays on disk: one (texts, hidden_size) a layer, mean-pooled.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

BATCH = 32


def by_length(texts: Sequence[str], tokenizer: Any) -> list[int]:
    """Numbers of the texts, longest first."""
    lengths = [len(ids) for ids in tokenizer(list(texts))["input_ids"]]
    return sorted(range(len(texts)), key=lambda i: -lengths[i])


def mean_pool(hidden: Any, mask: Any) -> Any:
    """Mean over the real tokens: (batch, seq, size) and (batch, seq) to (batch, size)."""
    weights = mask[:, :, None]
    return (hidden * weights).sum(1) / weights.sum(1)


def transformers(texts: Sequence[str], model: Any, tokenizer: Any, target: Path, in_order: bool) -> None:
    """`output_hidden_states=True` in padded batches of 32, in input order or sorted by length."""
    order = list(range(len(texts))) if in_order else by_length(texts, tokenizer)
    layers: list[list[np.ndarray]] = []
    with torch.inference_mode():
        for first in range(0, len(order), BATCH):
            batch = [texts[i] for i in order[first : first + BATCH]]
            inputs = tokenizer(batch, padding=True, truncation=True, return_tensors="pt")
            hidden = model(**inputs, output_hidden_states=True).hidden_states
            layers.append([mean_pool(h, inputs["attention_mask"]).float().numpy() for h in hidden])
    _save(layers, order, target)


def sentence_transformers(texts: Sequence[str], model: Any, target: Path) -> None:
    """`encode`, which gives the last layer only; it sorts by length itself."""
    np.save(target / "last.npy", model.encode(list(texts), batch_size=BATCH, show_progress_bar=False))


def openvino(texts: Sequence[str], compiled: Any, tokenizer: Any, target: Path) -> None:
    """Compiled by OpenVINO with all layers as outputs; sorted, in batches of 4, which suits it best."""
    order = by_length(texts, tokenizer)
    layers: list[list[np.ndarray]] = []
    request = compiled.create_infer_request()
    for first in range(0, len(order), 4):
        batch = [texts[i] for i in order[first : first + 4]]
        inputs = tokenizer(batch, padding=True, truncation=True, return_tensors="np")
        names = {name: inputs[name] for name in ("input_ids", "attention_mask", "token_type_ids")}
        outputs = request.infer(names, share_inputs=True, share_outputs=True)
        mask = inputs["attention_mask"].astype(np.float32)
        layers.append([mean_pool(outputs[i], mask) for i in range(len(compiled.outputs))])
    _save(layers, order, target)


def compile_openvino(model: Any, precision: str) -> Any:
    """An eager model with all hidden states as outputs, compiled for the CPU in `f32` or `bf16`."""
    import openvino

    class AllLayers(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(
            self, input_ids: torch.Tensor, attention_mask: torch.Tensor, token_type_ids: torch.Tensor
        ) -> Any:
            return self.model(
                input_ids=input_ids,
                attention_mask=attention_mask,
                token_type_ids=token_type_ids,
                output_hidden_states=True,
            ).hidden_states

    ids = torch.randint(1000, 2000, (2, 16))
    example = {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "token_type_ids": torch.zeros_like(ids),
    }
    converted = openvino.convert_model(AllLayers().eval(), example_input=example)
    return openvino.Core().compile_model(converted, "CPU", {"INFERENCE_PRECISION_HINT": precision})


def _save(layers: list[list[np.ndarray]], order: list[int], target: Path) -> None:
    back = np.argsort(order)
    for number, parts in enumerate(zip(*layers, strict=True)):
        np.save(target / f"layer_{number:02d}.npy", np.concatenate(parts)[back])
