"""How fast is fine-tuning beside transformers' own Trainer as its examples use it, and beside a store of frozen features?

    python benchmarks/finetune.py

1. The loop of transformers' run_glue.py and run_ner.py (Trainer, DataCollatorWithPadding, batches in random order)
   against `layerwise finetune`, on the same examples, settings and number of steps, interleaved: tokens that are no
   padding a second, and the score.
2. In bfloat16 beside float32, where the processor has units for it: tokens a second of the training steps.
3. Frozen: the encoder re-run in each epoch (Trainer over a model whose encoder has no gradients) against
   `layerwise finetune --frozen`, which runs it once; at the same number of epochs.
4. A batch in parts of like length beside the same batch whole: padding, and tokens that are no padding a second, for
   sentences and for few longer texts; and what a forward and backward pass costs by its size.
5. The same for heads of layerwise's own, whose batches are packed, beside batches in parts.

Texts are made here, of lengths as in SST-2, CoNLL-2003 and STS-B (their published means and spread).
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from timing import table, write_results
from transformers import (
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    DataCollatorForTokenClassification,
    DataCollatorWithPadding,
    PrinterCallback,
    Trainer,
    TrainingArguments,
)

from layerwise.models.layer_reader import LayerReader
from layerwise.models.load import quiet, tokenizer_of
from layerwise.models.locate import locate
from layerwise.train import batches
from layerwise.train.finetune import FinetuneChoices, finetune
from layerwise.train.settings import TrainingSettings, computes_bf16

ROUNDS = 3
EXAMPLES, DEV = 320, 200
BATCH = 32
Case = tuple[str, str, dict[str, Path], FinetuneChoices]
"""What a row is called, its task, its files and its head."""
WORDS = Path(__file__).parents[1] / "examples" / "prose_en.txt"


def sentences(count: int, seed: int, words_each: float = 19, longest: int = 52) -> list[list[str]]:
    """Runs of words of the example prose; lengths as in SST-2: mean 19, from 2 to 52."""
    words = WORDS.read_text("utf-8").split()
    draw = np.random.default_rng(seed)
    lengths = np.clip(draw.gamma(4.3, words_each / 4.3, count).round().astype(int), 2, longest)
    begins = draw.integers(0, len(words) - longest - 8, count)
    return [words[begin : begin + length] for begin, length in zip(begins, lengths, strict=True)]


def write(folder: Path) -> dict[str, Path]:
    """Sentences with a class (is it about more than four letters a word?) and with tags (capitals)."""
    paths = {}
    for part, count, seed in (("train", EXAMPLES, 0), ("dev", DEV, 1)):
        rows = []
        for words in sentences(count, seed):
            long = sum(map(len, words)) / len(words) > 4.4
            tags = ["CAP" if word[:1].isupper() else "LOW" for word in words]
            rows.append({"text": " ".join(words), "label": str(int(long)), "words": words, "tags": tags})
        paths[part] = folder / f"{part}.jsonl"
        paths[part].write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return paths


def long_ones(folder: Path) -> dict[str, Path]:
    """A few longer texts with a class: 120 words on average, up to 350."""
    paths = {}
    for part, count, seed in (("train", 160, 2), ("dev", 40, 3)):
        rows = [
            {"text": " ".join(words), "label": str(n % 2)}
            for n, words in enumerate(sentences(count, seed, 120, 350))
        ]
        paths[part] = folder / f"long_{part}.jsonl"
        paths[part].write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return paths


def pairs_of_texts(folder: Path) -> dict[str, Path]:
    """Pairs of 11 words on average, up to 40, with the share of words in common as their score."""
    paths = {}
    for part, count, seed in (("train", EXAMPLES, 4), ("dev", DEV, 5)):
        draw = np.random.default_rng(seed)
        rows = []
        for words, others in zip(
            sentences(count, seed, 11, 40), sentences(count, seed + 10, 11, 40), strict=True
        ):
            kept = [word for word in words if draw.random() < 0.7] if draw.random() < 0.7 else []
            second = [*kept, *others[len(kept) :]] or others
            common = len({*words} & {*second}) / len({*words} | {*second})
            rows.append({"sentence1": " ".join(words), "sentence2": " ".join(second), "score": 5 * common})
        paths[part] = folder / f"pairs_{part}.jsonl"
        paths[part].write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return paths


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def theirs(
    task: str, paths: dict[str, Path], epochs: int, lr: float, frozen: bool = False
) -> tuple[float, float, int]:
    """Seconds of training, score, and real tokens seen, with transformers alone."""
    files = locate("minilm")
    tokenizer = tokenizer_of(files)
    kind = AutoModelForSequenceClassification if task == "classify" else AutoModelForTokenClassification
    torch.manual_seed(0)
    with quiet():
        model = kind.from_pretrained(files.folder, num_labels=2)
    if frozen:
        model.base_model.requires_grad_(False)

    def encode(row: dict[str, Any]) -> dict[str, Any]:
        if task == "classify":
            return {**tokenizer(row["text"], truncation=True), "labels": int(row["label"])}
        found = tokenizer(row["words"], is_split_into_words=True, truncation=True)
        ids, before, labels = found.word_ids(), None, []
        for word in ids:
            labels.append(-100 if word is None or word == before else int(row["tags"][word] == "CAP"))
            before = word
        return {**found, "labels": labels}

    train, dev = ([encode(row) for row in rows_of(paths[part])] for part in ("train", "dev"))
    collate = (
        DataCollatorWithPadding(tokenizer)
        if task == "classify"
        else DataCollatorForTokenClassification(tokenizer)
    )
    with tempfile.TemporaryDirectory() as folder, quiet():
        args = TrainingArguments(
            folder,
            num_train_epochs=epochs,
            per_device_train_batch_size=BATCH,
            per_device_eval_batch_size=64,
            learning_rate=lr,
            warmup_steps=0.1,
            weight_decay=0.01,
            seed=0,
            use_cpu=True,
            report_to="none",
            disable_tqdm=True,
            save_strategy="epoch",
            save_total_limit=2,
            eval_strategy="epoch",
            logging_steps=10,
        )
        trainer = Trainer(
            model=model,
            args=args,
            data_collator=collate,
            train_dataset=train,
            eval_dataset=dev,
            compute_metrics=lambda said: {"accuracy": accuracy(said.predictions, said.label_ids)},
        )
        trainer.remove_callback(PrinterCallback)
        began = time.perf_counter()
        trainer.train()
        seconds = time.perf_counter() - began
        score = trainer.evaluate()["eval_accuracy"]
    return seconds, score, epochs * sum(len(one["input_ids"]) for one in train)


def accuracy(logits: Any, labels: Any) -> float:
    seen = labels != -100
    return float((logits.argmax(-1)[seen] == labels[seen]).mean())


def ours(
    task: str,
    paths: dict[str, Path],
    epochs: int,
    lr: float,
    choices: FinetuneChoices,
    precision: str = "fp32",
) -> tuple[float, float, float, float]:
    """Seconds of the whole run, loading and tokenising left out of neither; score; share of padding; tokens/s.

    The last is of the training alone, with the evaluation that ends each epoch.
    """
    from layerwise.train.tasks.example import DataColumns

    columns = DataColumns(label="tags", words="words") if task == "ner" else DataColumns()
    with tempfile.TemporaryDirectory() as folder:
        report = finetune(
            task,
            paths["train"],
            Path(folder) / "out",
            dev=paths["dev"],
            columns=columns,
            choices=choices,
            settings=TrainingSettings(
                epochs=epochs, batch_size=BATCH, lr=lr, device="cpu", precision=precision
            ),
        )
    assert report is not None
    score = report.scores["spearman" if task == "similarity" else "accuracy"]
    return report.seconds, score, report.padding, report.tokens_per_second


def beside_transformers(paths: dict[str, Path]) -> str:
    """The first question."""
    rows = []
    for task in ("classify", "ner"):
        pairs = [
            (theirs(task, paths, 2, 5e-5), ours(task, paths, 2, 5e-5, FinetuneChoices(patience=None)))
            for _ in range(ROUNDS)
        ]
        first, second = pairs[0]
        seconds = [statistics.median(pair[place][0] for pair in pairs) for place in (0, 1)]
        ratio = statistics.median(mine[0] / other[0] for other, mine in pairs)
        rows.append(
            [
                task,
                f"{seconds[0]:.1f}",
                f"{seconds[1]:.1f}",
                f"{ratio:.2f}",
                f"{first[1]:.3f}",
                f"{second[1]:.3f}",
                f"{second[2]:.1%}",
            ]
        )
        print(rows[-1], flush=True)
    head = [
        "task",
        "transformers, s",
        "layerwise, s",
        "layerwise / transformers",
        "accuracy, theirs",
        "ours",
        "padding, ours",
    ]
    return table(head, rows)


def in_bfloat16(paths: dict[str, Path]) -> str:
    """The second."""
    rows, whole = [], FinetuneChoices(patience=None)
    for task in ("classify", "ner"):
        pairs = [
            [ours(task, paths, 2, 5e-5, whole, precision) for precision in ("fp32", "bf16")]
            for _ in range(ROUNDS)
        ]
        speeds = [statistics.median(pair[place][3] for pair in pairs) for place in (0, 1)]
        ratio = statistics.median(half[3] / single[3] for single, half in pairs)
        scores = [f"{one[1]:.3f}" for one in pairs[0]]
        rows.append([task, *(f"{speed:,.0f}" for speed in speeds), f"{ratio:.2f}", *scores])
        print(rows[-1], flush=True)
    head = ["task", "float32, tokens/s", "bfloat16", "times as fast", "accuracy, float32", "bfloat16"]
    return table(head, rows)


def frozen(paths: dict[str, Path], epochs: int) -> str:
    """The third."""
    rows = []
    for task in ("classify", "ner"):
        slow = theirs(task, paths, epochs, 1e-2, frozen=True)
        fast = ours(task, paths, epochs, 1e-2, FinetuneChoices(frozen=True, patience=None))
        rows.append(
            [
                task,
                f"{slow[0]:.1f}",
                f"{fast[0]:.1f}",
                f"{slow[0] / fast[0]:.1f}",
                f"{slow[1]:.3f}",
                f"{fast[1]:.3f}",
            ]
        )
        print(rows[-1], flush=True)
    return table(["task", "re-run, s", "run once, s", "times as fast", "accuracy, re-run", "run once"], rows)


@contextmanager
def batches_are(way: str) -> Iterator[None]:
    """Whole, or in parts; or packed, where heads of layerwise's own have it so."""
    usual = batches.PART_COSTS, LayerReader.packs
    if way == "whole":
        batches.PART_COSTS = 10**9
    if way != "packed":
        LayerReader.packs = lambda self, device: False
    try:
        yield
    finally:
        batches.PART_COSTS, LayerReader.packs = usual


