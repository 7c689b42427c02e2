"""Runs that something happened to: another model, another link, broken files, a full disk; and numbers that cannot be."""

from __future__ import annotations

import errno
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import BertConfig, BertModel

from layerwise.errors import DeviceMemoryError, LayerwiseError, UsageError
from layerwise.models.load import quiet
from layerwise.train import finetune_run
from layerwise.train.checkpoints import last_whole
from layerwise.train.finetune import FinetuneChoices, finetune
from layerwise.train.loop import Loop
from layerwise.train.pretraining.run import PretrainShape, pretrain
from layerwise.train.run_folder import CHECKPOINTS, held
from layerwise.train.settings import TrainingSettings
from layerwise.train.vocabulary import train_vocabulary
from tests.command_line import run
from tests.tiny import one_thread  # noqa: F401
from tests.train.learning import curve, tiny_bert, write_jsonl

HOW = TrainingSettings(steps=12, batch_size=8, log_every=1, evaluate_every=4)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    rows = [{"text": f"the {['red', 'blue'][n % 2]} hat {n}", "label": "ab"[n % 2]} for n in range(40)]
    return write_jsonl(tmp_path / "data.jsonl", rows)


@pytest.fixture
def stopped(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, Path]:
    """The model and the folder of a run that was stopped behind its second checkpoint."""
    model, step = tiny_bert(tmp_path / "base", layers=1), Loop.training_step

    def stop(self: Loop, *given: Any, **more: Any) -> Any:
        if self.state.global_step == 9:
            raise KeyboardInterrupt
        return step(self, *given, **more)

    with monkeypatch.context() as patched:
        patched.setattr(Loop, "training_step", stop)
        with pytest.raises(KeyboardInterrupt):
            finetune("classify", data, tmp_path / "run", model=model, settings=HOW)
    return model, tmp_path / "run"


def go_on(data: Path, stopped: tuple[str, Path]) -> Any:
    return finetune("classify", data, stopped[1], model=stopped[0], settings=HOW, resume=True)


def test_other_weights_under_the_same_name_are_refused(data: Path, stopped: tuple[str, Path]) -> None:
    with quiet():
        torch.manual_seed(5)
        BertModel(BertConfig.from_pretrained(stopped[0])).save_pretrained(stopped[0])
    with pytest.raises(UsageError, match="was begun with other weights of a model of this name"):
        go_on(data, stopped)


@pytest.mark.parametrize("text", ['{"task": ', "[]"])
def test_a_broken_run_json_is_told(text: str, data: Path, stopped: tuple[str, Path]) -> None:
    (stopped[1] / "run.json").write_text(text, "utf-8")
    with pytest.raises(UsageError, match=r"run\.json, which says what the run is, cannot be read"):
        go_on(data, stopped)


def test_a_broken_line_of_the_log_does_no_harm(data: Path, stopped: tuple[str, Path]) -> None:
    with (stopped[1] / "log.jsonl").open("a", encoding="utf-8") as log:
        log.write('{"broken}\n')
    assert go_on(data, stopped) is not None
    assert sorted(curve(stopped[1])) == list(range(1, 13))


@pytest.mark.parametrize("name", ["model.safetensors", "optimizer.pt", "trainer_state.json"])
def test_a_checkpoint_that_cannot_be_read_is_named(name: str, data: Path, stopped: tuple[str, Path]) -> None:
    checkpoint = last_whole(stopped[1] / CHECKPOINTS)
    assert checkpoint is not None
    content = (checkpoint / name).read_bytes()
    (checkpoint / name).write_bytes(b"\xff" * len(content))
    with pytest.raises(LayerwiseError, match=f"checkpoint .*{checkpoint.name} cannot be read .*: remove it"):
        go_on(data, stopped)
    shutil.rmtree(checkpoint)
    assert go_on(data, stopped) is not None


