"""What runs of every kind begin from: a tiny model and a table that one word decides."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.train.learning import tiny_bert, write_jsonl


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tiny_bert(tmp_path_factory.mktemp("base"), layers=1)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    words = ["red", "blue", "green", "black", "white"]
    rows = [
        {"text": f"the {words[n % 5]} hat number {n} " + "of many " * (n % 7), "label": "ab"[n % 5 > 2]}
        for n in range(90)
    ]
    return write_jsonl(tmp_path_factory.mktemp("data") / "data.jsonl", rows)
