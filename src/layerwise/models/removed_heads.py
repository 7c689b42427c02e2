"""Encoders with fewer attention heads in a block.

transformers has one number of heads for all blocks, so a folder keeps weights of full shape, zeros where a head was
removed, and names the heads in config.json. It gives the same numbers everywhere; layerwise takes the heads really
out when it loads the folder, and runs faster for it.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import prune_linear_layer

from layerwise.errors import ModelError
from layerwise.models.anatomy import blocks_of

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
