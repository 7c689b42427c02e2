"""Rows that cannot be learned are named or left out, and what does not fit is refused."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from layerwise.errors import (
    LabelError,
    SourceError,
    UsageError,
)
from layerwise.train.finetune import FinetuneChoices, finetune
from layerwise.train.settings import TrainingSettings
from layerwise.train.tasks.example import DataColumns
from tests.tiny import one_thread  # noqa: F401
from tests.train.learning import EXAMPLES, write_jsonl


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
            "Bob.* is nowhere in the context",
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
            "question 7: there are no 'answers', and a test part",
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
    assert report is not None and any("means nothing" in note for note in report.notes)
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
