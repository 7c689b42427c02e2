"""`probe` on stores whose layers are known."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from layerwise.ops.linear_probe import LinearProbe
from layerwise.reports.verdict import rows_of, verdict
from layerwise.store.reader import Store
from layerwise.study import mixtures
from layerwise.study.probing import Probed, probe
from tests.study.labelled import SIZE, store_of, text_store, word_store


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return word_store(tmp_path_factory.mktemp("words") / "words.lance")


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return text_store(tmp_path_factory.mktemp("texts") / "texts.lance")


@pytest.fixture(scope="module")
def tagged(words: Store) -> Probed:
    return probe(words, "tag", codelength=True)


def test_the_layer_that_knows_the_tag_is_best(tagged: Probed) -> None:
    report = tagged.report
    assert (report.best, report.last, report.enough) == (1, 2, 1)
    assert [row.feature for row in report.table] == [0, 1, 2, "mean", "concat", "scalar"]
    assert report.row(1).scores["macro_f1"].value > 0.95
    assert report.row(2).scores["macro_f1"].value < 0.7
    against = report.best_against_last
    assert against is not None and against.low > 0 and against.p < 0.01
    assert against.value == pytest.approx(
        report.row(1).scores["macro_f1"].value - report.row(2).scores["macro_f1"].value
    )


def test_what_is_put_together_is_about_as_good_as_the_best_of_it(tagged: Probed) -> None:
    best = tagged.report.row(1).scores["accuracy"].value
    assert tagged.report.row("concat").scores["accuracy"].value > best - 0.05
    assert tagged.report.row("scalar").scores["accuracy"].value > best - 0.05
    mix = tagged.report.scalar_mix
    assert mix is not None and mix.shares[1] > 0.6 and sum(mix.shares) == pytest.approx(1, abs=1e-5)


def test_the_mix_weights_make_the_same_mix_of_unscaled_layers(words: Store, tagged: Probed) -> None:
    mix = tagged.report.scalar_mix
    assert mix is not None
    sizes = [np.median(words.layer(layer).numpy().std(0)) * np.sqrt(SIZE) for layer in mix.layers]
    softmax = np.exp(mix.weights) / np.exp(mix.weights).sum()
    shares = mix.gamma * softmax * sizes
    assert shares == pytest.approx(mix.shares, abs=0.03)  # the deviations were those of the training part


def test_selectivity_tells_memory_from_knowledge(tagged: Probed) -> None:
    """Layer 0 knows word types, so it learns the control task; layer 1 does not."""
    zero, one = tagged.report.row(0), tagged.report.row(1)
    assert zero.control is not None and one.control is not None
    assert zero.control > 0.68 > 0.6 > one.control
    assert one.selectivity == pytest.approx(one.scores["accuracy"].value - one.control)
    assert one.selectivity is not None and zero.selectivity is not None and one.selectivity > zero.selectivity


def test_the_best_layer_has_the_shortest_code(tagged: Probed) -> None:
    lengths = {row.feature: row.code_length for row in tagged.report.table}
    assert min((0, 1, 2), key=lambda layer: lengths[layer] or 0) == 1
    assert tagged.report.row(1).compression > 2 > tagged.report.row(2).compression


def test_the_report_is_whole(tagged: Probed) -> None:
    report = tagged.report
    assert report.folds == 5 and report.parts[2].rows == sum(report.classes.values())
    assert sum(map(sum, report.confusion)) == report.parts[2].rows
    assert report.majority["accuracy"] < 0.6
    assert (
        all(example.best == example.label != example.last for example in report.examples) and report.examples
    )
    assert all(example.surface in example.context.split() for example in report.examples)
    json.dumps(report.to_dict())
    said = " ".join(verdict(report))
    assert said.startswith("Layer 1 is best") and "ahead of the last (layer 2)" in said
    rows = rows_of(report)
    assert rows[-1]["feature"] == "majority" and len(rows) == 7


def test_same_seed_same_report(words: Store, tagged: Probed) -> None:
    again = probe(words, "tag", codelength=True)
    one, two = asdict(tagged.report), asdict(again.report)
    for part in (one, two):
        part.pop("seconds")
    assert one == two


def test_texts_of_the_test_part_train_nothing(words: Store, tmp_path: Path) -> None:
    """With the labels of the test part shuffled, the trained probe is the same."""
    lines = words.units()
    text = lines["text_id"].to_numpy()
    split = np.array(["train", "dev", "test", "train", "train"])[text % 5]
    tags = np.array(lines["tag"].to_pylist())
    spoilt = tags.copy()
    spoilt[split == "test"] = "T0"
    spoilt[np.flatnonzero(split == "test")[0]] = "T1"
    weights = []
    for number, labels in enumerate((tags, spoilt)):
        kept = {
            "tag": [labels[text == one].tolist() for one in range(80)],
            "split": [split[text == one].tolist() for one in range(80)],
        }
        surfaces = [np.array(lines["unit"].to_pylist())[text == one].tolist() for one in range(80)]
        layers = {f"layer_{layer:02d}": words.layer(layer).numpy() for layer in range(3)}
        store = store_of(tmp_path / f"{number}.lance", surfaces, layers, kept)
        weights.append(probe(store, "tag", split="split").probe(1).weight)
    assert np.array_equal(*weights)


def test_a_saved_probe_scores_what_the_table_says(words: Store, tagged: Probed, tmp_path: Path) -> None:
    tagged.probe().save(tmp_path / "p.safetensors")
    loaded = LinearProbe.load(tmp_path / "p.safetensors")
    assert loaded.classes == ("T0", "T1", "T2") and loaded.document["layer"] == 1
    guesses = np.array(loaded.classes)[loaded(words.layer(1).numpy()).argmax(1)]
    right = guesses == np.array(words.units()["tag"].to_pylist())
    assert right.mean() == pytest.approx(tagged.report.row(1).scores["accuracy"].value, abs=0.04)


def test_a_probe_of_few_texts_has_scores_that_json_knows(tmp_path: Path) -> None:
    """Too few for an interval, whose ends are NaN."""
    draw = np.random.default_rng(0)
    layers = {f"layer_{layer:02d}": draw.normal(size=(40, 4)).astype(np.float32) for layer in range(2)}
    kept = {"tag": [["T0", "T1"][number % 2 :][:1] for number in range(40)]}
    store = store_of(tmp_path / "s.lance", [["w"]] * 40, layers, kept)
    document = probe(store, "tag", folds=1).probe(1).document
    assert json.loads(json.dumps(document, allow_nan=False))["scores"]["accuracy"] >= 0


def test_classes_of_texts(texts: Store) -> None:
    report = probe(texts, "label").report
    assert report.task == "classification" and report.best == 1
    assert report.classes == {"0": 75, "1": 75}
    assert [part.rows for part in report.parts] == [90, 30, 150]
    assert report.control == "" and any("control" in note for note in report.notes)
    assert report.row(0).control is None


def test_numbers_of_texts(texts: Store) -> None:
    report = probe(texts, "number").report
    assert report.task == "regression" and report.best == 1 and report.metrics == ("spearman", "r2")
    assert report.row(1).scores["r2"].value > 0.8
    assert report.row(0).scores["r2"].value < 0.2
    assert report.confusion == () and report.examples == ()


def test_a_large_concatenation_is_reduced_and_says_so(words: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mixtures, "CONCAT_VALUES", 400 * 40)
    monkeypatch.setattr(mixtures, "AXES_ROWS", 100)
    report = probe(words, "tag", control=False).report
    assert any("principal components" in note for note in report.notes)
    assert report.row("concat").scores["accuracy"].value > 0.9


def test_a_small_sample_still_teaches_the_mix(words: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mixtures, "SAMPLE_VALUES", 3 * SIZE * 100)
    mix = probe(words, "tag", control=False).report.scalar_mix
    assert mix is not None and mix.rows == 100 and np.argmax(mix.shares) == 1


def test_copies_of_a_text_stay_together(tmp_path: Path) -> None:
    """Vectors that only name the text: with copies in training it would be remembered."""
    random = np.random.default_rng(0)
    base = random.normal(size=(30, SIZE))
    copies = np.tile(np.arange(30), 4)
    labels = random.integers(0, 2, 30)[copies].tolist()
    store = store_of(
        tmp_path / "copies.lance",
        [[f"text {one}"] for one in copies],
        {"layer_00": base[copies]},
        {"label": labels},
        unit="text",
    )
    report = probe(store, "label").report
    assert [part.groups for part in report.parts] == [18, 6, 30]
    assert report.parts[2].rows == 120
    assert report.row(0).scores["accuracy"].value < 0.75  # remembered, it would be 1


def test_one_layer_alone(words: Store) -> None:
    report = probe(words, "tag", layers="1").report
    assert [row.feature for row in report.table] == [1]
    assert report.best_against_last is None and report.scalar_mix is None


def test_the_last_layer_is_the_models_or_the_last_probed(words: Store) -> None:
    below = probe(words, "tag", layers="0,1").report
    assert verdict(below)[1] == "It is the last probed layer."
    assert "ahead of the last (layer 2)" in verdict(probe(words, "tag", layers="1,2").report)[1]


def pairs(path: Path, kept: dict, count: int = 120) -> tuple[Store, np.ndarray, np.ndarray]:
    """Pairs of texts at text level; the more alike, the higher the score."""
    random = np.random.default_rng(1)
    score = random.uniform(0, 5, count)
    first = random.normal(size=(count, SIZE))
    other = random.normal(size=(count, SIZE))
    second = first * score[:, None] + other * (5 - score[:, None])
    rows = np.stack([first, second], axis=1).reshape(-1, SIZE)
    member = np.tile(np.array([0, 1], np.int8), count)
    noise = random.normal(size=rows.shape)
    store = store_of(
        path,
        [[f"a{one}", f"b{one}"] for one in range(count)],
        {"layer_00": noise, "layer_01": rows, "layer_02": rows + 0.5 * noise},
        {name: make(score) for name, make in kept.items()},
        unit="text",
        sequence_id=member,
    )
    return store, score, rows


def test_a_choice_on_rows_that_are_tested_is_allowed_for(texts: Store) -> None:
    """Development parts of five folds are test parts of others."""
    five, one = (probe(texts, "number", folds=folds, control=False).report for folds in (5, 1))
    assert any("flatter" in note for note in five.notes) and not any("flatter" in note for note in one.notes)
    against = five.best_against_last
    assert against is not None and (against.low + against.high) / 2 == pytest.approx(against.value)
    assert against.low > 0 and against.p < 0.05


def test_a_handful_of_groups_has_scores_but_no_intervals(tmp_path: Path) -> None:
    """Resamples of two groups hold the truth every other time."""
    author = [f"author {one // 2 % 6}" for one in range(150)]
    store = text_store(tmp_path / "t.lance", author=author)
    report = probe(store, "label", group="author", control=False).report
    for row in report.table:
        for score in row.scores.values():
            assert not np.isnan(score.value) and np.isnan([score.low, score.high]).all()
    assert report.best == report.enough == 1
    assert report.best_against_last is not None and np.isnan(report.best_against_last.p)
    assert any("6 groups only: too few for intervals" in note for note in report.notes)
    assert any("whether by chance cannot be said" in one for one in verdict(report))
    assert not any("nan" in one for one in verdict(report))


def test_a_constant_answer_has_no_rank_correlation_in_folds_either(texts: Store) -> None:
    report = probe(texts, "number", layers="1").report
    assert report.folds == 5 and np.isnan(report.majority["spearman"]) and report.majority["r2"] < 0.01


def test_an_interval_without_width_is_explained(tmp_path: Path) -> None:
    label = np.arange(60) % 2
    vectors = np.random.default_rng(0).normal(size=(60, SIZE))
    vectors += 5.0 * label[:, None]
    kept = {"label": label.tolist()}
    store = store_of(
        tmp_path / "t", [[f"t{one}"] for one in range(60)], {"layer_00": vectors}, kept, unit="text"
    )
    report = probe(store, "label").report
    assert report.row(0).scores["accuracy"].low == 1
    assert any("wrong in up to 5.0% of such groups" in note for note in report.notes)


@pytest.mark.parametrize("folds", [1, 5])
@pytest.mark.parametrize("label", ["label", "number"])
def test_labels_that_no_layer_knows_are_told(label: str, folds: int, tmp_path: Path) -> None:
    random = np.random.default_rng(2)
    drawn = {"label": random.integers(0, 2, 150).tolist(), "number": random.normal(size=150).tolist()}
    for path, own, guessed in (("known", {}, False), ("drawn", drawn, True)):
        found = probe(text_store(tmp_path / path, **own), label, folds=folds).report
        assert (found.beyond_guessing.low <= 0) == guessed
        assert any("It may be guessing" in sentence for sentence in verdict(found)) == guessed


def test_many_whole_numbers_may_be_names_and_are_told(texts: Store, tmp_path: Path) -> None:
    intents = [one % 25 for one in range(150)]
    store = text_store(tmp_path / "t.lance", intent=intents)
    notes = probe(store, "intent", layers="0").report.notes
    assert any("25 different whole ones" in note and "--task classification" in note for note in notes)
    for asked in (probe(store, "intent", layers="0", task="regression"), probe(texts, "number", layers="0")):
        assert not any("--task classification" in note for note in asked.report.notes)
