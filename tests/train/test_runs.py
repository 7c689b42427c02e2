"""Runs that are stopped, resumed, split over processes, or go wrong."""

from __future__ import annotations

import gzip
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
    LabelError,
    LayerwiseError,
    NumericError,
    SourceError,
    UsageError,
)
from layerwise.reports.training import TrainingProgress
from layerwise.train.checkpoints import SEAL, is_whole, last_whole, seal
from layerwise.train.evaluate import evaluate
from layerwise.train.finetune import FinetuneChoices, finetune
from layerwise.train.loop import Loop
from layerwise.train.pretraining.run import pretrain
from layerwise.train.pruning.run import PruneCuts, prune
from layerwise.train.run_folder import held
from layerwise.train.settings import TrainingSettings, pick_precision
from layerwise.train.tasks.classify import Classification
from layerwise.train.tasks.task import DataColumns
from tests.tiny import one_thread  # noqa: F401
from tests.train.learning import EXAMPLES, curve, tiny_bert, write_jsonl

TWO = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "layerwise"]
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tiny_bert(tmp_path_factory.mktemp("base"), layers=1)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    words = ["red", "blue", "green", "black", "white"]
    rows = [
        {"text": f"the {words[n % 5]} hat number {n} " + "of many " * (n % 7), "label": "ab"[n % 5 > 2]}
        for n in range(90)
    ]
    return write_jsonl(tmp_path_factory.mktemp("data") / "data.jsonl", rows)


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


