"""Data as it is published: what is learned is what its authors meant, or it is refused or told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from layerwise.errors import LabelError, SourceError, UsageError
from layerwise.train.data import Skipped, read_examples
from layerwise.train.doubts import blind, doubts
from layerwise.train.finetune import finetune
from layerwise.train.settings import TrainingSettings
from layerwise.train.tasks.by_name import TASKS
from layerwise.train.tasks.example import DataColumns, Example
from layerwise.train.tasks.given_answers import GivenAnswers
from layerwise.types import TextRecord
from tests.tiny import one_thread  # noqa: F401
from tests.train.learning import tiny_bert, vocabulary, write_jsonl

CONTEXT, QUESTION = "Emma lives in Rome.", "Where does Emma live?"
ANSWER = {"text": "Rome", "answer_start": 14}


def read(task: str, path: Path, **columns: str) -> list[Example]:
    return list(read_examples(TASKS[task], str(path), DataColumns(**columns), Skipped(False)))


def written(path: Path, document: Any) -> Path:
    path.write_text(json.dumps(document, ensure_ascii=False), "utf-8")
    return path


@pytest.mark.parametrize(
    ("said", "answered"), [("false", True), ("true", False), (False, True), (True, False), (None, True)]
)
def test_what_says_that_a_question_has_no_answer(said: Any, answered: bool, tmp_path: Path) -> None:
    """As a word in CJRC; beside answers that are only plausible in KLUE-MRC's tables."""
    expected = GivenAnswers(("Rome",), 14) if answered else GivenAnswers((), None)
    question = {"question": QUESTION, "id": "1", "answers": [ANSWER], "is_impossible": said}
    paragraphs = [{"context": CONTEXT, "qas": [question]}]
    squad = written(tmp_path / "squad.json", {"data": [{"paragraphs": paragraphs}]})
    rows = write_jsonl(tmp_path / "rows.jsonl", [{**question, "context": CONTEXT}] * 3)
    for path in (squad, rows):
        assert read("qa", path)[0].target == expected


def test_other_layouts_of_questions(tmp_path: Path) -> None:
    flat = {
        "question": QUESTION,
        "context": CONTEXT,
        "answers": {"text": ["Rome"], "answer_start": [14]},
        "id": "1",
    }
    [one] = read("qa", written(tmp_path / "run_qa.json", {"data": [flat]}))
    cmrc = {
        "context_id": "T",
        "context_text": "《战国无双3》由光荣开发。光荣在横滨。",
        "title": "战国无双3",
        "qas": [
            {"query_id": "T_Q0", "query_text": "谁开发？", "answers": ["光荣", "光荣开发"]},
            {"query_id": "T_Q1", "query_text": "在哪里？", "answers": ["东京"]},
            {"query_id": "T_Q2", "query_text": "哪里？", "answers": ["在 横滨", "横滨", "横滨"]},
        ],
    }
    path = written(tmp_path / "cmrc2018_dev.json", [cmrc])
    with pytest.raises(SourceError, match="question T_Q1: the answer '东京' is nowhere in the context"):
        read("qa", path)
    skipped = Skipped(True)
    [two, three] = read_examples(TASKS["qa"], str(path), DataColumns(), skipped)
    assert three.target == GivenAnswers(("横滨", "在 横滨"), 16)  # one of them is no span
    assert (one.target, two.target) == (GivenAnswers(("Rome",), 14), GivenAnswers(("光荣", "光荣开发"), 8))
    assert (two.record.text, two.record.id, len(skipped.reasons)) == ("谁开发？", "T_Q0", 1)


def test_the_other_text_of_a_pair_is_not_left_out_unseen(tmp_path: Path) -> None:
    """QNLI has a column `sentence`, which is taken, and a `question`."""
    path = write_jsonl(tmp_path / "qnli.jsonl", [{"question": QUESTION, "sentence": CONTEXT, "label": 0}] * 3)
    with pytest.raises(
        UsageError, match="column 'question' beside the text: .*--text-column, .*--pair-column"
    ):
        read("classify", path)
    [pair, *_] = read("classify", path, text="question", pair="sentence")
    assert (pair.record.text, pair.record.text_pair, pair.target) == (QUESTION, CONTEXT, "0")
    assert read("classify", path, text="sentence")[0].record.text_pair is None


