"""Several processes of one run: who reads, who speaks, what each draws, and what is said when one is gone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from layerwise import interruption
from layerwise.interruption import another_process_failed, interruptible, not_the_first_process
from tests.tiny import one_thread  # noqa: F401
from tests.train.learning import tiny_bert

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}

DRAWS = """
import hashlib, sys, torch
from layerwise.train.loop import Loop

step = Loop._pass

def told(self, *given):
    drawn = hashlib.md5(torch.get_rng_state().numpy().tobytes()).hexdigest()
    sys.stdout.write(f"{self.args.process_index} {self.state.global_step} {drawn}\\n")
    return step(self, *given)

Loop._pass = told
from layerwise.cli import main
main()
"""


def run(*command: object, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*TORCHRUN, *map(str, command)], env=ENVIRONMENT, capture_output=True, text=True, input=stdin
    )


def test_each_process_draws_its_own(data: Path, tmp_path: Path) -> None:
    model = tiny_bert(tmp_path / "base", layers=1, dropout=0.1)
    script = tmp_path / "draws.py"
    script.write_text(DRAWS, "utf-8")
    options = ["--steps", 3, "--batch-size", 4, "--device", "cpu", "--precision", "fp32"]
    found = run(script, "finetune", "classify", data, "-m", model, *options, "-o", tmp_path / "out")
    assert found.returncode == 0, found.stderr[-2000:]
    drawn = [line.split() for line in found.stdout.splitlines() if line[:2] in ("0 ", "1 ")]
    begun = {process: state for process, step, state in reversed(drawn) if step == "0"}
    assert len(begun) == 2 and begun["0"] != begun["1"]


def test_stdin_is_refused(data: Path, tiny: str, tmp_path: Path) -> None:
    layerwise = ["-m", "layerwise"]
    found = run(
        *layerwise, "finetune", "classify", "-", "-m", tiny, "-o", tmp_path / "out", "--device", "cpu"
    )
    assert found.returncode == 1
    assert "'-' was given to 2 processes, which cannot all read stdin: name a file" in found.stderr
    assert not (tmp_path / "out").exists()


def test_one_process_of_several_predicts(data: Path, tiny: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "layerwise", "finetune", "classify", str(data), "-m", tiny]
    options = ["--steps", "1", "--device", "cpu", "-o", str(tmp_path / "out")]
    subprocess.run([*command, *options], env=ENVIRONMENT, check=True, capture_output=True)
    found = run(
        "-m", "layerwise", "predict", tmp_path / "out", "-", "--device", "cpu", stdin="a hat\na cat\n"
    )
    assert found.returncode == 0, found.stderr[-2000:]
    assert [line.split("\t")[2] for line in found.stdout.splitlines()] == ["a hat", "a cat"]
    assert "predict runs in one process; process 1 leaves it to process 0." in found.stderr


@pytest.mark.parametrize("rank", ["0", "1"])
def test_whoever_is_left_says_that_another_has_failed(rank: str, monkeypatch: pytest.MonkeyPatch) -> None:
    error = RuntimeError("[gloo/transport/tcp/pair.cc:553] Connection closed by peer [127.0.0.1]:3")
    assert not another_process_failed(error) and not not_the_first_process()
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", rank)
    assert another_process_failed(error)
    assert not another_process_failed(RuntimeError("a defect"))
    assert not_the_first_process() == (rank == "1")


def test_two_signals_at_once_are_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """`torchrun` hands on the signal that its processes may have had themselves."""
    with interruptible() as interrupted:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)
        assert interrupted.is_set()
        monkeypatch.setattr(interruption, "TOGETHER", 0.01)
        time.sleep(0.02)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(1)


def test_processes_that_read_other_data_are_refused(data: Path, tiny: str, tmp_path: Path) -> None:
    """A file of the same name, but another, on each machine."""
    script = tmp_path / "unlike.py"
    script.write_text(
        f"import os, sys; os.chdir({str(tmp_path)!r} + '/' + os.environ['RANK'])\n"
        "from layerwise.cli import main; main()",
        "utf-8",
    )
    lines = data.read_text("utf-8").splitlines(keepends=True)
    for rank in range(2):
        (tmp_path / str(rank)).mkdir()
        (tmp_path / str(rank) / "data.jsonl").write_text("".join(lines[rank:]), "utf-8")
    options = ["-m", tiny, "--device", "cpu", "-o", tmp_path / "out"]
    found = run(script, "finetune", "classify", "data.jsonl", *options)
    assert found.returncode == 1
    assert "the 2 processes of this run have read different data" in found.stderr
    assert not (tmp_path / "out").exists()