def two_ways(first: str, second: str, cases: list[Case], precisions: list[str]) -> str:
    """The fourth and the fifth."""
    rows = []
    for precision in precisions:
        for name, task, paths, choices in cases:
            pairs = []
            for _ in range(ROUNDS):
                pair = []
                for way in (first, second):
                    with batches_are(way):
                        pair.append(ours(task, paths, 2, 5e-5, choices, precision))
                pairs.append(pair)
            speeds = [statistics.median(pair[place][3] for pair in pairs) for place in (0, 1)]
            ratio = statistics.median(after[3] / before[3] for before, after in pairs)
            padding = [f"{one[2]:.1%}" for one in pairs[0]]
            scores = [f"{one[1]:.3f}" for one in pairs[0]]
            numbers = [*padding, *(f"{speed:,.0f}" for speed in speeds), f"{ratio:.2f}", *scores]
            rows.append([name, precision, *numbers])
            print(rows[-1], flush=True)
    head = [
        "texts",
        "precision",
        f"padding, {first}",
        second,
        f"{first}, tokens/s",
        second,
        "times as fast",
        f"score, {first}",
        second,
    ]
    return table(head, rows)


def passes(precisions: list[str]) -> str:
    """Milliseconds of a forward and backward pass, its gradients added to those before, by its tokens."""
    shapes = [(1, 8), (2, 16), (4, 32), (16, 32), (32, 32), (64, 32)]
    rows = []
    with quiet():
        model = AutoModelForSequenceClassification.from_pretrained(locate("minilm").folder)
    for precision in precisions:
        times: dict[tuple[int, int], list[float]] = {shape: [] for shape in shapes}
        for _ in range(11):
            for shape in shapes:
                ids = torch.randint(1000, 20_000, shape)
                began = time.perf_counter()
                with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
                    said = model(
                        ids, attention_mask=torch.ones_like(ids), labels=torch.zeros(shape[0]).long()
                    )
                said.loss.backward()
                times[shape].append(time.perf_counter() - began)
        medians = {shape: statistics.median(times[shape]) for shape in shapes}
        (small, large) = shapes[0], shapes[-1]
        a_token = (medians[large] - medians[small]) / (large[0] * large[1] - small[0] * small[1])
        whatever = medians[small] / a_token - small[0] * small[1]
        rows.append([precision, *(f"{1000 * medians[shape]:.0f}" for shape in shapes), f"{whatever:.0f}"])
        print(rows[-1], flush=True)
    return table(["ms, at tokens", *(f"{a * b:,}" for a, b in shapes), "cost of any pass, tokens"], rows)