@pytest.mark.parametrize("other", [{"question": 7}, {"text2": None}, {"hypothesis": " "}])
def test_what_is_no_other_text_is_left_out(other: dict[str, Any], tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "a.jsonl", [{"text": CONTEXT, "label": 0, **other}] * 3)
    assert read("classify", path)[0].record.text == CONTEXT


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_a_question_alone_is_the_text(ending: str, tmp_path: Path) -> None:
    """As in TREC."""
    path = tmp_path / f"trec.{ending}"
    rows = {
        "csv": f"question,label\n{QUESTION},LOC\n" * 1,
        "jsonl": json.dumps({"question": QUESTION, "label": "LOC"}),
    }
    path.write_text(rows[ending], "utf-8")
    [one] = read("classify", path)
    assert (one.record.text, one.target) == (QUESTION, "LOC")


def test_json_beside_tables_says_what_is_in_them(tmp_path: Path) -> None:
    answers = {"text": ["Rome"], "answer_start": [14]}
    write_jsonl(tmp_path / "train.jsonl", [{"question": QUESTION, "context": CONTEXT, "answers": answers}])
    written(tmp_path / "dataset_infos.json", {"default": {}})
    assert len(read("qa", tmp_path)) == 1
    other = tmp_path / "other"
    other.mkdir()
    squad = written(
        other / "a.json", {"data": [{"question": QUESTION, "context": CONTEXT, "answers": answers}]}
    )
    (other / ".b.json").write_text("{", "utf-8")
    assert len(read("qa", other)) == 1
    with pytest.raises(SourceError, match="expected files of one kind"):
        list(
            read_examples(
                TASKS["qa"], [str(squad), str(tmp_path / "train.jsonl")], DataColumns(), Skipped(False)
            )
        )


@pytest.mark.parametrize("answers", [None, "Rome", 5, [1999], [{"text": "Rome"}]])
def test_odd_answers_of_cmrc_are_bad_rows(answers: Any, tmp_path: Path) -> None:
    question = {"query_id": "Q", "query_text": QUESTION, "answers": answers}
    path = written(tmp_path / "cmrc.json", [{"context_text": CONTEXT, "qas": [question]}])
    skipped = Skipped(True)
    assert not list(read_examples(TASKS["qa"], str(path), DataColumns(), skipped))
    assert len(skipped.reasons) == 1


def test_answers_that_are_asked_for_by_name_are_read(tmp_path: Path) -> None:
    """In whatever row it is first said that there is none."""
    row = {"question": QUESTION, "context": CONTEXT, "answers": [ANSWER], "plausible": [ANSWER]}
    path = write_jsonl(
        tmp_path / "a.jsonl", [row, {**row, "is_impossible": True}, {**row, "is_impossible": float("nan")}]
    )
    assert [len(one.target.texts) for one in read("qa", path)] == [1, 0, 1]
    assert [len(one.target.texts) for one in read("qa", path, label="plausible")] == [1, 1, 1]


def test_a_word_a_row_is_no_text(tmp_path: Path) -> None:
    table = tmp_path / "ner_dataset.csv"
    table.write_text(
        "Sentence #,Word,Tag\n"
        + ""
        + "".join(f"Sentence: {n},Anna{n},B-PER\n,sings{n},O\n" for n in range(40)),
        "utf-8",
    )
    model = tiny_bert(tmp_path / "base", layers=1)
    with pytest.raises(LabelError, match="each of the .* texts has one word"):
        columns = DataColumns(words="Word", label="Tag")
        finetune("ner", table, tmp_path / "out", model=model, columns=columns)


@pytest.mark.parametrize("tags", [[1, 0], [3, -100], ["name=B-PER", "name=O"]])
def test_tags_that_are_no_names_are_told(tags: list[Any], tmp_path: Path) -> None:
    data = write_jsonl(
        tmp_path / "ner.jsonl", [{"tokens": ["Anna", f"sings{n}"], "ner_tags": tags} for n in range(30)]
    )
    report = finetune(
        "ner",
        data,
        tmp_path / "out",
        model=tiny_bert(tmp_path / "base", layers=1),
        columns=DataColumns(words="tokens", label="ner_tags"),
        settings=TrainingSettings(steps=1),
    )
    assert report is not None
    assert any("no entities are scored" in note for note in report.notes)


