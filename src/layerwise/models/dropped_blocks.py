"""Encoders with fewer blocks: those that are dropped are gone from the weights and from config.json."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch import nn

from layerwise.errors import ModelError, UsageError
from layerwise.models.anatomy import blocks_of
from layerwise.models.config_lists import has_entry_per_block
from layerwise.models.removed_heads import KEY, removed_heads


def drop_blocks(encoder: Any, numbers: Iterable[int]) -> None:
    """Take blocks out of an encoder, numbered from 1.

    Raises:
        UsageError: there is no such block, or none would be left.
        ModelError: as `blocks_of`; or what is left would not be what a loader builds.
    """
    blocks, dropped = blocks_of(encoder), sorted(set(numbers))
    number = len(blocks)
    if not dropped or dropped[0] < 1 or dropped[-1] > number or len(dropped) == number:
        raise UsageError(
            f"the blocks {', '.join(map(str, dropped)) or 'none'} were to be dropped: expected some of 1 to {number}, and "
            "one at least to stay."
        )
    kept = [place for place in range(number) if place + 1 not in dropped]
    misfit = _misfit(blocks, kept)
    if misfit is not None:
        raise ModelError(
            f"block {kept[misfit] + 1} of {type(encoder).__name__} would become block {misfit + 1}, which this family "
            f"builds in another way: leave block {misfit + 1} in."
        )
    config = encoder.config
    for key, value in list(vars(config).items()):
        if has_entry_per_block(key, value, number):
            setattr(config, key, [value[place] for place in kept])
    removed = removed_heads(config)
    if removed:
        setattr(
            config,
            KEY,
            {str(new + 1): removed[old + 1] for new, old in enumerate(kept) if old + 1 in removed},
        )
    stay = [blocks[place] for place in kept]
    for place in reversed(range(number)):
        del blocks[place]
    blocks.extend(stay)
    config.num_hidden_layers = len(stay)


def can_drop(encoder: Any, number: int) -> bool:
    """Whether a block, numbered from 1, may go: those behind it move up, and must be built as those in front of them."""
    blocks = blocks_of(encoder)
    return _misfit(blocks, [place for place in range(len(blocks)) if place + 1 != number]) is None


def _misfit(blocks: nn.ModuleList, kept: Sequence[int]) -> int | None:
    """The first place that would get a block with other weights: ModernBERT's first block has no norm of its own."""
    for place, old in enumerate(kept):
        if blocks[old].state_dict().keys() != blocks[place].state_dict().keys():
            return place
    return None


@contextmanager
def without_block(encoder: Any, number: int) -> Iterator[None]:
    """While this context lasts, a block hands on what it gets."""
    block = blocks_of(encoder)[number - 1]

    def pass_on(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> Any:
        hidden = args[0] if args else kwargs["hidden_states"]
        return (hidden, *output[1:]) if isinstance(output, tuple) else hidden

    handle = block.register_forward_hook(pass_on, with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()
