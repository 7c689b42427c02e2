"""Runs that are stopped, resumed, split over processes, or go wrong."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from layerwise.errors import (
    DeviceMemoryError,
    InterruptedRunError,
    LayerwiseError,
    NumericError,
    UsageError,
)
from layerwise.reports.training import TrainingProgress
from layerwise.train.checkpoints import SEAL, is_whole, last_whole, seal
from layerwise.train.finetune import finetune
from layerwise.train.loop import Loop
from layerwise.train.settings import TrainingSettings
from tests.tiny import one_thread  # noqa: F401
from tests.train.learning import curve, tiny_bert, write_jsonl

TWO = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "layerwise"]
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}


def test_the_same_curve_in_one_process_in_two_and_in_parts(tiny: str, data: Path, tmp_path: Path) -> None:
    rows = [json.loads(line) for line in data.read_text("utf-8").splitlines()]
    for row in rows[:80:40]:  # their batch is cut, and of two processes one cuts, the other does not
        row["text"] += " of many" * 15
    data = write_jsonl(tmp_path / "data.jsonl", rows)
    options = [
        "finetune",
        "classify",
        str(data),
        "-m",
        tiny,
        "--steps",
        "12",
        "--batch-size",
        "8",
        "--log-every",
        "1",
        "--precision",
        "fp32",
    ]
    command = [*TWO, *options, "-o", str(tmp_path / "two"), "--device", "cpu"]
    run = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-2000:]
    assert run.stdout.count("macro-F1") == 1  # one process speaks
    how = TrainingSettings(steps=12, batch_size=8, log_every=1, precision="fp32")
    one = finetune("classify", data, tmp_path / "one", model=tiny, settings=how)
    parts = replace(how, accumulate=4)
    finetune("classify", data, tmp_path / "parts", model=tiny, settings=parts)
    expected = curve(tmp_path / "one")
    assert len(expected) == 12
    for other in ("two", "parts"):
        assert curve(tmp_path / other) == pytest.approx(expected, abs=1e-4)
    assert one is not None
    assert json.loads((tmp_path / "two" / "layerwise_task.json").read_text("utf-8"))["labels"] == ["a", "b"]


def test_pretraining_in_two_processes(tmp_path: Path) -> None:
    text = "\n\n".join(
        f"A cat number {n} sat. It ran. It slept.\nA dog came. It barked {n} times." for n in range(40)
    )
    (tmp_path / "text.txt").write_text(text, "utf-8")
    options = "--vocab-size 150 --layers 1 --hidden 32 --heads 2 --max-length 32 --batch-tokens 256 --steps 8 --log-every 1"
    rest = [
        "pretrain",
        str(tmp_path / "text.txt"),
        *options.split(),
        *["--device", "cpu", "--precision", "fp32", "-o"],
    ]
    for command, name in ((TWO, "two"), ([sys.executable, "-m", "layerwise"], "one")):
        run = subprocess.run(
            [*command, *rest, str(tmp_path / name)], env=ENVIRONMENT, capture_output=True, text=True
        )
        assert run.returncode == 0, run.stderr[-2000:]
    for value in ("loss", "mlm_loss", "nsp_loss", "masked_accuracy"):
        assert curve(tmp_path / "two", value) == pytest.approx(curve(tmp_path / "one", value), abs=1e-4)


def test_a_resumed_run_has_the_weights_of_an_undisturbed_one(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny_bert(tmp_path / "base", layers=1, dropout=0.1)
    data = Path(shutil.copy(data, tmp_path / "data.jsonl"))
    how = TrainingSettings(steps=30, batch_size=8, log_every=1, evaluate_every=6)
    finetune("classify", data, tmp_path / "whole", model=model, settings=how)
    step = Loop.training_step

    def stop(self: Loop, *given: Any, **more: Any) -> Any:
        if self.state.global_step == 20:
            raise KeyboardInterrupt
        return step(self, *given, **more)

    monkeypatch.setattr(Loop, "training_step", stop)
    with pytest.raises(KeyboardInterrupt):
        finetune("classify", data, tmp_path / "stopped", model=model, settings=how)
    monkeypatch.undo()
    assert not (tmp_path / "stopped" / "layerwise_task.json").exists()
    with pytest.raises(UsageError, match="was begun with lr not given, and now it is 0.1"):
        other = replace(how, lr=0.1)
        finetune("classify", data, tmp_path / "stopped", model=model, settings=other, resume=True)
    before = data.read_text("utf-8")
    data.write_text(before.replace("number 3", "number 9"), "utf-8")  # other data under the same name
    with pytest.raises(UsageError, match="was begun with other data"):
        finetune("classify", data, tmp_path / "stopped", model=model, settings=how, resume=True)
    data.write_text(before, "utf-8")
    report = finetune("classify", data, tmp_path / "stopped", model=model, settings=how, resume=True)
    assert report is not None
    assert curve(tmp_path / "stopped") == curve(tmp_path / "whole")
    whole = load_file(tmp_path / "whole" / "model.safetensors")
    resumed = load_file(tmp_path / "stopped" / "model.safetensors")
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    assert not (tmp_path / "stopped" / "checkpoints").exists()
    with pytest.raises(UsageError, match="is finished"):
        finetune("classify", data, tmp_path / "stopped", model=model, settings=how, resume=True)


@pytest.mark.parametrize(("number", "at"), [(signal.SIGINT, 3), (signal.SIGTERM, 11), (signal.SIGINT, 15)])
def test_an_interrupted_run_is_saved_at_its_step(
    tiny: str, data: Path, tmp_path: Path, number: signal.Signals, at: int
) -> None:
    """Within an epoch, where nothing is to be scored, or at its end (step 11); the interpreter's handlers come back."""
    how = TrainingSettings(steps=30, batch_size=8, log_every=1)
    finetune("classify", data, tmp_path / "whole", model=tiny, settings=how)
    handlers = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)

    def stop(progress: TrainingProgress) -> None:
        if progress.step == at:
            os.kill(os.getpid(), number)

    folder = tmp_path / "stopped"
    with pytest.raises(
        InterruptedRunError, match=rf"interrupted: step {at} of 30 is saved in .*stopped; .*--resume"
    ):
        finetune("classify", data, folder, model=tiny, settings=how, progress=stop)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == handlers
    assert not (folder / "config.json").exists()
    finetune("classify", data, folder, model=tiny, settings=how, resume=True)
    for value in ("loss", "eval_macro_f1"):
        assert curve(folder, value) == curve(tmp_path / "whole", value)
    assert len(curve(folder)) == 30
    whole, resumed = (load_file(path / "model.safetensors") for path in (tmp_path / "whole", folder))
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_signals_that_the_program_has_taken_itself_stay_its_own(
    tiny: str, data: Path, tmp_path: Path
) -> None:
    """`nohup` and scripts in the background ignore Ctrl-C."""
    told: list[int] = []

    def stop(progress: TrainingProgress) -> None:
        for number in () if progress.doing else (signal.SIGINT, signal.SIGTERM):
            os.kill(os.getpid(), number)

    before = (
        signal.signal(signal.SIGINT, signal.SIG_IGN),
        signal.signal(signal.SIGTERM, lambda number, frame: told.append(number)),
    )
    try:
        how = TrainingSettings(steps=2, batch_size=8)
        assert (
            finetune("classify", data, tmp_path / "out", model=tiny, settings=how, progress=stop) is not None
        )
    finally:
        signal.signal(signal.SIGINT, before[0])
        signal.signal(signal.SIGTERM, before[1])
    assert told == [signal.SIGTERM] * 2


