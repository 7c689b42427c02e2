"""What `evaluate` and `predict` say of models that do not fit, of texts that are cut, of words that nobody read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertForSequenceClassification,
    BertForTokenClassification,
    ElectraConfig,
    ElectraForPreTraining,
)

from layerwise.errors import ModelError, SourceError, UsageError
from layerwise.models.load import quiet
from layerwise.train.evaluate import evaluate
from layerwise.train.finetune import FinetuneChoices, finetune
from layerwise.train.predict import predict
from layerwise.train.settings import TrainingSettings
from layerwise.train.tasks.example import DataColumns, Example
from layerwise.train.tasks.given_answers import GivenAnswers
from layerwise.train.tasks.qa import QuestionAnswering
from layerwise.types import TextRecord
from tests.command_line import run
from tests.tiny import one_thread  # noqa: F401
from tests.train.learning import EXAMPLES, tiny_bert, vocabulary, write_jsonl


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tiny_bert(tmp_path_factory.mktemp("base"), layers=1)


@pytest.fixture(scope="module")
def classifier(tiny: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("classifier")
    rows = [{"text": f"the hat number {n}", "label": "ab"[n % 2]} for n in range(40)]
    data = write_jsonl(folder / "data.jsonl", rows)
    finetune(
        "classify",
        data,
        folder / "out",
        model=tiny,
        choices=FinetuneChoices(max_length=16),
        settings=TrainingSettings(steps=2),
    )
    return folder / "out"


def test_a_file_of_json_lines_is_one_by_its_name(classifier: Path, tmp_path: Path) -> None:
    (tmp_path / "texts.txt").write_text("short\nlong\n", "utf-8")
    for name in ("said.JSONL", "said.tsv"):
        assert run(f"predict {classifier} {tmp_path / 'texts.txt'} -o {tmp_path / name}").status == 0
    said = [json.loads(line) for line in (tmp_path / "said.JSONL").read_text("utf-8").splitlines()]
    assert [one["text"] for one in said] == ["short", "long"]
    assert (tmp_path / "said.tsv").read_text("utf-8").splitlines()[0].endswith("\tshort")


def test_a_text_that_is_cut_is_told(classifier: Path, tmp_path: Path) -> None:
    (tmp_path / "texts.txt").write_text("short\n" + "very " * 40 + "long\n", "utf-8")
    found = run(f"predict {classifier} {tmp_path / 'texts.txt'} --json")
    assert found.status == 0
    assert [json.loads(line)["text_id"] for line in found.out.splitlines()] == [0, 1]
    assert found.err == "layerwise: note: 1 text is longer than 16 tokens and cut at the end.\n"


def test_identifiers_are_handed_on_past_rows_that_are_left_out(classifier: Path, tmp_path: Path) -> None:
    rows = [{"key": "x", "text": "a hat"}, {"key": "y", "text": 5}, {"key": "z", "text": "a cat"}]
    data = write_jsonl(tmp_path / "rows.jsonl", rows)
    found = run(f"predict {classifier} {data} --id-column key --skip-bad --json")
    assert found.status == 0
    said = [json.loads(line) for line in found.out.splitlines()]
    assert [(one["text_id"], one["id"], one["text"]) for one in said] == [
        (0, "x", "a hat"),
        (1, "z", "a cat"),
    ]
    assert "note: 1 bad row was left out" in found.err
    [first, _] = predict(str(classifier), data, columns=DataColumns(text="text"), skip_bad=True)
    assert "id" not in first.to_dict()


def test_masks_are_filled_past_texts_that_have_none(tmp_path: Path) -> None:
    tokenizer = vocabulary()
    with quiet():
        tokenizer.save_pretrained(tmp_path / "masked")
        config = BertConfig(
            vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=1, num_attention_heads=2
        )
        BertForMaskedLM(config).save_pretrained(tmp_path / "masked")
    (tmp_path / "texts.txt").write_text("the [MASK]\nno mask\n[MASK] cat\n", "utf-8")
    with pytest.raises(SourceError, match=r"line 2: there is no \[MASK\]"):
        list(predict(tmp_path / "masked", tmp_path / "texts.txt"))
    notes: list[str] = []
    found = list(predict(tmp_path / "masked", tmp_path / "texts.txt", skip_bad=True, say=notes.append))
    assert [(one.text_id, one.text) for one in found] == [(0, "the [MASK]"), (1, "[MASK] cat")]
    assert len(notes) == 1 and "1 bad row was left out" in notes[0]


def test_a_model_of_single_texts_takes_no_pairs(classifier: Path, tmp_path: Path) -> None:
    data = write_jsonl(tmp_path / "pairs.jsonl", [{"text": "a", "other": "b", "label": "a"}])
    with pytest.raises(UsageError, match="trained on single texts, .*line 1 is none of these"):
        list(predict(str(classifier), data, columns=DataColumns(text="text", pair="other")))
    with pytest.raises(UsageError, match="leave --pair-column out"):
        evaluate(str(classifier), data, columns=DataColumns(text="text", pair="other"))


def test_a_word_without_a_token_has_no_label_of_its_own(tiny: str, tmp_path: Path) -> None:
    rows = [{"words": ["a", "cat", "ran"], "label": ["DET", "NOUN", "VERB"]}] * 12
    rows = [{**row, "words": [*row["words"][:2], f"ran{n}"]} for n, row in enumerate(rows)]
    data = write_jsonl(tmp_path / "data.jsonl", rows)
    columns = DataColumns(words="words")
    finetune("ner", data, tmp_path / "out", model=tiny, columns=columns, settings=TrainingSettings(steps=2))
    odd = write_jsonl(tmp_path / "odd.jsonl", [{"words": ["a", "\u200d", "cat"]}])
    [found] = predict(str(tmp_path / "out"), odd, columns=columns)
    assert [word.label is None for word in found.words] == [False, True, False]
    assert found.words[1].probability is None
    assert found.lines()[1].split("\t")[2:4] == ["_", "_"]


def test_a_discriminator_is_no_masked_language_model(tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = ElectraConfig(
        vocab_size=len(vocabulary()),
        embedding_size=16,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=48,
    )
    with quiet():
        ElectraForPreTraining(config).save_pretrained(tmp_path / "electra")
        vocabulary().save_pretrained(tmp_path / "electra")
    for command in (evaluate, predict):
        with pytest.raises(UsageError, match="has no head for a task"):
            list(command(str(tmp_path / "electra"), EXAMPLES / "prose_en.txt"))  # type: ignore[operator]


@pytest.mark.parametrize("head", ["bare", "untrained"])
def test_a_head_that_was_never_trained_is_refused(tiny: str, tmp_path: Path, head: str) -> None:
    data = write_jsonl(tmp_path / "data.jsonl", [{"text": "a", "label": "LABEL_0"}])
    if head == "bare":
        with pytest.raises(UsageError, match="has no head for a task"):
            evaluate(tiny, data)
        return
    folder = tmp_path / "claims"  # config.json says that there is one
    with quiet():
        BertForTokenClassification.from_pretrained(tiny).save_pretrained(folder)
        vocabulary().save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text("utf-8"))
    (folder / "config.json").write_text(
        json.dumps({**config, "architectures": ["BertForQuestionAnswering"]}), "utf-8"
    )
    with pytest.raises(ModelError, match="lack .* weights of BertForQuestionAnswering .*qa_outputs"):
        evaluate(str(folder), EXAMPLES / "training" / "qa_en.json")


def test_a_published_checkpoint_needs_no_file_of_ours(tiny: str, tmp_path: Path) -> None:
    with quiet():
        model = BertForSequenceClassification.from_pretrained(tiny, num_labels=3)
        model.config.id2label = {0: "sea", 1: "land", 2: "air"}
        model.save_pretrained(tmp_path / "published")
        vocabulary().save_pretrained(tmp_path / "published")
    (tmp_path / "text.txt").write_text("The ship sailed.\n", "utf-8")
    [found] = predict(str(tmp_path / "published"), tmp_path / "text.txt")
    assert set(found.probabilities) == {"sea", "land", "air"}
    with torch.no_grad():
        inputs = vocabulary()("The ship sailed.", return_tensors="pt")
        share = model.eval()(**inputs).logits.softmax(-1)[0]
    assert list(found.probabilities.values()) == pytest.approx(share.tolist(), abs=1e-6)


def test_long_contexts_are_read_in_windows(tiny: str, tmp_path: Path) -> None:
    """The answer stands behind what one window holds, and its offsets are exact."""
    filler = "Nothing was said of it. " * 60
    rows = []
    for n in range(24):
        answer = ["Paris", "Rome", "Oslo"][n % 3]
        context = f"{filler}Anna lives in {answer}. {filler}"
        rows.append(
            {
                "question": "Where does Anna live?",
                "context": context,
                "answers": {"text": [answer], "answer_start": [context.index(answer)]},
            }
        )
    data = write_jsonl(tmp_path / "data.jsonl", rows)
    report = finetune(
        "qa",
        data,
        tmp_path / "out",
        dev=data,
        model=tiny,
        choices=FinetuneChoices(max_length=64),
        settings=TrainingSettings(epochs=6, batch_size=32, lr=3e-3),
    )
    assert report is not None
    assert report.scores["exact_match"] > 0.9
    for answer, row in zip(predict(str(tmp_path / "out"), data), rows, strict=True):
        assert row["context"][answer.start : answer.end] == answer.answer


def test_questions_that_are_not_read_whole_are_counted() -> None:
    def notes(question: str, context: str) -> list[str]:
        task = QuestionAnswering(vocabulary(), 64)
        record = TextRecord(question, text_pair=context)
        list(task.featurise([Example(record, GivenAnswers((), None))]))
        return task.notes()

    long = "is he is " * 15
    assert notes(long, "he is here") == []  # the context leaves it room
    assert notes("is he here", "he is here " * 99) == []
    [note] = notes(long, "he is here " * 99)
    assert note.startswith("1 question is longer than the half of a window")


def test_long_sentences_keep_every_tag(tiny: str, tmp_path: Path) -> None:
    """A sentence of five windows: each word has a tag, and the score of training is that of reading."""
    words = ["red", "hat", "blue", "car", "old", "door"]
    rows = [{"words": [words[(n + k) % 6] for k in range(200)], "label": []} for n in range(12)]
    for row in rows:
        row["label"] = ["B-COL" if word in ("red", "blue") else "O" for word in row["words"]]
    data = write_jsonl(tmp_path / "data.jsonl", rows)
    columns = DataColumns(words="words")
    report = finetune(
        "ner",
        data,
        tmp_path / "out",
        dev=data,
        model=tiny,
        columns=columns,
        choices=FinetuneChoices(max_length=48),
        settings=TrainingSettings(epochs=6, batch_size=8, lr=3e-3),
    )
    assert report is not None
    assert report.scores["f1"] > 0.99
    [first, *_] = predict(str(tmp_path / "out"), data, columns=columns)
    assert len(first.words) == 200
    assert [word.word for word in first.words] == rows[0]["words"]
