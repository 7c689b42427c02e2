"""What the commands print: for people a table, for programs the numbers of the library."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import layerwise
from layerwise import Encoder
from layerwise.cli.console import console, print_table
from layerwise.reports.wording import without_nan
from tests.command_line import run

TEXTS = ["The sea was calm.", "The ocean was rough.", "I sat by the sea.", ""]


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder.from_pretrained("minilm")


@pytest.fixture(scope="module")
def stores(encoder: Encoder, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Words and texts of the same source."""
    folder = tmp_path_factory.mktemp("stores")
    source = folder / "texts.txt"
    source.write_text("\n".join(TEXTS) + "\n", encoding="utf-8")
    paths = {unit: folder / f"{unit}.lance" for unit in ("word", "text")}
    for unit, path in paths.items():
        layerwise.extract(source, path, encoder=encoder, unit=unit)
    return paths


def printed(command: str) -> str:
    outcome = run(command)
    assert outcome.status == 0, outcome.err
    return outcome.out


def as_json(command: str) -> Any:
    return json.loads(printed(f"{command} --json"))


def test_show_prints_every_token_at_every_layer() -> None:
    heading, names, *rows = printed("show 'I love this book.' --layers 0,-1").splitlines()
    assert heading == "2 layers × 5 tokens × 384 dimensions"
    assert names.split() == ["layer", "token", "characters", "norm", "vector"]
    assert [row.split()[:3] for row in (rows[0], rows[5])] == [["0", "I", "0–1"], ["6", "I", "0–1"]]
    assert [row.split()[0] for row in rows[6:]] == ["love", "this", "book", "."]


def test_show_gives_programs_what_the_library_gives(encoder: Encoder) -> None:
    document = as_json("show 'I love this book.' --unit word")
    [states] = encoder.encode(["I love this book."], unit="word")
    assert document["layers"] == list(states.layers)
    assert [unit["unit"] for unit in document["units"]] == [unit.surface for unit in states.units]
    for index, layer in enumerate(states.layers):
        given = [unit["layers"][str(layer)] for unit in document["units"]]
        np.testing.assert_allclose(given, states.hidden_states[index], rtol=1e-6, atol=1e-7)


def test_show_says_that_there_is_nothing_to_show() -> None:
    assert printed("show '  '").splitlines() == [
        "7 layers × 0 tokens × 384 dimensions",
        "The text has no units: it is empty, or all white space.",
    ]


def test_inspect_counts(stores: dict[str, Path]) -> None:
    document = as_json(f"inspect {stores['word']} --check")
    assert (document["texts"], document["rows"], document["complete"]) == (4, 16, True)
    assert document["check"]["rows"] == 16
    store = layerwise.open(stores["word"])
    for name, geometry in document["geometry"].items():
        norms = np.linalg.norm(store.layer(int(name.removeprefix("layer_"))).numpy(), axis=1)
        assert geometry["mean_norm"] == pytest.approx(norms.mean(), rel=1e-5)
    assert document["geometry"]["layer_06"]["constant_dimensions"] == [127, 223, 319]
    text = printed(f"inspect {stores['word']}")
    assert "16 words of 4 texts" in text and "127, 223, 319" in text


def test_inspect_of_one_row_has_no_cosine(encoder: Encoder, tmp_path: Path) -> None:
    for text, cells in (("sea", ["1", "–"]), ("", ["–", "–"])):
        out = tmp_path / f"{text}.lance"
        (tmp_path / "a.txt").write_text(f"{text}\n", "utf-8")
        layerwise.extract(tmp_path / "a.txt", out, encoder=encoder, unit="text", layers=0)
        shown = printed(f"inspect {out}").splitlines()[-1].split()[1:3]
        assert all(cell.startswith(start) for cell, start in zip(shown, cells, strict=True)), shown


def test_neighbours_over_stores_of_words_and_texts(stores: dict[str, Path]) -> None:
    found = as_json(f"neighbours {stores['word']} {stores['text']} sea --layer 3,-1 --count 2")
    assert found["3"][0]["surface"] == "ocean"
    assert {name: len(near) for name, near in found.items()} == {"3": 2, "6": 2}
    whole = as_json(f"neighbours {stores['text']} {stores['word']} 'The sea was calm.' --count 20")["6"]
    assert {one["store"] for one in whole} == {str(path) for path in stores.values()}
    table = printed(f"neighbours {stores['word']} sea --layer 3 --count 1")
    assert "ocean" in table and "The ocean was rough." in table and "(text 1)" in table


def test_models_draws_and_counts() -> None:
    document = as_json("models minilm")
    assert document["num_hidden_layers"] == 6
    assert document["num_parameters"] == sum(part["num_parameters"] for part in document["parts"])
    diagram = printed("models minilm --mermaid")
    assert diagram.startswith(("flowchart", "graph")) and diagram.count("-->") >= 6


def test_brackets_in_names_are_no_markup(stores: dict[str, Path], tmp_path: Path) -> None:
    for name in ("a[v1].lance", "b[bold]x.lance", "c[", "d]"):
        shutil.copytree(stores["text"], tmp_path / name)
        assert printed(f"inspect '{tmp_path / name}'").splitlines()[0] == str(tmp_path / name)


def test_nan_is_null_in_json() -> None:
    assert without_nan({"a": [1.0, float("nan"), float("-inf")], "b": "x"}) == {
        "a": [1.0, None, None],
        "b": "x",
    }


@pytest.mark.parametrize("width", [20, 60, 80, 120])
def test_no_number_of_a_table_is_ever_cut(
    width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("layerwise.cli.console.PLAIN_WIDTH", width)
    heads = ["layer", "macro-F1 (95 %)", "code length", *map(str, range(25)), "constant dimensions"]
    rows = [
        [
            f"{layer} ← best",
            f"8{layer}.25 (81.5 to 85.2)",
            "1,204.5 kbit",
            *[f"0.{layer}{n:02d}" for n in range(25)],
        ]
        for layer in range(5)
    ]
    print_table(console(), heads, [*rows, ["majority", "33.3"]], ["", "bold", "", "", "", "dim"])
    out = capsys.readouterr().out
    assert "…" not in out
    for row in rows:
        for cell in row[1:]:
            assert all(
                re.search(rf"(?<!\S){re.escape(part)}(?!\S)", out) for part in re.split(r" (?=\()", cell)
            )
    assert len(out.splitlines()[0]) <= 120
    blocks = out.strip("\n").split("\n\n")
    assert all(block.split()[0] == "layer" or "layer" in block.split("0 ←")[0] for block in blocks)
    if width >= 40:
        assert max(map(len, out.splitlines())) <= width


def test_a_table_wraps_before_it_is_divided(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("layerwise.cli.console.PLAIN_WIDTH", 30)
    heads, row = ["layer", "macro-F1 (95 %)", "mean cosine"], ["0", "81.2 (80.0 to 82.0)", "0.12"]
    print_table(console(), heads, [row])
    assert [line.rstrip() for line in capsys.readouterr().out.splitlines()] == [
        "             macro-F1    mean",
        "layer          (95 %)  cosine",
        "0                81.2    0.12",
        "       (80.0 to 82.0)",
    ]
