"""Interleaved timing, the machine's own matmul speed, and results files."""

from __future__ import annotations

import datetime
import os
import platform
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median

import torch
from torch.nn.functional import linear

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Timings:
    """Seconds of each way, one list a round."""

    seconds: Mapping[str, list[float]]

    def median(self, way: str) -> float:
        return median(self.seconds[way])

    def ratio(self, slower: str, faster: str) -> float:
        """Median over the rounds of how many times `faster` is faster."""
        pairs = zip(self.seconds[slower], self.seconds[faster], strict=True)
        return median(slow / fast for slow, fast in pairs)


def interleaved(ways: Mapping[str, Callable[[], object]], rounds: int) -> Timings:
    """Run every way once a round, in turn, each round beginning with another; the first round is not counted."""
    names = list(ways)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(rounds + 1):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            began = time.perf_counter()
            ways[name]()
            if turn:
                seconds[name].append(time.perf_counter() - began)
    return Timings(seconds)


def matmul_rate(
    dtype: torch.dtype, rows: int, columns: int = 768, out: int = 3072, repeats: int = 9
) -> float:
    """FLOP/s of one linear layer, (rows × columns) by (columns × out) with bias: the median of `repeats`."""
    x, weight, bias = torch.randn(rows, columns), torch.randn(out, columns), torch.randn(out)
    x, weight, bias = x.to(dtype), weight.to(dtype), bias.to(dtype)
    seconds = []
    with torch.inference_mode():
        for _ in range(repeats + 2):
            began = time.perf_counter()
            linear(x, weight, bias)
            seconds.append(time.perf_counter() - began)
    return 2 * rows * columns * out / median(seconds[2:])


def products_rate(model: torch.nn.Module, rows: int) -> float:
    """FLOP/s of all linear layers of `model` one after the other, with nothing between them.

    One weight after the other comes from memory, as in a forward pass; `matmul_rate` repeats one that stays
    in the cache.
    """
    layers = [module for module in model.modules() if isinstance(module, torch.nn.Linear)]
    dtype = layers[0].weight.dtype
    inputs = {size: torch.randn(rows, size).to(dtype) for size in {layer.in_features for layer in layers}}
    flops = sum(2 * rows * layer.in_features * layer.out_features for layer in layers)
    seconds = []
    with torch.inference_mode():
        for _ in range(5):
            began = time.perf_counter()
            for layer in layers:
                linear(inputs[layer.in_features], layer.weight, layer.bias)
            seconds.append(time.perf_counter() - began)
    return flops / median(seconds[1:])


def encoder_flops(lengths: Sequence[int], config: object) -> int:
    """FLOPs of the linear layers and of the attention products of a BERT encoder over sequences of `lengths`."""
    size, inner = config.hidden_size, config.intermediate_size  # type: ignore[attr-defined]
    a_token = 2 * (4 * size * size + 2 * size * inner)
    return config.num_hidden_layers * sum(  # type: ignore[attr-defined, no-any-return]
        length * a_token + 4 * length * length * size for length in lengths
    )


def processor() -> str:
    """Name of the processor, its cores, and the widest vectors and bfloat16 units that it has."""
    text = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    name = re.search(r"model name\s*: (.*)", text)
    units = [flag for flag in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if flag in text]
    label = name[1] if name else platform.processor() or platform.machine()
    return ", ".join((label, f"{os.cpu_count()} cores", *units))


def write_results(question: str, hardware: str, body: str, packages: Sequence[str] = ()) -> Path:
    """Write `results/<question>_<hardware>_<date>.md` and print it."""
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    versions = ", ".join(f"{name} {version(name)}" for name in ("torch", "transformers", *packages))
    text = (
        f"# {question}\n\n{processor()}. Python {platform.python_version()}, {versions}. {today}.\n\n{body}\n"
    )
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{question}_{hardware}_{today}.md"
    path.write_text(text, encoding="utf-8")
    print(text)
    return path


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)