def main() -> None:
    """Run, and write the results."""
    epochs = 20
    half = computes_bf16(torch.device("cpu"))
    precisions = ["fp32", "bf16"] if half else ["fp32"]
    whole, mix = FinetuneChoices(patience=None), FinetuneChoices(mix="scalar", patience=None)
    with tempfile.TemporaryDirectory() as scratch:
        paths, longer = write(Path(scratch)), long_ones(Path(scratch))
        texts = {f"{EXAMPLES} sentences": paths, "160 texts, 120 words": longer}
        stock = [(name, "classify", files, whole) for name, files in texts.items()]
        own = [
            (f"{EXAMPLES} pairs, similarity", "similarity", pairs_of_texts(Path(scratch)), whole),
            *((f"{name}, mix of layers", "classify", files, mix) for name, files in texts.items()),
        ]
        body = [
            f"{EXAMPLES} sentences to train, {DEV} to evaluate after each epoch; MiniLM (6 blocks, 384 wide), batches of "
            f"{BATCH}, float32, 2 epochs; medians of {ROUNDS} interleaved rounds. Seconds: theirs of `train()` alone, ours "
            "of all that `finetune` does, reading, tokenising and loading among it.",
            beside_transformers(paths),
            *(["`layerwise finetune` in bfloat16:", in_bfloat16(paths)] if half else []),
            f"Frozen encoder, {epochs} epochs with an evaluation each. Theirs re-runs the encoder in each epoch, under the "
            "head of transformers; ours runs it once, under a linear head (of texts on the mean of the tokens).",
            frozen(paths, epochs),
            "A batch in parts of like length beside the same batch whole, 2 epochs of classification; the classes of the "
            "160 texts are arbitrary, so their score is chance:",
            two_ways("whole", "in parts", stock, precisions),
            "Forward and backward pass of a batch, by its tokens:",
            passes(precisions),
            "Heads of layerwise's own, a batch packed beside the same batch in parts, 2 epochs:",
            two_ways("in parts", "packed", own, precisions),
        ]
    write_results(
        "finetune",
        f"cpu{torch.get_num_threads()}{'-bf16' if half else ''}",
        "\n\n".join(body),
        ["accelerate"],
    )


if __name__ == "__main__":
    main()
