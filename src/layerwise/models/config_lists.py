"""What a config lists block by block."""

from __future__ import annotations

from typing import Any


def has_entry_per_block(key: str, value: Any, number: int) -> bool:
    """Whether a config's value lists one entry a block, as `layer_types` or Longformer's windows do."""
    named = "layer" in key or key == "attention_window"
    return named and isinstance(value, list | tuple) and len(value) == number
