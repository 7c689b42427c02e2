"""Encoders with fewer blocks, or with fewer attention heads in a block.

Blocks that are dropped are gone from the weights and from config.json: the folder loads anywhere. Heads are another
matter: transformers has one number of heads for all blocks, so a folder keeps weights of full shape, zeros where a head
was removed, and names the heads in config.json. It gives the same numbers everywhere; layerwise takes the heads really
out when it loads the folder, and runs faster for it.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import prune_linear_layer

from layerwise.errors import ModelError, UsageError
from layerwise.models.anatomy import dissect
from layerwise.models.config_lists import has_entry_per_block

KEY = "layerwise_removed_heads"
"""In config.json: numbers of removed heads, from 0, by the number of the block, from 1."""

_PROJECTIONS = (
    ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"),
    ("attention.q_lin", "attention.k_lin", "attention.v_lin", "attention.out_lin"),
)
"""Where BERT's line (RoBERTa, ELECTRA, ERNIE, CamemBERT, …) and DistilBERT have their projections."""


@dataclass(frozen=True)
class Attention:
    """The projections of one block's attention.

    Attributes:
        holders: the modules that hold query, key, value and output, and under which name.
        head_size: dimensions of a head.
        heads: how many there are.
    """

    holders: tuple[tuple[nn.Module, str], ...]
    head_size: int
    heads: int

    @property
    def output(self) -> nn.Linear:
        holder, name = self.holders[3]
        found: nn.Linear = getattr(holder, name)
        return found


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


