"""Labels that cannot be probed get one clear sentence; others are read for what they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from layerwise.analysis.control import control_labels
from layerwise.analysis.label_codes import as_classes, as_numbers, is_quantity
from layerwise.errors import LabelError, LayerwiseError, UsageError
from layerwise.reports.verdict import verdict
from layerwise.study.labels import read_labels
from layerwise.study.parts import divide
from layerwise.study.probing import probe
from tests.study.labelled import SIZE, store_of, text_store, word_store


def objects(*values: object) -> np.ndarray:
    array = np.empty(len(values), object)
    array[:] = values
    return array


@pytest.mark.parametrize(
    ("labels", "quantity"),
    [
        (["pos", "neg"], False),
        (["0", "1", "0"], False),
        ([0, 1, 2], False),
        ([0.0, 1.0], False),
        ([True, False], False),
        (["3.8", "5.000", "0.2"], True),
        ([3.8, 5.0], True),
        (list(range(21)), True),
        ([str(one) for one in range(30)], True),
        (["1", "two"], False),
    ],
)
def test_what_is_a_quantity(labels: list[object], quantity: bool) -> None:
    assert is_quantity(objects(*labels)) is quantity


def test_classes_are_in_natural_order() -> None:
    codes, classes = as_classes(objects("B-10", "B-2", "A", "B-2"), "tag")
    assert classes == ("A", "B-2", "B-10") and codes.tolist() == [2, 1, 0, 1]


def test_numbers_may_be_strings() -> None:
    assert as_numbers(objects("1.5", 2), "x").tolist() == [1.5, 2.0]
    with pytest.raises(LabelError, match="'many'.*no number"):
        as_numbers(objects("1.5", "many"), "x")


BAD_TEXTS = [
    ({"label": ["a"] * 150}, {}, LabelError, "constant"),
    ({"label": [1.5] * 150}, {"task": "regression"}, LabelError, "constant"),
    ({"label": ["a", "b"] * 74 + ["c", "a"]}, {}, LabelError, "'c'.*--min-count 2"),
    ({"label": ["a", None] * 75}, {}, LabelError, "75 of 150 rows.*--skip-missing"),
    ({"label": [0.5, float("nan")] * 75}, {}, LabelError, "no label"),
    ({"label": [None] * 150}, {}, LabelError, "nothing to probe"),
    ({"label": [["a"], ["b"]] * 75}, {}, LabelError, "--unit word"),
    ({"label": ["a", "b"] * 75}, {"task": "regression"}, LabelError, "no number"),
    ({"label": ["a", "b"] * 75}, {"task": "guess"}, UsageError, "classification, regression"),
    ({"label": ["a", "b"] * 75}, {"group": "author"}, UsageError, "no column 'author'.*--keep author"),
    ({"label": ["a", "b"] * 75}, {"split": "fold"}, UsageError, "no column 'fold'"),
    (
        {"label": ["a", "b"] * 75},
        {"group": "unit"},
        UsageError,
        "'unit' is a column that layerwise made.*label",
    ),
    ({"label": ["a", "b"] * 75, "split": ["train"] * 150}, {"split": "split"}, LabelError, "no test part"),
    ({"label": ["a", "b"] * 75, "split": ["3"] * 150}, {"split": "split"}, LabelError, "names no part"),
    (
        {"label": ["a", "b"] * 75, "split": ["train"] * 100 + ["test", "dev"] * 25},
        {"split": "split"},
        LabelError,
        "one label only",
    ),
    ({"label": ["a", "b"] * 75}, {"strengths": (0.0,)}, UsageError, r"from 1e-06 to 1e\+06"),
    ({"label": ["a", "b"] * 75}, {"seed": -1}, UsageError, "seed"),
    ({"label": [0.5, 1.5] * 75}, {"codelength": True}, UsageError, "codelength"),
]


@pytest.mark.parametrize(("kept", "options", "error", "said"), BAD_TEXTS)
def test_bad_labels_get_one_sentence(
    kept: dict, options: dict, error: type[LayerwiseError], said: str, tmp_path: Path
) -> None:
    store = text_store(tmp_path / "t.lance", **kept)
    with pytest.raises(error, match=said) as caught:
        probe(store, "label", **options)
    assert "\n" not in str(caught.value) and str(caught.value).endswith((".", ")"))


def test_a_missing_column_is_named_with_those_there_are(tmp_path: Path) -> None:
    store = text_store(tmp_path / "t.lance")
    with pytest.raises(UsageError, match=r"no column 'upos': it has label, number; .*--keep upos"):
        probe(store, "upos")


def test_too_few_texts_to_divide(tmp_path: Path) -> None:
    store = word_store(tmp_path / "w.lance", texts=3)
    with pytest.raises(LabelError, match="no test part is left: 3 groups .* cannot be divided"):
        probe(store, "tag")


def test_rare_classes_are_left_out_when_asked(tmp_path: Path) -> None:
    store = text_store(tmp_path / "t.lance", label=["a", "b"] * 74 + ["c", "d"])
    report = probe(store, "label", min_count=2).report
    assert list(report.classes) == ["a", "b"]
    assert any("2 rows of 2 rare classes" in note for note in report.notes)


def test_missing_labels_are_left_out_when_asked(tmp_path: Path) -> None:
    store = text_store(tmp_path / "t.lance", label=["a", "b", None] * 50)
    report = probe(store, "label", skip_missing=True).report
    assert sum(report.classes.values()) == 100
    assert any("50 rows without a label" in note for note in report.notes)


def test_rows_without_a_vector_are_left_out(tmp_path: Path) -> None:
    embedded = np.arange(150) % 10 != 3
    vectors = np.random.default_rng(0).normal(size=(150, SIZE))
    vectors[~embedded] = np.nan
    store = store_of(
        tmp_path / "t.lance",
        [[f"t{one}"] for one in range(150)],
        {"layer_00": vectors},
        {"label": ["a", "b"] * 75},
        unit="text",
        embedded=embedded,
    )
    report = probe(store, "label").report
    assert report.parts[2].rows == 135
    assert np.isfinite(report.row(0).scores["accuracy"].value)


def test_a_constant_dimension_and_a_constant_layer_make_no_nan(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    vectors = random.normal(size=(150, SIZE))
    vectors[:, 3] = 0.7
    store = store_of(
        tmp_path / "t.lance",
        [[f"t{one}"] for one in range(150)],
        {"layer_00": np.ones((150, SIZE)), "layer_01": vectors},
        {"label": ["a", "b"] * 75},
        unit="text",
    )
    report = probe(store, "label").report
    for row in report.table:
        assert all(np.isfinite([s.value, s.low, s.high]).all() for s in row.scores.values())
    assert report.row(0).scores["accuracy"].value == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize(
    "spelling",
    [
        "train dev test",
        "TRAIN validation Test",
        "a-ud-train.conllu a-ud-dev.conllu a-ud-test.conllu",
        "eng.train eng.testa eng.testb",
    ],
)
def test_given_parts_are_understood(spelling: str, tmp_path: Path) -> None:
    store = text_store(tmp_path / "t.lance", split=[spelling.split()[one % 3] for one in range(150)])
    (parts, *_), _ = divide(store, read_labels(store, "label"), "split", 0)
    assert (parts == np.arange(150) % 3).all()


def test_a_missing_development_part_is_cut_from_training(tmp_path: Path) -> None:
    store = text_store(tmp_path / "t.lance", split=["train"] * 100 + ["test"] * 50)
    (parts,), notes = divide(store, read_labels(store, "label"), "split", 0)
    assert np.bincount(parts).tolist() == [80, 20, 50] and (parts[100:] == 2).all()
    assert any("no development part" in note for note in notes)


def test_a_missing_test_part_is_the_development_part(tmp_path: Path) -> None:
    """GLUE's test parts have no labels, so its development parts are tested on."""
    label = [*["a", "b"] * 60, *[None] * 30]
    split = ["train"] * 80 + ["dev"] * 40 + ["test"] * 30
    store = text_store(tmp_path / "t.lance", label=label, split=split)
    (parts,), notes = divide(store, read_labels(store, "label", skip_missing=True), "split", 0)
    assert np.bincount(parts).tolist() == [64, 16, 40] and (parts[80:] == 2).all()
    assert any("no test part" in note for note in notes) and any("a fifth" in note for note in notes)


