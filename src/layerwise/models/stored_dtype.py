"""The precision in which a checkpoint keeps its weights: everything is computed in float32, and written as it was."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from safetensors import safe_open
from torch import nn

from layerwise.models.locate import ModelFiles, safetensors_files

_DTYPES = {"F32": torch.float32, "BF16": torch.bfloat16, "F16": torch.float16}


def stored_dtypes(files: ModelFiles) -> Counter[str]:
    """How many floating-point tensors the files hold in each number format."""
    counts: Counter[str] = Counter()
    for path in safetensors_files(files.folder):
        with safe_open(path, framework="numpy") as tensors:
            counts.update(tensors.get_slice(name).get_dtype() for name in tensors.keys())  # noqa: SIM118
    return Counter({name: count for name, count in counts.items() if "F" in name})


def dtype_of(files: ModelFiles) -> torch.dtype:
    """That of all floating-point weights in the files; float32 where they are of several, or pickled."""
    found = list(stored_dtypes(files))
    return _DTYPES.get(found[0], torch.float32) if len(found) == 1 else torch.float32


def cast(model: nn.Module, dtype: torch.dtype, device: torch.device | None = None) -> None:
    """Give the weights of a model a dtype and a device, in place.

    The frequencies of rotary embeddings are no weights and stay in float32, as transformers has them: in bfloat16 the
    angle at position 2,048 would be wrong by 0.9 rad.
    """
    frequencies = [
        (module, name, buffer.clone())
        for module in model.modules()
        for name, buffer in module.named_buffers(recurse=False)
        if "inv_freq" in name
    ]
    model.to(device=device, dtype=dtype)
    for module, name, buffer in frequencies:
        setattr(module, name, buffer.to(device=device))


@contextmanager
def stored_as(model: nn.Module, dtype: torch.dtype) -> Iterator[None]:
    """While this context lasts, the weights have this dtype; afterwards they are float32 again.

    Nothing is lost where they came from it: what is written are the values that were read, or zeros.
    """
    cast(model, dtype)
    try:
        yield
    finally:
        cast(model, torch.float32)
