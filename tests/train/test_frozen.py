"""The states of a frozen encoder, in memory or in a file: the head that learns on them is the same."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from layerwise.errors import LayerwiseError
from layerwise.train import frozen
from layerwise.train.finetune import FinetuneChoices, finetune
from layerwise.train.settings import TrainingSettings
from tests.tiny import one_thread  # noqa: F401
from tests.train.learning import EXAMPLES, tiny_bert

DATA = EXAMPLES / "training" / "qa_en.json"


def run(model: str, output: Path) -> Any:
    how = TrainingSettings(steps=6, batch_size=8)
    return finetune("qa", DATA, output, model=model, choices=FinetuneChoices(frozen=True), settings=how)


def test_what_memory_does_not_hold_is_in_a_file_that_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny_bert(tmp_path / "base", layers=1)
    in_memory = run(model, tmp_path / "memory")
    reserved: list[int] = []
    allocate = os.posix_fallocate

    def note(number: int, offset: int, size: int) -> None:
        reserved.append(size)
        allocate(number, offset, size)

    monkeypatch.setattr(frozen, "SHARE_OF_MEMORY", 0.0)
    monkeypatch.setattr(os, "posix_fallocate", note)
    in_file = run(model, tmp_path / "file")
    assert len(reserved) == 1 and reserved[0] > 100_000
    assert in_file.scores == in_memory.scores
    names = [sorted(path.name for path in (tmp_path / place).iterdir()) for place in ("memory", "file")]
    assert names[0] == names[1]
    first, second = (load_file(tmp_path / place / "model.safetensors") for place in ("memory", "file"))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_what_the_disk_does_not_hold_either_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(number: int, offset: int, size: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(frozen, "SHARE_OF_MEMORY", 0.0)
    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(
        LayerwiseError, match="cannot hold them \\(No space left on device\\): make room there"
    ):
        run(tiny_bert(tmp_path / "base", layers=1), tmp_path / "out")
