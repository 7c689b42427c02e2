"""Summaries and neighbours of whole stores."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from layerwise.errors import LayerSelectionError, UsageError
from layerwise.store.reader import Store, open_store
from layerwise.study.neighbours import neighbours
from layerwise.study.summary import summarise
from layerwise.types import Chunk
from tests.store.making import RUN, chunk, make, writer

WORDS = ["Sea", "ship", "sea", "land", "Land", "mud", "é", "void"]
POINTS = [[1, 0.1], [1, 0.5], [1, -0.1], [0.2, 1], [0.3, 1], [-1, 0], [0, -1], [np.nan, np.nan]]
COLUMNS = {"layer_00": 2}


def words(first: int = 0, **others) -> Chunk:
    part = chunk(first, [4, 0, 4], columns=COLUMNS, not_embedded=[7], **others)
    part.unit[:] = WORDS
    part.vectors["layer_00"][:] = POINTS
    return part


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return make(tmp_path_factory.mktemp("store") / "words.lance", [words()], columns=COLUMNS)


def cosine(a: list[float], b: list[float]) -> float:
    return float(np.dot(a, b) / np.linalg.norm(a) / np.linalg.norm(b))


def test_neighbours_of_the_mean_of_all_occurrences(store: Store) -> None:
    found = neighbours([store], "SEA", 0, k=3)
    assert [one.surface for one in found] == ["ship", "Land", "é"]  # each surface once, case apart
    assert found[0].cosine == pytest.approx(cosine([1, 0], POINTS[1]), abs=1e-6)
    assert found[1].cosine == pytest.approx(cosine([1, 0], POINTS[4]), abs=1e-6)
    assert [one.count for one in found] == [1, 2, 1]
    assert (found[1].text_id, found[1].unit_id, found[1].context) == (2, 0, "Land mud é void")
    assert (found[0].text_id, found[0].unit_id, found[0].context) == (0, 1, "Sea ship sea land")


def test_neighbours_of_one_occurrence(store: Store) -> None:
    found = neighbours([store], "sea", "-3", k=1, occurrence=(0, 2))
    assert found[0].cosine == pytest.approx(cosine(POINTS[2], POINTS[1]), abs=1e-6)
    with pytest.raises(UsageError, match=r"is not unit 1 of text 2 .*: it is at 0:0, 0:2 \(text:unit\)"):
        neighbours([store], "sea", 0, occurrence=(2, 1))


def test_words_are_found_whatever_their_normal_form(store: Store) -> None:
    for word in ("e\u0301", "É", "E\u0301"):
        found = neighbours([store], word, 0, k=9)
        assert {one.surface.casefold() for one in found} == {"sea", "ship", "land", "mud"}


def test_a_word_that_is_not_there(store: Store) -> None:
    with pytest.raises(UsageError, match=r"'shipp' is not a word of .*; similar ones are ship"):
        neighbours([store], "shipp", 0)
    with pytest.raises(UsageError, match="'void' got no token"):
        neighbours([store], "void", 0)
    with pytest.raises(UsageError, match="at least 1"):
        neighbours([store], "sea", 0, k=0)
    with pytest.raises(LayerSelectionError):
        neighbours([store], "sea", 1)


def test_across_stores_of_words_and_texts(store: Store, tmp_path: Path) -> None:
    texts = chunk(0, [1, 1], columns=COLUMNS)
    texts.unit[:] = ["a calm ocean", "a field"]
    texts.vectors["layer_00"][:] = [[1, 0.01], [0, 1]]
    other = make(tmp_path / "texts.lance", [texts], {**RUN, "unit": "text"}, columns=COLUMNS)
    found = neighbours([store, other], "sea", 0, k=2)
    assert [(one.surface, one.store) for one in found] == [
        ("a calm ocean", str(other.path)),
        ("ship", str(store.path)),
    ]
    foreign = make(tmp_path / "f", [texts], {**RUN, "unit": "text", "weights_sha256": "0"}, columns=COLUMNS)
    with pytest.raises(UsageError, match="made by different models"):
        neighbours([store, foreign], "sea", 0)


def test_summary(store: Store) -> None:
    summary = summarise(store)
    assert (summary.texts, summary.rows, summary.tokens, summary.not_embedded) == (3, 8, 14, 1)
    assert summary.complete and summary.bytes_per_layer == 8 * 2 * 4
    layer = summary.geometry["layer_00"]
    rows = np.array(POINTS[:7])
    assert layer.rows == 7 and layer.mean_norm == pytest.approx(np.linalg.norm(rows, axis=1).mean())
    assert summary.bytes_on_disk.keys() == set(store.dataset.schema.names)
    assert summary.bytes_on_disk["layer_00"] >= 7 * 2 * 4
    assert summary.bytes == sum(f.stat().st_size for f in store.path.rglob("*") if f.is_file())
    assert summary.to_dict()["geometry"]["layer_00"]["rows"] == 7


def test_summary_of_an_unfinished_and_of_an_empty_store(tmp_path: Path) -> None:
    with writer(tmp_path / "o", columns=COLUMNS) as out:
        out.append(words())
        out.commit()
    assert not summarise(open_store(tmp_path / "o")).complete
    empty = summarise(make(tmp_path / "e", [chunk(0, [0])]))
    assert empty.rows == 0 and empty.texts == 1 and empty.geometry["layer_01"].rows == 0
