"""How to train: rates, passes, early stopping, precision."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from layerwise.errors import UsageError
from layerwise.train.finetune import FinetuneChoices, finetune
from layerwise.train.settings import TrainingSettings, pick_precision
from layerwise.train.tasks.classify import Classification
from tests.tiny import one_thread  # noqa: F401
from tests.train.learning import write_jsonl


def test_early_stopping_keeps_the_best_weights(tiny: str, data: Path, tmp_path: Path) -> None:
    how = TrainingSettings(epochs=60, batch_size=16, lr=3e-3)
    report = finetune(
        "classify", data, tmp_path / "out", model=tiny, settings=how, choices=FinetuneChoices(patience=2)
    )
    assert report is not None
    assert report.steps < 60 * 6
    lines = (tmp_path / "out" / "log.jsonl").read_text("utf-8").splitlines()
    scores = {
        line["step"]: line["eval_macro_f1"] for line in map(json.loads, lines) if "eval_macro_f1" in line
    }
    assert report.scores["macro_f1"] == max(scores.values()) == scores[report.best_step]


def test_training_does_not_stop_before_anything_can_be_learned(
    tiny: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Classification, "scores", lambda *given: {"macro_f1": 0.25})
    monkeypatch.setattr("layerwise.train.callbacks.FIRST_STOP", 18)
    how = TrainingSettings(epochs=12, batch_size=16)
    report = finetune(
        "classify", data, tmp_path / "out", model=tiny, settings=how, choices=FinetuneChoices(patience=1)
    )
    assert report is not None
    assert 18 <= report.steps < 12 * 6


@pytest.mark.parametrize(
    ("examples", "enough", "epochs"), [(144, 200, 20), (1600, 200, 4), (10_000, 200, 3), (2000, 500, 8)]
)
def test_few_examples_are_seen_more_often(examples: int, enough: int, epochs: int) -> None:
    filled = TrainingSettings().filled(1e-4, examples, enough)
    assert (filled.epochs, filled.lr) == (epochs, 1e-4)


def test_what_is_given_is_kept() -> None:
    filled = TrainingSettings(epochs=1.5, lr=3e-3).filled(1e-4, 144, 200)
    assert (filled.epochs, filled.lr) == (1.5, 3e-3)


def test_a_warmup_longer_than_the_run_is_refused() -> None:
    with pytest.raises(UsageError, match="the warm-up is 50 steps, and the run has 40: expected fewer"):
        TrainingSettings(steps=40, warmup=50).check()
    TrainingSettings(steps=40, warmup=40).check()
    with pytest.raises(UsageError, match="and the run has 27"):  # 1.5 passes of 18 batches
        TrainingSettings(epochs=1.5, batch_size=8, warmup=28).filled(1e-4, 144)
    assert TrainingSettings(epochs=1.5, batch_size=8, warmup=27).filled(1e-4, 144).epochs == 1.5


@pytest.mark.parametrize(
    ("task", "choices", "lr"),
    [
        ("classify", FinetuneChoices(), 5e-5 * 768 / 64),
        ("classify", FinetuneChoices(frozen=True), 1e-2),
        ("seq2seq", FinetuneChoices(frozen=True, decoder="new:1"), 2.5e-4 * 768 / 64),
    ],
)
def test_the_usual_learning_rate(
    task: str, choices: FinetuneChoices, lr: float, tiny: str, data: Path, tmp_path: Path
) -> None:
    if task == "seq2seq":
        data = write_jsonl(tmp_path / "pairs.jsonl", [{"source": f"{n}", "target": "a"} for n in range(20)])
    how = TrainingSettings(steps=1)
    report = finetune(task, data, tmp_path / "out", model=tiny, settings=how, choices=choices)
    assert report is not None and report.lr == pytest.approx(lr)


def test_padding_is_little_where_texts_differ_in_length(tiny: str, tmp_path: Path) -> None:
    rows = [{"text": "word " * (1 + n % 60), "label": "ab"[n % 2]} for n in range(1200)]
    data = write_jsonl(tmp_path / "data.jsonl", rows)
    report = finetune("classify", data, tmp_path / "out", model=tiny, settings=TrainingSettings(epochs=1))
    assert report is not None
    assert 0 < report.padding < 0.1


def test_auto_is_bf16_only_where_it_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu = torch.device("cpu")
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    assert pick_precision("auto", cpu) == "fp32"
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: True)
    assert pick_precision("auto", cpu) == "bf16"
    assert pick_precision("fp32", cpu) == "fp32"


def test_everyone_may_read_the_model(tiny: str, data: Path, tmp_path: Path) -> None:
    finetune("classify", data, tmp_path / "out", model=tiny, settings=TrainingSettings(steps=1))
    files = [path for path in (tmp_path / "out").iterdir() if path.is_file()]
    assert len({path.stat().st_mode for path in files}) == 1