@pytest.mark.parametrize(
    ("said", "kind", "message"),
    [
        ("DataLoader worker (pid 7) is killed by signal: Bus error.", RuntimeError, "DataLoader worker"),
        (
            "DefaultCPUAllocator: can't allocate memory",
            DeviceMemoryError,
            "does not fit .*: lower --batch-size",
        ),
    ],
)
@pytest.mark.parametrize("where", ["_load_optimizer_and_scheduler", "get_batch_samples"])
def test_a_checkpoint_is_not_blamed_for_what_else_goes_wrong(
    said: str,
    kind: type[Exception],
    message: str,
    where: str,
    data: Path,
    stopped: tuple[str, Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if (where, kind) == ("_load_optimizer_and_scheduler", RuntimeError):
        kind, message = LayerwiseError, "the checkpoint .* cannot be read"

    def fail(*given: Any, **more: Any) -> None:
        raise RuntimeError(said)

    with monkeypatch.context() as patched:
        patched.setattr(Loop, where, fail)
        with pytest.raises(kind, match=message):
            go_on(data, stopped)
    assert go_on(data, stopped) is not None


def test_a_run_that_is_refused_changes_nothing_of_the_one_that_writes(tmp_path: Path) -> None:
    """Before the first checkpoint the settings may still be chosen, but not by somebody else."""
    text = "\n\n".join(f"A cat number {n} sat. It ran.\nA dog came." for n in range(40))
    (tmp_path / "text.txt").write_text(text, "utf-8")
    shape = PretrainShape(vocab_size=150, layers=1, hidden=32, heads=2, max_length=32, batch_tokens=256)
    how = TrainingSettings(steps=2)
    pretrain(tmp_path / "text.txt", tmp_path / "run", shape=shape, settings=how, prepare_only=True)
    before = (tmp_path / "run" / "run.json").read_bytes()
    with held(tmp_path / "run"), pytest.raises(UsageError, match="another run is writing"):
        pretrain(
            tmp_path / "text.txt",
            tmp_path / "run",
            shape=shape,
            settings=TrainingSettings(steps=2, lr=0.5),
            resume=True,
        )
    assert (tmp_path / "run" / "run.json").read_bytes() == before
    assert (
        pretrain(tmp_path / "text.txt", tmp_path / "run", shape=shape, settings=how, resume=True) is not None
    )


def test_a_full_disk_at_the_end_is_told(
    data: Path, stopped: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*given: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(finetune_run, "save_trained", full)
        with pytest.raises(
            LayerwiseError, match="the model cannot be written .*make room, and pass --resume"
        ):
            go_on(data, stopped)
    assert go_on(data, stopped) is not None


def test_one_run_at_a_time_through_whatever_link(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    with (
        held(tmp_path / "folder"),
        pytest.raises(UsageError, match="another run is writing"),
        held(tmp_path / "link"),
    ):
        pass


@pytest.mark.parametrize("frozen", [False, True])
def test_the_loss_of_questions_does_not_depend_on_the_parts_of_a_step(frozen: bool, tmp_path: Path) -> None:
    model, rows = tiny_bert(tmp_path / "base", layers=1), []
    for n in range(24):
        context = f"Anna has {n} hats. " * (1 + n % 6)
        answers = {"text": ["Anna"], "answer_start": [0]}
        rows.append({"question": f"Who has {n} hats?", "context": context, "answers": answers})
    data = write_jsonl(tmp_path / "data.jsonl", rows)
    curves = []
    for parts in (1, 4):
        how = TrainingSettings(steps=6, batch_size=16, log_every=1, accumulate=parts, precision="fp32")
        choices = FinetuneChoices(frozen=frozen)
        finetune("qa", data, tmp_path / str(parts), model=model, settings=how, choices=choices)
        curves.append(curve(tmp_path / str(parts)))
    assert curves[0] == pytest.approx(curves[1], abs=1e-4)


def test_heads_that_a_model_lacks_are_drawn_with_the_seed(tmp_path: Path) -> None:
    text = "\n\n".join(f"A cat {n} sat. It ran.\nA dog came. It barked {n} times." for n in range(40))
    (tmp_path / "text.txt").write_text(text, "utf-8")
    model = tiny_bert(tmp_path / "base", layers=1)
    shape = PretrainShape(max_length=32, batch_tokens=128)
    losses = []
    for number in range(2):
        torch.rand(number)  # whatever was drawn before
        how = TrainingSettings(steps=2, log_every=1)
        pretrain(tmp_path / "text.txt", tmp_path / f"out{number}", model=model, shape=shape, settings=how)
        log = (tmp_path / f"out{number}" / "log.jsonl").read_text("utf-8").splitlines()
        losses.append(json.loads(log[0])["eval_nsp_loss_text"])
    assert losses[0] == losses[1]


def test_a_word_that_no_piece_can_spell_takes_no_time() -> None:
    texts = ["x" * 3_000_000, "我爱北京" * 200, *["the cat sat on the mat"] * 5]
    vocabulary = train_vocabulary(texts, 120, cased=False).get_vocab()
    assert {"cat", "我", "京"} <= vocabulary.keys()
    assert "xx" not in vocabulary


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("predict nothing {data} --beams 0", "the number of beams is 0: expected 1 to 100"),
        ("evaluate nothing {data} --beams -1", "the number of beams is -1: expected 1 to 100"),
        ("predict nothing {data} --top -2", "top is -2: expected at least 1 token"),
        ("predict nothing {data} --batch-tokens 0", "batch-tokens is 0: expected at least 1 token"),
        ("finetune classify {data} -o out --warmup inf", "warm-up is inf"),
        ("finetune classify {data} -o out --patience -1", "the patience is -1: expected 1 or more"),
        ("finetune seq2seq {data} -o out --decoder new:", "the decoder is 'new:': expected a model, new"),
        ("pretrain {data} -o out --vocab-size 3", "the vocabulary size is 3: expected at least 100"),
    ],
)
def test_numbers_that_cannot_be_are_refused_before_any_work(options: str, said: str, data: Path) -> None:
    found = run(options.format(data=data))
    assert found.status == 2
    assert said in found.err
