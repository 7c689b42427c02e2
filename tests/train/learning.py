"""A tiny BERT with a vocabulary of the examples, and what a run leaves behind."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import torch
from transformers import BertConfig, BertModel

from layerwise.models.load import quiet
from layerwise.train.vocabulary import train_vocabulary

EXAMPLES = Path(__file__).parents[2] / "examples"
FILES = (
    "training/qa_en.json",
    "training/qa_zh.json",
    "training/entities_zh.jsonl",
    "labelled/topics_en.jsonl",
)


@cache
def vocabulary() -> Any:
    texts = [line for name in FILES for line in (EXAMPLES / name).read_text("utf-8").splitlines()]
    return train_vocabulary(texts, 2000, cased=False, max_length=128)


def tiny_bert(folder: Path, *, layers: int = 2, hidden: int = 64, dropout: float = 0.0) -> str:
    """Random weights; without dropout, so that two runs can be compared."""
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(vocabulary()),
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=4,
        intermediate_size=2 * hidden,
        max_position_embeddings=128,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
    )
    with quiet():
        BertModel(config).save_pretrained(folder)
        vocabulary().save_pretrained(folder)
    return str(folder)


def curve(folder: Path, name: str = "loss") -> dict[int, float]:
    """A value of the log by step."""
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text("utf-8").splitlines()]
    return {line["step"]: line[name] for line in lines if name in line}


def write_jsonl(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    return path
