"""Each head learns: its held-out score is well above the majority's and above its own before training.

And what was trained says the same after it was written and read again, in transformers too.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import pipeline

from layerwise.errors import SourceError
from layerwise.train.evaluate import evaluate
from layerwise.train.finetune import FinetuneChoices, finetune
from layerwise.train.predict import predict
from layerwise.train.settings import TrainingSettings
from layerwise.train.tasks.example import DataColumns
from tests.tiny import one_thread  # noqa: F401
from tests.train.learning import EXAMPLES, tiny_bert, write_jsonl

LABELLED, TRAINING = EXAMPLES / "labelled", EXAMPLES / "training"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tiny_bert(tmp_path_factory.mktemp("base"))


def colours(path: Path, count: int) -> Path:
    """A class that one word decides, among words that decide nothing."""
    draw = np.random.default_rng(0)
    people, kinds = (
        ["Anna", "Ben", "Clara", "David", "Emma"],
        {"red": "warm", "blue": "cold", "green": "cold"},
    )
    rows = []
    for _ in range(count):
        colour = str(draw.choice(list(kinds)))
        thing, place = draw.choice(["hat", "car", "door"]), draw.choice(["Rome", "Paris"])
        text = f"{draw.choice(people)} has a {colour} {thing} in {place}"
        rows.append({"text": text, "label": kinds[colour]})
    return write_jsonl(path, rows)


@pytest.mark.parametrize(
    "choices",
    [
        FinetuneChoices(),
        FinetuneChoices(blocks=1),
        FinetuneChoices(mix="scalar"),
        FinetuneChoices(frozen=True),
        FinetuneChoices(frozen=True, mix="scalar"),
        FinetuneChoices(class_weights=True),
    ],
    ids=["full", "first-block", "mix", "frozen", "frozen-mix", "class-weights"],
)
def test_classification(tiny: str, tmp_path: Path, choices: FinetuneChoices) -> None:
    data = colours(tmp_path / "data.jsonl", 240)
    lr = 1e-2 if choices.frozen else 2e-3
    report = finetune(
        "classify",
        data,
        tmp_path / "out",
        model=tiny,
        choices=choices,
        settings=TrainingSettings(epochs=12, batch_size=16, lr=lr),
    )
    assert report is not None and report.majority is not None
    assert report.scores["macro_f1"] > report.majority + 0.3
    assert report.scores["macro_f1"] > report.untrained + 0.2
    again = evaluate(str(tmp_path / "out"), data)
    assert again.scores["macro_f1"] > (0.8 if choices.frozen else 0.9)
    found = list(predict(str(tmp_path / "out"), data, limit=3))
    assert [sum(one.probabilities.values()) for one in found] == pytest.approx([1, 1, 1])
    assert all(one.label == max(one.probabilities, key=one.probabilities.get) for one in found)
    if choices.mix == "scalar":
        assert len(report.shares) == 3
        assert sum(report.shares) == pytest.approx(1)
        assert max(report.shares) - min(report.shares) > 1e-3  # it did learn
    if choices.blocks:
        assert not list((tmp_path / "out").glob("head.safetensors"))


def test_transformers_reads_the_folder(tiny: str, tmp_path: Path) -> None:
    data = colours(tmp_path / "data.jsonl", 120)
    finetune("classify", data, tmp_path / "out", model=tiny, settings=TrainingSettings(steps=20, lr=1e-3))
    texts = ["Anna has a red hat in Rome", "Ben has a blue door in Paris and a long, long story to tell"]
    theirs = pipeline("text-classification", str(tmp_path / "out"), device="cpu")(texts)
    (tmp_path / "texts.txt").write_text("\n".join(texts), "utf-8")
    ours = list(predict(str(tmp_path / "out"), tmp_path / "texts.txt"))
    assert [one["label"] for one in theirs] == [one.label for one in ours]
    assert [one["score"] for one in theirs] == pytest.approx([one.probability for one in ours], abs=1e-5)


@pytest.mark.parametrize(
    "choices", [FinetuneChoices(), FinetuneChoices(frozen=True, mix="scalar")], ids=["full", "frozen-mix"]
)
def test_entities_given_as_characters_in_chinese(tiny: str, tmp_path: Path, choices: FinetuneChoices) -> None:
    columns = DataColumns(label="entities")
    data = TRAINING / "entities_zh.jsonl"
    lr = 2e-2 if choices.frozen else 3e-3
    report = finetune(
        "ner",
        data,
        tmp_path / "out",
        model=tiny,
        columns=columns,
        choices=choices,
        settings=TrainingSettings(epochs=8, batch_size=16, lr=lr),
    )
    assert report is not None
    assert report.scores["f1"] > (0.6 if choices.frozen else 0.9) > report.untrained
    (tmp_path / "text.txt").write_text("在新光书店工作的李伟住在南京。\n\n", "utf-8")
    first, empty = predict(str(tmp_path / "out"), tmp_path / "text.txt")
    assert empty.entities == ()
    for entity in first.entities:
        assert first.text[entity.start : entity.end] == entity.text
    if not choices.frozen:
        assert [(one.text, one.label) for one in first.entities] == [
            ("新光书店", "ORG"),
            ("李伟", "PER"),
            ("南京", "LOC"),
        ]


def test_labels_of_words_that_are_no_spans(tiny: str, tmp_path: Path) -> None:
    report = finetune(
        "ner",
        LABELLED / "pos_zh.conllu",
        tmp_path / "out",
        model=tiny,
        columns=DataColumns(label="upos"),
        settings=TrainingSettings(epochs=6, batch_size=16, lr=3e-3),
    )
    assert report is not None and report.majority is not None
    assert report.scores["macro_f1"] > report.majority + 0.1
    found = next(iter(predict(str(tmp_path / "out"), LABELLED / "pos_zh.conllu")))
    assert found.entities is None
    assert "entities" not in found.to_dict()


@pytest.mark.parametrize("language", ["en", "zh"])
def test_questions(tiny: str, tmp_path: Path, language: str) -> None:
    data = TRAINING / f"qa_{language}.json"
    report = finetune(
        "qa", data, tmp_path / "out", model=tiny, settings=TrainingSettings(epochs=10, batch_size=16, lr=2e-3)
    )
    assert report is not None and report.majority is not None
    # The kind of an answer is learned in a minute: half of the answers of a kind are right by chance.
    assert report.scores["f1"] > max(report.untrained, report.majority) + 0.15
    for answer in list(predict(str(tmp_path / "out"), data, limit=40)):
        assert answer.no_answer is not None
        assert 0 <= answer.probability <= 1
        assert (answer.start is None) == (answer.answer == "")


def test_similarity_and_sentence_transformers(tmp_path: Path) -> None:
    report = finetune(
        "similarity",
        LABELLED / "sts_en.tsv",
        tmp_path / "out",
        choices=FinetuneChoices(blocks=2, max_length=32),
        settings=TrainingSettings(epochs=4, lr=1e-4, batch_size=16),
    )
    assert report is not None
    assert report.scores["spearman"] > max(report.untrained, 0.3)
    from sentence_transformers import SentenceTransformer

    theirs = SentenceTransformer(str(tmp_path / "out"), device="cpu")
    for one in list(predict(str(tmp_path / "out"), LABELLED / "sts_en.tsv", limit=5)):
        vectors = theirs.encode([one.text, one.text_pair], normalize_embeddings=True)
        assert float(vectors[0] @ vectors[1]) == pytest.approx(one.cosine, abs=1e-5)


def test_the_shares_of_a_mix_are_learned_at_any_rate(tiny: str, tmp_path: Path) -> None:
    """Beside a model, whose rate is too low for numbers that begin at 0 and end at some tenths."""
    rows = [{"text": f"the {['fox', 'dog'][n % 2]} {n}", "label": "ab"[n % 2]} for n in range(60)]
    data = write_jsonl(tmp_path / "data.jsonl", rows)
    how = TrainingSettings(steps=40, batch_size=8, lr=1e-6)
    mix = FinetuneChoices(mix="scalar")
    report = finetune("classify", data, tmp_path / "out", dev=data, model=tiny, choices=mix, settings=how)
    assert report is not None
    assert max(report.shares) - min(report.shares) > 0.002  # at 1e-6 not more than 0.00002


def test_a_learned_mix_for_similarity(tmp_path: Path) -> None:
    report = finetune(
        "similarity",
        LABELLED / "sts_en.tsv",
        tmp_path / "out",
        choices=FinetuneChoices(frozen=True, mix="scalar", max_length=32),
        settings=TrainingSettings(epochs=10, lr=5e-2, batch_size=16),
    )
    assert report is not None
    assert len(report.shares) == 7
    again = evaluate(str(tmp_path / "out"), LABELLED / "sts_en.tsv")
    assert again.scores["spearman"] > 0.5


@pytest.mark.slow
def test_dates_from_english_to_chinese(tiny: str, tmp_path: Path) -> None:
    report = finetune(
        "seq2seq",
        TRAINING / "dates_en_zh.jsonl",
        tmp_path / "out",
        dev=TRAINING / "dates_en_zh_dev.jsonl",
        choices=FinetuneChoices(decoder="new"),
        settings=TrainingSettings(epochs=8, lr=5e-4),
    )
    assert report is not None
    tested = evaluate(str(tmp_path / "out"), TRAINING / "dates_en_zh_test.jsonl", beams=4)
    assert tested.scores["bleu"] > 90


def test_a_text_from_a_text(tiny: str, tmp_path: Path) -> None:
    rows = [
        {"source": f"{a} {b}", "target": f"{b}-{a} 3.5"}
        for a in ["red", "blue", "green"]
        for b in ["hat", "car", "door"]
    ]
    data = write_jsonl(tmp_path / "data.jsonl", rows * 8)
    dev = write_jsonl(tmp_path / "dev.jsonl", rows)
    report = finetune(
        "seq2seq",
        data,
        tmp_path / "out",
        dev=dev,
        model=tiny,
        choices=FinetuneChoices(decoder="new:1"),
        settings=TrainingSettings(steps=120, batch_size=18, lr=3e-3, evaluate_every=40),
    )
    assert report is not None
    assert report.scores["exact_match"] > 0.9
    [first, *_] = predict(str(tmp_path / "out"), dev)
    assert first.output == "hat-red 3.5"  # spaces too are as in training, after loading


def test_a_search_does_not_end_with_short_outputs_that_are_less_probable(tiny: str, tmp_path: Path) -> None:
    """Of the targets of one source 6 in 10 are long and alike, the others short: greedy and wide searches write the long."""
    long = "red hat, red car - red door"
    targets = [long] * 6 + ["blue", "green", "hat", "car"]
    data = write_jsonl(tmp_path / "data.jsonl", [{"source": "go", "target": one} for one in targets])
    finetune(
        "seq2seq",
        data,
        tmp_path / "out",
        dev=data,
        model=tiny,
        choices=FinetuneChoices(decoder="new:1", patience=None),
        settings=TrainingSettings(steps=60, batch_size=10, lr=3e-3, evaluate_every=60),
    )
    for beams in (1, 4):
        [said] = predict(str(tmp_path / "out"), data, beams=beams, limit=1)
        assert said.output == long


def test_a_frozen_encoder_stays_as_it_is_under_a_decoder(tiny: str, tmp_path: Path) -> None:
    rows = [{"source": f"{n} hat", "target": f"hat {n}"} for n in range(20)]
    data = write_jsonl(tmp_path / "data.jsonl", rows)
    finetune(
        "seq2seq",
        data,
        tmp_path / "out",
        dev=data,
        model=tiny,
        choices=FinetuneChoices(frozen=True, decoder="new:1"),
        settings=TrainingSettings(steps=3, lr=1e-2),
    )
    before, after = (load_file(Path(folder) / "model.safetensors") for folder in (tiny, tmp_path / "out"))
    assert all(torch.equal(before[name], after[f"encoder.{name}"]) for name in before)


def test_tables_hold_words_tags_and_answers(tiny: str, tmp_path: Path) -> None:
    """As JSON lines do, in fields of a csv."""
    lines = ["words,label"] + [f"the Fox {n},O B-X O" for n in range(20)]
    (tmp_path / "ner.csv").write_text("\n".join(lines), "utf-8")
    columns = DataColumns(words="words")
    report = finetune(
        "ner",
        tmp_path / "ner.csv",
        tmp_path / "ner",
        model=tiny,
        columns=columns,
        settings=TrainingSettings(steps=2),
    )
    assert report is not None and report.examples + report.dev_examples == 20
    with (tmp_path / "qa.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["question", "context", "answers"])
        answers = json.dumps({"text": ["Fox"], "answer_start": [4]})
        writer.writerows([["who?", f"the Fox {n}", answers] for n in range(20)])
    report = finetune(
        "qa", tmp_path / "qa.csv", tmp_path / "qa", model=tiny, settings=TrainingSettings(steps=2)
    )
    assert report is not None and report.examples + report.dev_examples == 20


def test_a_word_without_a_token_does_not_cut_an_entity(tiny: str, tmp_path: Path) -> None:
    """A space that is a row of its own, as in Chinese sets with a character a row."""
    rows = []
    for n in range(24):
        name = ["Anna", "Ben"][n % 2]
        words = ["the", " ", name, " ", "Fox", "saw", " ", "red"]
        rows.append({"words": words, "label": ["O", "O", "B-PER", "I-PER", "I-PER", "O", "O", "O"]})
    data = write_jsonl(tmp_path / "data.jsonl", rows)
    report = finetune(
        "ner",
        data,
        tmp_path / "out",
        dev=data,
        model=tiny,
        columns=DataColumns(words="words"),
        settings=TrainingSettings(steps=30, batch_size=12, lr=3e-3),
    )
    assert report is not None and report.scores["f1"] == 1


def test_tags_of_another_scheme_are_compared_as_spans(tiny: str, tmp_path: Path) -> None:
    words = ["the", "red", "Fox"]
    iobes = [
        {"words": words, "label": tags}
        for tags in (["O", "B-X", "E-X"], ["O", "B-X", "I-X"])
        for _ in range(12)
    ]
    trained = write_jsonl(tmp_path / "train.jsonl", iobes[:12])
    columns, how = DataColumns(words="words"), TrainingSettings(steps=20, batch_size=12, lr=3e-3)
    dev = write_jsonl(tmp_path / "dev.jsonl", [{"words": ["the", "Fox"], "label": ["O", "S-X"]}, *iobes])
    report = finetune("ner", trained, tmp_path / "out", dev=dev, model=tiny, columns=columns, settings=how)
    assert report is not None and report.scores["recall"] > 0.9
    bmes = write_jsonl(tmp_path / "bmes.jsonl", [{"words": words, "label": ["O", "B_X", "E_X"]}])
    assert evaluate(str(tmp_path / "out"), bmes, columns=columns).scores["f1"] == 1


def test_iob1_is_learned_as_bio(tiny: str, tmp_path: Path) -> None:
    """As CoNLL-2003 is published: a sentence has no `B-X` unless two entities touch."""
    rows = "".join(
        f"{one} NNP I-NP I-ORG\nmet VBZ I-VP O\n{two} JJ I-NP I-MISC\n{one} JJ I-NP B-MISC\n. . O O\n\n"
        for one in ("red", "blue")
        for two in ("fox", "hat")
        for _ in range(6)
    )
    (tmp_path / "eng.train").write_text(f"-DOCSTART- -X- O O\n\n{rows}", "utf-8")
    columns, how = DataColumns(format="conll"), TrainingSettings(steps=40, batch_size=12, lr=3e-3)
    report = finetune(
        "ner",
        tmp_path / "eng.train",
        tmp_path / "out",
        dev=tmp_path / "eng.train",
        model=tiny,
        columns=columns,
        settings=how,
    )
    assert report is not None
    assert report.scores["f1"] == report.scores["accuracy"] == 1
    config = json.loads((tmp_path / "out" / "config.json").read_text("utf-8"))
    assert set(config["label2id"]) == {"O", "B-ORG", "I-ORG", "B-MISC", "I-MISC"}


def test_tags_of_a_table_are_read_as_its_words_are(tiny: str, tmp_path: Path) -> None:
    words, tags = '["the", "red", "Fox"]', '["O", "B-X", "I-X"]'
    quoted = ",".join(f'"{one.replace(chr(34), chr(34) * 2)}"' for one in (words, tags))
    (tmp_path / "tags.csv").write_text("tokens,tags\n" + f"{quoted}\nthe red Fox,O B-X I-X\n" * 12, "utf-8")
    columns = DataColumns(words="tokens", label="tags")
    data = tmp_path / "tags.csv"
    finetune(
        "ner",
        data,
        tmp_path / "out",
        dev=data,
        model=tiny,
        columns=columns,
        settings=TrainingSettings(steps=1),
    )
    config = json.loads((tmp_path / "out" / "config.json").read_text("utf-8"))
    assert set(config["label2id"]) == {"O", "B-X", "I-X"}
    data.write_text("tokens,tags\n" + "the red Fox,\"['O', 'B-X', 'I-X']\"\n" * 12, "utf-8")
    with pytest.raises(SourceError, match="line 2, column 'tags': .* a list as Python prints it"):
        finetune("ner", data, tmp_path / "other", dev=data, model=tiny, columns=columns)


def test_seeds(tiny: str, tmp_path: Path) -> None:
    """The same seed gives the same weights, another one others."""
    data = colours(tmp_path / "data.jsonl", 60)
    found: list[Any] = []
    for number, seed in enumerate((1, 1, 2)):
        finetune(
            "classify",
            data,
            tmp_path / str(number),
            model=tiny,
            settings=TrainingSettings(steps=3, seed=seed),
        )
        found.append(load_file(tmp_path / str(number) / "model.safetensors")["classifier.weight"])
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])
