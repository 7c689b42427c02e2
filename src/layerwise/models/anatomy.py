"""Where the layers of a model are: found from its modules, never from its name.

Layer k (k < N) is what enters block k + 1, and layer N is what leaves block N. Read at the blocks'
inputs, a layer is right also where something sits between two blocks (DeBERTa-v2's convolution
after block 1) or before the first (ALBERT's and ELECTRA's embedding projection). Blocks are
counted as they are called, since ALBERT calls one shared block N times.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from layerwise.errors import ModelError
from layerwise.types import Layer

Consumer = Callable[[Layer, Tensor], None]
"""Takes a layer and its hidden states as soon as they exist."""


@dataclass(frozen=True)
class Anatomy:
    """The modules at which layers are read.

    Attributes:
        blocks: modules whose k-th call (from 1) takes layer k - 1 as input; a shared block
            stands here once.
        last: module whose N-th call among `last_calls` returns layer N.
        num_hidden_layers: N, the number of calls of blocks in a forward pass.
        position_padding_idx: where position ids start at `padding_idx + 1` (the RoBERTa line),
            that index; else None.
        max_positions: the most tokens a sequence may have, or None if the model knows no limit.
    """

    blocks: tuple[nn.Module, ...]
    last: tuple[nn.Module, ...]
    num_hidden_layers: int
    position_padding_idx: int | None
    max_positions: int | None


class _Enough(BaseException):
    """Ends a forward pass once the highest layer asked for is in hand."""


def dissect(model: nn.Module, config: Any) -> Anatomy:
    """Find the blocks and positions of a transformers encoder.

    Raises:
        ModelError: it has no blocks, or no list of them was found.
    """
    number = config.num_hidden_layers
    if not isinstance(number, int) or number < 1:
        raise ModelError(
            f"{type(model).__name__} has {number} blocks by its config.json: expected at least 1."
        )
    blocks, last = _blocks(model, number)
    padding_idx, max_positions = _positions(model, config)
    return Anatomy(blocks, last, number, padding_idx, max_positions)


def _blocks(model: nn.Module, number: int) -> tuple[tuple[nn.Module, ...], tuple[nn.Module, ...]]:
    lists = {name: module for name, module in model.named_modules() if isinstance(module, nn.ModuleList)}
    for name, groups in lists.items():
        if name.endswith("albert_layer_groups"):  # Lan et al. 2020, §3.1: parameters shared across layers
            return tuple(groups), tuple(groups)
        if name.endswith("layer_norm2") and len(groups) == number:
            # XLM and FlauBERT have no block module: a block is attentions[k] … layer_norm2[k].
            prefix = name.removesuffix("layer_norm2")
            return tuple(lists[prefix + "attentions"]), tuple(groups)
    candidates = [blocks for blocks in lists.values() if len(blocks) == number]
    if not candidates:
        raise ModelError(
            f"{type(model).__name__} has no list of {number} encoder blocks, so its layers cannot be read; "
            "layerwise takes BERT-like encoders."
        )
    chosen = max(candidates, key=lambda blocks: sum(weight.numel() for weight in blocks.parameters()))
    return tuple(chosen), tuple(chosen)


def _positions(model: nn.Module, config: Any) -> tuple[int | None, int | None]:
    """(padding index that positions start after, longest sequence)."""
    limit = getattr(config, "max_position_embeddings", None)
    limit = limit if isinstance(limit, int) and limit > 0 else None
    for name, module in model.named_modules():
        table = getattr(module, "weight", None)  # not always an nn.Embedding: I-BERT quantises it
        if name.endswith("position_embeddings") and isinstance(table, Tensor) and table.ndim == 2:
            start = getattr(module, "padding_idx", None)
            rows = len(table) - (0 if start is None else start + 1)
            # YOSO and MRA have two rows more than they take.
            return start, rows if limit is None else min(rows, limit)
    return None, limit


def blocks_of(encoder: Any) -> nn.ModuleList:
    """The list of an encoder's blocks.

    Raises:
        ModelError: its blocks share their weights, or are no list of modules.
    """
    anatomy = dissect(encoder, encoder.config)
    for module in encoder.modules():
        own = isinstance(module, nn.ModuleList) and len(module) == anatomy.num_hidden_layers
        if own and tuple(module) == anatomy.blocks == anatomy.last:
            assert isinstance(module, nn.ModuleList)
            return module
    raise ModelError(
        f"{type(encoder).__name__} has no list of blocks with weights of their own, so none can be taken out."
    )


@contextmanager
def reading(anatomy: Anatomy, highest: int, consume: Consumer) -> Iterator[None]:
    """While this context lasts, a forward pass hands layers 0..`highest` to `consume`, then stops.

    `consume` gets what the block gets: (batch, seq, hidden_size). The exception that stops the pass
    is swallowed here. With `highest` = N the pass goes on to its end, a final norm or a pooler.
    """
    calls = 0

    def before(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        nonlocal calls
        if calls <= highest:
            consume(calls, _hidden(args, kwargs))
        if calls == highest:
            raise _Enough
        calls += 1

    returned = 0

    def after(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        nonlocal returned
        returned += 1
        if returned == anatomy.num_hidden_layers == highest:
            consume(highest, output[0] if isinstance(output, tuple) else output)

    handles = [block.register_forward_pre_hook(before, with_kwargs=True) for block in anatomy.blocks]
    handles += [block.register_forward_hook(after) for block in anatomy.last]
    try:
        yield
    except _Enough:
        pass
    finally:
        for handle in handles:
            handle.remove()


def _hidden(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
    hidden = args[0] if args else kwargs.get("hidden_states", kwargs.get("input"))
    assert isinstance(hidden, Tensor)
    return hidden
