"""Families that differ in padding, positions, norms and attention: trained, written, read again, the same scores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModel

from layerwise.models.load import quiet
from layerwise.train.evaluate import evaluate
from layerwise.train.finetune import FinetuneChoices, finetune
from layerwise.train.settings import TrainingSettings
from layerwise.train.tasks.example import DataColumns
from tests.tiny import one_thread, tiny_tokenizer  # noqa: F401
from tests.train.learning import write_jsonl

SIZES: dict[str, dict[str, Any]] = {
    "roberta": {},
    "distilbert": {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 48},
    "albert": {"embedding_size": 16},
    "electra": {"embedding_size": 16},
    "modernbert": {},
    "deberta-v2": {"relative_attention": True, "pos_att_type": ["p2c", "c2p"]},
    "mpnet": {},
}
COMMON = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 80,
}


def save_tiny(folder: Path, family: str) -> str:
    tokenizer = tiny_tokenizer("bpe" if family in ("roberta", "mpnet") else "wordpiece")
    sizes = SIZES[family] if family == "distilbert" else {**COMMON, **SIZES[family]}
    config = AutoConfig.for_model(family, vocab_size=len(tokenizer), **sizes)
    for name in ("pad", "bos", "eos", "cls", "sep"):
        if hasattr(config, f"{name}_token_id"):
            setattr(config, f"{name}_token_id", getattr(tokenizer, f"{name}_token_id") or 0)
    torch.manual_seed(0)
    with quiet():
        AutoModel.from_config(config).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    return str(folder)


def rows(task: str) -> list[Any]:
    if task == "classify":
        return [
            {"text": f"the {'quick ' * (n % 5)}{['fox', 'dog'][n % 2]} {n}", "label": "ab"[n % 2]}
            for n in range(24)
        ]
    return [
        {"words": ["the", *["big"] * (n % 4), "Fox", str(n)], "label": ["O"] * (n % 4 + 1) + ["B-X", "O"]}
        for n in range(24)
    ]


@pytest.mark.parametrize(
    "choices",
    [FinetuneChoices(max_length=32), FinetuneChoices(max_length=32, mix="scalar")],
    ids=["head", "mix"],
)
@pytest.mark.parametrize("task", ["classify", "ner"])
@pytest.mark.parametrize("family", SIZES)
def test_what_was_trained_says_the_same_when_it_is_read_again(
    tmp_path: Path, family: str, task: str, choices: FinetuneChoices
) -> None:
    model = save_tiny(tmp_path / "base", family)
    data = write_jsonl(tmp_path / "data.jsonl", rows(task))
    columns = DataColumns(words="words") if task == "ner" else DataColumns()
    how = TrainingSettings(steps=4, batch_size=8, lr=5e-3, precision="fp32")
    report = finetune(
        task, data, tmp_path / "out", dev=data, model=model, columns=columns, choices=choices, settings=how
    )
    assert report is not None
    assert evaluate(str(tmp_path / "out"), data, columns=columns).scores == pytest.approx(report.scores)
