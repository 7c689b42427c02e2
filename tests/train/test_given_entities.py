"""Entities as sets are published: as spans, as objects, by label."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layerwise.errors import SourceError
from layerwise.ops.bio import Span
from layerwise.train.evaluate import evaluate
from layerwise.train.finetune import finetune
from layerwise.train.predict import predict
from layerwise.train.settings import TrainingSettings
from layerwise.train.tasks.given_entities import given_spans, tags_of_words, with_words
from layerwise.types import TextRecord
from tests.tiny import one_thread  # noqa: F401
from tests.train.learning import tiny_bert, write_jsonl

TEXT = "浙商银行的叶老桂和叶老桂"


@pytest.mark.parametrize(
    "value",
    [
        [[5, 8, "name"], [0, 4, "company"], [9, 12, "name"]],
        [
            {"start": 0, "end": 4, "label": "company"},
            {"start": 5, "end": 8, "type": "name"},
            {"start": 9, "end": 12, "label": "name"},
        ],
        [
            {"start_offset": start, "end_offset": end, "label": label, "id": 7}  # doccano
            for start, end, label in ((0, 4, "company"), (5, 8, "name"), (9, 12, "name"))
        ],
        [
            {"start": start, "end": end, "text": TEXT[start:end], "labels": [label]}  # Label Studio
            for start, end, label in ((0, 4, "company"), (5, 8, "name"), (9, 12, "name"))
        ],
        [
            {"start_idx": start, "end_idx": last, "type": label, "entity": TEXT[start : last + 1]}  # CMeEE
            for start, last, label in ((0, 3, "company"), (5, 7, "name"), (9, 11, "name"))
        ],
        {"name": {"叶老桂": [[5, 7], [9, 11]]}, "company": {"浙商银行": [[0, 3]]}},  # CLUENER
    ],
)
def test_however_they_are_given_they_are_the_same(value: Any) -> None:
    record = TextRecord(TEXT)
    spans = given_spans(record, value, "label")
    assert spans == [Span(0, 4, "company"), Span(5, 8, "name"), Span(9, 12, "name")]
    words = with_words(record, spans).words
    assert words is not None
    tags = tags_of_words(words, spans)
    surfaces = [TEXT[start:end] for start, end in words]
    assert "".join(surfaces) == TEXT
    assert [tag for tag, surface in zip(tags, surfaces, strict=True) if surface in "的和"] == ["O", "O"]
    assert [tag for tag in tags if tag.startswith("B-")] == ["B-company", "B-name", "B-name"]


def test_an_entity_without_a_word_is_refused() -> None:
    with pytest.raises(SourceError, match=r"the entity \[1, 3, 'GAP'\] has no word in it"):
        given_spans(TextRecord("a  b", place="here"), [[1, 3, "GAP"]], "label")
    with pytest.raises(SourceError, match=r"an entity in 'label' is \{'from': 1, 'to': 3"):
        given_spans(TextRecord("a  b", place="here"), [{"from": 1, "to": 3, "label": "X"}], "label")


def test_an_entity_that_is_given_twice_is_one() -> None:
    record = TextRecord(TEXT)
    assert given_spans(record, [[5, 8, "name"], [5, 8, "name"]], "label") == [Span(5, 8, "name")]
    with pytest.raises(SourceError, match="overlap"):
        given_spans(record, [[5, 8, "name"], [5, 8, "company"]], "label")


def test_no_entities_by_label_are_none() -> None:
    assert given_spans(TextRecord(TEXT), {}, "label") == []


@given(st.text("ab ,我", min_size=1, max_size=40), st.sets(st.integers(0, 40), max_size=8))
def test_words_end_where_entities_do_and_have_their_tags(text: str, bounds: set[int]) -> None:
    places = sorted(bound for bound in bounds if bound <= len(text))
    pairs = zip(places[::2], places[1::2], strict=False)
    spans = [Span(start, end, "X") for start, end in pairs if text[start:end].strip()]
    words = with_words(TextRecord(text), spans).words
    assert words is not None
    tags = tags_of_words(words, spans)
    for (start, end), tag in zip(words, tags, strict=True):
        inside = [span for span in spans if span.start < end and start < span.end]
        assert len(inside) <= 1
        assert all(span.start <= start and end <= span.end for span in inside)
        assert (tag == "O") == (not inside)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("L'Italie qu’Amélie aime", ["L'", "Italie", "qu’", "Amélie", "aime"]),
        ("Albert's O'Brien don't we'll", ["Albert", "'s", "O'", "Brien", "do", "n't", "we", "'ll"]),
        ("rock'n'roll d'un 'mot'", ["rock'", "n'", "roll", "d'", "un", "'", "mot", "'"]),
        ("叶老桂's", ["叶", "老", "桂", "'", "s"]),
    ],
)
def test_clitics_are_words(text: str, words: list[str]) -> None:
    found = with_words(TextRecord(text), ()).words
    assert found is not None
    assert [text[start:end] for start, end in found] == words


def test_an_entity_that_says_its_text_has_to_be_there() -> None:
    record = TextRecord("Barack Obama was born.", place="a.jsonl, line 1")
    one = {"start": 0, "end": 12, "label": "PER"}
    for surface in ({"text": "Barack Obama"}, {"entity": "Barack Obama"}, {}):
        assert given_spans(record, [{**one, **surface}], "label") == [Span(0, 12, "PER")]
    assert given_spans(record, [{**one, "end": 11, "text": "Barack Obama"}], "label") == [Span(0, 12, "PER")]
    letter = {"start_idx": 0, "end_idx": 0, "type": "PER", "entity": "B"}
    assert given_spans(record, [letter], "label") == [Span(0, 1, "PER")]
    with pytest.raises(SourceError, match="not at 0 to 12, where the text has 'Barack Obama': correct it"):
        given_spans(record, [{**one, "text": "Michelle"}], "label")


def test_scores_are_of_what_predict_says(tmp_path: Path) -> None:
    """The words of the data end where its entities do; those that a model is asked about, where the text says."""
    tiny = tiny_bert(tmp_path / "base", layers=1)
    inside = [("Albertville", 0, 6), ("Italie", 0, 6), ("l'Italie", 2, 8)]
    rows = []
    for number in range(90):
        word, start, end = inside[number % 3]
        text = f"{number} voit {word} hier"
        at = text.index(word)
        rows.append({"text": text, "label": [[at + start, at + end, "LOC"]]})
    data = write_jsonl(tmp_path / "data.jsonl", rows)
    how = TrainingSettings(epochs=8, batch_size=8, lr=3e-3, device="cpu")
    report = finetune("ner", data, tmp_path / "out", dev=data, model=tiny, settings=how)
    scores = evaluate(tmp_path / "out", data).scores
    right = said = 0
    for row, one in zip(rows, predict(tmp_path / "out", data), strict=True):
        found = [[entity["start"], entity["end"], entity["label"]] for entity in one.to_dict()["entities"]]
        right += sum(entity in row["label"] for entity in found)
        said += len(found)
    assert report is not None and report.scores["f1"] == pytest.approx(scores["f1"])
    assert scores["precision"] == pytest.approx(right / said)
    assert scores["recall"] == pytest.approx(right / len(rows))
    assert 0.5 < scores["recall"] < 0.7  # no word begins or ends within Albertville
