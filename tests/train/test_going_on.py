"""Runs that go on only to write their model, and whose best checkpoint is elsewhere or damaged."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from layerwise.errors import InterruptedRunError, LayerwiseError
from layerwise.reports.training import TrainingProgress
from layerwise.train import callbacks, finetune_run
from layerwise.train.finetune import FinetuneChoices, finetune
from layerwise.train.settings import TrainingSettings
from layerwise.train.tasks.classify import Classification
from tests.tiny import one_thread  # noqa: F401
from tests.train.learning import curve, tiny_bert, write_jsonl

HOW = TrainingSettings(epochs=4, batch_size=16, lr=1e-3, precision="fp32", device="cpu")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tiny_bert(tmp_path_factory.mktemp("base"), layers=1)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rows = [
        {"text": f"the {'red' if n % 5 else 'blue'} hat number {n}", "label": "ab"[n % 5 > 2]}
        for n in range(90)
    ]
    return write_jsonl(tmp_path_factory.mktemp("data") / "data.jsonl", rows)


def score(monkeypatch: pytest.MonkeyPatch, *values: float) -> None:
    """Have the evaluations of a run score so, one after the other."""
    left: Iterator[float] = iter(values)
    monkeypatch.setattr(Classification, "scores", lambda *_: {"macro_f1": next(left), "accuracy": 0.5})


def full(*_: Any) -> None:
    raise OSError(28, "No space left on device")


def test_a_moved_run_writes_its_best_weights(
    tiny: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    choices = FinetuneChoices(patience=None)

    def run(folder: str | Path, resume: bool = False) -> Any:
        return finetune("classify", data, folder, model=tiny, settings=HOW, choices=choices, resume=resume)

    score(monkeypatch, 0.0, 0.9, 0.8, 0.7, 0.6)
    report = run(tmp_path / "whole")
    assert report.best_step < report.steps
    monkeypatch.chdir(tmp_path)
    with monkeypatch.context() as disk:
        disk.setattr(finetune_run, "save_trained", full)
        score(monkeypatch, 0.0, 0.9, 0.8, 0.7, 0.6)
        with pytest.raises(LayerwiseError, match="No space left"):
            run("first")
    (tmp_path / "first").rename(tmp_path / "moved")
    score(monkeypatch, 0.0)
    again = run(tmp_path / "moved", resume=True)
    assert (again.best_step, again.scores) == (report.best_step, report.scores)
    one, other = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "moved"))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_run_that_had_stopped_early_does_not_train_on(
    tiny: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(callbacks, "FIRST_STOP", 1)
    choices = FinetuneChoices(patience=2)
    score(monkeypatch, 0.0, 0.9, 0.8, 0.7)
    with monkeypatch.context() as disk:
        disk.setattr(finetune_run, "save_trained", full)
        with pytest.raises(LayerwiseError, match="No space left"):
            finetune("classify", data, tmp_path / "out", model=tiny, settings=HOW, choices=choices)
    score(monkeypatch, 0.0)
    report = finetune(
        "classify", data, tmp_path / "out", model=tiny, settings=HOW, choices=choices, resume=True
    )
    assert report is not None
    assert report.scores["macro_f1"] == 0.9
    assert report.epochs < 3.5  # four were asked for


def test_best_weights_that_are_damaged_are_told_and_the_run_goes_on(
    tiny: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(progress: TrainingProgress) -> None:
        if progress.step == 14:
            os.kill(os.getpid(), signal.SIGINT)

    folder, choices = tmp_path / "out", FinetuneChoices(patience=None)
    score(monkeypatch, 0.0, 0.9, 0.8)
    with pytest.raises(InterruptedRunError):
        finetune("classify", data, folder, model=tiny, settings=HOW, choices=choices, progress=stop)
    state = json.loads((folder / "checkpoints" / "checkpoint-14" / "trainer_state.json").read_text("utf-8"))
    best = Path(state["best_model_checkpoint"])
    assert best.name == "checkpoint-6"
    (best / "model.safetensors").write_bytes(b"")
    score(monkeypatch, 0.0, 0.7, 0.6)
    report = finetune("classify", data, folder, model=tiny, settings=HOW, choices=choices, resume=True)
    assert report is not None
    assert (report.best_step, report.scores["macro_f1"]) == (18, 0.7)
    assert any("those of step 6, were damaged" in note for note in report.notes)


@pytest.mark.parametrize(
    ("settings", "choices"),
    [
        (replace(HOW, steps=9, epochs=None, evaluate_every=3), FinetuneChoices()),
        (replace(HOW, steps=9, epochs=None), FinetuneChoices()),
        (replace(HOW, epochs=2.4), FinetuneChoices(frozen=True)),
        (replace(HOW, epochs=40, evaluate_every=4), FinetuneChoices(patience=1)),
    ],
)
def test_a_run_that_was_over_makes_no_step_more(
    tiny: str,
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    settings: TrainingSettings,
    choices: FinetuneChoices,
) -> None:
    monkeypatch.setattr(callbacks, "FIRST_STOP", 0)
    settings = replace(settings, log_every=1)

    def run(folder: Path, resume: bool = False) -> Any:
        return finetune(
            "classify", data, folder, model=tiny, settings=settings, choices=choices, resume=resume
        )

    whole = run(tmp_path / "whole")
    with monkeypatch.context() as patched:
        patched.setattr(finetune_run, "save_trained", full)
        with pytest.raises(LayerwiseError, match="make room"):
            run(tmp_path / "stopped")
    resumed = run(tmp_path / "stopped", resume=True)
    assert (resumed.steps, resumed.best_step, resumed.epochs) == (whole.steps, whole.best_step, whole.epochs)
    assert list(resumed.scores.items()) == list(whole.scores.items())
    for name in ("loss", "eval_macro_f1"):
        assert curve(tmp_path / "stopped", name) == curve(tmp_path / "whole", name)
    for name in ("model.safetensors", "head.safetensors"):
        if (tmp_path / "whole" / name).exists():
            one, two = (load_file(tmp_path / folder / name) for folder in ("whole", "stopped"))
            assert all(torch.equal(one[key], two[key]) for key in one)