def test_a_folder_of_the_hub_is_not_trained_on_as_a_whole(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    for part, count in (("train", 40), ("validation", 8), ("test", 4)):
        rows = [
            {"text": f"the {'red' if n % 2 else 'blue'} hat {part} {n}", "label": n % 2} for n in range(count)
        ]
        write_jsonl(folder / f"{part}-00000-of-00001.jsonl", rows)
    model, how = tiny_bert(tmp_path / "base", layers=1), TrainingSettings(steps=1)
    for source in (folder, f"{folder}/*"):
        with pytest.raises(UsageError, match="all of it would be trained on: .*--split source_file"):
            finetune("classify", source, tmp_path / "out", model=model, settings=how)
    report = finetune(
        "classify",
        folder,
        tmp_path / "out",
        model=model,
        settings=how,
        columns=DataColumns(split="source_file"),
    )
    assert report is not None and (report.examples, report.dev_examples) == (40, 8)


@pytest.mark.parametrize(
    ("task", "labels", "targets", "said"),
    [
        ("classify", ("NULL", "TIN"), (), "the class 'NULL' often stands for no label"),
        ("classify", ("-1", "0", "1"), (), "the class '-1' often stands for no label"),
        ("similarity", (), (-1.0, 0.5, 4.0, -1.0), "2 pairs have the score -1"),
        ("seq2seq", (), ("__NULL__",) * 12 + tuple("abcdefgh"), "12 of 20 targets are '__NULL__'"),
    ],
)
def test_marks_for_no_answer_are_told(task: str, labels: Any, targets: Any, said: str) -> None:
    train = [Example(TextRecord("a"), target) for target in targets]
    [note] = doubts(TASKS[task], labels, train)
    assert said in note
    assert not list(
        doubts(TASKS["similarity"], (), [Example(TextRecord("a"), score) for score in (-1.0, -0.5, 1.0)])
    )


def test_a_class_of_the_first_line_alone_is_told(tmp_path: Path) -> None:
    """A header whose names nobody knows, with columns named by number."""
    path = tmp_path / "data.tsv"
    path.write_text("klass\twords\n" + "".join(f"{n % 2}\ttext {n}\n" for n in range(20)), "utf-8")
    rows = read("classify", path, text="1", label="0")
    [told] = doubts(TASKS["classify"], TASKS["classify"].labels_of(rows), rows)
    assert "'klass' is that of the first line alone" in told
    assert not [*doubts(TASKS["classify"], ("0", "1"), rows[1:])]


def test_a_list_of_one_class_is_a_class(tmp_path: Path) -> None:
    """As doccano writes it; of several classes none is the right one."""
    one = write_jsonl(tmp_path / "one.jsonl", [{"text": "Good.", "label": ["pos"]}])
    assert [example.target for example in read("classify", one)] == ["pos"]
    two = write_jsonl(tmp_path / "two.jsonl", [{"text": "Good.", "label": ["pos", "long"]}])
    with pytest.raises(SourceError, match="expected one class"):
        read("classify", two)


def test_questions_whose_answers_are_kept_back_are_told(tmp_path: Path) -> None:
    rows = [{"question": QUESTION, "context": CONTEXT, "answers": []}] * 2
    data = write_jsonl(tmp_path / "blind.jsonl", rows)
    [told] = blind(TASKS["qa"], read("qa", data))
    assert told.startswith("none of 2 questions has an answer in the data")
    answered = write_jsonl(tmp_path / "data.jsonl", [*rows, {**rows[0], "answers": [ANSWER]}])
    assert not blind(TASKS["qa"], read("qa", answered))


def test_one_column_is_not_text_and_label(tmp_path: Path) -> None:
    path = tmp_path / "trec.tsv"
    path.write_text("DESC:manner How did it go ?\nLOC:city Where is it ?\n", "utf-8")
    with pytest.raises(UsageError, match="'0' was named for a text and with --label"):
        read("classify", path, text="0", label="0")


def test_sentences_without_lines_between_them_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "glued.conll"
    path.write_text("Paris\tB-LOC\nis\tO\n" * 40, "utf-8")
    tiny = tiny_bert(tmp_path / "base", layers=1)
    with pytest.raises(LabelError, match="is one text of 80 words"):
        finetune("ner", path, tmp_path / "out", dev=path, model=tiny, settings=TrainingSettings(steps=1))


def test_classes_of_entities_without_bio_are_told() -> None:
    """Few-NERD's tags: no entities can be scored."""
    task = TASKS["ner"](vocabulary(), 32, ("O", "building-airport", "person-actor"))
    assert any("no entities are scored" in note for note in task.notes())
    for labels in (("NOUN", "VERB"), ("N", "O", "V")):  # parts of speech, those of tweets among them
        assert not TASKS["ner"](vocabulary(), 32, labels).notes()


def test_an_empty_source_is_a_bad_row(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "a.jsonl", [{"source": " ", "target": "b"}])
    with pytest.raises(SourceError, match="the source is empty"):
        read("seq2seq", path)
