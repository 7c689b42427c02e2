"""Padded batches of a model with a head: the attention it runs with, and models that look at padding.

Some encoders see padding through the mask (MobileBERT's trigrams, ConvBERT's convolutions, FNet's Fourier transform):
in a padded batch what they say of a text depends on the texts beside it. The self-check finds them, and they run the
texts of one length at a time.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from types import MethodType
from typing import Any

import torch
from torch import Tensor

from layerwise.models.load import quiet
from layerwise.models.self_check import build_engine

_OF_TOKENS = ("last_hidden_state", "start_logits", "end_logits", "prediction_logits")
"""Outputs that have a row a token; `logits` have one a token or one a text."""


def settle(encoder: Any, model: Any, per_text: bool = False) -> None:
    """Choose the fastest attention that agrees with transformers' own; where the encoder looks at padding, never pad.

    Args:
        encoder: what has the attention.
        model: what is called with batches: the encoder, or a head on it.
        per_text: whether the model's `logits` have a row a text.

    Raises:
        ModelError: the encoder cannot be read.
    """
    was_training = encoder.training
    encoder.eval()
    try:
        with quiet():  # of families that have one attention only
            engine, _ = build_engine(encoder, "padded")
    finally:
        encoder.train(was_training)
    if not engine.mixes_lengths:
        _never_pad(model, per_text)


def _never_pad(model: Any, per_text: bool) -> None:
    """Have a model of transformers run the sequences of each length of a padded batch by themselves.

    Args:
        per_text: whether its `logits` have a row a text.
    """
    whole = type(model).forward

    @functools.wraps(whole)
    def forward(self: Any, *args: Any, **inputs: Any) -> Any:
        mask = inputs.get("attention_mask")
        if args or mask is None or bool(mask.all()):
            return whole(self, *args, **inputs)
        rows = {name: value for name, value in inputs.items() if _is_like(value, mask)}
        rest = {name: value for name, value in inputs.items() if name not in rows}
        kinds = []

        def run(part: Mapping[str, Tensor]) -> dict[str, Tensor]:
            output = whole(self, **part, **rest)
            kinds.append(type(output))
            return {name: output[name] for name in (*_OF_TOKENS, "logits") if name in output}

        found = by_length(run, rows, ("logits",) if per_text else ())
        return kinds[0](**found)

    model.forward = MethodType(forward, model)


def mask_padded_logits(logits: Tensor, mask: Tensor) -> Tensor:
    """Logits (batch, seq, …) that no softmax over places gives a share to where `mask` (batch, seq) is 0."""
    shape = (*mask.shape, *(1 for _ in logits.shape[2:]))
    return logits.masked_fill(mask.view(shape) == 0, torch.finfo(logits.dtype).min)


def mask_padded_spans(model: Any) -> None:
    """Have a head for questions give padding no share: its loss would depend on what else is in a batch."""

    def mask(module: Any, args: Any, inputs: Any, output: Any) -> Any:
        for name in ("start_logits", "end_logits"):
            if inputs.get("attention_mask") is not None:
                output[name] = mask_padded_logits(output[name], inputs["attention_mask"])
        return output

    model.register_forward_hook(mask, with_kwargs=True)


def looks_at_padding(model: Any) -> bool:
    """Whether a model runs the texts of each length by themselves."""
    return "forward" in vars(model)


def by_length(
    run: Callable[[Mapping[str, Tensor]], Mapping[str, Tensor]],
    inputs: Mapping[str, Tensor],
    of_texts: tuple[str, ...],
) -> dict[str, Tensor]:
    """Run the sequences of each length together, and put what comes out back in order.

    Args:
        inputs: (batch, seq) each; `attention_mask` among them.
        of_texts: outputs that have a row a text; others have one a token, zeros where there is none.
    """
    mask = inputs["attention_mask"]
    lengths = mask.sum(dim=1)
    found: dict[str, Tensor] = {}
    for length in sorted(set(lengths.tolist())):
        rows = (lengths == length).nonzero().squeeze(1)
        for name, value in run({name: one[rows, :length] for name, one in inputs.items()}).items():
            if name not in found:
                size = value.shape[1:] if name in of_texts else (mask.shape[1], *value.shape[2:])
                found[name] = value.new_zeros(len(mask), *size)
            value = value.to(found[name].dtype)  # autocast may give a sequence of one token another precision
            if name in of_texts:
                found[name][rows] = value
            else:
                found[name][rows, : value.shape[1]] = value
    return found


def _is_like(value: Any, mask: Tensor) -> bool:
    return isinstance(value, torch.Tensor) and value.shape == mask.shape
