"""The kernels' path, without a CUDA device: every signature that torch has had, computed by the definition."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.attention import varlen

from layerwise.models import variable_length
from layerwise.models.packed_attention import PackedSequences, packed_attention

LENGTHS = (5, 1, 9, 5)
HEADS, DIM = 4, 8


def by_definition(
    q: Tensor, k: Tensor, v: Tensor, ends: Tensor, scale: float | None, window: tuple[int, int]
) -> Tensor:
    """softmax(q kᵀ · scale) v within each sequence, `window` positions to the left and right; (total, heads, dim)."""
    group = q.shape[1] // k.shape[1]
    k, v = k.repeat_interleave(group, 1), v.repeat_interleave(group, 1)
    output = torch.empty_like(q)
    for first, after in zip(ends.tolist(), ends.tolist()[1:], strict=False):
        scores = torch.einsum("qhd,khd->hqk", q[first:after], k[first:after])
        scores = scores * (q.shape[-1] ** -0.5 if scale is None else scale)
        distance = torch.arange(after - first)[None, :] - torch.arange(after - first)[:, None]
        left, right = (after if side < 0 else side for side in window)
        scores = scores.masked_fill((distance < -left) | (distance > right), -torch.inf)
        output[first:after] = torch.einsum("hqk,khd->qhd", scores.softmax(-1), v[first:after])
    return output


def torch_2_10(
    q: Tensor, k: Tensor, v: Tensor, a: Any, b: Any, c: int, d: int, is_causal: bool = False
) -> None:
    raise AssertionError("it takes no scale and no window, so it must not be called")


def torch_2_11(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    cu_seq_q: Tensor,
    cu_seq_k: Tensor,
    max_q: int,
    max_k: int,
    *,
    return_aux: Any = None,
    scale: float | None = None,
    window_size: tuple[int, int] = (-1, -1),
) -> Tensor:
    assert q.shape == v.shape, "no grouped queries yet"
    assert cu_seq_q.dtype == torch.int32 and max_q == max(LENGTHS) and q.shape == (sum(LENGTHS), HEADS, DIM)
    return by_definition(q, k, v, cu_seq_q, scale, window_size)


def torch_2_13(
    *arguments: Any,
    num_splits: int | None = None,
    enable_gqa: bool = False,
    scale: Any = None,
    window_size: Any,
) -> Tensor:
    assert num_splits == 1, "results that depend on the rest of the batch"
    q, k, v, ends, *_ = arguments
    assert enable_gqa == (q.shape[1] != k.shape[1])
    return by_definition(q, k, v, ends, scale, window_size)


def flash_attn_varlen_func(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    cu_seqlens_q: Tensor,
    cu_seqlens_k: Tensor,
    max_seqlen_q: int,
    max_seqlen_k: int,
    dropout_p: float = 0.0,
    softmax_scale: float | None = None,
    causal: bool = False,
    window_size: tuple[int, int] = (-1, -1),
) -> Tensor:
    return by_definition(q, k, v, cu_seqlens_q, softmax_scale, window_size)


@pytest.fixture(autouse=True)
def fresh_kernels() -> Iterator[None]:
    variable_length.torch_kernel.cache_clear()
    variable_length.flash_kernel.cache_clear()
    yield
    variable_length.torch_kernel.cache_clear()
    variable_length.flash_kernel.cache_clear()


def states(key_heads: int) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    shape = (1, HEADS, sum(LENGTHS), DIM)
    return tuple(
        torch.randn(1, heads, *shape[2:], generator=generator) for heads in (HEADS, key_heads, key_heads)
    )  # type: ignore[return-value]


def check(kernel: variable_length.Kernel, key_heads: int, window: int | None, scale: float | None) -> None:
    query, key, value = states(key_heads)
    packed = PackedSequences(LENGTHS, torch.device("cpu"))
    expected, _ = packed_attention(None, query, key, value, None, scale, window, packed)  # type: ignore[arg-type]
    got = variable_length.attend(query, key, value, packed.boundaries, max(LENGTHS), scale, window, kernel)
    assert got.shape == expected.shape
    assert (got - expected).abs().max() < 1e-6


@pytest.mark.parametrize("scale", [None, 0.3])
@pytest.mark.parametrize("window", [None, 1, 3, 100])
@pytest.mark.parametrize("key_heads", [HEADS, 2])
@pytest.mark.parametrize("version", [torch_2_11, torch_2_13])
def test_torch(
    version: Callable[..., Tensor],
    key_heads: int,
    window: int | None,
    scale: float | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(varlen, "varlen_attn", version)
    kernel = variable_length.torch_kernel()
    assert kernel is not None
    check(kernel, key_heads, window, scale)


@pytest.mark.parametrize("window", [None, 3])
@pytest.mark.parametrize("key_heads", [HEADS, 2])
def test_flash_attention_where_torch_has_no_kernel(
    key_heads: int, window: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(varlen, "varlen_attn", torch_2_10)
    package = ModuleType("flash_attn")
    package.flash_attn_varlen_func = flash_attn_varlen_func  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "flash_attn", package)
    monkeypatch.setattr(variable_length, "find_spec", lambda name: object())
    assert variable_length.torch_kernel() is None
    kernel = variable_length.flash_kernel()
    assert kernel is not None
    check(kernel, key_heads, window, None)


def test_no_kernel_on_the_cpu() -> None:
    assert variable_length.kernel_for(states(HEADS)[0].bfloat16()) is None


def test_todays_torch_takes_what_is_passed() -> None:
    assert variable_length.torch_kernel() is not None
