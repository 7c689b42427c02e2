"""What is told before and between the steps: of published sets it takes minutes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from layerwise.reports.training import TrainingProgress
from layerwise.train.evaluate import evaluate
from layerwise.train.finetune import FinetuneChoices, finetune
from layerwise.train.settings import TrainingSettings
from tests.tiny import one_thread  # noqa: F401
from tests.train.learning import tiny_bert, write_jsonl


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rows = [{"text": f"red hat {n} " * (1 + n % 3), "label": "ab"[n % 2]} for n in range(2300)]
    return write_jsonl(tmp_path_factory.mktemp("data") / "data.jsonl", rows)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tiny_bert(tmp_path_factory.mktemp("base"), layers=1)


def test_reading_tokenising_encoding_and_evaluating_are_told(tiny: str, data: Path, tmp_path: Path) -> None:
    told: list[TrainingProgress] = []
    finetune(
        "classify",
        data,
        tmp_path / "out",
        model=tiny,
        choices=FinetuneChoices(frozen=True),
        settings=TrainingSettings(steps=2),
        progress=told.append,
    )
    doing = [one.doing for one in told]
    assert doing[:2] == ["reading", "tokenising 2,300 examples"]
    assert "encoding 2,300 of 2,300 sequences" in doing
    assert doing[-1] == "evaluating 230 of 230 examples"
    assert doing.count(doing[-1]) == 2  # before training and after it
    assert [one.step for one in told if not one.doing] == [1, 2]


def test_the_scores_are_those_of_the_weights_that_are_kept(tiny: str, data: Path, tmp_path: Path) -> None:
    """Though they are not computed again: in one of these runs the last weights are not the best."""
    rows = [
        {"text": f"the {'red' if n % 3 else 'blue'} hat {n}", "label": "ab"[n % 3 < 2]} for n in range(60)
    ]
    dev = write_jsonl(tmp_path / "dev.jsonl", rows)
    not_last = 0
    for seed in range(3):
        how = TrainingSettings(steps=12, lr=2e-2, evaluate_every=2, seed=seed, precision="fp32")
        report = finetune("classify", dev, tmp_path / f"{seed}", dev=dev, model=tiny, settings=how)
        assert report is not None
        assert evaluate(tmp_path / f"{seed}", dev).scores == report.scores
        not_last += report.best_step < report.steps
    assert not_last


def test_an_evaluation_tells_how_far_it_is(tiny: str, data: Path, tmp_path: Path) -> None:
    finetune("classify", data, tmp_path / "out", model=tiny, settings=TrainingSettings(steps=1))
    told: list[str] = []
    evaluate(tmp_path / "out", data, batch_tokens=1024, progress=told.append)
    done = [int(one.split()[0].replace(",", "")) for one in told]
    assert done == sorted(done) and done[-1] == 2300
    assert len(done) > 10 and told[-1] == "2,300 of 2,300 examples"


def test_a_log_file_has_a_line_for_each_kind_of_work(tiny: str, data: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "layerwise", "finetune", "classify", str(data), "-m", tiny]
    command += ["--steps", "30", "-o", str(tmp_path / "out")]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    lines = [line.removeprefix("layerwise: ").split()[0] for line in run.stderr.splitlines()]
    assert lines == ["reading", "tokenising", "evaluating", *["step"] * 10]
