"""How fast is the engine on a CUDA device, and are its vectors those of the CPU? Needs no store.

    PYTHONPATH=src python benchmarks/gpu_encode.py [--texts 20000] [--rounds 3]

BERT-base shape with random weights, texts of mixed lengths, all 13 layers pooled to texts. Compares with
transformers in input order at batch 32, with the device's own matmul rate, and with the CPU in float32.
Texts are drawn as token ids. Writes `results/gpu_encode_…md`.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from statistics import median

import numpy as np
import torch
from timing import encoder_flops, interleaved, table, write_results
from transformers import BertConfig, BertModel

from layerwise.models.collector import Collector
from layerwise.models.engine import Engine, TokenSequence
from layerwise.models.rows import Rows
from layerwise.models.self_check import build_engine, confirm
from layerwise.text.batching import by_tokens
from layerwise.types import Ledger

BUDGETS = (16_384, 32_768, 65_536)
LAYERS = list(range(13))


def lengths_of(count: int) -> list[int]:
    """Log-normal with a mean of 28 tokens, 4 to 189."""
    drawn = np.random.default_rng(0).lognormal(np.log(21), 0.75, count)
    return np.clip(drawn, 4, 189).astype(int).tolist()


def sequences_of(lengths: list[int]) -> list[TokenSequence]:
    generator = torch.Generator().manual_seed(0)
    ids = [torch.randint(1000, 30_000, (length,), generator=generator) for length in lengths]
    return [TokenSequence(own, torch.zeros_like(own)) for own in ids]


def pooled_rows(lengths: list[int]) -> Rows:
    """One row a sequence: the mean of all its tokens."""
    count, sizes = len(lengths), np.array(lengths, np.int64)
    number, zero = np.arange(count), np.zeros(count, np.int64)
    first = np.cumsum(sizes) - sizes
    return Rows(
        text=number,
        start=zero,
        end=zero,
        word_id=zero - 1,
        sequence_id=zero,
        count=sizes,
        edge_sequence=np.repeat(number, sizes),
        edge_position=np.arange(sizes.sum()) - np.repeat(first, sizes),
        edge_row=np.repeat(number, sizes),
        num_sequences=count,
        reduction="mean",
        ledger=Ledger(sizes, np.ones(count, np.int32), zero, np.ones(count, np.int64)),
    )


def packed(engine: Engine, sequences: list[TokenSequence], budget: int, chunk: int = 4096) -> np.ndarray:
    """All layers pooled on the device and copied to the host: (layers, texts, size)."""
    parts = []
    for first in range(0, len(sequences), chunk):
        some = sequences[first : first + chunk]
        lengths = [len(sequence) for sequence in some]
        collector = Collector(pooled_rows(lengths), LAYERS, engine.hidden_size, engine.device)
        for batch in by_tokens(lengths, budget):
            collector.begin(batch, [lengths[i] for i in batch])
            engine.run([some[i] for i in batch], LAYERS, collector.take)
            collector.end()
        parts.append(collector.finish())
    return np.concatenate(parts, 1)


def stock(model: BertModel, sequences: list[TokenSequence], batch: int = 32) -> list[np.ndarray]:
    """transformers: `output_hidden_states=True`, padded batches in input order, pooled on the device."""
    parts = []
    with torch.inference_mode():
        for first in range(0, len(sequences), batch):
            some = [sequence.input_ids for sequence in sequences[first : first + batch]]
            ids = torch.nn.utils.rnn.pad_sequence(some, batch_first=True)
            mask = torch.arange(ids.shape[1]) < torch.tensor([len(own) for own in some])[:, None]
            ids, mask = ids.to(model.device), mask.to(model.device)
            hidden = model(input_ids=ids, attention_mask=mask.long(), output_hidden_states=True).hidden_states
            weights = (mask.float() / mask.sum(1, keepdim=True)).unsqueeze(2)
            parts.append(torch.stack([(h.float() * weights).sum(1) for h in hidden]).cpu().numpy())
    return parts


def seconds(run: Callable[[], object], rounds: int) -> float:
    times = []
    for _ in range(rounds + 1):
        torch.cuda.synchronize()
        began = time.perf_counter()
        run()
        torch.cuda.synchronize()
        times.append(time.perf_counter() - began)
    return median(times[1:])


def device_matmul_rate(dtype: torch.dtype) -> float:
    """FLOP/s of the device on a large product, 8192 × 8192 × 8192."""
    a, b = (torch.randn(8192, 8192, device="cuda", dtype=dtype) for _ in range(2))
    return 2 * 8192**3 / seconds(lambda: a @ b, 20)


def main(count: int, rounds: int) -> None:
    torch.manual_seed(0)
    model = BertModel(BertConfig(), add_pooling_layer=False).eval()
    lengths = lengths_of(count)
    sequences = sequences_of(lengths)
    sample = sequences[:256]
    engine, check = build_engine(model)
    exact = packed(engine, sample, 2048)
    model.to("cuda", torch.bfloat16)
    check = confirm(engine, check)
    assert engine.packed, check
    ours = packed(engine, sample, BUDGETS[0])
    norms = np.linalg.norm(ours, axis=2) * np.linalg.norm(exact, axis=2)
    cosine = float(((ours * exact).sum(2) / norms).min())
    rate = device_matmul_rate(torch.bfloat16)
    flops, tokens = encoder_flops(lengths, model.config), sum(lengths)

    def in_order() -> None:
        model.set_attn_implementation("sdpa")
        stock(model, sequences)
        model.set_attn_implementation(engine.attention)

    # Every way ends by copying its result to the host, so it has ended when it returns.
    ways: dict[str, Callable[[], object]] = {"transformers": in_order}
    ways |= {str(budget): lambda b=budget: packed(engine, sequences, b) for budget in BUDGETS}  # type: ignore[misc]
    timings = interleaved(ways, rounds)
    padded = timings.median("transformers")
    by_budget = {budget: timings.median(str(budget)) for budget in BUDGETS}
    best = min(by_budget.values())
    rows = [
        [
            "transformers, input order, batch 32, bfloat16",
            f"{tokens / padded:,.0f}",
            "1.0×",
            f"{flops / padded / rate:.2f}",
        ]
    ]
    rows += [
        [
            f"layerwise, bfloat16, {budget:,} tokens a batch",
            f"{tokens / s:,.0f}",
            f"{padded / s:.1f}×",
            f"{flops / s / rate:.2f}",
        ]
        for budget, s in by_budget.items()
    ]
    targets = [
        [
            "share of the device's matmul rate",
            "≥ 0.45",
            f"{flops / best / rate:.2f}",
            _met(flops / best / rate >= 0.45),
        ],
        ["against transformers in input order", "≥ 8×", f"{padded / best:.1f}×", _met(padded / best >= 8)],
        [
            "cosine to the CPU in float32, worst text and layer",
            "≥ 0.999",
            f"{cosine:.6f}",
            _met(cosine >= 0.999),
        ],
    ]
    body = (
        f"{torch.cuda.get_device_name()}: {rate / 1e12:.0f} TFLOP/s at bfloat16 (8192³). BERT-base shape, {count:,} texts, "
        f"{tokens:,} tokens ({tokens / count:.0f} on average), all 13 layers pooled to texts and copied to the host.\n\n"
        + table(["way", "tokens/s", "against transformers", "share of matmul"], rows)
        + "\n\n"
        + table(["", "target", "measured", ""], targets)
    )
    write_results("gpu_encode", torch.cuda.get_device_name().replace(" ", "-").lower(), body)


def _met(condition: bool) -> str:
    return "met" if condition else "missed"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--texts", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    if not torch.cuda.is_available():
        raise SystemExit("gpu_encode: there is no CUDA device on this machine; nothing was measured.")
    main(options.texts, options.rounds)
