"""Families that differ in padding, positions, norms and attention: trained, written, read again, the same scores."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModel, AutoTokenizer

from layerwise.models.load import quiet
from layerwise.train.evaluate import evaluate
from layerwise.train.finetune import FinetuneChoices, finetune
from layerwise.train.predict import predict
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
    "mobilebert": {"embedding_size": 16, "true_hidden_size": 32, "intra_bottleneck_size": 32},
    "esm": {"position_embedding_type": "rotary"},
    "roformer": {"embedding_size": 32},
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
        model = AutoModel.from_config(config)
        torch.nn.init.normal_(
            model.get_input_embeddings().weight, std=0.1
        )  # as trained: padding's is not zero
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    return str(folder)


def without_special_tokens(folder: str) -> str:
    """Have an empty text be no token at all."""
    path = Path(folder) / "tokenizer.json"
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), "post_processor": None}), "utf-8")
    assert not AutoTokenizer.from_pretrained(folder)("").input_ids
    return folder


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


CHOICES = {
    "head": FinetuneChoices(),
    "mix": FinetuneChoices(mix="scalar"),
    "frozen": FinetuneChoices(mix="scalar", frozen=True),
}


@pytest.mark.parametrize("how", CHOICES)
@pytest.mark.parametrize("family", ["roberta", "deberta-v2", "mobilebert"])
def test_texts_without_a_token_are_learned_from_and_answered(family: str, how: str, tmp_path: Path) -> None:
    """One is packed, one is padded, one never pads; batches in which no text has a token are among them."""
    model = without_special_tokens(save_tiny(tmp_path / "base", family))
    data = write_jsonl(
        tmp_path / "data.jsonl",
        [{**one, "text": one["text"] * (n % 3 > 0)} for n, one in enumerate(rows("classify"))],
    )
    short = TrainingSettings(steps=8, batch_size=2, precision="fp32")
    finetune("classify", data, tmp_path / "out", dev=data, model=model, choices=CHOICES[how], settings=short)
    empty = write_jsonl(tmp_path / "empty.jsonl", [{"text": ""}, {"text": ""}])
    both = [one.probability for one in predict(str(tmp_path / "out"), empty)]  # type: ignore[attr-defined]
    among = next(one.probability for one in predict(str(tmp_path / "out"), data))  # type: ignore[attr-defined]
    assert both == [pytest.approx(among, abs=1e-5)] * 2


@pytest.mark.parametrize("family", ["roberta", "mobilebert"])
def test_pairs_without_a_token_are_compared(family: str, tmp_path: Path) -> None:
    model = without_special_tokens(save_tiny(tmp_path / "base", family))
    texts = ["", "the fox", "a dog", "the lazy dog"]
    pairs = [{"sentence1": texts[n % 4], "sentence2": texts[n * 3 % 4], "score": n % 5} for n in range(24)]
    data = write_jsonl(tmp_path / "data.jsonl", pairs)
    short = TrainingSettings(steps=8, batch_size=1, precision="fp32")
    finetune("similarity", data, tmp_path / "out", dev=data, model=model, settings=short)
    said = list(predict(str(tmp_path / "out"), write_jsonl(tmp_path / "one.jsonl", pairs[:1])))
    assert [one.cosine for one in said] == [0.0]  # type: ignore[attr-defined]


@pytest.mark.parametrize("family", ["mobilebert", "roberta", "deberta-v2"])
def test_texts_of_one_token_in_sixteen_bits(family: str, tmp_path: Path) -> None:
    """Sums over one token come out of autocast in another precision than those over several."""
    model = without_special_tokens(save_tiny(tmp_path / "base", family))
    pairs = [{"sentence1": "dog " * (n % 4 + 1), "sentence2": "fox", "score": n % 5} for n in range(24)]
    data = write_jsonl(tmp_path / "data.jsonl", pairs)
    short = TrainingSettings(steps=6, batch_size=4, precision="bf16")
    report = finetune("similarity", data, tmp_path / "out", dev=data, model=model, settings=short)
    assert report is not None and report.steps == 6
