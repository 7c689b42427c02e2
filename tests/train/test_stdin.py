"""Text that is piped in is read as the same text in a file."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import pytest

from layerwise.errors import UsageError
from layerwise.train.evaluate import evaluate
from layerwise.train.finetune import finetune
from layerwise.train.predict import predict
from layerwise.train.pretraining.corpus import read_documents
from layerwise.train.pretraining.run import pretrain
from layerwise.train.settings import TrainingSettings
from tests.tiny import one_thread  # noqa: F401
from tests.train.learning import EXAMPLES, tiny_bert

DOCUMENTS = "A ship came. It left.\nNobody saw it.\n\nThe town slept.\n"


@pytest.fixture
def piped(monkeypatch: pytest.MonkeyPatch) -> Any:
    def pipe(text: str) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))

    return pipe


def test_an_empty_line_ends_a_document(piped: Any, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text(DOCUMENTS, "utf-8")
    expected = list(read_documents(str(tmp_path / "text.txt"), None, None))
    assert len(expected) == 2
    piped(DOCUMENTS)
    assert list(read_documents("-", None, None)) == expected
    piped('{"text": "One row."}\n{"text": "Another."}\n')
    assert list(read_documents("-", None, None)) == [["One row."], ["Another."]]


def test_a_masked_language_model_is_scored_the_same(piped: Any, tmp_path: Path) -> None:
    lines = (EXAMPLES / "prose_zh.txt").read_text("utf-8").splitlines()[:40]
    text = "\n\n".join("\n".join(lines[at : at + 8]) for at in range(0, 40, 8))
    (tmp_path / "text.txt").write_text(text, "utf-8")
    from_file = evaluate("bilingual", tmp_path / "text.txt")
    piped(text)
    assert evaluate("bilingual", "-").scores == from_file.scores


def test_a_vocabulary_is_not_trained_on_what_can_be_read_once(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="a corpus is read twice, .*: put the texts into a file"):
        pretrain("-", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_sources_of_a_translation_need_no_column(piped: Any, tmp_path: Path) -> None:
    model, how = tiny_bert(tmp_path / "base", layers=1), TrainingSettings(steps=1, batch_size=4)
    finetune("seq2seq", EXAMPLES / "training/dates_en_zh.jsonl", tmp_path / "out", model=model, settings=how)
    (tmp_path / "new.txt").write_text("May 5, 1999\n", "utf-8")
    from_file = [one.to_dict() for one in predict(tmp_path / "out", tmp_path / "new.txt")]
    piped("May 5, 1999\n")
    assert [one.to_dict() for one in predict(tmp_path / "out", "-")] == from_file
