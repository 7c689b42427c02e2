"""Pairs of texts: cosine against scores, probes against classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from layerwise.errors import LabelError, UsageError
from layerwise.study.probing import probe
from tests.study.labelled import text_store
from tests.study.test_probing import pairs

KEPT = {
    "score": lambda score: [f"{one:.2f}" for one in score],
    "same": lambda score: [bool(one > 2.5) for one in score],
    "split": lambda score: [("train", "dev", "test")[one % 3] for one in range(len(score))],
}


def cosine(rows: np.ndarray) -> np.ndarray:
    first, second = rows[::2], rows[1::2]
    return (first * second).sum(1) / np.linalg.norm(first, axis=1) / np.linalg.norm(second, axis=1)


def test_cosines_are_scored_on_all_pairs_without_training(tmp_path: Path) -> None:
    store, score, rows = pairs(tmp_path / "pairs.lance", KEPT)
    report = probe(store, "score", pair=True).report
    assert (report.task, report.metrics) == ("similarity", ("spearman", "pearson"))
    rounded = np.round(score, 2)
    expected = stats.spearmanr(cosine(rows), rounded)
    assert report.row(1).scores["spearman"].value == pytest.approx(expected.statistic, abs=1e-4)
    assert report.row(1).scores["pearson"].value == pytest.approx(
        stats.pearsonr(cosine(rows), rounded).statistic, abs=1e-4
    )
    assert report.best == 1 and report.parts[0].rows == 120 and len(report.parts) == 1
    assert abs(report.row(0).scores["spearman"].value) < 0.3


def test_mean_and_concatenation_of_layers(tmp_path: Path) -> None:
    store, score, _ = pairs(tmp_path / "pairs.lance", KEPT)
    report = probe(store, "score", pair=True).report
    layers = np.stack([store.layer(layer).numpy() for layer in range(3)])
    for name, rows in (("mean", layers.mean(0)), ("concat", np.concatenate(list(layers), axis=1))):
        expected = stats.spearmanr(cosine(rows), np.round(score, 2)).statistic
        assert report.row(name).scores["spearman"].value == pytest.approx(expected, abs=1e-4)


def test_a_given_split_is_honoured(tmp_path: Path) -> None:
    store, score, rows = pairs(tmp_path / "pairs.lance", KEPT)
    report = probe(store, "score", pair=True, split="split").report
    assert [part.rows for part in report.parts] == [40, 40, 40]
    expected = stats.spearmanr(cosine(rows)[2::3], np.round(score, 2)[2::3]).statistic
    assert report.row(1).scores["spearman"].value == pytest.approx(expected, abs=1e-4)


def test_classes_of_pairs_are_probed_on_difference_and_product(tmp_path: Path) -> None:
    store, _, _ = pairs(tmp_path / "pairs.lance", KEPT, count=400)
    found = probe(store, "same", pair=True)
    assert found.report.task == "classification" and sum(found.report.classes.values()) == 400
    assert found.report.row(1).scores["accuracy"].value > 0.7
    assert [row.feature for row in found.report.table] == [0, 1, 2, "mean", "concat", "scalar"]
    with pytest.raises(UsageError, match="no trained probe"):
        found.probe()


def test_pairs_are_asked_for_where_there_are_none(tmp_path: Path) -> None:
    store = text_store(tmp_path / "texts.lance")
    with pytest.raises(UsageError, match="--pairs separate"):
        probe(store, "number", pair=True)


def test_pairs_that_are_probed_one_text_at_a_time_are_told(tmp_path: Path) -> None:
    store, _, _ = pairs(tmp_path / "pairs.lance", KEPT)
    notes = probe(store, "score", layers="1").report.notes
    assert any("single texts of pairs" in note and "--pair" in note for note in notes)
    assert not any("--pair" in note for note in probe(store, "score", pair=True).report.notes)


def test_a_handful_of_pairs_has_no_score(tmp_path: Path) -> None:
    store, _, _ = pairs(tmp_path / "pairs.lance", KEPT, count=4)
    with pytest.raises(LabelError, match="4 pairs are left.*at least 5"):
        probe(store, "score", pair=True)
    store, _, _ = pairs(tmp_path / "more.lance", KEPT, count=12)
    assert any("12 pairs only" in note for note in probe(store, "score", pair=True).report.notes)
