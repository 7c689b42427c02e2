"""What is learned and scored is what the data says, also where it is odd."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight

from layerwise.errors import LayerwiseError, SourceError, UsageError
from layerwise.models.heads import CLASSES
from layerwise.models.load import quiet
from layerwise.reports.answers import Shares, TextLabel
from layerwise.train.evaluate import evaluate
from layerwise.train.finetune import FinetuneChoices, finetune
from layerwise.train.predict import predict
from layerwise.train.pretraining.run import PretrainShape, pretrain
from layerwise.train.pruning.run import PruneCuts, prune
from layerwise.train.settings import PRETRAINING, TrainingSettings
from layerwise.train.tasks.example import DataColumns, Example
from layerwise.train.tasks.given_answers import GivenAnswers
from layerwise.train.tasks.ner import Tagging
from layerwise.train.tasks.qa import QuestionAnswering
from layerwise.types import TextRecord
from tests.tiny import one_thread, tiny_tokenizer  # noqa: F401
from tests.train.learning import tiny_bert, vocabulary, write_jsonl
from tests.train.test_foreign_checkpoints import checkpoint

FEW = TrainingSettings(steps=2, batch_size=8, device="cpu")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tiny_bert(tmp_path_factory.mktemp("base"), layers=1)


@pytest.mark.parametrize("kind", ["wordpiece", "bpe", "unigram"])
@pytest.mark.parametrize(
    ("context", "answer", "core"),
    [
        ("Rome 7 is big ", "7 is big ", "7 is big"),
        (" Rome is big", " Rome", "Rome"),
        ("He lives in Rome.\n", "Rome.\n", "Rome."),
        ("Rome is big\u200b", "big\u200b", "big"),
    ],
)
def test_answers_reach_over_what_has_no_token(kind: str, context: str, answer: str, core: str) -> None:
    """Spaces and characters that a tokenizer drops, at an end of the context."""
    task = QuestionAnswering(tiny_tokenizer(kind), 64)
    record = TextRecord("where", context)

    def target(text: str) -> Any:
        given = GivenAnswers((text,), context.index(text))
        [[feature]] = task.featurise([Example(record, given)])
        return feature.target

    first, last = target(answer)
    inner = target(core)
    assert 0 < first <= last
    assert first <= inner[0] and inner[1] <= last
    if kind == "wordpiece":  # others have tokens for spaces
        assert (first, last) == inner


def test_answers_that_no_window_holds_are_counted(tiny: str, tmp_path: Path) -> None:
    context = "the red hat " * 30
    rows = [
        {
            "question": f"what {n}",
            "context": context,
            "answers": {"text": [context[:120].strip()], "answer_start": [0]},
        }
        for n in range(3)
    ]
    rows += [
        {"question": "who", "context": f"Anna {n}", "answers": {"text": ["Anna"], "answer_start": [0]}}
        for n in range(9)
    ]
    data = write_jsonl(tmp_path / "data.jsonl", rows)
    choices = FinetuneChoices(max_length=24)
    report = finetune("qa", data, tmp_path / "out", dev=data, model=tiny, settings=FEW, choices=choices)
    assert report is not None
    [note] = [note for note in report.notes if "whole in no window" in note]
    assert note.startswith("6 answers are") and "windows of 24 tokens overlap by 6" in note  # 3 in each part


def test_answers_may_be_as_long_as_those_of_training(tiny: str, tmp_path: Path) -> None:
    long = "the red hat " * 15
    rows = [
        {
            "question": f"what {n}",
            "context": f"{long}is {n}",
            "answers": {"text": [long.strip()], "answer_start": [0]},
        }
        for n in range(6)
    ]
    short = [{**row, "answers": {"text": ["the red"], "answer_start": [0]}} for row in rows]
    whole = write_jsonl(tmp_path / "long.jsonl", rows)
    parts = write_jsonl(tmp_path / "short.jsonl", short)
    for data, name in ((whole, "long"), (parts, "short")):
        finetune("qa", data, tmp_path / name, dev=data, model=tiny, settings=FEW)
    document = json.loads((tmp_path / "long" / "layerwise_task.json").read_text("utf-8"))
    assert document["longest_answer"] == len(vocabulary()(long).input_ids) - 2 > 30
    assert not [note for note in evaluate(tmp_path / "long", whole).notes if "more than" in note]
    [note] = [note for note in evaluate(tmp_path / "short", whole).notes if "more than" in note]
    assert note == "6 answers have more than 30 tokens, the most that the model answers with."


def a_span(task: QuestionAnswering, context: str, first: int, last: int) -> Any:
    """What is said where the scores are highest at two tokens of the context."""
    example = Example(TextRecord("where", context))
    [[feature]] = task.featurise([example])
    scores = np.zeros((2, len(feature.input_ids)), np.float32)
    opening = feature.owner[2]
    scores[0, opening + first] = scores[1, opening + last] = 9.0
    return task.assemble(0, example, [feature], [scores])


def test_the_longest_answer_is_a_span_that_can_be_said() -> None:
    task = QuestionAnswering(tiny_tokenizer("wordpiece"), 64)
    context = "the dog " * 20
    assert len(a_span(task, context, 0, 35).answer.split()) <= 30
    task.configure({"longest_answer": 36})
    assert a_span(task, context, 0, 35).answer == ("the dog " * 18).strip()


def test_an_answer_is_no_white_space() -> None:
    """Byte-level tokenizers have tokens for it."""
    task = QuestionAnswering(tiny_tokenizer("bpe"), 64)
    context = "a dog\r\n\r\nthe fox"
    [[feature]] = task.featurise([Example(TextRecord("where", context))])
    starts, ends, _ = feature.owner
    blank = [
        k for k, (start, end) in enumerate(zip(starts, ends, strict=True)) if not context[start:end].strip()
    ]
    assert blank
    for token in blank:
        said = a_span(task, context, token, token)
        assert said.answer.strip() == said.answer != "" and context[said.start : said.end] == said.answer
    nothing = a_span(task, "\r\n\r\n", 0, 0)
    assert (nothing.answer, nothing.start, nothing.probability) == ("", None, 1.0)


@pytest.mark.parametrize("kind", ["wordpiece", "bpe", "unigram"])
def test_the_shortest_windows_of_questions(kind: str) -> None:
    task = QuestionAnswering(tiny_tokenizer(kind), 8)
    [features] = task.featurise([Example(TextRecord("where is the dog", "the fox and the dog " * 3))])
    assert len(features) > 5


def test_questions_without_an_answer_stay_possible_in_what_is_pruned(tmp_path: Path) -> None:
    """Also of a checkpoint that does not say whether it was trained to find none."""
    folder = checkpoint(tmp_path / "model", "bert", "question")
    with torch.no_grad(), quiet():
        model = CLASSES["question"].from_pretrained(folder)
        model.qa_outputs.weight.zero_()  # all spans are alike, and [CLS] is as good as the best
        model.save_pretrained(folder)
    row = {"question": "who", "context": "the fox", "answers": {"text": [], "answer_start": []}}
    data = write_jsonl(tmp_path / "data.jsonl", [row])
    report = prune(folder, tmp_path / "pruned", PruneCuts(magnitude=0.01), data=data)
    before, after = (one.scores["f1"] for one in report.rows)
    assert before == after == evaluate(folder, data).scores["f1"] == 1.0
    assert evaluate(tmp_path / "pruned", data).scores["f1"] == 1.0
    prune(folder, tmp_path / "blind", PruneCuts(magnitude=0.01))  # it stays unknown
    assert evaluate(tmp_path / "blind", data).scores["f1"] == 1.0


def test_class_weights_are_those_of_scikit_learn() -> None:
    """Of the tags that occur: a scheme has others besides."""
    tags = ("O", "O", "B-PER", "O", "B-PER", "O")
    example = Example(TextRecord("a b c d e f", words=tuple((n, n + 1) for n in range(0, 11, 2))), tags)
    task = Tagging(tiny_tokenizer("wordpiece"), 32, Tagging.labels_of([example]))
    task.weigh_classes([example])
    assert task.class_weights is not None
    weights = dict(zip(task.labels, task.class_weights.tolist(), strict=True))
    classes = np.unique(tags)
    expected = compute_class_weight("balanced", classes=classes, y=np.array(tags))
    assert [weights[one] for one in classes] == pytest.approx(expected)
    assert "I-PER" in task.labels


def test_an_empty_tag_is_a_bad_row(tiny: str, tmp_path: Path) -> None:
    data = tmp_path / "data.conll"
    data.write_text("Anna\tB-PER\n\nRome\t\n\n" + "hat\tO\n\n" * 12, "utf-8")
    with pytest.raises(SourceError, match=r"data.conll, line 3: word 1, 'Rome', has an empty tag in 'label'"):
        finetune("ner", data, tmp_path / "out", dev=data, model=tiny, settings=FEW)


def test_tags_without_a_type_are_of_spans(tiny: str, tmp_path: Path) -> None:
    """As sets of one type are published: BC5CDR, NCBI."""
    data = tmp_path / "data.conll"
    data.write_text("the O\nred B\nhat I\nof O\nAnna B\n\n" * 12, "utf-8")
    how = TrainingSettings(steps=60, batch_size=8, lr=3e-3, device="cpu", precision="fp32")
    report = finetune("ner", data, tmp_path / "out", dev=data, model=tiny, settings=how)
    assert report is not None
    assert report.scores["f1"] == 1.0 and "macro_f1" not in report.scores
    [found, *_] = predict(tmp_path / "out", data)
    entities = found.entities  # type: ignore[union-attr]
    assert [(one.text, one.label) for one in entities or ()] == [("red hat", "entity"), ("Anna", "entity")]


@pytest.mark.parametrize(
    ("texts", "labels"),
    [
        (["U O", "U B L O", "B M L O"], ("B", "E", "I", "O", "S")),  # BILOU
        (["I O", "B I O", "O I"], ("B", "I", "O")),  # IOB1
        (["U-X O", "B-X L-X O"], ("B-X", "E-X", "I-X", "O", "S-X")),
    ],
)
def test_a_scheme_is_that_of_all_texts(texts: list[str], labels: tuple[str, ...]) -> None:
    """One text alone may not show it; each meaning has one label."""
    examples = [Example(TextRecord("a b c d", words=((0, 1),)), tuple(text.split())) for text in texts]
    assert Tagging.labels_of(examples) == labels
    task = Tagging(tiny_tokenizer("wordpiece"), 32, labels)
    [first, *_] = (task.labels[code] for code in task.codes(examples[0]))
    assert first == {"U O": "S", "I O": "B", "U-X O": "S-X"}[texts[0]]


def test_word_classes_of_one_letter_are_labels_of_words() -> None:
    task = Tagging(tiny_tokenizer("wordpiece"), 32, ("A", "B", "N", "O"))
    assert task.scheme is None and task.notes() == []


def test_a_stray_tag_is_told(tiny: str, tmp_path: Path) -> None:
    data = tmp_path / "data.conll"
    data.write_text("the O\nred B-COL\nhat I-COL\n\n" * 12 + "Anna X\n\n", "utf-8")
    report = finetune("ner", data, tmp_path / "out", dev=data, model=tiny, settings=FEW)
    assert report is not None
    assert any("'X' is no tag of an entity" in note for note in report.notes)
    mixed = Tagging(tiny_tokenizer("wordpiece"), 32, ("B-X", "I", "O"))
    assert any("'I' is no tag of an entity" in note for note in mixed.notes())


@pytest.mark.parametrize("value", [1, 1.0])
def test_tags_may_be_numbers(value: float, tiny: str, tmp_path: Path) -> None:
    rows = [{"words": ["red", "hat"], "tags": [value, 0.0 * value]} for _ in range(12)]
    data = write_jsonl(tmp_path / "data.jsonl", rows)
    columns = DataColumns(words="words", label="tags")
    assert finetune("ner", data, tmp_path / "out", dev=data, model=tiny, columns=columns, settings=FEW)
    assert {
        one.words[0].label for one in predict(tmp_path / "out", data, columns=DataColumns(words="words"))
    } <= {  # type: ignore[union-attr]
        "0",
        "1",
    }


def test_spaces_around_a_class_are_none_of_its_name(tiny: str, tmp_path: Path) -> None:
    rows = [{"text": f"the red hat {n}", "label": ["a", "b", " a", "b "][n % 4]} for n in range(24)]
    data = write_jsonl(tmp_path / "data.jsonl", rows)
    finetune("classify", data, tmp_path / "out", dev=data, model=tiny, settings=FEW)
    [said] = predict(tmp_path / "out", data, limit=1)
    assert set(said.probabilities) == {"a", "b"}  # type: ignore[union-attr]
    write_jsonl(data, [*rows, {"text": "the hat", "label": " "}])
    with pytest.raises(SourceError, match="line 25: the label 'label' is ''"):
        finetune("classify", data, tmp_path / "new", dev=data, model=tiny, settings=FEW)


def test_the_text_is_found_again_where_training_found_it(tiny: str, tmp_path: Path) -> None:
    """It was the only column beside those of labels and parts, which are not asked for later."""
    rows = [
        {"review": f"the red hat {n}", "class": "ab"[n % 2], "part": ["train", "dev"][n % 3 == 0]}
        for n in range(30)
    ]
    data, out = write_jsonl(tmp_path / "data.jsonl", rows), tmp_path / "out"
    columns = DataColumns(label="class", split="part")
    finetune("classify", data, out, model=tiny, columns=columns, settings=FEW)
    assert [one.text for one in predict(out, data)] == [row["review"] for row in rows]
    assert evaluate(out, data, columns=DataColumns(label="class")).examples == 30
    with pytest.raises(UsageError, match="here all rows are read"):
        list(predict(out, data, columns=columns))


def test_masked_accuracy_is_of_all_tokens_and_cut_texts_are_counted(tmp_path: Path) -> None:
    shape = PretrainShape(vocab_size=150, layers=1, hidden=32, heads=2, max_length=32, batch_tokens=256)
    texts = []
    for name, count in (("long", 60), ("short", 8)):
        path = tmp_path / f"{name}.txt"
        path.write_text(
            "\n\n".join(f"A {name} cat sat {n}. It ran. It slept." for n in range(count)), "utf-8"
        )
        texts.append(path)
    how = TrainingSettings(steps=30, lr=3e-3, device="cpu", precision="fp32")
    pretrain(texts, tmp_path / "out", shape=shape, settings=how)
    apart = [evaluate(tmp_path / "out", path) for path in texts]
    whole = evaluate(tmp_path / "out", texts)
    right = sum(one.scores["masked_accuracy"] * one.examples for one in apart)
    assert whole.examples == sum(one.examples for one in apart)
    assert apart[0].examples > 3 * apart[1].examples
    parts = [whole.scores["masked_accuracy_long"], whole.scores["masked_accuracy_short"]]
    shares = [one.examples / whole.examples for one in apart]
    assert whole.scores["masked_accuracy"] == pytest.approx(np.dot(parts, shares))
    assert right / whole.examples == pytest.approx(whole.scores["masked_accuracy"], abs=0.1)
    masked = checkpoint(tmp_path / "masked", "bert", "masked")
    (tmp_path / "texts.txt").write_text("the fox\n" + "the fox " * 200, "utf-8")
    [note] = evaluate(masked, tmp_path / "texts.txt").notes
    assert note.startswith("1 text is longer than")


def test_what_was_not_set_in_pretraining_is_what_the_command_has() -> None:
    found = TrainingSettings(lr=1e-3).or_else(PRETRAINING)
    assert (found.lr, found.steps, found.warmup, found.log_every) == (1e-3, 10_000, 0.05, 50)
    assert TrainingSettings(steps=5, warmup=0.0).or_else(PRETRAINING).warmup == 0.0


def test_words_that_no_vocabulary_takes(tmp_path: Path) -> None:
    (tmp_path / "texts.txt").write_text("\n\n".join("x" * 5000 for _ in range(30)), "utf-8")
    shape = PretrainShape(vocab_size=400, layers=1, hidden=32, heads=1, max_length=32, batch_tokens=256)
    with pytest.raises(LayerwiseError, match="special tokens only"):
        pretrain(tmp_path / "texts.txt", tmp_path / "out", shape=shape, settings=FEW)


def test_every_way_to_hand_in_data_that_is_none_is_refused(tiny: str, tmp_path: Path) -> None:
    """Keys and column names are no names of files."""
    import pandas as pd

    rows = [{"text": "a", "label": "b"}]
    for data in ({"train": rows, "test": rows}, pd.DataFrame(rows), pd.Series(["a", "b"])):
        with pytest.raises(UsageError, match="write texts that are in memory to a file"):
            finetune("classify", data, tmp_path / "out", model=tiny, settings=FEW)  # type: ignore[arg-type]


def test_half_a_surrogate_in_squad_is_a_bad_row(tiny: str, tmp_path: Path) -> None:
    qas = [{"id": "q1", "question": "who", "answers": [{"text": "Anna", "answer_start": 0}]}]
    text = json.dumps({"data": [{"paragraphs": [{"context": "Anna \ud800 sat.", "qas": qas}]}]})
    (tmp_path / "data.json").write_text(text, "utf-8")
    with pytest.raises(SourceError, match="question q1: the escape .ud800 is half of a surrogate pair"):
        finetune("qa", tmp_path / "data.json", tmp_path / "out", dev=tmp_path / "data.json", model=tiny)


def test_stdin_is_read_once(tiny: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="stdin can be read only once"):
        finetune("classify", "-", tmp_path / "out", dev="-", model=tiny)


def test_why_no_row_can_be_used_is_told(tiny: str, tmp_path: Path) -> None:
    data = write_jsonl(tmp_path / "data.jsonl", [{"text": "a", "label": None}] * 3)
    with pytest.raises(SourceError, match=r"no row of the data can be used; the first: .*line 1: the label"):
        finetune("classify", data, tmp_path / "out", model=tiny, skip_bad=True)


def test_from_an_empty_text_nothing_is_written(tiny: str, tmp_path: Path) -> None:
    rows = [{"source": f"the hat {n}", "target": f"hat {n}"} for n in range(20)]
    data = write_jsonl(tmp_path / "data.jsonl", rows)
    finetune(
        "seq2seq", data, tmp_path / "out", model=tiny, settings=FEW, choices=FinetuneChoices(decoder="new:1")
    )
    write_jsonl(data, [{"source": " "}, {"source": "the hat"}])
    empty, _ = predict(tmp_path / "out", data)
    assert empty.output == ""  # type: ignore[union-attr]


def test_sequences_without_a_word_are_not_trained_on(tiny: str, tmp_path: Path) -> None:
    """They are of like length: a batch of them alone had no label to take the mean over."""
    rows = [{"words": ["the", f"hat{n}"], "tags": ["O", "B-X"]} for n in range(40)]
    blank = [{"words": ["\u200b"], "tags": ["O"]} for _ in range(30)]
    data = write_jsonl(tmp_path / "data.jsonl", [*rows, *blank])
    columns = DataColumns(words="words", label="tags")
    how = TrainingSettings(epochs=2, batch_size=4, device="cpu")
    report = finetune("ner", data, tmp_path / "out", dev=data, model=tiny, columns=columns, settings=how)
    assert report is not None and report.steps == 20
    said = list(predict(tmp_path / "out", data, columns=DataColumns(words="words")))
    assert [one.to_dict()["words"][0]["label"] for one in said][40:] == ["O"] * 30
    nothing = write_jsonl(tmp_path / "nothing.jsonl", [*blank, {"words": [" "], "tags": ["B-X"]}])
    with pytest.raises(SourceError, match="no row of the data has anything to learn from"):
        finetune("ner", nothing, tmp_path / "no", dev=data, model=tiny, columns=columns, settings=how)


def test_probabilities_of_many_classes_are_a_mapping() -> None:
    numbers = {"a": 0, "b": 1, "c": 2}
    shares = Shares(numbers, np.array([0.25, 0.5, 0.25], np.float32))
    assert shares == {"a": 0.25, "b": 0.5, "c": 0.25}
    assert max(shares, key=shares.__getitem__) == "b" and "d" not in shares
    label = TextLabel(0, None, "x", None, "b", 0.5, shares)
    assert json.loads(json.dumps(label.to_dict()))["probabilities"] == dict(shares)
    assert "'b': 0.5" in repr(label)


@pytest.mark.parametrize("answers", [{}, {"texts": ["Rome"], "answers_starts": [0]}])
def test_answers_under_other_names_are_not_taken_for_none(tiny: str, tmp_path: Path, answers: Any) -> None:
    rows = [{"question": f"who {n}", "context": f"Rome {n} is big", "answers": answers} for n in range(20)]
    data = write_jsonl(tmp_path / "data.jsonl", rows)
    said = "'texts', 'answers_starts'" if answers else "nothing"
    with pytest.raises(
        SourceError, match=f"line 1: the object in 'answers' has {said}; expected answers as SQuAD"
    ):
        finetune("qa", data, tmp_path / "out", model=tiny, settings=FEW)


def test_words_that_share_their_characters_are_counted(tiny: str, tmp_path: Path) -> None:
    rows = "\n".join(
        f"{n}\t{form}\t_\t{tag}\t_\t_\t0\t_\t_\t_" for n, form, tag in [(1, "red", "ADJ"), (2, "de", "ADP")]
    )
    sentence = rows.replace("\n2", "\n2-3\tdu" + "\t_" * 8 + "\n2") + "\n3\tle\t_\tDET\t_\t_\t0\t_\t_\t_\n\n"
    (tmp_path / "data.conllu").write_text(sentence * 3, "utf-8")
    data = tmp_path / "data.conllu"
    columns = DataColumns(label="upos")
    report = finetune("ner", data, tmp_path / "out", dev=data, model=tiny, columns=columns, settings=FEW)
    assert report is not None
    assert any(
        note.startswith("6 words have the same characters as the word before") for note in report.notes
    )
