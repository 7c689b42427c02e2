"""The tenth of the data that chooses the weights where no development part is named."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from layerwise.errors import LabelError
from layerwise.train.data import hold_out
from layerwise.train.finetune import FinetuneChoices, finetune
from layerwise.train.settings import TrainingSettings
from layerwise.train.tasks.example import Example
from layerwise.types import TextRecord
from tests.tiny import one_thread  # noqa: F401
from tests.train.learning import write_jsonl


def examples(labels: list[str]) -> list[Example]:
    return [Example(TextRecord(f"text {n}"), label) for n, label in enumerate(labels)]


@pytest.mark.parametrize("seed", range(5))
def test_each_class_of_the_tenth_is_learned(seed: int) -> None:
    """Half of the classes have one text only."""
    data = examples([f"c{n}" if n % 2 else f"d{n % 4}" for n in range(80)])
    train, dev = hold_out(data, seed, classes=True)
    assert len(dev) == 8 and len(train) == 72
    assert {one.target for one in dev} <= {one.target for one in train}
    lone = examples(["a", "b", *"cd" * 20])
    counts = Counter(one.target for one in hold_out(lone, seed, classes=True)[0])
    assert counts["a"] == counts["b"] == 1


def test_classes_that_never_repeat_are_refused(tiny: str, tmp_path: Path) -> None:
    rows = [{"text": f"hat {n}", "label": f"id{n}"} for n in range(40)]
    data = write_jsonl(tmp_path / "data.jsonl", rows)
    with pytest.raises(
        LabelError, match=r"has 40 classes \('id0', .*that repeat; name another column with --label"
    ):
        finetune("classify", data, tmp_path / "out", model=tiny)
    assert not (tmp_path / "out").exists()


def test_classes_that_hardly_repeat_are_told(tiny: str, tmp_path: Path) -> None:
    rows = [{"text": f"hat {n}", "label": n // 2 if n < 8 else n / 7} for n in range(40)]
    data = write_jsonl(tmp_path / "data.jsonl", rows)
    report = finetune("classify", data, tmp_path / "out", model=tiny, settings=TrainingSettings(steps=2))
    assert report is not None
    assert any("texts have a class that no other has" in note for note in report.notes)


def test_classes_that_look_alike_are_told(tiny: str, tmp_path: Path) -> None:
    rows = [{"text": f"hat {n}", "label": ("\u00e9", "e\u0301")[n % 2]} for n in range(40)]
    data = write_jsonl(tmp_path / "data.jsonl", rows)
    report = finetune("classify", data, tmp_path / "out", model=tiny, settings=TrainingSettings(steps=2))
    assert report is not None
    assert any("two forms of Unicode" in note for note in report.notes)


def test_texts_that_are_learned_and_scored_are_counted(tiny: str, tmp_path: Path) -> None:
    rows = [{"text": f"hat {n}", "label": "ab"[n % 2]} for n in range(40)]
    data, dev = (
        write_jsonl(tmp_path / "a.jsonl", rows),
        write_jsonl(tmp_path / "b.jsonl", [*rows[:3], {"text": "new", "label": "a"}]),
    )
    how, choices = TrainingSettings(steps=2), FinetuneChoices(max_length=16)
    report = finetune("classify", data, tmp_path / "out", dev=dev, model=tiny, settings=how, choices=choices)
    own = finetune("classify", data, tmp_path / "own", model=tiny, settings=how, choices=choices)
    assert report is not None and own is not None
    [note] = [note for note in report.notes if "training part" in note]
    assert note.startswith("3 of 4 texts of the development part are in the training part too")
    assert not [note for note in own.notes if "training part" in note]
