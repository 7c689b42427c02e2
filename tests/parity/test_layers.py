"""Every layer, every token, against transformers' eager attention, one text at a time."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from layerwise.models.engine import Engine, TokenSequence
from layerwise.models.families import FAMILIES, tiny_model
from layerwise.models.self_check import build_engine
from tests.parity.families import EQUAL_LENGTHS, FINAL, PACKED

LENGTHS = (3, 17, 9, 40, 9, 1, 26, 40)


def sequences(model: Any, lengths: tuple[int, ...] = LENGTHS) -> list[TokenSequence]:
    generator = torch.Generator().manual_seed(3)
    segments = getattr(model.config, "type_vocab_size", 1) or 1
    batch = []
    for length in lengths:
        ids = torch.randint(10, model.config.vocab_size, (length,), generator=generator)
        types = torch.zeros_like(ids)
        if segments == 2:  # a pair of texts: the second half has type 1
            types[length // 2 :] = 1
        batch.append(TokenSequence(ids, types))
    return batch


def expected_states(model: Any, engine: Engine, sequence: TokenSequence) -> dict[Any, torch.Tensor]:
    """transformers alone: `output_hidden_states=True`, eager, a batch of one, no padding."""
    inputs = {"input_ids": sequence.input_ids[None], "attention_mask": torch.ones(1, len(sequence)).long()}
    if getattr(model.config, "type_vocab_size", 0):
        inputs["token_type_ids"] = sequence.token_type_ids[None]
    with torch.inference_mode():
        hidden = model(**inputs, output_hidden_states=True).hidden_states
    number = engine.anatomy.num_hidden_layers
    assert len(hidden) == number + 1
    states: dict[Any, torch.Tensor] = {k: hidden[k][0, : len(sequence)] for k in range(number + 1)}
    if engine.has_final:  # transformers' last entry is after the final norm; block N's own is checked below
        states["final"] = states.pop(number)
    return states


def run(engine: Engine, batch: list[TokenSequence], layers: list[Any]) -> dict[Any, torch.Tensor]:
    found: dict[Any, torch.Tensor] = {}
    engine.run(batch, layers, lambda layer, hidden: found.setdefault(layer, hidden.clone()))
    return found


@pytest.mark.parametrize("mode", ["auto", "padded"])
@pytest.mark.parametrize("family", FAMILIES)
def test_every_layer_is_transformers_own(family: str, mode: str) -> None:
    model = tiny_model(family)
    engine, check = build_engine(model, mode)
    assert engine.packed == (family in PACKED and mode == "auto"), check
    assert engine.has_final == (family in FINAL)
    assert engine.mixes_lengths == (family not in EQUAL_LENGTHS), check
    batch = sequences(model)
    layers = [*range(engine.anatomy.num_hidden_layers + 1), *(["final"] if engine.has_final else [])]
    found = run(engine, batch, layers)
    assert list(found) == layers, "layers come in the order of the model"
    attention = engine.attention
    engine.use("eager")
    worst, first = 0.0, 0
    for sequence in batch:
        for layer, want in expected_states(model, engine, sequence).items():
            got = found[layer][first : first + len(sequence)]
            worst = max(worst, float((got - want).abs().max() / want.abs().max().clamp(min=1)))
        first += len(sequence)
    engine.use(attention)
    assert worst <= 1e-5, f"{family} {attention}: {worst}"


@pytest.mark.parametrize("family", FAMILIES)
def test_a_batch_of_many_is_a_batch_of_one(family: str) -> None:
    model = tiny_model(family)
    engine, _ = build_engine(model)
    batch = sequences(model)
    layers: list[Any] = list(range(engine.anatomy.num_hidden_layers + 1))
    together = run(engine, batch, layers)
    alone = [run(engine, [sequence], layers) for sequence in batch]
    for layer in layers:
        single = torch.cat([states[layer] for states in alone])
        assert (together[layer] - single).abs().max() <= 1e-5 * single.abs().max().clamp(min=1)


def test_esm_without_token_dropout_packs() -> None:
    engine, _ = build_engine(tiny_model("esm", token_dropout=False))
    assert engine.packed


@pytest.mark.parametrize("family", sorted(FINAL))
def test_a_final_norm_makes_final_differ_from_the_last_block(family: str) -> None:
    """Layer N is block N's own output in every family: the norm of it is `final`."""
    model = tiny_model(family)
    engine, _ = build_engine(model)
    number = engine.anatomy.num_hidden_layers
    found = run(engine, sequences(model), [number, "final"])
    norms = [
        module
        for name, module in model.named_modules()
        if type(module).__name__.endswith("Norm") and name.count(".") <= 1 and "embed" not in name
    ]
    assert norms, "the model has a norm outside its blocks"
    with torch.inference_mode():
        assert any(torch.allclose(norm(found[number]), found["final"], atol=1e-5) for norm in norms)
    assert not torch.allclose(found[number], found["final"], atol=1e-3)


@pytest.mark.parametrize("family", ["bert", "albert", "modernbert", "mpnet", "xlm"])
def test_blocks_above_the_highest_layer_do_not_run(family: str) -> None:
    model = tiny_model(family)
    engine, _ = build_engine(model)
    calls = []
    for block in engine.anatomy.last:
        block.register_forward_hook(lambda *_: calls.append(1))
    run(engine, sequences(model), [1])
    assert len(calls) == 1
    calls.clear()
    run(engine, sequences(model), [0])
    assert not calls


@pytest.mark.parametrize("family", sorted(PACKED))
def test_filled_up_batches_in_bfloat16(family: str) -> None:
    """On the CPU a 16-bit batch ends with padding nobody reads; it changes no vector and no count."""
    model = tiny_model(family)
    engine, _ = build_engine(model)
    batch = sequences(model)
    layers: list[Any] = list(range(engine.anatomy.num_hidden_layers + 1))
    exact = run(engine, batch, layers)
    model.to(torch.bfloat16)
    total = sum(len(sequence) for sequence in batch)
    assert engine.packed_inputs(batch)[0]["input_ids"].shape[1] == total + -total % 32 > total
    found = run(engine, batch, layers)
    for layer in layers:
        assert found[layer].shape == exact[layer].shape
        cosine = torch.nn.functional.cosine_similarity(found[layer].float(), exact[layer], dim=-1)
        assert cosine.min() > 0.998, f"layer {layer}: {cosine.min()}"
