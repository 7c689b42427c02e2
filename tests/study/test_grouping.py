"""Which rows stay together, on stores with copies, shared texts and reversed pairs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from layerwise.analysis.resampling import joined
from layerwise.store.reader import Store
from layerwise.study.labels import read_labels
from layerwise.study.parts import divide
from tests.study.labelled import SIZE, store_of


def pair_store(path: Path, pairs: list[tuple[str, str]], label: list[object]) -> Store:
    """A row for each text of each pair."""
    return store_of(
        path,
        [list(pair) for pair in pairs],
        {"layer_00": np.random.default_rng(0).normal(size=(2 * len(pairs), SIZE))},
        {"label": label},
        unit="text",
        sequence_id=np.tile(np.array([0, 1], np.int8), len(pairs)),
    )


def test_rows_tied_by_any_key_are_joined() -> None:
    random = np.random.default_rng(0)
    for keys in (5, 40, 200):
        first, second = random.integers(0, keys, (2, 60))
        ends = coo_array((np.ones(60), (first, second)), shape=(keys, keys))
        expected = connected_components(ends, directed=False)[1][first]
        found = joined(first, second)
        assert len(set(zip(found.tolist(), expected.tolist(), strict=True))) == len(set(expected.tolist()))


def test_pairs_that_share_a_text_are_not_torn_apart(tmp_path: Path) -> None:
    """A premise with three hypotheses, one of which also comes the other way round."""
    pairs = [(f"premise {one // 3}", f"hypothesis {one}") for one in range(90)]
    pairs += [(f"hypothesis {one}", f"premise {one // 3}") for one in range(0, 90, 9)]
    found = read_labels(pair_store(tmp_path / "p", pairs, ["a", "b"] * 50), "label", pair=True)
    assert len(found) == 100 and found.groups.max() + 1 == 30
    assert (found.groups[:90] == np.arange(90) // 3).all()
    assert (found.groups[90:] == np.arange(0, 90, 9) // 3).all()


def test_the_same_two_texts_are_one_group_in_either_order(tmp_path: Path) -> None:
    """As are pairs that share a text, unless that ties too many of them."""
    pairs = [("a", "b"), ("c", "d"), ("b", "a"), ("a", "c")] + [(f"{one}", f"{one}'") for one in range(20)]
    numbers: list[object] = [0.5 * one for one in range(24)]
    found = read_labels(pair_store(tmp_path / "p", pairs, numbers), "label", pair=True)
    assert found.groups[:5].tolist() == [0, 0, 0, 0, 1]
    pairs += [("a", f"{one}''") for one in range(20)]
    found = read_labels(pair_store(tmp_path / "q", pairs, [*numbers, *numbers[:20]]), "label", pair=True)
    assert found.groups[:4].tolist() == [0, 1, 0, 2]
    assert any("intervals are too narrow" in note and "55%" in note for note in found.notes)


def test_copies_that_are_most_of_the_rows_do_not_tie_them(tmp_path: Path) -> None:
    texts = [["ok"] if one % 3 else [f"text {one}"] for one in range(90)]
    vectors = {"layer_00": np.random.default_rng(0).normal(size=(90, SIZE))}
    found = read_labels(
        store_of(tmp_path / "t", texts, vectors, {"label": [0, 1] * 45}, unit="text"), "label"
    )
    assert found.groups.max() + 1 == 90
    assert any("Copies of a text" in note and "67%" in note for note in found.notes)


def test_rows_without_a_group_are_none(tmp_path: Path) -> None:
    texts = [[f"text {one}"] for one in range(40)]
    author = [None if one % 2 else f"author {one // 8}" for one in range(40)]
    vectors = {"layer_00": np.random.default_rng(0).normal(size=(40, SIZE))}
    kept = {"label": [0, 0, 1, 1] * 10, "author": author}
    found = read_labels(store_of(tmp_path / "t", texts, vectors, kept, unit="text"), "label", group="author")
    assert found.groups.max() + 1 == 20 + 5


def test_texts_that_tie_everything_together_do_not_decide(tmp_path: Path) -> None:
    pairs = [("the same question", f"answer {one}") for one in range(60)]
    found = read_labels(pair_store(tmp_path / "p", pairs, ["a", "b", "c"] * 20), "label", pair=True)
    assert found.groups.max() + 1 == 60
    assert any("share a text" in note and "100% of the rows" in note for note in found.notes)


def test_a_group_column_does_not_tear_copies_apart(tmp_path: Path) -> None:
    texts = [[f"text {one}"] for one in range(100)]
    texts[7] = texts[93] = ["said twice"]
    author = [f"author {one // 5}" for one in range(100)]
    vectors = {"layer_00": np.random.default_rng(0).normal(size=(100, SIZE))}
    store = store_of(tmp_path / "t", texts, vectors, {"label": [0, 1] * 50, "author": author}, unit="text")
    found = read_labels(store, "label", group="author")
    assert found.groups[5] == found.groups[7] == found.groups[93] == found.groups[90]
    assert found.groups.max() + 1 == 19


def test_a_group_column_that_differs_within_a_text_does_not_tear_it_apart(tmp_path: Path) -> None:
    texts = [[f"w{one}", f"v{one}", f"u{one}"] for one in range(40)]
    vectors = {"layer_00": np.random.default_rng(0).normal(size=(120, SIZE))}
    kept = {"tag": [["A", "B", "A"]] * 40, "shape": [[f"s{one}", f"s{one}", f"z{one}"] for one in range(40)]}
    found = read_labels(store_of(tmp_path / "t", texts, vectors, kept), "tag", group="shape")
    assert (found.groups == np.arange(120) // 3).all()


def test_rows_without_a_label_do_not_count_as_groups(tmp_path: Path) -> None:
    """Ten labelled texts among a thousand are divided evenly, and in five folds."""
    labels: list[object] = [None] * 1_000
    for place, one in enumerate(range(3, 1_000, 100)):
        labels[one] = "ab"[place % 2]
    vectors = {"layer_00": np.random.default_rng(0).normal(size=(1_000, SIZE))}
    store = store_of(
        tmp_path / "t", [[f"t{one}"] for one in range(1_000)], vectors, {"label": labels}, unit="text"
    )
    found = read_labels(store, "label", skip_missing=True)
    divisions, _ = divide(store, found, None, 0)
    assert len(divisions) == 5 and all(np.bincount(parts).tolist() == [6, 2, 2] for parts in divisions)


def test_one_copy_does_not_end_stratification(tmp_path: Path) -> None:
    texts = [[f"text {one}"] for one in range(100)]
    texts[40] = texts[30]
    label = ["rare" if one % 10 == 0 else "usual" for one in range(100)]
    vectors = {"layer_00": np.random.default_rng(0).normal(size=(100, SIZE))}
    store = store_of(tmp_path / "t", texts, vectors, {"label": label}, unit="text")
    divisions, _ = divide(store, read_labels(store, "label"), None, 0)
    found = read_labels(store, "label")
    rare = found.labels == found.classes.index("rare")
    assert all(1 <= (parts[rare] == 2).sum() <= 3 for parts in divisions)