def test_two_runs_do_not_write_into_one_folder(tiny: str, data: Path, tmp_path: Path) -> None:
    how = TrainingSettings(steps=1)
    with held(tmp_path / "out"), pytest.raises(UsageError, match="another run is writing"):
        finetune("classify", data, tmp_path / "out", model=tiny, settings=how)
    assert list(tmp_path.iterdir()) == []
    assert finetune("classify", data, tmp_path / "out", model=tiny, settings=how) is not None
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_folder_beside_which_nothing_may_be_written_is_used_without_a_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(path: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("layerwise.train.run_folder.lock", forbidden)
    with held(tmp_path / "out"):
        assert list(tmp_path.iterdir()) == []


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


def test_a_class_of_one_row_is_learned_and_not_held_out(tiny: str, tmp_path: Path) -> None:
    rows = [{"text": f"the hat {n}", "label": "ab"[n % 2]} for n in range(20)]
    rows += [{"text": f"the car {n}", "label": f"rare {n}"} for n in range(12)]
    data = write_jsonl(tmp_path / "data.jsonl", rows)
    for seed in range(4):
        how = TrainingSettings(steps=1, seed=seed)
        report = finetune("classify", data, tmp_path / f"out{seed}", model=tiny, settings=how)
        assert report is not None and report.examples + report.dev_examples == 32


def test_rows_of_neither_part_need_no_label(tiny: str, tmp_path: Path) -> None:
    rows = [
        {"text": f"hat {n}", "label": "ab"[n % 2], "split": ["train", "dev"][n % 4 == 0]} for n in range(20)
    ]
    data = write_jsonl(tmp_path / "data.jsonl", [*rows, {"text": "x", "label": None, "split": "test"}])
    columns = DataColumns(split="split")
    report = finetune(
        "classify", data, tmp_path / "out", model=tiny, columns=columns, settings=TrainingSettings(steps=1)
    )
    assert report is not None and (report.examples, report.dev_examples) == (15, 5)


def test_everyone_may_read_the_model(tiny: str, data: Path, tmp_path: Path) -> None:
    finetune("classify", data, tmp_path / "out", model=tiny, settings=TrainingSettings(steps=1))
    files = [path for path in (tmp_path / "out").iterdir() if path.is_file()]
    assert len({path.stat().st_mode for path in files}) == 1


def test_padding_is_little_where_texts_differ_in_length(tiny: str, tmp_path: Path) -> None:
    rows = [{"text": "word " * (1 + n % 60), "label": "ab"[n % 2]} for n in range(1200)]
    data = write_jsonl(tmp_path / "data.jsonl", rows)
    report = finetune("classify", data, tmp_path / "out", model=tiny, settings=TrainingSettings(epochs=1))
    assert report is not None
    assert 0 < report.padding < 0.1


@pytest.mark.parametrize(
    ("task", "rows", "message"),
    [
        ("classify", [{"text": str(n), "label": "x"} for n in range(12)], "constant .'x' in every row"),
        ("classify", [{"text": "a", "label": "x"}, {"text": "b"}], "line 2: the label 'label' is None"),
        (
            "classify",
            [{"text": str(n), "label": "xy"[n % 2]} for n in range(6)],
            "6 different texts: too few",
        ),
        (
            "ner",
            [{"text": "王芳去北京", "label": [[0, 2, "PER"], [1, 3, "LOC"]]}],
            r"\[0, 2, 'PER'\] and \[1, 3, 'LOC'\] overlap",
        ),
        ("ner", [{"text": "王芳", "label": [[0, 9, "PER"]]}], "end ≤ 2, the length of the text"),
        (
            "ner",
            [{"text": "王芳来", "label": {"PER": {"王芳": [[1, 2]]}}}],
            "'王芳' .* is not at 1 to 2, .* has '芳来'",
        ),
        ("ner", [{"text": "王芳来", "label": {"PER": [[0, 1]]}}], "or by label as CLUENER has them"),
        (
            "qa",
            [
                {
                    "question": "Who?",
                    "context": "Ann is here.",
                    "answers": {"text": ["here"], "answer_start": [2]},
                }
            ],
            "'here' is not in the context at its answer_start 2, it is at 7",
        ),
        (
            "qa",
            [
                {
                    "question": "Who?",
                    "context": "Ann is here.",
                    "answers": {"text": ["Bob"], "answer_start": [2]},
                }
            ],
            "it is nowhere in it",
        ),
        (
            "similarity",
            [{"sentence1": "a", "sentence2": "b", "score": "high"}],
            "the score 'score' is 'high'",
        ),
        (
            "similarity",
            [{"sentence1": str(n), "sentence2": "b", "score": 1} for n in range(30)],
            "every pair has the score 1",
        ),
        ("seq2seq", [{"source": "a", "target": " "}], "the target is empty"),
    ],
)
def test_bad_rows_are_named(tiny: str, tmp_path: Path, task: str, rows: list[Any], message: str) -> None:
    data = write_jsonl(tmp_path / "data.jsonl", rows)
    with pytest.raises((SourceError, LabelError), match=message):
        finetune(task, data, tmp_path / "out", model=tiny)
    assert not (tmp_path / "out").exists()


def test_squad_in_folders_globs_and_gz(tiny: str, tmp_path: Path) -> None:
    source = EXAMPLES / "training" / "qa_en.json"
    (tmp_path / "folder").mkdir()
    with gzip.open(tmp_path / "folder" / "qa.json.gz", "wb") as file:
        file.write(source.read_bytes())
    for name, data in enumerate([tmp_path / "folder", tmp_path / "folder" / "*.json.gz", source]):
        report = finetune("qa", data, tmp_path / f"out{name}", model=tiny, settings=TrainingSettings(steps=1))
        assert report is not None and report.examples + report.dev_examples == 900


@pytest.mark.parametrize(
    ("paragraphs", "message"),
    [
        (["x"], "has no list 'qas'"),
        ([{"context": "a b", "qas": ["what?"]}], "a question is 'what\\?'; expected an object"),
        (
            [{"context": "a b", "qas": [{"question": "Who?", "id": "7"}]}],
            "question 7: the column 'answers' is 'None'",
        ),
        (
            [
                {
                    "context": "a b",
                    "qas": [{"question": "Who?", "answers": [{"text": "b", "answer_start": "2"}]}],
                }
            ],
            "has the answer_start '2'; expected a number",
        ),
    ],
)
def test_squad_files_of_another_shape_are_refused(
    paragraphs: list[Any], message: str, tiny: str, tmp_path: Path
) -> None:
    data = tmp_path / "data.json"
    data.write_text(json.dumps({"data": [{"paragraphs": paragraphs}]}), "utf-8")
    with pytest.raises(SourceError, match=message):
        finetune("qa", data, tmp_path / "out", dev=data, model=tiny)
    assert not (tmp_path / "out").exists()


def test_the_model_to_begin_from_is_not_written_over(tiny: str, data: Path, tmp_path: Path) -> None:
    first = tmp_path / "first"
    finetune("classify", data, first, model=tiny, settings=TrainingSettings(steps=1))
    with pytest.raises(UsageError, match="which is to be read, is in .* the folder to write"):
        finetune(
            "classify", data, first, model=str(first), settings=TrainingSettings(steps=1), overwrite=True
        )
    assert (first / "model.safetensors").is_file()


def test_data_in_the_folder_to_begin_anew_is_not_deleted(tiny: str, data: Path, tmp_path: Path) -> None:
    """Nor is a decoder."""
    how, folder = TrainingSettings(steps=1), tmp_path / "run"
    finetune("classify", data, folder, model=tiny, settings=how)
    inside = Path(shutil.copy(data, folder / "data.jsonl"))
    shutil.copytree(tiny, folder / "decoder")
    message = "which is to be read, is in .*run, the folder to write"
    for train, dev in (
        (inside, None),
        (data, inside),
        (f"{folder}/*.jsonl", None),
        (f"{tmp_path}/r*/d*.jsonl", None),
    ):
        with pytest.raises(UsageError, match=message):
            finetune("classify", train, folder, dev=dev, model=tiny, settings=how, overwrite=True)
    with pytest.raises(UsageError, match=message):
        choices = FinetuneChoices(decoder=str(folder / "decoder"))
        finetune("seq2seq", data, folder, model=tiny, settings=how, choices=choices, overwrite=True)
    with pytest.raises(UsageError, match=message):
        pretrain(inside, folder, settings=how, overwrite=True)
    prune(folder, tmp_path / "pruned", PruneCuts(magnitude=0.1))
    shutil.copy(data, tmp_path / "pruned" / "data.jsonl")
    with pytest.raises(UsageError, match="which is to be read, is in .*pruned"):
        prune(
            tiny,
            tmp_path / "pruned",
            PruneCuts(least_useful=1),
            data=tmp_path / "pruned" / "data.jsonl",
            overwrite=True,
        )
    assert inside.is_file() and (folder / "decoder" / "config.json").is_file()
    assert (tmp_path / "pruned" / "data.jsonl").is_file()


def test_names_that_are_no_utf_8(tiny: str, data: Path, tmp_path: Path) -> None:
    """As old archives have them: of data they are borne, of a folder to write they are refused before any work."""
    name = os.fsdecode(b"caf\xe9")
    source = Path(shutil.copy(data, tmp_path / f"{name}.jsonl"))
    how = TrainingSettings(steps=1)
    assert finetune("classify", source, tmp_path / "out", model=tiny, settings=how) is not None
    assert evaluate(tmp_path / "out", source).examples
    with pytest.raises(UsageError, match="bytes that are no UTF-8"):
        finetune("classify", data, tmp_path / name, model=tiny, settings=how)


def test_a_link_to_nothing_is_no_folder(tiny: str, data: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="is a link to .*nowhere, which is not there"):
        finetune("classify", data, tmp_path / "link", model=tiny, settings=TrainingSettings(steps=1))


def test_what_does_not_go_with_squad_files_is_refused(tiny: str, tmp_path: Path) -> None:
    source = EXAMPLES / "training" / "qa_en.json"
    with pytest.raises(UsageError, match="SQuAD's .json has no columns"):
        finetune("qa", source, tmp_path / "out", model=tiny, columns=DataColumns(split="split"))
    with pytest.raises(SourceError, match="expected files of one kind"):
        finetune("qa", [source, tmp_path / "b.parquet"], tmp_path / "out", model=tiny)
    with pytest.raises(UsageError, match="--words-column tokens was given, and qa reads texts"):
        finetune("qa", source, tmp_path / "out", model=tiny, columns=DataColumns(words="tokens"))


def test_whole_numbers_are_the_same_class_however_they_are_written(tiny: str, tmp_path: Path) -> None:
    rows = [{"text": f"hat {n}", "label": [0, 1, 0.0, 1.0][n % 4]} for n in range(40)]
    data = write_jsonl(tmp_path / "data.jsonl", rows)
    finetune("classify", data, tmp_path / "out", model=tiny, settings=TrainingSettings(steps=1))
    config = json.loads((tmp_path / "out" / "config.json").read_text("utf-8"))
    assert set(config["label2id"]) == {"0", "1"}


def test_marks_that_are_no_classes_are_noted(tiny: str, tmp_path: Path) -> None:
    for marks, expected in ((("yes", "no", "-"), 1), (("+", "-", "0"), 0), (("0", "1", "-1"), 1)):
        rows = [{"text": f"hat {n}", "label": marks[n % 3]} for n in range(60)]
        data = write_jsonl(tmp_path / "data.jsonl", rows)
        report = finetune(
            "classify", data, tmp_path / "out", model=tiny, settings=TrainingSettings(steps=1), overwrite=True
        )
        assert report is not None
        assert len([note for note in report.notes if "leave these rows out" in note]) == expected


def test_where_every_row_is_bad_the_reason_is_given(tiny: str, tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_text('{"text": "a", "label": }\n' * 3, "utf-8")
    with pytest.raises(SourceError, match="line 1, column .*broken JSON"):
        finetune("classify", tmp_path / "bad.jsonl", tmp_path / "out", model=tiny, skip_bad=True)
    named = write_jsonl(tmp_path / "named.jsonl", [{"text": "a", "class": "x"}])
    with pytest.raises(SourceError, match="no column 'label': .* name the one that holds it with --label"):
        finetune("classify", named, tmp_path / "out", model=tiny)
    (tmp_path / "plain.txt").write_text("a\nb\n", "utf-8")
    with pytest.raises(SourceError, match="a file of this kind has none; put texts and columns in a table"):
        finetune("classify", tmp_path / "plain.txt", tmp_path / "out", model=tiny)


def test_a_development_part_with_one_score_says_that_it_tells_nothing(tiny: str, tmp_path: Path) -> None:
    rows = [{"sentence1": f"hat {n}", "sentence2": "a hat", "score": n % 5} for n in range(20)]
    data = write_jsonl(tmp_path / "data.jsonl", rows)
    dev = write_jsonl(tmp_path / "dev.jsonl", [{**row, "score": 1} for row in rows])
    report = finetune(
        "similarity", data, tmp_path / "out", dev=dev, model=tiny, settings=TrainingSettings(steps=2)
    )
    assert report is not None and "means nothing" in report.notes[0]
    for name in ("log.jsonl", "layerwise_task.json"):
        assert "NaN" not in (tmp_path / "out" / name).read_text("utf-8")


def test_questions_without_any_context_are_refused(tiny: str, tmp_path: Path) -> None:
    rows = [{"question": f"who {n}", "context": "", "answers": []} for n in range(3)]
    data = write_jsonl(tmp_path / "data.jsonl", rows)
    with pytest.raises(SourceError, match="its texts or contexts are empty"):
        finetune("qa", data, tmp_path / "out", dev=data, model=tiny)
    assert not (tmp_path / "out").exists()


def test_bad_rows_can_be_left_out(tiny: str, tmp_path: Path) -> None:
    rows = [{"text": f"text {n}", "label": "ab"[n % 2]} for n in range(40)]
    data = write_jsonl(tmp_path / "data.jsonl", [*rows, {"text": "no label"}, {"text": 7, "label": "a"}])
    with data.open("a", encoding="utf-8") as file:
        file.write("{broken\n")
    dev = write_jsonl(tmp_path / "dev.jsonl", [*rows[:4], {"text": "x", "label": "new"}])
    report = finetune(
        "classify",
        data,
        tmp_path / "out",
        dev=dev,
        model=tiny,
        settings=TrainingSettings(steps=2),
        skip_bad=True,
    )
    assert report is not None
    assert (report.examples, report.dev_examples) == (40, 4)
    [note] = [note for note in report.notes if "left out" in note]
    assert note.startswith("4 bad rows were left out:")
    assert "line 41" in note
    with pytest.raises(SourceError, match="the label 'new' was not seen in training, which had 'a', 'b'"):
        good = write_jsonl(tmp_path / "good.jsonl", rows)
        finetune(
            "classify", good, tmp_path / "other", dev=dev, model=tiny, settings=TrainingSettings(steps=1)
        )


@pytest.mark.parametrize(
    ("task", "choices", "settings", "message"),
    [
        ("classify", FinetuneChoices(blocks=5), TrainingSettings(), "--layers is 5: .* has 1 to 1 blocks"),
        ("classify", FinetuneChoices(mix="mean"), TrainingSettings(), "unknown mix 'mean'"),
        ("classify", FinetuneChoices(max_length=4000), TrainingSettings(), "max-length is 4000"),
        (
            "classify",
            FinetuneChoices(),
            TrainingSettings(batch_size=5, accumulate=2),
            "expected a multiple of 2",
        ),
        ("classify", FinetuneChoices(), TrainingSettings(lr=0), "the learning rate is 0"),
        (
            "classify",
            FinetuneChoices(),
            TrainingSettings(precision="fp16", device="cpu"),
            "it needs a scaled loss",
        ),
        ("classify", FinetuneChoices(), TrainingSettings(precision="fp8"), "unknown precision 'fp8'"),
        ("tag", FinetuneChoices(), TrainingSettings(), "unknown task 'tag'"),
        ("similarity", FinetuneChoices(frozen=True), TrainingSettings(), "nothing would be trained"),
        ("seq2seq", FinetuneChoices(mix="scalar"), TrainingSettings(), "leave it out"),
        ("qa", FinetuneChoices(class_weights=True), TrainingSettings(), "which has no classes"),
    ],
)
def test_what_does_not_fit_is_refused(
    tiny: str,
    data: Path,
    tmp_path: Path,
    task: str,
    choices: FinetuneChoices,
    settings: TrainingSettings,
    message: str,
) -> None:
    with pytest.raises(UsageError, match=message):
        finetune(task, data, tmp_path / "out", model=tiny, choices=choices, settings=settings)
    assert not (tmp_path / "out").exists()


def test_nothing_is_overwritten_unasked(tiny: str, data: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("years of work", "utf-8")
    for overwrite in (False, True):
        with pytest.raises(UsageError, match="no run of layerwise"):
            finetune("classify", data, mine, model=tiny, overwrite=overwrite)
    assert (mine / "thesis.txt").read_text("utf-8") == "years of work"
    how = TrainingSettings(steps=2)
    finetune("classify", data, tmp_path / "out", model=tiny, settings=how)
    with pytest.raises(UsageError, match="exists already"):
        finetune("classify", data, tmp_path / "out", model=tiny, settings=how)
    before = (tmp_path / "out" / "model.safetensors").read_bytes()
    with pytest.raises(SourceError):  # a run that cannot begin takes nothing away
        finetune(
            "classify", tmp_path / "none.jsonl", tmp_path / "out", model=tiny, settings=how, overwrite=True
        )
    assert (tmp_path / "out" / "model.safetensors").read_bytes() == before
    assert finetune("classify", data, tmp_path / "out", model=tiny, settings=how, overwrite=True) is not None


def test_auto_is_bf16_only_where_it_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu = torch.device("cpu")
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    assert pick_precision("auto", cpu) == "fp32"
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: True)
    assert pick_precision("auto", cpu) == "bf16"
    assert pick_precision("fp32", cpu) == "fp32"
