"""fp16: the loss is scaled, steps that overflow are left out, and a resumed run goes on with the scale it had.

Losses are scaled on CUDA only. So that every test run goes that way, a CPU stands in for it: torch computes half
precision there too, slowly, and its scaler is the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from safetensors.torch import load_file

from layerwise.errors import NumericError
from layerwise.reports.training import TrainingProgress
from layerwise.train.finetune import FinetuneChoices, finetune
from layerwise.train.loop import Loop
from layerwise.train.pretraining.run import pretrain
from layerwise.train.pretraining.shape import PretrainShape
from layerwise.train.settings import TrainingSettings
from layerwise.train.tasks.example import DataColumns
from tests.tiny import one_thread  # noqa: F401
from tests.train.learning import EXAMPLES, curve, tiny_bert

TRAINING = EXAMPLES / "training"
ENTITIES = TRAINING / "entities_zh.jsonl"
HOW = TrainingSettings(steps=12, batch_size=8, log_every=1, precision="fp16", evaluate_every=4)

Scaled = Callable[..., list[Any]]


@pytest.fixture
def scaled(monkeypatch: pytest.MonkeyPatch) -> Scaled:
    """Lets fp16 be trained on the CPU; gives the scalers that were made."""
    begin = Accelerator.__init__

    def use(**how: Any) -> list[Any]:
        made: list[Any] = []

        def init(self: Accelerator, *given: Any, **more: Any) -> None:
            begin(self, *given, **more)
            if self.mixed_precision == "fp16":
                self.native_amp, self.scaler = True, torch.amp.GradScaler("cpu", **how)
                made.append(self.scaler)

        monkeypatch.setattr(Accelerator, "__init__", init)
        for name in ("finetune", "pretraining.run"):
            monkeypatch.setattr(f"layerwise.train.{name}.pick_precision", lambda given, device: given)
        return made

    return use


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tiny_bert(tmp_path_factory.mktemp("base"))


def find_entities(model: str, folder: Path, settings: TrainingSettings, **how: Any) -> None:
    columns = DataColumns(label="entities")
    finetune("ner", ENTITIES, folder, model=model, columns=columns, settings=settings, **how)


@pytest.mark.parametrize(
    ("task", "data", "columns"),
    [
        ("classify", EXAMPLES / "labelled/topics_en.jsonl", DataColumns(label="topic", split="split")),
        ("ner", ENTITIES, DataColumns(label="entities")),
        ("qa", TRAINING / "qa_zh.json", DataColumns()),
        ("similarity", EXAMPLES / "labelled/sts_en.tsv", DataColumns()),
        ("seq2seq", TRAINING / "dates_en_zh.jsonl", DataColumns()),
    ],
)
def test_every_head_has_the_curve_that_it_has_in_float32(
    tiny: str, tmp_path: Path, scaled: Scaled, task: str, data: Path, columns: DataColumns
) -> None:
    made = scaled()
    for precision in ("fp32", "fp16"):
        how = replace(HOW, precision=precision, evaluate_every=None)
        finetune(task, data, tmp_path / precision, model=tiny, settings=how, columns=columns)
    assert len(made) == 1 and made[0].get_scale() == 2**16  # nothing had overflowed
    half, full = (curve(tmp_path / precision) for precision in ("fp16", "fp32"))
    assert half == pytest.approx(full, rel=5e-3)
    assert half != full


def test_pretraining_has_the_curve_that_it_has_in_float32(tmp_path: Path, scaled: Scaled) -> None:
    made = scaled(init_scale=2.0**12)  # of these steps one overflows with 2**16
    lines = (EXAMPLES / "prose_zh.txt").read_text("utf-8").splitlines()
    (tmp_path / "prose.txt").write_text("\n\n".join(lines), "utf-8")
    shape = PretrainShape(vocab_size=400, layers=2, hidden=64, heads=2, max_length=64, batch_tokens=512)
    for precision in ("fp32", "fp16"):
        how = TrainingSettings(steps=8, log_every=1, precision=precision)
        pretrain(tmp_path / "prose.txt", tmp_path / precision, shape=shape, settings=how)
    assert len(made) == 1
    for value in ("mlm_loss", "nsp_loss"):
        half, full = (curve(tmp_path / precision, value) for precision in ("fp16", "fp32"))
        assert half == pytest.approx(full, rel=5e-3)
        assert half != full


def test_a_step_that_overflows_is_left_out(tiny: str, tmp_path: Path, scaled: Scaled) -> None:
    """Its weights stay, and the scale is halved each time until gradients fit."""
    made = scaled(init_scale=2.0**22)
    for steps in (1, 3, 12):
        find_entities(tiny, tmp_path / str(steps), replace(HOW, steps=steps, lr=1e-3))
    norms = curve(tmp_path / "12", "grad_norm")
    left_out = [step for step, norm in norms.items() if norm is None]
    assert left_out == list(range(1, 1 + len(left_out))) and 3 <= len(left_out) < 12
    assert made[-1].get_scale() == 2.0 ** (22 - len(left_out))
    one, three, twelve = (load_file(tmp_path / name / "model.safetensors") for name in ("1", "3", "12"))
    assert all(torch.equal(one[name], three[name]) for name in one)
    assert not all(torch.equal(one[name], twelve[name]) for name in one)


def test_a_resumed_run_goes_on_with_the_scale_it_had(tiny: str, tmp_path: Path, scaled: Scaled) -> None:
    made = scaled(init_scale=2.0**18, growth_interval=4)
    find_entities(tiny, tmp_path / "whole", HOW)

    def stop(progress: TrainingProgress) -> None:
        if progress.step == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        find_entities(tiny, tmp_path / "stopped", HOW, progress=stop)
    find_entities(tiny, tmp_path / "stopped", HOW, resume=True)
    assert curve(tmp_path / "stopped") == curve(tmp_path / "whole")
    assert made[2].get_scale() == made[0].get_scale() != 2.0**18
    whole, resumed = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "stopped"))
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_a_loss_that_is_no_number_stops(
    tiny: str, tmp_path: Path, scaled: Scaled, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The scaler leaves out steps whose gradients overflow; a loss that is no number is told all the same."""
    scaled()
    loss = Loop.compute_loss

    def broken(self: Loop, *given: Any, **more: Any) -> Any:
        return loss(self, *given, **more) * (float("inf") if self.state.global_step == 3 else 1)

    monkeypatch.setattr(Loop, "compute_loss", broken)
    with pytest.raises(NumericError, match=r"the loss of step 4 is inf: .* --precision fp32"):
        find_entities(tiny, tmp_path / "out", HOW)


@pytest.mark.parametrize(
    "choices", [FinetuneChoices(mix="scalar"), FinetuneChoices(frozen=True, mix="scalar")]
)
def test_mixtures(tiny: str, tmp_path: Path, scaled: Scaled, choices: FinetuneChoices) -> None:
    scaled()
    for precision in ("fp32", "fp16"):
        how = replace(HOW, precision=precision)
        find_entities(tiny, tmp_path / precision, how, choices=choices)
    assert curve(tmp_path / "fp16") == pytest.approx(curve(tmp_path / "fp32"), rel=5e-3)