def test_leaks_of_a_given_split_are_told(tmp_path: Path) -> None:
    store = store_of(
        tmp_path / "t.lance",
        [[f"t{one % 140}"] for one in range(150)],
        {"layer_00": np.random.default_rng(0).normal(size=(150, SIZE))},
        {"label": ["a", "b"] * 75, "split": (["train"] * 100 + ["dev"] * 40) + ["test"] * 10},
        unit="text",
    )
    _, notes = divide(store, read_labels(store, "label"), "split", 0)
    assert any("10 groups" in note and "test part also occur" in note for note in notes)
    assert not any("development part also" in note for note in notes)


def test_minus_one_in_the_place_of_labels_is_no_class(tmp_path: Path) -> None:
    """As the Hub's copies of GLUE have it in the test part."""
    label = [*[0, 1] * 60, *[-1] * 30]
    store = text_store(tmp_path / "t.lance", label=label)
    with pytest.raises(LabelError, match=r"30 rows, all in one run, have the label -1 .* --missing-label -1"):
        read_labels(store, "label")
    found = read_labels(store, "label", missing_label="-1")
    assert len(found) == 120 and found.classes == ("0", "1")
    assert any("30 rows with the label '-1' left out" in note for note in found.notes)
    with pytest.raises(UsageError, match="no row has the label '7'"):
        read_labels(store, "label", missing_label="7")


@pytest.mark.parametrize(
    "label", [[-1, 0, 1] * 50, [-1] * 50 + [0] * 50 + [1] * 50, [-1] * 50 + [-2, 3] * 50]
)
def test_minus_one_among_others_is_a_class(label: list[object], tmp_path: Path) -> None:
    found = read_labels(text_store(tmp_path / "t.lance", label=label), "label")
    assert len(found) == 150 and "-1" in found.classes


