"""Batches in parts of like length, or packed: less padding or none, the same training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layerwise.models.layer_reader import LayerReader
from layerwise.train import batches
from layerwise.train.batches import PART_COSTS, LengthOrder, of_like_length
from layerwise.train.finetune import FinetuneChoices, finetune
from layerwise.train.settings import TrainingSettings
from layerwise.train.tasks.example import DataColumns
from tests.tiny import one_thread  # noqa: F401
from tests.train.learning import EXAMPLES, curve, tiny_bert, write_jsonl

LABELLED, TRAINING = EXAMPLES / "labelled", EXAMPLES / "training"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tiny_bert(tmp_path_factory.mktemp("base"))


@given(st.lists(st.integers(1, 512), min_size=1, max_size=64))
def test_a_cut_is_made_where_it_spares_more_than_it_costs(lengths: list[int]) -> None:
    parts = of_like_length(lengths)
    assert sorted(row for part in parts for row in part) == list(range(len(lengths)))
    ordered = [[lengths[row] for row in part] for part in parts]
    flat = [length for part in ordered for length in part]
    assert flat == sorted(lengths)
    for part in ordered:  # nothing is left to be spared
        assert all((part[-1] - short) * number <= PART_COSTS for number, short in enumerate(part, 1))
    padded = sum(len(part) * part[-1] for part in ordered)
    assert padded + PART_COSTS * (len(parts) - 1) <= len(lengths) * max(lengths)


def test_what_fills_up_the_last_batch_is_taken_in_turn() -> None:
    """Also where a batch is larger than the data."""
    for rows, size in ((5, 8), (5, 16), (5, 5), (7, 3), (1, 4)):
        order = list(LengthOrder(list(range(1, rows + 1)), size, seed=0))
        assert len(order) % size == 0 and len(order) < rows + size
        assert set(order) == set(range(rows))
        if size > rows:
            assert max(order.count(row) for row in order) == -(-size // rows)


def question(number: int) -> dict[str, object]:
    context = f"{'the red hat and ' * (number % 9)}Anna has {number} hats"
    answer = {"text": "Anna", "answer_start": context.index("Anna")}
    return {"question": "who has hats", "context": context, "answers": answer}


TOPICS = ("classify", LABELLED / "topics_en.jsonl", DataColumns(label="topic"))


@pytest.mark.parametrize(
    ("task", "data", "columns", "choices"),
    [
        (*TOPICS, FinetuneChoices()),
        (*TOPICS, FinetuneChoices(mix="scalar", class_weights=True)),
        ("ner", TRAINING / "entities_zh.jsonl", DataColumns(label="entities"), FinetuneChoices()),
        ("ner", TRAINING / "entities_zh.jsonl", DataColumns(label="entities"), FinetuneChoices(mix="scalar")),
        ("qa", [question(number) for number in range(40)], DataColumns(), FinetuneChoices()),
        ("qa", [question(number) for number in range(40)], DataColumns(), FinetuneChoices(mix="scalar")),
        ("similarity", LABELLED / "sts_en.tsv", DataColumns(), FinetuneChoices()),
        (
            "seq2seq",
            [{"source": f"{n} {'red hat ' * (n % 9)}", "target": "hat " * (n % 5 + 1)} for n in range(40)],
            DataColumns(),
            FinetuneChoices(),
        ),
    ],
    ids=["classify", "mix", "ner", "ner-mix", "qa", "qa-mix", "similarity", "seq2seq"],
)
def test_a_batch_in_parts_or_packed_trains_as_the_whole(
    tiny: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    task: str,
    data: Any,
    columns: DataColumns,
    choices: FinetuneChoices,
) -> None:
    path = data if isinstance(data, Path) else write_jsonl(tmp_path / "data.jsonl", data)
    padding = {}

    def train(name: str, cost: int) -> None:
        monkeypatch.setattr(batches, "PART_COSTS", cost)
        how = TrainingSettings(steps=4, batch_size=16, log_every=1, precision="fp32", lr=1e-3, device="cpu")
        report = finetune(
            task, path, tmp_path / name, model=tiny, columns=columns, choices=choices, settings=how
        )
        assert report is not None
        padding[name] = report.padding

    own_head = choices.mix == "scalar" or task == "similarity"
    if own_head:
        train("packed", 1_000_000)
        assert padding["packed"] == 0
        monkeypatch.setattr(LayerReader, "packs", lambda self, device: False)
    train("whole", 1_000_000)
    train("parts", 0)
    assert padding["parts"] < padding["whole"]
    for name in padding:
        assert curve(tmp_path / name) == pytest.approx(curve(tmp_path / "whole"), abs=1e-4)


def test_few_long_texts_have_little_padding(tiny: str, tmp_path: Path) -> None:
    """Whole batches of these have 40 %."""
    rows = [{"text": "red hat " * (1 + n * n % 61), "label": "ab"[n % 2]} for n in range(120)]
    report = finetune(
        "classify",
        write_jsonl(tmp_path / "data.jsonl", rows),
        tmp_path / "out",
        model=tiny,
        settings=TrainingSettings(epochs=1, device="cpu"),
    )
    assert report is not None
    assert 0 < report.padding < 0.1
