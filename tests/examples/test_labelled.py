"""The labelled examples: well formed for layerwise's own readers, and counted as their README says."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from layerwise.text.columns import SourceOptions
from layerwise.text.sources import Sources
from layerwise.types import TextRecord

FOLDER = Path(__file__).parents[2] / "examples" / "labelled"
README = (FOLDER / "README.md").read_text(encoding="utf-8")
UPOS = {
    *("ADJ", "ADP", "ADV", "AUX", "CCONJ", "DET", "INTJ", "NOUN", "NUM", "PART", "PRON"),
    *("PROPN", "PUNCT", "SCONJ", "SYM", "VERB", "X"),
}
WORDS = ("pos_en.conllu", "pos_zh.conllu", "ner_en.conll", "ner_zh.conll")


def read(name: str, **options: Any) -> list[TextRecord]:
    return list(Sources(FOLDER / name, SourceOptions(**options)).records())


def counted(labels: Iterable[Any]) -> str:
    """`dev 48, test 48`: the classes in the order of their names, as the README writes them."""
    return ", ".join(f"{label} {count}" for label, count in sorted(Counter(map(str, labels)).items()))


def row(name: str) -> str:
    return next(line for line in README.splitlines() if line.startswith(f"| `{name}`"))


@pytest.mark.parametrize("name", ["sentiment_en.tsv", "sentiment_zh.tsv"])
def test_sentences_of_sentiment_are_balanced(name: str) -> None:
    records = read(name, keep=("label",))
    labels = Counter(str(record.kept["label"]) for record in records)
    assert set(labels) == {"0", "1"}
    assert labels["0"] == labels["1"]
    assert len({record.text for record in records}) == len(records)
    assert f"{len(records)} sentences: {counted(labels.elements())}" in row(name)


def test_pairs_have_scores_from_0_to_5() -> None:
    records = read("sts_en.tsv", text_column="sentence1", pair_column="sentence2", keep=("score",))
    scores = [float(record.kept["score"]) for record in records]
    assert all(0 <= score <= 5 and score == round(score, 1) for score in scores)
    assert all(record.text and record.text_pair and record.text != record.text_pair for record in records)
    assert len({frozenset((record.text, record.text_pair)) for record in records}) == len(records)
    bands = counted(min(int(score), 4) for score in scores)
    assert f"{len(records)} pairs; from whole number: {bands}" in row("sts_en.tsv")


@pytest.mark.parametrize("name", ["pos_en.conllu", "pos_zh.conllu"])
def test_every_word_has_a_part_of_speech(name: str) -> None:
    records = read(name, keep=("upos",))
    tags = [tag for record in records for tag in record.kept["upos"]]
    assert set(tags) <= UPOS
    assert f"{len(records)} sentences, {len(tags)} words: {counted(tags)}" in row(name)
    assert len({record.text for record in records}) == len(records)


@pytest.mark.parametrize("name", ["pos_en.conllu", "pos_zh.conllu"])
def test_conllu_is_as_the_format_says(name: str) -> None:
    content = (FOLDER / name).read_text(encoding="utf-8")
    assert content.endswith("\n\n")
    sentences = [part.splitlines() for part in content.split("\n\n") if part]
    identifiers = [lines[0] for lines in sentences]
    assert all(line.startswith("# sent_id = ") for line in identifiers)
    assert len(set(identifiers)) == len(identifiers)
    for lines, record in zip(sentences, read(name), strict=True):
        rows = [line.split("\t") for line in lines if not line.startswith("#")]
        assert {len(columns) for columns in rows} == {10}
        # Had the forms not fitted, the reader would have made another text out of them.
        assert lines[1] == f"# text = {record.text}"
        forms = [columns[1] for columns in rows if "-" not in columns[0]]
        assert record.words is not None
        assert [record.text[start:end] for start, end in record.words] == forms


@pytest.mark.parametrize(
    ("name", "types"),
    [("ner_en.conll", {"PER", "LOC", "ORG", "MISC"}), ("ner_zh.conll", {"PER", "LOC", "ORG"})],
)
def test_names_are_legal_bio(name: str, types: set[str]) -> None:
    records = read(name, keep=("label",))
    names = []
    for record in records:
        before = "O"
        for label in record.kept["label"]:
            prefix, _, kind = label.partition("-")
            assert label == "O" or (prefix in "BI" and kind in types)
            assert prefix != "I" or before in (f"B-{kind}", f"I-{kind}"), record.text
            before = label
            names += [kind] if prefix == "B" else []
    size = sum(len(record.words or ()) for record in records)
    unit = "characters" if "zh" in name else "words"
    assert f"{len(records)} sentences, {size} {unit}; names: {counted(names)}" in row(name)
    assert len({record.text for record in records}) == len(records)


def test_a_row_of_chinese_names_is_a_character() -> None:
    rows = (FOLDER / "ner_zh.conll").read_text(encoding="utf-8").splitlines()
    assert {len(line.split("\t")[0]) for line in rows if line} == {1}


def test_topics_have_equal_shares_of_each_split() -> None:
    records = read("topics_en.jsonl", text_column="text", keep=("topic", "split"))
    cells = Counter((record.kept["topic"], record.kept["split"]) for record in records)
    topics = {topic for topic, _ in cells}
    assert topics == {"business", "culture", "science", "sport"}
    for topic in topics:
        assert [cells[topic, split] for split in ("train", "dev", "test")] == [36, 12, 12]
    assert len({record.text for record in records}) == len(records)
    splits = counted(record.kept["split"] for record in records)
    assert (
        f"{len(records)} texts: {counted(record.kept['topic'] for record in records)}; splits: {splits}"
        in row("topics_en.jsonl")
    )


def test_words_as_json_are_sentences_of_the_treebank() -> None:
    records = read("words_en.jsonl", words_column="words", keep=("tags",))
    treebank = {
        tuple(words_of(record)): record.kept["upos"] for record in read("pos_en.conllu", keep=("upos",))
    }
    for record in records:
        assert treebank[tuple(words_of(record))] == record.kept["tags"]
    tags = sum(len(record.kept["tags"]) for record in records)
    assert f"{len(records)} sentences, {tags} words" in row("words_en.jsonl")


def words_of(record: TextRecord) -> list[str]:
    return [record.text[start:end] for start, end in record.words or ()]


@pytest.mark.parametrize("name", [*WORDS, "words_en.jsonl"])
def test_lines_are_plain(name: str) -> None:
    content = (FOLDER / name).read_text(encoding="utf-8")
    assert "\r" not in content
    assert "\ufeff" not in content
    if name.endswith(".jsonl"):
        assert all(set(json.loads(line)) == {"words", "tags"} for line in content.splitlines())
