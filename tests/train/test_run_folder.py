"""The folder of a run: whose it is, and what may be lost in it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from layerwise.errors import (
    SourceError,
    UsageError,
)
from layerwise.train.evaluate import evaluate
from layerwise.train.finetune import FinetuneChoices, finetune
from layerwise.train.pretraining.run import pretrain
from layerwise.train.pruning.run import PruneCuts, prune
from layerwise.train.run_folder import held
from layerwise.train.settings import TrainingSettings
from tests.tiny import one_thread  # noqa: F401


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
