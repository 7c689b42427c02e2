"""Attention over sequences of different lengths in one kernel (CUDA, 16-bit).

torch's `varlen_attn` is used where it takes a scale and a window (2.11 and later), else flash-attention
where that is installed; else there is no such kernel, and attention goes length by length.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec

import torch
from torch import Tensor

Kernel = Callable[[Tensor, Tensor, Tensor, Tensor, int, float | None, tuple[int, int]], Tensor]
"""(query, key, value, boundaries, longest, scale, (left, right)) to the output; see `attend`."""


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    boundaries: Tensor,
    longest: int,
    scale: float | None,
    window: int | None,
    kernel: Kernel,
) -> Tensor:
    """Attend within each sequence.

    `query` is (1, num_heads, total_tokens, head_dim), `key` and `value` may have fewer heads;
    `boundaries` (num_sequences + 1,) int32. Positions attend where |i - j| < `window`. Returns
    (1, total_tokens, num_heads, head_dim).
    """
    side = -1 if window is None else window - 1  # kernels count positions to each side, inclusively
    q, k, v = (states[0].transpose(0, 1) for states in (query, key, value))
    return kernel(q, k, v, boundaries, longest, scale, (side, side)).unsqueeze(0)


def kernel_for(query: Tensor) -> Kernel | None:
    """The kernel that takes `query`, or None."""
    if not query.is_cuda or query.dtype not in (torch.float16, torch.bfloat16):
        return None
    if query.shape[-1] % 8 or query.shape[-1] > 256:  # what flash attention is compiled for
        return None
    if torch.cuda.get_device_capability(query.device) < (8, 0):  # Ampere
        return None
    return torch_kernel() or flash_kernel()


@cache
def torch_kernel() -> Kernel | None:
    """`torch.nn.attention.varlen.varlen_attn`, with `num_splits=1` where it can: then a result does
    not depend on what else is in the batch.
    """
    from torch.nn.attention.varlen import varlen_attn

    known = inspect.signature(varlen_attn).parameters
    if not {"scale", "window_size"} <= known.keys():  # torch 2.10
        return None

    def kernel(
        q: Tensor,
        k: Tensor,
        v: Tensor,
        ends: Tensor,
        longest: int,
        scale: float | None,
        window: tuple[int, int],
    ) -> Tensor:
        options: dict[str, object] = {"scale": scale, "window_size": window}
        if "num_splits" in known:
            options["num_splits"] = 1
        if q.shape[1] != k.shape[1]:
            if "enable_gqa" in known:
                options["enable_gqa"] = True
            else:
                k, v = (states.repeat_interleave(q.shape[1] // k.shape[1], 1) for states in (k, v))
        output = varlen_attn(q, k, v, ends, ends, longest, longest, **options)  # type: ignore[arg-type]
        assert isinstance(output, Tensor)
        return output

    return kernel


@cache
def flash_kernel() -> Kernel | None:
    """`flash_attn_varlen_func` of the package flash-attn."""
    if find_spec("flash_attn") is None:
        return None
    from flash_attn import flash_attn_varlen_func

    def kernel(
        q: Tensor,
        k: Tensor,
        v: Tensor,
        ends: Tensor,
        longest: int,
        scale: float | None,
        window: tuple[int, int],
    ) -> Tensor:
        output = flash_attn_varlen_func(
            q, k, v, ends, ends, longest, longest, softmax_scale=scale, window_size=window
        )
        assert isinstance(output, Tensor)
        return output

    return kernel
