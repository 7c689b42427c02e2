"""Attention over packed sequences, registered with transformers' `AttentionInterface`.

A packed batch is one row of `total_tokens` tokens: the sequences stand one after the other with
no padding between them, so every linear layer works on real tokens only. Attention alone must
know where a sequence ends. This file holds that one function; the model code stays stock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface
from transformers.masking_utils import AttentionMaskInterface

from layerwise.models.variable_length import attend, kernel_for

PACKED = "layerwise_packed"
"""Name under which the attention function is registered."""


@dataclass(frozen=True)
class PackedSequences:
    """Where the sequences of one packed batch begin and end.

    Attributes:
        lengths: tokens of each sequence; their sum is `total_tokens`.
        device: where the attention runs.
    """

    lengths: tuple[int, ...]
    device: torch.device
    _bands: dict[tuple[int, int], Tensor] = field(default_factory=dict, repr=False)

    @cached_property
    def runs(self) -> tuple[tuple[int, int], ...]:
        """(length, number of sequences) of each run of sequences of equal length."""
        return tuple((length, sum(1 for _ in group)) for length, group in groupby(self.lengths))

    @cached_property
    def boundaries(self) -> Tensor:
        """Cumulative sequence lengths, (num_sequences + 1,) int32, as variable-length kernels take them."""
        lengths = torch.tensor((0, *self.lengths), dtype=torch.int32)
        return lengths.cumsum(0, dtype=torch.int32).to(self.device)

    def band(self, length: int, window: int) -> Tensor:
        """True where two positions attend to each other: |i - j| < window; (length, length)."""
        if (length, window) not in self._bands:
            positions = torch.arange(length, device=self.device)
            self._bands[length, window] = (positions[:, None] - positions[None, :]).abs() < window
        return self._bands[length, window]


def packed_attention(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    sliding_window: int | None = None,
    packed: PackedSequences | None = None,
    dropout: float = 0.0,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """Attend within each sequence of a packed batch.

    `query` is (1, num_heads, total_tokens, head_dim); `key` and `value` may have fewer heads
    (grouped queries). Returns (1, total_tokens, num_heads, head_dim), as transformers expects of
    an attention function. `sliding_window` is ModernBERT's: positions attend where
    |i - j| < sliding_window. `dropout` is of the attention weights, in training.

    Raises:
        RuntimeError: the model did not pass `packed` through, so it cannot run packed; the
            self-check at load time turns this into a padded run.
    """
    if packed is None:
        raise RuntimeError("this architecture does not hand keyword arguments to its attention function")
    if not dropout and (kernel := kernel_for(query)):
        ends, longest = packed.boundaries, max(packed.lengths)
        return attend(query, key, value, ends, longest, scaling, sliding_window, kernel), None
    if query.requires_grad and query.dtype == torch.bfloat16 and query.device.type == "cpu":
        # In bfloat16 the CPU's backward pass takes more than twice the time (torch 2.13).
        with torch.autocast("cpu", enabled=False):
            q, k, v = (states.float() for states in (query, key, value))
            found, _ = packed_attention(module, q, k, v, None, scaling, sliding_window, packed, dropout)
        return found.to(query.dtype), None
    grouped = query.shape[1] != key.shape[1]
    output = []
    for (length, _), q, k, v in zip(
        packed.runs, *(_split(states, packed.runs) for states in (query, key, value)), strict=True
    ):
        mask = None
        if sliding_window is not None and length > sliding_window:
            mask = packed.band(length, sliding_window)
        attended = scaled_dot_product_attention(
            q, k, v, attn_mask=mask, dropout_p=dropout, scale=scaling, enable_gqa=grouped
        )
        output.append(attended.transpose(1, 2).flatten(0, 1))
    return torch.cat(output).unsqueeze(0), None


def _split(states: Tensor, runs: Sequence[tuple[int, int]]) -> list[Tensor]:
    """View (1, heads, total, dim) as one (count, heads, length, dim) for each run.

    In one split: the gradient of a slice would be as large as the whole, one for each run.
    """
    parts = torch.split(states[0], [length * count for length, count in runs], dim=1)
    return [
        part.reshape(part.shape[0], count, length, part.shape[2]).transpose(0, 1)
        for part, (length, count) in zip(parts, runs, strict=True)
    ]


def _no_mask(*args: Any, **kwargs: Any) -> None:
    """A packed batch has no padding, hence no mask."""
    return


def register() -> None:
    """Make `attn_implementation="layerwise_packed"` known to transformers."""
    AttentionInterface.register(PACKED, packed_attention)
    AttentionMaskInterface.register(PACKED, _no_mask)


def position_ids(input_ids: Sequence[Tensor], padding_idx: int | None) -> Tensor:
    """Position ids of packed sequences, restarting in each: (total_tokens,).

    Without `padding_idx` they count 0, 1, 2 …. In the RoBERTa line (`padding_idx` given) they
    start at `padding_idx + 1` and skip literal padding tokens, which all get `padding_idx`
    (transformers' `create_position_ids_from_input_ids`).
    """
    if padding_idx is None:
        return torch.cat([torch.arange(len(ids)) for ids in input_ids])
    rows = []
    for ids in input_ids:
        real = (ids != padding_idx).long()
        rows.append(real.cumsum(0) * real + padding_idx)
    return torch.cat(rows)
