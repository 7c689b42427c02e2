"""Neighbours and self-similarity against brute force."""

from __future__ import annotations

import numpy as np
import pytest

from layerwise.analysis.similarity import (
    mean_cosine,
    nearest,
    neighbour_overlap,
    recall,
    self_similarity,
)

RNG = np.random.default_rng(0)


def layers(rows: int = 60) -> list[np.ndarray]:
    first = RNG.normal(size=(rows, 7)) + 3
    second = first @ RNG.normal(size=(7, 11)) + RNG.normal(size=(rows, 11))
    return [first, second, RNG.normal(size=(rows, 5)) * 100]


def test_neighbours_and_their_overlap() -> None:
    x, y, _ = layers()
    found = []
    for data in (x, y):
        unit = data / np.linalg.norm(data, axis=1, keepdims=True)
        cosines = unit @ unit.T - 2 * np.eye(len(unit))
        found.append([set(row) for row in np.argsort(-cosines)[:, :10].tolist()])
    near = nearest(x), nearest(y)
    assert [set(row) for row in near[0].tolist()] == found[0]
    wanted = np.mean([len(a & b) / 10 for a, b in zip(*found, strict=True)])
    assert neighbour_overlap(*near) == pytest.approx(wanted)
    assert neighbour_overlap(near[0], near[0]) == 1


def test_neighbours_around_a_large_mean_are_those_of_float64() -> None:
    random = np.random.default_rng(3)
    x = (random.normal(size=(300, 24)) + 1000 * random.normal(size=24)).astype(np.float32)
    wide = x.astype(np.float64)
    unit = wide / np.linalg.norm(wide, axis=1, keepdims=True)
    apart = ((unit[:, None] - unit) ** 2).sum(2) + 9 * np.eye(300)
    assert neighbour_overlap(nearest(x), np.argsort(apart, axis=1)[:, :10]) > 0.999


@pytest.mark.parametrize("block", [7, 2_048])
def test_repeated_rows_have_the_same_neighbours_when_rotated(
    block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("layerwise.analysis.similarity.BLOCK", block)
    random = np.random.default_rng(4)
    rows = random.normal(size=(15, 32))[random.integers(0, 15, 400)]
    rotation = np.linalg.qr(random.normal(size=(32, 32)))[0]
    near = nearest(rows)
    assert neighbour_overlap(near, nearest((rows @ rotation).astype(np.float32))) == 1
    assert neighbour_overlap(near, nearest(2 * rows)) == 1
    assert not (near == np.arange(400)[:, None]).any()


def test_self_similarity_is_the_mean_over_words_of_pairwise_cosines() -> None:
    x, _, _ = layers(9)
    words = np.array([5, 5, 5, 2, 2, 7, 9, 9, 9])
    x[8] = np.nan
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    pairs = {5: [(0, 1), (0, 2), (1, 2)], 2: [(3, 4)], 9: [(6, 7)]}
    wanted = np.mean([np.mean([unit[a] @ unit[b] for a, b in places]) for places in pairs.values()])
    assert self_similarity(x, words) == pytest.approx(wanted)
    assert np.isnan(self_similarity(x[:3], np.arange(3)))
    assert mean_cosine(x[:2]) == pytest.approx(unit[0] @ unit[1])


def test_recall() -> None:
    found = np.random.default_rng(1).normal(size=(60, 8)).astype(np.float32)
    assert recall(found, found) == 1
    assert recall(found, -3 * found) == 1
    noise = recall(found, np.random.default_rng(2).normal(size=(60, 8)).astype(np.float32))
    assert noise is not None and 0.05 < noise < 0.35  # 10 of 59 by chance
    assert recall(found[:49], found[:49]) is None  # of 12 rows chance alone would keep 91 %


def test_a_mean_is_taken_off_in_float64() -> None:
    random = np.random.default_rng(5)
    x = (random.normal(size=(400, 16)) + 800).astype(np.float16)
    x[3] = np.nan
    wide = np.delete(x, 3, 0).astype(np.float64)
    middle = wide.mean(0)
    unit = (wide - middle) / np.linalg.norm(wide - middle, axis=1, keepdims=True)
    wanted = (unit @ unit.T).sum() - 399
    assert mean_cosine(x, middle) == pytest.approx(wanted / (399 * 398), abs=1e-12)