def test_classes_with_few_test_rows_are_told(tmp_path: Path) -> None:
    store = text_store(
        tmp_path / "t.lance", label=["rare" if one % 30 == 0 else "ab"[one % 2] for one in range(150)]
    )
    _, notes = divide(store, read_labels(store, "label"), None, 0)
    assert any(note.startswith("1 class with fewer than 10 test rows") for note in notes)


def test_a_sample_takes_what_fits_and_forgets_classes_that_are_not_drawn(tmp_path: Path) -> None:
    texts = [[f"long {one}"] * 200 for one in range(3)] + [[f"short {one}"] * 2 for one in range(50)]
    label = [["long"] * 200] * 3 + [["a", "b"]] * 50
    rows = np.random.default_rng(0).normal(size=(700, SIZE))
    store = store_of(tmp_path / "w.lance", texts, {"layer_00": rows}, {"label": label})
    whole = read_labels(store, "label")
    for seed in range(5):
        some = whole.sample(150, seed)
        assert len(some) == 100 and some.classes == ("a", "b") and set(some.labels.tolist()) == {0, 1}


def test_the_control_task_does_not_depend_on_the_order_of_rows() -> None:
    types, labels = np.array([2, 0, 1, 0, 2]), np.array([1, 0, 1, 0, 2])
    order = np.array([4, 2, 0, 1, 3])
    drawn = control_labels(types, labels, 0)
    assert (control_labels(types[order], labels[order], 0) == drawn[order]).all()


def test_large_numbers_keep_what_they_differ_by(tmp_path: Path) -> None:
    """Seconds since 1970 are all one number in float32."""
    number = np.random.default_rng(0).normal(size=150)
    plain = text_store(tmp_path / "a.lance", number=number.tolist())
    dates = text_store(tmp_path / "b.lance", number=(1.7e9 + 60 * number).tolist())
    one, other = (probe(store, "number") for store in (plain, dates))
    for metric in ("spearman", "r2"):
        expected = one.report.row(1).scores[metric].value
        assert other.report.row(1).scores[metric].value == pytest.approx(expected, abs=1e-3)
    found = other.probe(1)(dates.layer(1).numpy())
    assert np.abs(found / 1.7e9 - 1).max() < 1e-6


def test_a_list_is_no_group_and_no_part(tmp_path: Path) -> None:
    store = text_store(tmp_path / "t.lance", several=[["a", "b"]] * 150)
    for options in ({"group": "several"}, {"split": "several"}):
        with pytest.raises(LabelError, match="not one value a row"):
            probe(store, "label", **options)


def test_names_of_many_digits_are_classes() -> None:
    codes, classes = as_classes(objects("9" * 5_000, "10", "2", "02"), "x")
    assert classes[-1] == "9" * 5_000 and classes[-2] == "10" and codes[0] == 3


def test_a_constant_layer_orders_no_numbers(tmp_path: Path) -> None:
    """Its probes answer the mean of each fold, and these differ."""
    random = np.random.default_rng(0)
    vectors = random.normal(size=(150, SIZE))
    kept = {"number": (vectors[:, 0] + random.normal(size=150)).tolist()}
    layers = {"layer_00": vectors, "layer_01": np.ones((150, SIZE))}
    store = store_of(tmp_path / "t.lance", [[f"t{n}"] for n in range(150)], layers, kept, unit="text")
    report = probe(store, "number").report
    assert report.best == 0 and np.isnan(report.row(1).scores["spearman"].value)
    assert verdict(report)[1] == "The last probed (layer 1) has no score."
    with pytest.raises(LabelError, match="no layer has a score"):
        probe(store, "number", layers=1)


def test_layers_are_compared_by_depth_whatever_their_order(tmp_path: Path) -> None:
    report = probe(text_store(tmp_path / "t.lance"), "label", layers="2,0,1").report
    assert [row.feature for row in report.table][:3] == [0, 1, 2] and report.last == 2


def test_a_handful_of_numbers_is_not_ranked(tmp_path: Path) -> None:
    store = text_store(tmp_path / "t.lance", texts=20)
    with pytest.raises(LabelError, match="4 rows, and a rank correlation"):
        probe(store, "number")


def test_groups_of_a_column_stay_together(tmp_path: Path) -> None:
    author = [f"author {one // 5}" for one in range(150)]
    store = text_store(tmp_path / "t.lance", author=author)
    found = read_labels(store, "label", group="author")
    (parts, *_), _ = divide(store, found, None, 0)
    assert all(len(set(parts[np.array(author) == one])) == 1 for one in author)


def test_a_sample_is_of_whole_groups(tmp_path: Path) -> None:
    store = word_store(tmp_path / "w.lance")
    whole = read_labels(store, "tag")
    some = whole.sample(150, seed=3)
    assert 100 < len(some) <= 150
    chosen = np.isin(whole.rows, some.rows)
    assert not set(whole.groups[chosen]) & set(whole.groups[~chosen])
    report = probe(store, "tag", rows=150, control=False).report
    assert sum(report.classes.values()) <= 150 and any("A sample of" in note for note in report.notes)
    assert whole.sample(10_000, seed=3) is whole
