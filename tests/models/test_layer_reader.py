"""Layers under a head, packed: states and gradients are those of each sequence by itself."""

from __future__ import annotations

import copy
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import AutoConfig, AutoModel

from layerwise.models.layer_reader import LayerReader
from layerwise.models.layered import LayeredModel
from layerwise.models.load import quiet
from layerwise.types import Layer

COMMON: dict[str, Any] = {
    "vocab_size": 200,
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 80,
    "pad_token_id": 1,
}
FAMILIES: dict[str, dict[str, Any]] = {
    "bert": {},
    "roberta": {},
    "distilbert": {"dim": 32, "n_layers": 3, "n_heads": 4, "hidden_dim": 48},
    "albert": {"embedding_size": 16},
    "electra": {"embedding_size": 16},
    "modernbert": {
        "local_attention": 8,
        "cls_token_id": 2,
        "sep_token_id": 3,
        "bos_token_id": 2,
        "eos_token_id": 3,
    },
    "camembert": {},
    "xlm-roberta": {},
}
LENGTHS = (9, 3, 14, 9, 1)


def model_of(family: str) -> Any:
    config = AutoConfig.for_model(family, **{**COMMON, **FAMILIES[family]})
    for name in vars(config):
        if "dropout" in name:
            setattr(config, name, 0.0)
    torch.manual_seed(0)
    with quiet():
        return AutoModel.from_config(config, attn_implementation="eager").train()


def batch_of(model: Any) -> dict[str, Tensor]:
    """Padded on the right; one token in a text is the one that pads."""
    ids = torch.full((len(LENGTHS), max(LENGTHS)), 1)
    mask = torch.zeros_like(ids)
    for row, length in enumerate(LENGTHS):
        ids[row, :length] = torch.randint(10, 200, (length,))
        mask[row, :length] = 1
    ids[2, 4] = 1
    types = {}
    if getattr(model.config, "type_vocab_size", 0) == 2:
        types["token_type_ids"] = torch.zeros_like(ids)
        types["token_type_ids"][0, 5:9] = 1
    return {"input_ids": ids, "attention_mask": mask, **types}


def alone(model: Any, inputs: dict[str, Tensor], layers: tuple[Layer, ...]) -> list[Tensor]:
    """(length, layers, hidden_size) of each sequence by itself, by transformers."""
    found = []
    for row, length in enumerate(LENGTHS):
        output = model(**{k: v[row : row + 1, :length] for k, v in inputs.items()}, output_hidden_states=True)
        states = {**dict(enumerate(output.hidden_states)), "final": output[0]}
        found.append(torch.stack([states[layer][0] for layer in layers], dim=-2))
    return found


@pytest.mark.parametrize("layers", [(0, 1, 2), ("final",)], ids=["mix", "final"])
@pytest.mark.parametrize("pooled", [True, False], ids=["pooled", "tokens"])
@pytest.mark.parametrize("family", FAMILIES)
def test_packed_states_and_gradients_are_those_of_each_sequence(
    family: str, pooled: bool, layers: tuple[Layer, ...]
) -> None:
    model = model_of(family)
    inputs, marks = batch_of(model), torch.zeros(len(LENGTHS), max(LENGTHS), dtype=torch.long)
    for row, length in enumerate(LENGTHS):
        marks[row, 1 : max(length - 1, 1)] = 1  # nothing of the text that is one token long
    other = copy.deepcopy(model)
    reader = LayerReader(model, layers, pooled)
    assert reader.packs(torch.device("cpu")) and not reader.pads(torch.device("cpu"))
    assert reader.packs(torch.device("cuda")) is False and reader.pads(torch.device("cuda"))
    attention = model.config._attn_implementation

    found = reader(inputs, marks if pooled else None)

    assert model.config._attn_implementation == attention != "layerwise_packed"
    assert model.training
    expected = alone(other, inputs, layers)
    if pooled:
        expected = [
            one[mark[: len(one)].bool()].sum(0) / max(int(mark.sum()), 1)
            for one, mark in zip(expected, marks, strict=True)
        ]
    else:
        assert not found[1, 3:].any()  # padding
    real = list(found) if pooled else [found[row, :length] for row, length in enumerate(LENGTHS)]
    weights = [torch.randn_like(one) for one in expected]
    for one, theirs in zip(real, expected, strict=True):
        torch.testing.assert_close(one, theirs, rtol=1e-4, atol=1e-5)
    for states in (real, expected):
        sum((one * weight).sum() for one, weight in zip(states, weights, strict=True)).backward()  # type: ignore[union-attr]
    for (name, mine), theirs in zip(model.named_parameters(), other.parameters(), strict=True):
        if theirs.grad is None or not theirs.grad.any():
            assert mine.grad is None or mine.grad.abs().max() < 1e-5, name
        else:
            assert mine.grad is not None, name
            torch.testing.assert_close(mine.grad, theirs.grad, rtol=1e-3, atol=1e-4, msg=name)


def test_dropout_is_drawn_for_attention_too() -> None:
    """All dropouts but that of the attention weights are zero: packed training has to draw it."""
    model = model_of("bert")
    for block in model.encoder.layer:
        block.attention.self.dropout.p = 0.5
    reader, inputs = LayerReader(model, (3,), False), batch_of(model)
    assert not torch.equal(reader(inputs), reader(inputs))
    model.eval()
    assert torch.equal(reader(inputs), reader(inputs))


def test_a_copy_reads_its_own_encoder() -> None:
    model = LayeredModel(model_of("bert"), (0, 3), 2, pooled=False).eval()
    inputs = batch_of(model.encoder)
    before = model.states(inputs)
    other = copy.deepcopy(model)
    assert torch.equal(other.states(inputs), before)
    with torch.no_grad():
        other.encoder.embeddings.word_embeddings.weight.zero_()
    assert not torch.equal(other.states(inputs), before)
    assert torch.equal(model.states(inputs), before)


def test_threads_take_turns() -> None:
    model = LayeredModel(model_of("bert"), (0, 1, 3), 2, pooled=False).eval()
    batches = [batch_of(model.encoder) for _ in range(4)]
    with torch.no_grad():
        expected = [model.states(one) for one in batches]

    def differs(number: int) -> bool:
        with torch.no_grad():
            return any(not torch.equal(model.states(batches[number]), expected[number]) for _ in range(40))

    with ThreadPoolExecutor(4) as pool:
        assert not any(pool.map(differs, range(4)))


def test_what_cannot_be_packed_is_padded() -> None:
    config = AutoConfig.for_model(
        "deberta-v2", **COMMON, relative_attention=True, pos_att_type=["p2c", "c2p"]
    )
    torch.manual_seed(0)
    with quiet():
        model = AutoModel.from_config(config, attn_implementation="eager").eval()
    reader, inputs = LayerReader(model, (1, 3), False), batch_of(model)
    assert reader.pads(torch.device("cpu"))
    found = reader(inputs)
    for row, theirs in enumerate(alone(model, inputs, (1, 3))):
        torch.testing.assert_close(found[row, : len(theirs)], theirs, rtol=1e-4, atol=1e-5)