def attention_of(encoder: Any, number: int) -> Attention:
    """The attention of a block, numbered from 1.

    Raises:
        ModelError: this family keeps its projections elsewhere.
    """
    block = blocks_of(encoder)[number - 1]
    modules = dict(block.named_modules())
    for names in _PROJECTIONS:
        if all(isinstance(modules.get(name), nn.Linear) for name in names):
            holders = []
            for name in names:
                parent, _, own = name.rpartition(".")
                holders.append((modules[parent], own))
            whole = int(encoder.config.hidden_size) // int(encoder.config.num_attention_heads)
            size = int(getattr(holders[0][0], "attention_head_size", whole))  # MobileBERT's are narrower
            return Attention(tuple(holders), size, modules[names[3]].in_features // size)
    raise ModelError(
        f"{type(encoder).__name__} keeps the projections of its attention where BERT and DistilBERT do not: its heads "
        "cannot be taken out; drop blocks."
    )


def refuse_fixed_heads(encoder: Any) -> None:
    """Refuse an encoder that computes something else once a head is taken out than with that head at zero.

    Raises:
        ModelError: it does, or cannot run without a head.
    """
    try:
        fixed = hasattr(encoder, "attention_type") or not _takes_out_alike(
            encoder
        )  # BigBird builds its attention anew
    except (RuntimeError, IndexError, ValueError):  # foreign code that does not foresee fewer heads
        fixed = True
    if fixed:
        raise ModelError(
            f"the attention of {type(encoder).__name__} does not run with heads taken out: drop blocks (--drop-layers)."
        )


def _takes_out_alike(encoder: Any) -> bool:
    number, before = int(encoder.config.num_attention_heads), removed_heads(encoder.config)
    blocks = range(1, int(encoder.config.num_hidden_layers) + 1)
    spare = {block: [head for head in range(number) if head not in before.get(block, ())] for block in blocks}
    zeroed = copy.deepcopy(encoder).eval()
    zero_heads(zeroed, {block: heads[:1] for block, heads in spare.items() if len(heads) > 1})
    without = copy.deepcopy(zeroed)
    take_out_heads(without)
    ids = torch.arange(12).unsqueeze(0) % int(encoder.config.vocab_size)
    with torch.no_grad():
        first, second = (
            one(input_ids=ids, attention_mask=torch.ones_like(ids))[0] for one in (zeroed, without)
        )
    return torch.allclose(first, second, rtol=1e-3, atol=1e-4 * float(first.abs().max()))


def removed_heads(config: Any) -> dict[int, list[int]]:
    """The heads that config.json says were removed, by block.

    Raises:
        ModelError: it says something else there.
    """
    given = getattr(config, KEY, None)
    if not given:  # FNet has no heads at all
        return {}
    heads, blocks = int(config.num_attention_heads), int(config.num_hidden_layers)
    try:
        found = {int(block): sorted(map(int, numbers)) for block, numbers in given.items()}
    except (AttributeError, TypeError, ValueError):
        found = {0: []}
    for block, numbers in found.items():
        if not 1 <= block <= blocks or len(set(numbers)) != len(numbers) or len(numbers) >= heads:
            raise ModelError(
                f"{KEY} in config.json is {str(given)[:80]}: expected heads by block, and one to stay in each."
            )
        if any(not 0 <= one < heads for one in numbers):
            raise ModelError(f"{KEY} in config.json names head {max(numbers)}: expected 0 to {heads - 1}.")
    return {block: numbers for block, numbers in found.items() if numbers}


def zero_heads(encoder: Any, removed: Mapping[int, Sequence[int]]) -> None:
    """Zero all weights of some heads, and name them in the config: shapes stay."""
    for block, heads in removed.items():
        attention = attention_of(encoder, block)
        rows = _rows(attention, heads)
        with torch.no_grad():
            for holder, name in attention.holders[:3]:
                linear = getattr(holder, name)
                linear.weight[rows] = 0
                if linear.bias is not None:
                    linear.bias[rows] = 0
            attention.output.weight[:, rows] = 0
    before = removed_heads(encoder.config)
    merged = {
        block: sorted({*before.get(block, ()), *removed.get(block, ())}) for block in {*before, *removed}
    }
    setattr(encoder.config, KEY, {str(block): merged[block] for block in sorted(merged)})


def take_out_heads(encoder: Any) -> None:
    """Take the heads that the config names out of an encoder of full shape: it computes the same, faster."""
    for block, heads in removed_heads(encoder.config).items():
        attention = attention_of(encoder, block)
        gone = set(_rows(attention, heads).tolist())
        stay = torch.LongTensor(
            [row for row in range(attention.heads * attention.head_size) if row not in gone]
        )
        for place, (holder, name) in enumerate(attention.holders):
            setattr(holder, name, prune_linear_layer(getattr(holder, name), stay, dim=int(place == 3)))
        holder = attention.holders[0][0]
        left = attention.heads - len(heads)
        for name, value in (
            ("num_attention_heads", left),
            ("n_heads", left),
            ("all_head_size", left * attention.head_size),
        ):
            if hasattr(holder, name):
                setattr(holder, name, value)


def full_weights(encoder: Any) -> dict[str, Tensor]:
    """The weights of an encoder in the shapes that its config says: zeros where heads were taken out."""
    weights = {name: weight.detach() for name, weight in encoder.state_dict().items()}
    names = {module: name for name, module in encoder.named_modules()}
    for block, heads in removed_heads(encoder.config).items():
        total = int(encoder.config.num_attention_heads)
        attention = attention_of(encoder, block)
        if attention.heads == total:
            continue
        gone = set(_rows(attention, heads).tolist())
        size = total * attention.head_size
        stay = torch.tensor([row for row in range(size) if row not in gone])
        for place, (holder, own) in enumerate(attention.holders):
            prefix = f"{names[holder]}.{own}" if names[holder] else own
            for part in ("weight", "bias"):
                key = f"{prefix}.{part}"
                if key not in weights or (place == 3 and part == "bias"):
                    continue
                dim = int(place == 3)
                shape = list(weights[key].shape)
                shape[dim] = size
                weights[key] = weights[key].new_zeros(shape).index_copy_(dim, stay, weights[key])
    return weights


def _rows(attention: Attention, heads: Sequence[int]) -> Tensor:
    size = attention.head_size
    return torch.cat([torch.arange(head * size, (head + 1) * size) for head in heads])


@contextmanager
def gates(encoder: Any) -> Iterator[list[Tensor]]:
    """While this context lasts, what each head hands on is multiplied with a gate of 1, whose gradient can be read.

    Yields:
        one tensor a block, (heads,), that requires a gradient (the mask variables of Michel et al. 2019, §2.2).
    """
    number = int(encoder.config.num_hidden_layers)
    attentions = [attention_of(encoder, block) for block in range(1, number + 1)]
    masks = [torch.ones(one.heads, requires_grad=True, device=one.output.weight.device) for one in attentions]
    handles = []
    for attention, mask in zip(attentions, masks, strict=True):

        def scale(
            module: nn.Module, args: tuple[Any, ...], mask: Tensor = mask, size: int = attention.head_size
        ) -> Any:
            return (args[0] * mask.repeat_interleave(size), *args[1:])

        handles.append(attention.output.register_forward_pre_hook(scale))
    try:
        yield masks
    finally:
        for handle in handles:
            handle.remove()
