"""Scores against scikit-learn and SciPy; scores of resamples against rows that are really repeated."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics

from layerwise.analysis import scores
from layerwise.analysis.probe import point
from layerwise.analysis.resampling import (
    in_blocks,
    interval,
    number_groups,
    of_the_chosen,
    resamples,
    two_sided,
)

RANDOM = np.random.default_rng(3)
LABELS = RANDOM.integers(0, 5, 400)
GUESSES = np.where(RANDOM.random(400) < 0.7, LABELS, RANDOM.integers(0, 6, 400))
VALUES = np.round(RANDOM.normal(size=400), 1)  # with ties
PREDICTED = np.round(VALUES + RANDOM.normal(size=400), 1)
GROUPS = np.sort(RANDOM.integers(0, 40, 400))

CLASSES = {
    scores.accuracy: metrics.accuracy_score,
    scores.macro_f1: lambda right, guess: metrics.f1_score(right, guess, average="macro", zero_division=0),
    scores.kappa: metrics.cohen_kappa_score,
}
NUMBERS = {
    scores.r_squared: metrics.r2_score,
    scores.spearman: lambda right, guess: stats.spearmanr(right, guess).statistic,
    scores.pearson: lambda right, guess: stats.pearsonr(right, guess).statistic,
}
CASES = [
    *((ours, theirs, LABELS, GUESSES) for ours, theirs in CLASSES.items()),
    *((ours, theirs, VALUES, PREDICTED) for ours, theirs in NUMBERS.items()),
]


@pytest.mark.parametrize(("ours", "theirs", "right", "guess"), CASES)
def test_the_score_is_the_usual_one(ours, theirs, right, guess) -> None:
    assert point(ours, right, guess) == pytest.approx(theirs(right, guess), abs=1e-5)


@pytest.mark.parametrize(("ours", "theirs", "right", "guess"), CASES)
def test_a_resample_is_scored_as_if_its_rows_were_repeated(ours, theirs, right, guess) -> None:
    groups = number_groups(GROUPS)
    counts = resamples(int(groups.max()) + 1, seed=1, rounds=60)
    found = in_blocks(ours(right, guess, groups), counts, block=7)
    for row, score in zip(counts[::20], found[::20], strict=True):
        again = np.repeat(np.arange(400), row[groups])
        assert score == pytest.approx(theirs(right[again], guess[again]), abs=1e-5)


def test_what_has_no_score_is_nan() -> None:
    constant = np.ones(10)
    assert np.isnan(point(scores.spearman, np.arange(10.0), constant))
    assert np.isnan(point(scores.pearson, constant, np.arange(10.0)))
    assert np.isnan(point(scores.r_squared, constant, np.arange(10.0)))


def test_kappa_of_nothing_beyond_guessing_is_0() -> None:
    assert point(scores.kappa, np.arange(10) % 2, np.ones(10, int)) == pytest.approx(0)
    assert point(scores.kappa, np.ones(10, int), np.ones(10, int)) == 0  # where scikit-learn divides 0 by 0


def test_confusion_counts_rows_by_label_and_answer() -> None:
    found = scores.confusion(LABELS, GUESSES, 6)
    assert (found == metrics.confusion_matrix(LABELS, GUESSES, labels=range(6))).all()


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    """Accuracy of 0.7 by groups of rows that are right or wrong together."""
    random, covered = np.random.default_rng(0), 0
    groups = np.repeat(np.arange(60), 5)
    counts = resamples(60, seed=2, rounds=400)
    for _ in range(200):
        right = (random.random(60) < 0.7)[groups].astype(int)
        low, high = interval(in_blocks(scores.accuracy(np.ones(300, int), right, groups), counts))
        covered += low <= 0.7 <= high
    assert 178 <= covered <= 200  # by rows instead of groups it would be about 110


def test_p_values() -> None:
    assert two_sided(np.full(999, 0.1)) == pytest.approx(0.002)
    assert two_sided(np.zeros(999)) == 1.0
    assert two_sided(np.linspace(-1, 1, 999)) == pytest.approx(1.0, abs=0.01)


def test_resamples_draw_as_many_groups_as_there_are() -> None:
    counts = resamples(37, seed=5, rounds=20)
    assert (counts.sum(1) == 37).all()
    assert (counts == resamples(37, seed=5, rounds=20)).all()
    assert not (counts == resamples(37, seed=6, rounds=20)).all()


def test_groups_are_numbered_by_their_first_row() -> None:
    assert number_groups(np.array([9, 9, -4, 7, -4])).tolist() == [0, 0, 1, 2, 1]


def test_the_best_of_many_is_seldom_taken_for_better_by_chance() -> None:
    """Thirteen layers that are equally good; the best of them against the last."""
    chosen, plain = [], []
    for seed in range(150):
        random = np.random.default_rng(seed)
        common = random.random(200) < 0.5
        right = np.where(random.random((13, 200)) < 0.5, common, random.random((13, 200)) < 0.7)
        groups, counts = np.arange(200), resamples(200, seed, 400)
        draws = np.stack(
            [in_blocks(scores.accuracy(np.ones(200, int), one.astype(int), groups), counts) for one in right]
        )
        values = right.mean(1)
        best = int(values[:-1].argmax())
        differences = draws[:-1] - draws[-1]
        chosen.append(of_the_chosen(differences, values[:-1] - values[-1], best)[2])
        plain.append(two_sided(differences[best]))
    assert np.mean(np.array(plain) < 0.05) > 0.1
    assert np.mean(np.array(chosen) < 0.05) < 0.09


def test_interval_and_p_of_the_chosen_agree() -> None:
    random = np.random.default_rng(0)
    for shift in (0.0, 2.0, 3.0, 6.0):
        values = np.array([shift, 0.5, -0.5])
        low, high, p = of_the_chosen(random.normal(size=(3, 999)) + values[:, None], values, 0)
        assert (low > 0) == (p < 0.05) or p == pytest.approx(0.05, abs=0.01)
        assert (low + high) / 2 == pytest.approx(shift)


def test_what_has_no_score_in_some_resample_has_no_p() -> None:
    draws = np.full((2, 9), 0.5)
    draws[0, 3] = np.nan
    assert np.isnan(two_sided(draws[0]))
    assert np.isnan(of_the_chosen(draws, np.array([0.5, 0.5]), 0)).all()
    assert not np.isnan(of_the_chosen(draws, np.array([0.5, 0.5]), 1)).any()


def test_values_that_do_not_vary_in_a_resample_have_no_r_squared() -> None:
    values = np.array([0.1, 0.1, 0.1, 7.3], np.float32)
    draws = scores.r_squared(values, np.zeros(4, np.float32), np.arange(4))(
        np.array([[1, 2, 3, 0], [1, 1, 1, 1]])
    )
    assert np.isnan(draws[0]) and draws[1] == pytest.approx(
        1 - (values**2).sum() / ((values - values.mean()) ** 2).sum()
    )
