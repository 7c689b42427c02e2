"""A training depends on nothing that the process around it has set, and leaves all of it as it was."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from safetensors.torch import load_file
from transformers import TrainingArguments
from transformers.utils import logging

from layerwise.errors import UsageError
from layerwise.models.encoder import Encoder
from layerwise.train import processes
from layerwise.train.assembling import arguments
from layerwise.train.evaluate import evaluate
from layerwise.train.finetune import FinetuneChoices, finetune
from layerwise.train.predict import predict
from layerwise.train.pretraining.run import PretrainShape, pretrain
from layerwise.train.pruning.run import PruneCuts, prune
from layerwise.train.settings import TrainingSettings
from tests.tiny import one_thread  # noqa: F401
from tests.train.learning import tiny_bert, write_jsonl

HOW = TrainingSettings(steps=3, batch_size=8, precision="fp32", device="cpu")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rows = [
        {"text": f"the {'red' if n % 2 else 'blue'} hat number {n}", "label": "ab"[n % 2]} for n in range(60)
    ]
    return write_jsonl(tmp_path_factory.mktemp("data") / "data.jsonl", rows)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tiny_bert(tmp_path_factory.mktemp("base"), layers=2)


def weights(folder: Path, name: str = "model.safetensors") -> dict[str, torch.Tensor]:
    return load_file(folder / name)


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@contextmanager
def float64() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize(
    "around", [torch.no_grad, torch.inference_mode, float64], ids=lambda one: one.__name__
)
def test_what_torch_is_set_to_changes_nothing(
    around: Callable[[], AbstractContextManager[Any]], tiny: str, data: Path, tmp_path: Path
) -> None:
    frozen, cuts = FinetuneChoices(frozen=True), PruneCuts(heads=0.25)
    said = []
    for name, state in (("plain", nullcontext), ("other", around)):
        with state():
            finetune("classify", data, tmp_path / name / "whole", model=tiny, settings=HOW)
            finetune("classify", data, tmp_path / name / "frozen", model=tiny, settings=HOW, choices=frozen)
            prune(tmp_path / name / "whole", tmp_path / name / "pruned", cuts, data=data)
            said.append([one.probabilities for one in predict(tmp_path / name / "frozen", data)])  # type: ignore[union-attr]
            found = Encoder.from_pretrained(tiny).encode(["the red hat"], unit="word")[0].hidden_states
            assert found.dtype == np.float32
    for model, file in (("whole", "model"), ("pruned", "model"), ("frozen", "head")):
        one, other = (weights(tmp_path / name / model, f"{file}.safetensors") for name in ("plain", "other"))
        assert same(one, other)
    assert said[0] == said[1]


def test_random_numbers_go_on_as_if_nothing_had_been(tiny: str, data: Path, tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("\n\n".join(f"A cat sat {n}. It ran.\nA dog came. It slept." for n in range(30)), "utf-8")
    masks = tmp_path / "masks.txt"
    masks.write_text("A [MASK] sat.", "utf-8")
    shape = PretrainShape(vocab_size=120, layers=1, hidden=32, heads=2, max_length=32, batch_tokens=256)

    def drawn(*calls: Callable[[], Any]) -> tuple[Any, ...]:
        random.seed(5)
        np.random.seed(5)
        torch.manual_seed(5)
        for call in calls:
            call()
        return random.random(), np.random.rand(), torch.rand(()).item()

    assert drawn() == drawn(
        lambda: finetune(
            "classify", data, tmp_path / "out", model=tiny, settings=HOW, choices=FinetuneChoices(frozen=True)
        ),
        lambda: pretrain(text, tmp_path / "pre", shape=shape, settings=HOW),
        lambda: prune(tmp_path / "out", tmp_path / "pruned", PruneCuts(drop_layers=(1,)), data=data),
        lambda: evaluate(tmp_path / "out", data),
        lambda: list(predict(tmp_path / "pre", masks)),
    )


def test_the_precision_is_that_of_the_settings(
    tiny: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever `accelerate launch --mixed_precision` has said."""
    finetune("classify", data, tmp_path / "one", model=tiny, settings=HOW)
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "bf16")
    report = finetune("classify", data, tmp_path / "two", model=tiny, settings=HOW)
    assert report is not None and report.precision == "fp32"
    assert same(weights(tmp_path / "one"), weights(tmp_path / "two"))


def test_accelerate_is_as_it_was(tiny: str, data: Path, tmp_path: Path) -> None:
    """A training on the CPU decides nothing for what comes after it."""
    finetune("classify", data, tmp_path / "one", model=tiny, settings=HOW)
    mine = Accelerator(mixed_precision="bf16", cpu=True)
    finetune("classify", data, tmp_path / "two", model=tiny, settings=HOW)
    assert mine.mixed_precision == "bf16"
    assert same(weights(tmp_path / "one"), weights(tmp_path / "two"))
    AcceleratorState._reset_state(reset_partial_state=True)


def test_what_is_loaded_beside_a_training_draws_nothing_of_it(data: Path, tmp_path: Path) -> None:
    """Dropout has its random numbers from the same source."""
    model = tiny_bert(tmp_path / "base", layers=1, dropout=0.1)
    how = TrainingSettings(steps=12, batch_size=8, precision="fp32", device="cpu")
    finetune("classify", data, tmp_path / "alone", model=model, settings=how)
    finetune(
        "classify", data, tmp_path / "head", model=model, settings=HOW, choices=FinetuneChoices(frozen=True)
    )
    over = threading.Event()

    def beside() -> int:
        loaded = 0
        while not over.is_set():
            list(predict(tmp_path / "head", data, limit=1))
            loaded += 1
        return loaded

    with ThreadPoolExecutor(1) as pool:
        count = pool.submit(beside)
        finetune("classify", data, tmp_path / "beside", model=model, settings=how)
        over.set()
        assert count.result() > 0
    assert same(weights(tmp_path / "beside"), weights(tmp_path / "alone"))


def test_trainings_in_threads_wait_for_one_another(tiny: str, data: Path, tmp_path: Path) -> None:
    before = logging.get_verbosity()
    finetune("classify", data, tmp_path / "alone", model=tiny, settings=HOW)
    with ThreadPoolExecutor(2) as pool:
        runs = [
            pool.submit(finetune, "classify", data, tmp_path / name, model=tiny, settings=HOW)
            for name in "ab"
        ]
        for run in runs:
            assert run.result() is not None
    for name in "ab":
        assert same(weights(tmp_path / name), weights(tmp_path / "alone"))
    assert logging.get_verbosity() == before


def test_one_process_trains_on_one_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """transformers would split each batch over all it sees, and count each as a whole one."""
    monkeypatch.setattr(TrainingArguments, "__post_init__", lambda self: setattr(self, "_n_gpu", 4))
    monkeypatch.setattr(TrainingArguments, "_setup_devices", torch.device("cpu"))
    assert TrainingArguments(str(tmp_path)).n_gpu == 4
    assert arguments(HOW.filled(1e-3), tmp_path, "fp32", torch.device("cpu"), 1).n_gpu == 1


def test_a_gpu_by_its_number_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "pick_device", torch.device)
    with pytest.raises(UsageError, match="set CUDA_VISIBLE_DEVICES=1, and give cuda"):
        processes.this_process("cuda:1")
