"""Kept columns: their types, and the element that belongs to a word."""

from __future__ import annotations

import datetime
import decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from layerwise.errors import SourceError
from layerwise.store.reader import open_store
from tests.store.making import RUN, chunk, make, writer


def kept(tmp_path: Path, unit: str, *values: list, **others) -> tuple[str, list]:
    """The type and the rows of a kept column whose values come in these chunks (one row a text)."""
    run = {**RUN, "unit": unit}
    with writer(tmp_path / "o", run) as out:
        for number, part in enumerate(values):
            first = sum(map(len, values[:number]))
            out.append(chunk(first, [1] * len(part), kept={"k": part}, **others))
        out.finish()
    column = open_store(tmp_path / "o").units()["k"]
    return str(column.type), column.to_pylist()


DAY = datetime.date(2020, 2, 29)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([[1, None], [2]], ("int64", [1, None, 2])),
        ([[0.5], [2]], ("double", [0.5, 2.0])),
        ([[True], [False]], ("bool", [True, False])),
        ([["a"], [3, True, {"b": 1}]], ("string", ["a", "3", "true", '{"b": 1}'])),
        ([[None], ["a", 1]], ("string", [None, "a", "1"])),
        ([[1, "a"]], ("string", ["1", "a"])),
        ([[DAY]], ("date32[day]", [DAY])),
        ([[{"a": 1}], [{"b": "我"}]], ("string", ['{"a": 1}', '{"b": "我"}'])),
        ([[["a", "b"], []], [None, [1]]], ("list<item: string>", [["a", "b"], [], None, ["1"]])),
        ([[[]], [["a"]]], ("list<item: string>", [[], ["a"]])),
        ([[[1, 2]]], ("list<item: int64>", [[1, 2]])),
        ([[[[1], []]]], ("string", ["[[1], []]"])),
        ([[2**70]], ("string", [str(2**70)])),
    ],
)
def test_types_at_text_level(tmp_path: Path, values: list, expected: tuple) -> None:
    assert kept(tmp_path, "text", *values) == expected


@pytest.mark.parametrize("later", [[1.5], ["a"], [True], [[1]], [2**70]])
def test_what_does_not_fit_is_refused(tmp_path: Path, later: list) -> None:
    with pytest.raises(SourceError, match="the column 'k' holds int64 at first"):
        kept(tmp_path, "text", [1], later)


@pytest.mark.parametrize(
    ("first", "later"),
    [
        ([[1, 0]], [[0.7, 0.3]]),
        ([0.5], [True]),
        ([0.5], [2**53 + 1]),
        ([datetime.date(2020, 1, 1)], [datetime.datetime(2020, 1, 1, 12)]),
    ],
)
def test_what_would_lose_something_is_refused(tmp_path: Path, first: list, later: list) -> None:
    with pytest.raises(SourceError, match="one type in the source, and extract again with --overwrite"):
        kept(tmp_path, "text", first, later)


def test_types_that_the_source_declares(tmp_path: Path) -> None:
    declared = {
        "a": pa.int32(),
        "b": pa.list_(pa.int16()),
        "c": pa.date32(),
        "d": pa.large_string(),
        "e": pa.dictionary(pa.int8(), pa.large_string()),
        "f": pa.float32(),
        "g": pa.struct([("x", pa.int8())]),
    }
    values = {name: [None] for name in declared}
    with writer(tmp_path / "o", {**RUN, "unit": "text"}, kept=declared) as out:
        out.append(chunk(0, [1], kept=values))
        out.append(chunk(1, [1], kept={**values, "a": [3], "b": [[4]], "f": [0.5], "g": [{"x": 1}]}))
        out.finish()
    units = open_store(tmp_path / "o").units()
    assert [str(units.schema.field(name).type) for name in declared] == [
        *("int64", "list<item: int64>", "date32[day]", "string", "string", "double", "string")
    ]
    assert [units[name][1].as_py() for name in "abfg"] == [3, [4], 0.5, '{"x": 1}']


def test_decimals_of_any_length(tmp_path: Path) -> None:
    small, large = decimal.Decimal("1.50"), decimal.Decimal("12345678.25")
    assert kept(tmp_path, "text", [small], [large, None]) == ("decimal128(38, 2)", [small, large, None])


def test_nan_and_times_of_day(tmp_path: Path) -> None:
    _, values = kept(tmp_path / "a", "text", [1.0, float("nan")], [3])
    assert np.isnan(values[1]) and values[2] == 3.0
    assert kept(tmp_path / "b", "text", [datetime.time(1, 2)]) == ("string", ["01:02:00"])


def test_each_word_gets_its_own(tmp_path: Path) -> None:
    part = chunk(0, [3, 2, 1], kept={"pos": [["A", "B", "C"], ["D"], "whole"], "n": [[1, 2, 3], [4, 5], 6]})
    store = make(tmp_path / "o", [part])
    assert store.units()["pos"].to_pylist() == ["A", "B", "C", "D", None, "whole"]
    assert store.units()["n"].to_pylist() == [1, 2, 3, 4, 5, 6]
    assert store.text(1).kept == {"pos": ["D", None], "n": [4, 5]}


def test_each_token_gets_its_words(tmp_path: Path) -> None:
    words = np.array([0, 0, 1, -1], np.int32)
    part = chunk(0, [4], word_id=words, kept={"pos": [["A", "B"]]})
    store = make(tmp_path / "o", [part], {**RUN, "unit": "token"})
    assert store.units()["pos"].to_pylist() == ["A", "A", "B", None]


def test_words_of_the_second_text_have_none(tmp_path: Path) -> None:
    members = np.array([0, 0, 1], np.int8)
    part = chunk(0, [3], sequence_id=members, kept={"pos": [["A", "B", "C"]], "label": ["yes"]})
    store = make(tmp_path / "o", [part], pairs=True)
    assert store.units()["pos"].to_pylist() == ["A", "B", None]
    assert store.units()["label"].to_pylist() == ["yes"] * 3


def test_a_part_without_the_column_is_null(tmp_path: Path) -> None:
    store = make(tmp_path / "o", [chunk(0, [1], kept={"k": [1]}), chunk(1, [1])])
    assert store.units()["k"].to_pylist() == [1, None]


@pytest.mark.parametrize("name", ["unit", "text_id", "layer_03", "id"])
def test_names_of_the_store_are_taken(tmp_path: Path, name: str) -> None:
    with writer(tmp_path / "o") as out, pytest.raises(SourceError, match=f"{name}' cannot be kept"):
        out.append(chunk(0, [1], kept={name: [1]}))


def test_a_text_that_would_be_kept_once_a_row_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("layerwise.store.kept.MOST_BYTES", 1000)
    run = {**RUN, "unit": "word"}
    with writer(tmp_path / "o", run) as out:
        out.append(chunk(0, [3, 30], kept={"k": ["x" * 30, "我"]}))
        with pytest.raises(
            SourceError, match="'k' would be kept once a word, which is .* for 40 rows: keep an id"
        ):
            out.append(chunk(2, [40], kept={"k": ["x" * 30]}))
    with writer(tmp_path / "p", run) as out:
        out.append(chunk(0, [3, 2], kept={"k": ["x", None]}))
        out.finish()
    assert open_store(tmp_path / "p").units()["k"].to_pylist() == ["x"] * 3 + [None] * 2
