"""A model's architecture as a table: layer by layer, with shapes and parameter counts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from torch import nn


@dataclass(frozen=True, slots=True)
class Part:
    """One step of the model.

    Attributes:
        layer: the layers this part makes (`"0"`, `"1"`, `"1-12 (shared)"`, `"final"`), or "" for
            what makes none (a pooler, weights shared by all blocks).
        name: what it is.
        tensors: (name, shape) of its parameters.
    """

    layer: str
    name: str
    tensors: tuple[tuple[str, tuple[int, ...]], ...]

    @property
    def num_parameters(self) -> int:
        return sum(math.prod(shape) for _, shape in self.tensors)


def parts(model: nn.Module, number: int, has_final: bool) -> list[Part]:
    """The parts of an encoder with `number` blocks, in the order they run."""
    lists = {name: len(module) for name, module in model.named_modules() if isinstance(module, nn.ModuleList)}
    shared = next((name for name in lists if name.endswith("albert_layer_groups")), None)
    groups: dict[str, list[tuple[str, tuple[int, ...]]]] = {}
    seen_block = False
    for name, weight in model.named_parameters():
        block, rest = _block(name, lists, number, shared)
        if block is not None:
            seen_block = True
            key, name = block, rest
        elif "pooler" in name:
            key = "pooler"
        else:
            key = "outside" if seen_block else "0"
        groups.setdefault(key, []).append((name, tuple(weight.shape)))
    found = [Part("0", "embeddings", tuple(groups.pop("0", ())))]
    pooler, outside = groups.pop("pooler", None), groups.pop("outside", None)
    found += [Part(key, "block", tuple(tensors)) for key, tensors in groups.items()]
    if outside is not None or has_final:
        name = "final norm and weights outside the blocks" if has_final else "weights outside the blocks"
        found.append(Part("final" if has_final else "", name, tuple(outside or ())))
    if pooler is not None:
        found.append(Part("", "pooler (makes no layer)", tuple(pooler)))
    return found


def _block(name: str, lists: dict[str, int], number: int, shared: str | None) -> tuple[str | None, str]:
    """The block a parameter belongs to, and its name inside it."""
    if shared is not None and name.startswith(shared + "."):
        group, _, rest = name[len(shared) + 1 :].partition(".")
        # Block k (from 0) is group int(k / (blocks / groups)), which need not divide evenly.
        calls = [k + 1 for k in range(number) if int(k / (number / lists[shared])) == int(group)]
        return (f"{calls[0]}-{calls[-1]} (shared)" if len(calls) > 1 else str(calls[0])), rest
    for prefix, length in lists.items():
        if length == number and name.startswith(prefix + "."):
            index, _, rest = name[len(prefix) + 1 :].partition(".")
            own = prefix.rpartition(".")[2]
            return str(int(index) + 1), rest if own in ("layer", "layers") else f"{own}.{rest}"
    return None, name


def mermaid(found: list[Part], hidden_size: int) -> str:
    """The same as a Mermaid flow chart: https://mermaid.js.org/syntax/flowchart.html."""
    lines = ["flowchart TD", '    text["text"] --> tokens["input_ids (seq)"]']
    previous = "tokens"
    for number, part in enumerate(part for part in found if part.layer):
        node = f"part{number}"
        label = f"{part.name}<br/>{part.num_parameters:,} parameters"
        lines.append(f'    {previous} --> {node}["{label}"]')
        lines.append(f'    {node} -.-> layer{number}(["layer {part.layer}: (seq, {hidden_size})"])')
        previous = node
    return "\n".join(lines)


def describe(model: Any, number: int, has_final: bool, hidden_size: int) -> dict[str, Any]:
    """The architecture as JSON-ready data."""
    return {
        "architecture": type(model).__name__,
        "model_type": model.config.model_type,
        "num_hidden_layers": number,
        "hidden_size": hidden_size,
        "num_parameters": sum(weight.numel() for weight in model.parameters()),
        "parts": [
            {
                "layer": part.layer,
                "name": part.name,
                "num_parameters": part.num_parameters,
                "tensors": {name: list(shape) for name, shape in part.tensors},
            }
            for part in parts(model, number, has_final)
        ],
    }