def test_an_interrupted_run_of_two_processes_is_saved_at_its_step(
    tiny: str, data: Path, tmp_path: Path
) -> None:
    """What one process is told holds for both."""
    folder = tmp_path / "two"
    options = f"classify {data} -m {tiny} --epochs 500 --patience 0 --batch-size 8 --log-every 1 --device cpu".split()
    process = subprocess.Popen(
        [*TWO, "finetune", *options, "-o", str(folder)], env=ENVIRONMENT, stderr=subprocess.PIPE, text=True
    )
    log = folder / "log.jsonl"
    deadline = time.monotonic() + 120
    while not (log.is_file() and log.read_text("utf-8").count("\n") > 5):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=120)
    said = [line for line in errors.splitlines() if "layerwise: interrupted" in line]
    checkpoint = last_whole(folder / "checkpoints")
    assert process.returncode != 0 and said, errors
    assert checkpoint is not None
    assert f"step {int(checkpoint.name.rpartition('-')[2]):,} of" in said[0]
    assert len(curve(folder)) == int(checkpoint.name.rpartition("-")[2])


def test_a_checkpoint_that_is_not_whole_does_not_count(tmp_path: Path) -> None:
    for number in (5, 10, 15):
        folder = tmp_path / f"checkpoint-{number}"
        folder.mkdir()
        (folder / "model.safetensors").write_bytes(b"x" * 100)
        if number != 15:  # killed while it was written
            seal(folder)
    assert last_whole(tmp_path) == tmp_path / "checkpoint-10"
    (tmp_path / "checkpoint-10" / "model.safetensors").write_bytes(b"x" * 99)
    assert not is_whole(tmp_path / "checkpoint-10")
    assert last_whole(tmp_path) == tmp_path / "checkpoint-5"
    (tmp_path / "checkpoint-5" / SEAL).write_text("[]", "utf-8")
    assert last_whole(tmp_path) is None


