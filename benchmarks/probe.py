"""How fast are all layers probed, how much memory does it take, and is the accuracy scikit-learn's?

    python benchmarks/probe.py

A store as BERT-base would leave of 100,000 words (13 layers, 768 wide, float32) with labels of 17 classes is
made: word types by Zipf's law, a residual stream that each layer changes, a falling spectrum, dimensions of
large scale and one that is constant. `layerwise probe` runs over it as a command, control task, mixes and
intervals included. Then some layers are fitted by scikit-learn's `StandardScaler` and `LogisticRegression` (L-BFGS, its
defaults but for `max_iter`) on the same parts, in turn with our own solver: with the strength that was chosen
alone, and one layer with all strengths.
Writes `results/probe_…md`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy import ndarray
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from timing import table, write_results

from layerwise.analysis.principal_axes import PrincipalAxes
from layerwise.analysis.probe import STRENGTHS, Fit, Task, fit_probe
from layerwise.store.reader import Store, open_store
from layerwise.store.writer import StoreWriter
from layerwise.study.folds import Fold
from layerwise.study.labels import read_labels
from layerwise.study.parts import divide
from layerwise.types import Chunk, Ledger

WORDS, LAYERS, SIZE, CLASSES, LENGTH = 100_000, 13, 768, 17, 20
COMPARED, SEARCHED = (0, 6, 12), 6


def layers(random: np.random.Generator) -> tuple[ndarray, ndarray, Iterator[ndarray]]:
    """Word types, labels, and one layer after the other (words, size)."""
    types = np.minimum(random.zipf(1.3, WORDS), 20_000) - 1
    spectrum = np.arange(1, SIZE + 1) ** -0.5
    state = random.standard_normal((types.max() + 1, SIZE), np.float32)[types] * spectrum
    context = random.standard_normal((WORDS, SIZE), np.float32) * spectrum
    teacher = random.standard_normal((SIZE, CLASSES)) * 1.2
    utility = (
        (state + 0.5 * context) @ teacher
        + random.normal(0, 1.2, CLASSES)
        + random.gumbel(size=(WORDS, CLASSES))
    )
    turn = np.linalg.qr(random.standard_normal((SIZE, SIZE)))[0].astype(np.float32)
    scale = np.exp(random.normal(0, 0.3, SIZE)).astype(np.float32)
    scale[:3], offset = 12.0, random.standard_normal(SIZE).astype(np.float32)

    def each() -> Iterator[ndarray]:
        stream = state.astype(np.float32)
        for layer in range(LAYERS):
            rows = (stream @ turn) * scale + offset
            rows[:, 7] = 0.5  # a constant dimension, as the embedded model has
            yield rows
            stream = 0.9 * stream + (
                0.12 * context + 0.02 * layer * random.standard_normal(stream.shape)
            ).astype(np.float32)

    return types, utility.argmax(1), each()


def make(path: Path) -> None:
    types, labels, found = layers(np.random.default_rng(0))
    whole = [layer.astype(np.float32) for layer in found]
    names = [f"layer_{number:02d}" for number in range(LAYERS)]
    run = {
        "model": "synthetic", "revision": None, "weights_sha256": "0" * 64, "num_hidden_layers": LAYERS - 1,
        "hidden_size": SIZE, "has_final": False, "layers": list(range(LAYERS)), "unit": "word", "words": "given",
        "pooling": "mean", "mix": "none", "dtype": "float32", "store_dtype": "float32", "keep": ["tag"],
        "max_length": 512, "stride": None, "long_text": "window", "source": {},
    }  # fmt: skip
    texts = WORDS // LENGTH
    with StoreWriter.open(
        path, run, dict.fromkeys(names, SIZE), unit="word", store_dtype="float32"
    ) as writer:
        for first in range(0, texts, 250):
            count = min(250, texts - first)
            rows = slice(first * LENGTH, (first + count) * LENGTH)
            lengths = np.full(count, LENGTH, np.int64)
            unit_id = np.tile(np.arange(LENGTH, dtype=np.int32), count)
            writer.append(
                Chunk(
                    first_text=first,
                    ledger=Ledger(lengths, np.ones(count, np.int32), lengths * 0, lengths),
                    text_id=np.repeat(np.arange(first, first + count, dtype=np.int64), LENGTH),
                    unit_id=unit_id,
                    unit=[f"w{one}" for one in types[rows].tolist()],
                    start=unit_id * 8,
                    end=unit_id * 8 + 7,
                    embedded=np.ones(count * LENGTH, bool),
                    vectors={name: layer[rows] for name, layer in zip(names, whole, strict=True)},
                    kept={
                        "tag": [
                            [f"T{one:02d}" for one in line]
                            for line in labels[rows].reshape(-1, LENGTH).tolist()
                        ]
                    },
                )
            )
        writer.finish()


def command(path: Path) -> tuple[float, float, dict[str, object]]:
    """Wall seconds and peak MiB of `layerwise probe`, and its report."""
    arguments = [sys.executable, "-m", "layerwise", "probe", str(path), "--label", "tag", "--json"]
    with tempfile.TemporaryFile("w+") as out:
        began = time.perf_counter()
        run = subprocess.Popen(arguments, stdout=out)
        _, status, usage = os.wait4(run.pid, 0)
        seconds = time.perf_counter() - began
        assert status == 0
        out.seek(0)
        return seconds, usage.ru_maxrss / 1024, json.load(out)


def against_sklearn(store: Store) -> list[list[str]]:
    """A row for each layer and set of strengths: seconds of both, and test accuracy with the strength chosen."""
    found = read_labels(store, "tag")
    (parts,), _ = divide(store, found, None, 0)
    fold = Fold.of(store, found, parts, STRENGTHS, False, 0)
    lines = []
    for layer in COMPARED:
        vectors = fold.rows.read(layer)
        array = vectors.numpy().copy()
        chosen, _ = ours(vectors, fold.task)
        alone = replace(fold.task, strengths=(chosen.l2,))
        for task in (alone, fold.task) if layer == SEARCHED else (alone,):
            fit, fast = ours(torch.from_numpy(array.copy()), task)
            accuracy, slow = theirs(array, task, fit.l2)
            right = 100 * float((fit.predictions == task.labels[task.testing]).mean())
            lines.append(
                [
                    str(layer), str(len(task.strengths)), f"{fast:.1f}", f"{slow:.1f}", f"{slow / fast:.1f}",
                    f"{fit.l2:g}", f"{right:.2f}", f"{accuracy:.2f}",
                ]
            )  # fmt: skip
    return lines


def ours(vectors: torch.Tensor, task: Task) -> tuple[Fit, float]:
    """The probe, and seconds."""
    began = time.perf_counter()
    axes = PrincipalAxes.fit(vectors[task.training])
    fit = fit_probe(axes.apply(vectors), axes.variance, task)
    return fit, time.perf_counter() - began


def theirs(array: ndarray, task: Task, chosen: float) -> tuple[float, float]:
    """Test accuracy with the strength `chosen`, and seconds for all strengths of the task."""
    began, accuracy = time.perf_counter(), 0.0
    scaler = StandardScaler().fit(array[task.training])
    rows = scaler.transform(array[task.training])
    for l2 in task.strengths:
        model = LogisticRegression(C=1 / (l2 * task.train), max_iter=1000)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.fit(rows, task.labels[task.training])
        if l2 == chosen:
            right = model.predict(scaler.transform(array[task.testing])) == task.labels[task.testing]
            accuracy = 100 * float(right.mean())
    return accuracy, time.perf_counter() - began


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="layerwise-bench-") as folder:
        path = Path(folder) / "words.lance"
        # In a process of its own: a child's peak memory counts from that of the process that begins it.
        subprocess.run([sys.executable, __file__, "make", str(path)], check=True)
        store = open_store(path)
        seconds, peak, report = command(store.path)
        lines = against_sklearn(store)
    head = [
        "layer",
        "L2 strengths",
        "layerwise (s)",
        "scikit-learn (s)",
        "ratio",
        "L2",
        "accuracy",
        "scikit-learn's",
    ]
    ratios = {kind: [float(line[4]) for line in lines if (line[1] == "1") == kind] for kind in (True, False)}
    apart = max(abs(float(line[6]) - float(line[7])) for line in lines)
    kinds = ", ".join(str(row["feature"]) for row in report["table"])  # type: ignore[index, union-attr]
    body = (
        f"{LAYERS} layers × {SIZE} wide × {WORDS:,} words × {CLASSES} classes, float32, {len(STRENGTHS)} L2 strengths, "
        f"60 / 20 / 20 % of {WORDS // LENGTH:,} texts.\n\n"
        f"`layerwise probe STORE --label tag` ({kinds}; control task, intervals): **{seconds:.0f} s**, peak memory "
        f"**{peak:,.0f} MiB** (targets: 300 s, 2,048 MiB).\n\nThe solver alone beside scikit-learn, layer by layer, "
        "the same strengths to choose from:\n\n"
        + table(head, lines)
        + f"\n\nRatio with all strengths {min(ratios[False]):.1f} (target 5), with the chosen one alone "
        f"{min(ratios[True]):.1f} to {max(ratios[True]):.1f}; accuracies at most {apart:.2f} points apart (target 0.3)."
    )
    write_results("probe", f"cpu{torch.get_num_threads()}", body, ["layerwise", "scikit-learn"])


if __name__ == "__main__":
    make(Path(sys.argv[2])) if sys.argv[1:2] == ["make"] else main()
