"""Parts keep groups whole and are stratified; control labels depend on the word type alone."""

from __future__ import annotations

import numpy as np
import pytest

from layerwise.analysis.control import control_labels
from layerwise.analysis.split import CUT, DEVELOPMENT, TEST, TRAIN, draw_parts


def test_no_group_is_torn_apart() -> None:
    groups = np.repeat(np.arange(50), np.random.default_rng(0).integers(1, 30, 50))
    parts = draw_parts(groups, np.zeros(50, int), seed=1)
    assert all(len(set(parts[groups == group])) == 1 for group in range(50))


@pytest.mark.parametrize("groups", [5, 23, 100])
def test_shares_are_those_of_the_pattern(groups: int) -> None:
    parts = draw_parts(np.arange(groups), np.zeros(groups, int), seed=2)
    counts = np.bincount(parts, minlength=3)
    assert abs(counts[TRAIN] - 0.6 * groups) <= 2
    assert abs(counts[DEVELOPMENT] - 0.2 * groups) <= 1 and abs(counts[TEST] - 0.2 * groups) <= 1


def test_each_class_is_in_each_part() -> None:
    strata = np.repeat([0, 1, 2], [80, 10, 10])
    parts = draw_parts(np.arange(100), strata, seed=3)
    for stratum in range(3):
        assert set(parts[strata == stratum]) == {TRAIN, DEVELOPMENT, TEST}


def test_the_seed_decides() -> None:
    one, two = (draw_parts(np.arange(40), np.zeros(40, int), seed) for seed in (1, 2))
    assert (one == draw_parts(np.arange(40), np.zeros(40, int), 1)).all() and not (one == two).all()


def test_a_given_training_part_is_cut_in_two() -> None:
    parts = draw_parts(np.arange(50), np.zeros(50, int), 0, CUT)
    assert np.bincount(parts, minlength=3).tolist() == [40, 10, 0]


def test_control_labels_belong_to_types() -> None:
    random = np.random.default_rng(0)
    types, labels = random.integers(0, 300, 5_000), random.choice([0, 1, 2], 5_000, p=[0.7, 0.2, 0.1])
    control = control_labels(types, labels, seed=4)
    assert all(len(set(control[types == one])) == 1 for one in range(300))
    assert np.bincount(control) / 5_000 == pytest.approx([0.7, 0.2, 0.1], abs=0.1)
    assert np.corrcoef(control, labels)[0, 1] < 0.1