@pytest.mark.slow
def test_kill_at_any_moment_leaves_a_run_that_goes_on(tiny: str, data: Path, tmp_path: Path) -> None:
    """Killed at moments of which many are in the middle of saving, resumed, and the same at the end."""
    options = [
        "classify",
        str(data),
        "-m",
        tiny,
        "--steps",
        "120",
        "--batch-size",
        "8",
        "--evaluate-every",
        "2",
    ]
    begin = [sys.executable, "-m", "layerwise", "finetune", *options, "--patience", "0", "--log-every", "1"]
    whole = subprocess.run([*begin, "-o", str(tmp_path / "whole")], env=ENVIRONMENT, capture_output=True)
    assert whole.returncode == 0
    folder = tmp_path / "killed"
    command = [*begin, "-o", str(folder)]
    for number in range(6):
        process = subprocess.Popen(
            command, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        log, before = folder / "log.jsonl", len(curve(folder)) if (folder / "log.jsonl").exists() else 0
        while process.poll() is None and (not log.exists() or len(curve(folder)) < before + 9):
            time.sleep(0.02)
        time.sleep(0.03 * number)
        process.send_signal(signal.SIGKILL)
        process.wait()
        if (folder / "run.json").exists() and "--resume" not in command:
            command.append("--resume")
    assert subprocess.run(command, env=ENVIRONMENT, capture_output=True).returncode == 0
    first, last = (Path(name) / "model.safetensors" for name in (tmp_path / "whole", folder))
    assert first.read_bytes() == last.read_bytes()


def test_a_loss_that_is_no_number_stops_with_its_batch(
    tiny: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loss = Loop.compute_loss

    def broken(self: Loop, *given: Any, **more: Any) -> Any:
        found = loss(self, *given, **more)
        return found * float("nan") if self.state.global_step == 3 else found

    monkeypatch.setattr(Loop, "compute_loss", broken)
    with pytest.raises(NumericError, match="the loss of step 4 is nan") as error:
        finetune(
            "classify", data, tmp_path / "out", model=tiny, settings=TrainingSettings(steps=9, batch_size=8)
        )
    path = tmp_path / "out" / "failed_batch.json"
    assert str(path) in str(error.value)
    batch = json.loads(path.read_text("utf-8"))
    assert batch["step"] == 4
    assert len(batch["input_ids"]) == len(batch["labels"]) == 8


def test_too_little_memory_says_which_flags_to_lower(
    tiny: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Loop, *given: Any, **more: Any) -> Any:
        raise RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(Loop, "compute_loss", full)
    with pytest.raises(DeviceMemoryError, match="lower --batch-size or --max-length, raise --accumulate"):
        finetune("classify", data, tmp_path / "out", model=tiny, settings=TrainingSettings(steps=2))


@pytest.mark.parametrize(
    "error",
    [
        OSError(28, "No space left on device"),
        RuntimeError("[enforce fail at inline_container.cc:672] unexpected pos"),
    ],
)
def test_a_full_disk_is_said_and_the_run_can_go_on(
    error: Exception, tiny: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*given: Any, **more: Any) -> None:
        raise error

    how = TrainingSettings(steps=6, batch_size=16, evaluate_every=3)
    monkeypatch.setattr(Loop, "_save_checkpoint", full)
    with pytest.raises(LayerwiseError, match="make room, and go on"):
        finetune("classify", data, tmp_path / "out", model=tiny, settings=how)
    monkeypatch.undo()
    report = finetune("classify", data, tmp_path / "out", model=tiny, settings=how, resume=True)
    assert report is not None and report.steps == 6
