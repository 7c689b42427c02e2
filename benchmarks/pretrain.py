"""How fast is pretraining, packed and with logits of masked tokens only, beside the stock model on padded batches?

    python benchmarks/pretrain.py

The same pairs with the same masks, forward and backward pass, interleaved: transformers' BertForPreTraining on batches
padded to their longest pair, with the logits of every token as it computes them, and layerwise's packed batches. In
bfloat16 too where the processor has units for it.
"""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path

import torch
from timing import interleaved, table, write_results
from torch.nn.functional import cross_entropy
from transformers import BertForPreTraining

from layerwise.models.load import quiet
from layerwise.models.packed_pretraining import BertForPreTraining as Packed
from layerwise.train.masking import Masking
from layerwise.train.predictor import autocast
from layerwise.train.pretraining.batches import Frame, PairDataset, packed_batch
from layerwise.train.pretraining.corpus import Corpus, prepare
from layerwise.train.pretraining.run import PretrainShape
from layerwise.train.settings import computes_bf16
from layerwise.train.vocabulary import train_vocabulary

CPU = torch.device("cpu")
ROUNDS, BATCHES, PAIRS = 5, 3, 32
PROSE = [Path(__file__).parents[1] / "examples" / f"prose_{language}.txt" for language in ("en", "zh")]
SHAPES = {
    "4 × 128, 4k pieces": PretrainShape(4_000, layers=4, hidden=128).filled(),
    "6 × 256, 16k pieces": PretrainShape(16_000, layers=6, hidden=256).filled(),
}


def main(device: torch.device = CPU, pairs: int = PAIRS) -> None:
    """Run, and write the results."""
    precisions = ["fp32", *(["bf16"] if computes_bf16(device) else []), *(["fp16"] if device != CPU else [])]
    rows = []
    for name, shape in SHAPES.items():
        batches, _vocabulary = make_batches(shape, pairs)
        config = shape.config(shape.vocab_size, 0)
        torch.manual_seed(0)
        with quiet():
            packed = Packed.new(config).to(device)
            stock = BertForPreTraining(shape.config(shape.vocab_size, 0)).to(device)
        ways = {}
        for precision in precisions:
            ways[f"stock {precision}"] = partial(run_all, run_stock, stock, batches, precision, device)
            ways[f"packed {precision}"] = partial(run_all, run_packed, packed, batches, precision, device)
        times = interleaved(ways, ROUNDS)
        tokens = sum(len(one.input_ids) for batch in batches for one in batch)
        padded = sum(max(len(one.input_ids) for one in batch) * len(batch) for batch in batches)
        for precision in precisions:
            rows.append(
                [
                    name,
                    precision,
                    f"{tokens / times.median(f'stock {precision}'):,.0f}",
                    f"{tokens / times.median(f'packed {precision}'):,.0f}",
                    f"{times.ratio(f'stock {precision}', f'packed {precision}'):.2f}",
                    f"{times.ratio('packed fp32', f'packed {precision}'):.2f}",
                    f"{1 - tokens / padded:.1%}",
                    "0 %",
                ]
            )
            print(rows[-1], flush=True)
    head = [
        "model",
        "precision",
        "stock, tokens/s",
        "packed, tokens/s",
        "times as fast",
        "than packed fp32",
        "padding, stock",
        "packed",
    ]
    note = (
        ""
        if "bf16" in precisions
        else "\n\nThis processor has no units for bfloat16: what it costs here is in `benchmarks/README.md`."
    )
    what = f"Forward and backward pass, {BATCHES} batches of {pairs} pairs, medians of {ROUNDS} rounds."
    body = f"{what}\n\n{table(head, rows)}{note}"
    hardware = (
        f"cpu{torch.get_num_threads()}{'-bf16' if 'bf16' in precisions else ''}"
        if device == CPU
        else torch.cuda.get_device_name().replace(" ", "-")
    )
    write_results("pretrain", hardware, body)


def make_batches(shape: PretrainShape, pairs: int):  # type: ignore[no-untyped-def]
    """Masked pairs of the example prose, five lines a document."""
    lines = [line for path in PROSE for line in path.read_text("utf-8").splitlines()]
    tokenizer = train_vocabulary(lines, min(shape.vocab_size, 4_000), cased=False)
    with tempfile.TemporaryDirectory() as folder:
        text = Path(folder) / "prose.txt"
        text.write_text(
            "".join(line + ("\n\n" if number % 5 == 4 else "\n") for number, line in enumerate(lines)),
            "utf-8",
        )
        prepare(
            [str(text)],
            tokenizer,
            Path(folder) / "corpus",
            format=None,
            text_column=None,
            longest=125,
            report=lambda said: None,
        )
        corpus = Corpus.load(Path(folder) / "corpus")
        stream = PairDataset(
            corpus,
            [list(range(len(corpus.documents) - 1))],
            shape.max_length,
            Frame(tokenizer.cls_token_id, tokenizer.sep_token_id),
            Masking.of(tokenizer, False),
            0,
            BATCHES * pairs,
        )
        return [
            [stream[at + place] for place in range(pairs)] for at in range(0, BATCHES * pairs, pairs)
        ], tokenizer


def run_all(run, model, batches, precision, device):  # type: ignore[no-untyped-def]
    for batch in batches:
        run(model, batch, precision, device)
    if device != CPU:
        torch.cuda.synchronize(device)


def run_packed(model, sequences, precision, device):  # type: ignore[no-untyped-def]
    batch = {name: value.to(device) for name, value in packed_batch(sequences).items()}
    labels = batch.pop("labels")
    with autocast(device, precision):
        found = model(**batch)
    loss = cross_entropy(found["prediction_logits"].float(), labels)
    (loss + cross_entropy(found["seq_relationship_logits"].float(), batch["next_labels"])).backward()
    model.zero_grad()


def run_stock(model, sequences, precision, device):  # type: ignore[no-untyped-def]
    pad = torch.nn.utils.rnn.pad_sequence
    ids = [torch.from_numpy(one.input_ids) for one in sequences]
    labels = pad([torch.full_like(one, -100) for one in ids], batch_first=True, padding_value=-100)
    for row, one in enumerate(sequences):
        labels[row, torch.from_numpy(one.places)] = torch.from_numpy(one.labels)
    batch = {
        "input_ids": pad(ids, batch_first=True),
        "attention_mask": pad([torch.ones_like(one) for one in ids], batch_first=True),
        "token_type_ids": pad([torch.from_numpy(one.token_type_ids) for one in sequences], batch_first=True),
        "labels": labels,
        "next_sentence_label": torch.tensor([one.random_next for one in sequences]),
    }
    with autocast(device, precision):
        loss = model(**{name: value.to(device) for name, value in batch.items()}).loss
    loss.backward()
    model.zero_grad()


if __name__ == "__main__":
    main()
