"""Checkpoints that are damaged, mixed up or unusual: right, or refused in one sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, BertConfig, BertModel

from layerwise import Encoder
from layerwise.errors import (
    DeviceMemoryError,
    ModelError,
    ModelNotFoundError,
    NumericError,
    UnsafeWeightsError,
    UsageError,
)
from layerwise.models import self_check
from layerwise.models.collector import Collector
from layerwise.models.doctor import examine
from layerwise.models.engine import Engine, TokenSequence
from layerwise.models.families import tiny_model
from layerwise.models.locate import locate
from layerwise.models.packed_attention import PACKED, register
from layerwise.models.self_check import EQUAL_LENGTHS, TOLERANCE, build_engine, confirm, needed_weights
from tests.tiny import tiny_tokenizer

TEXTS = ["the cat sat", "a", "the dog and the cat and the bird"]


def save(folder: Path, **settings: Any) -> Path:
    """A tiny BERT with its WordPiece tokenizer; `settings` go to its config."""
    tokenizer = tiny_tokenizer("wordpiece")
    common = {
        "vocab_size": len(tokenizer),
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
    }
    config = BertConfig(**{**common, "intermediate_size": 48, "max_position_embeddings": 40, **settings})
    torch.manual_seed(0)
    BertModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def change(path: Path, **values: Any) -> None:
    document = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps({**document, **values}), "utf-8")


@pytest.mark.parametrize("part", ["output", "attention.self.query", "attention.self.key.weight"])
def test_weights_of_layers_that_are_missing_are_refused(tmp_path: Path, part: str) -> None:
    """Also those whose NaN a fused kernel takes for a mask."""
    weights = load_file(save(tmp_path) / "model.safetensors")
    kept = {name: weight for name, weight in weights.items() if f"layer.1.{part}" not in name}
    save_file(kept, tmp_path / "model.safetensors", metadata={"format": "pt"})
    number = len(weights) - len(kept)
    with pytest.raises(
        ModelError, match=rf"lack {number} weights of its layers \(encoder\.layer\.1\..*random"
    ):
        Encoder.from_pretrained(str(tmp_path))


def test_weights_read_without_calling_their_module_are_needed(tmp_path: Path) -> None:
    model = tiny_model("deberta-v2")
    assert needed_weights(build_engine(model)[0], ["encoder.rel_embeddings.weight", "none"]) == [
        "encoder.rel_embeddings.weight"
    ]
    assert all(bool(weight.isfinite().all()) for weight in model.parameters())


def test_weights_of_blocks_that_nothing_uses_are_told(tmp_path: Path) -> None:
    weights = load_file(save(tmp_path) / "model.safetensors")
    key = "encoder.layer.0.crossattention.self.key.weight"
    others = {
        "cls.predictions.bias": torch.zeros(3),
        "encoder.layer.0.attention.self.rotary.inv_freq": torch.ones(2),
    }
    save_file(
        {**weights, **others, key: torch.zeros(2, 2)},
        tmp_path / "model.safetensors",
        metadata={"format": "pt"},
    )
    encoder = Encoder.from_pretrained(str(tmp_path))
    assert (
        encoder.loaded.unused_in_blocks == (key,) and "1 weights of its blocks that the model" in encoder.note
    )
    told = [finding.text for finding in examine(str(tmp_path)).findings]
    assert f"1 weights of its blocks are not used: {key}." in told
    change(tmp_path / "config.json", num_hidden_layers=1)
    assert "weights of blocks that config.json does not have" in Encoder.from_pretrained(str(tmp_path)).note


def test_relative_positions_that_transformers_leaves_out_are_refused(tmp_path: Path) -> None:
    weights = load_file(save(tmp_path, position_embedding_type="relative_key_query") / "model.safetensors")
    weights["encoder.layer.0.attention.self.distance_embedding.weight"] = torch.zeros(79, 16)
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match="trained with relative positions"):
        Encoder.from_pretrained(str(tmp_path))


def test_float16_that_overflows_is_named(tmp_path: Path) -> None:
    weights = load_file(save(tmp_path) / "model.safetensors")
    weights["encoder.layer.1.output.LayerNorm.bias"][3] = 1e5
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    assert len(Encoder.from_pretrained(str(tmp_path), dtype="bfloat16").encode(TEXTS)) == 3
    for engine in ("auto", "padded"):
        with pytest.raises(
            NumericError, match="layer 2 of BertModel is NaN or infinite in float16, in float32 it"
        ):
            Encoder.from_pretrained(str(tmp_path), dtype="float16", engine=engine)


def test_nan_is_no_result_of_encode(tmp_path: Path) -> None:
    encoder = Encoder.from_pretrained(str(save(tmp_path)))
    rare = encoder.tokenizer("bird", add_special_tokens=False)["input_ids"]
    encoder.engine.model.embeddings.word_embeddings.weight[rare[-1]] = torch.nan
    assert len(encoder.encode(TEXTS[:2])) == 2
    with pytest.raises(NumericError, match="in the text 'the dog and the cat and the bi', is NaN"):
        encoder.encode(TEXTS)


def test_no_cls_where_the_tokenizer_opens_with_nothing(tmp_path: Path) -> None:
    settings = save(tmp_path) / "tokenizer.json"
    change(settings, post_processor=None)
    encoder = Encoder.from_pretrained(str(tmp_path))
    assert len(encoder.encode(TEXTS, unit="text")) == 3
    with pytest.raises(UsageError, match="puts no token before a text, so pooling='cls' has none to take"):
        encoder.encode(TEXTS, unit="text", pooling="cls")


def test_a_leak_does_not_hide_behind_one_large_dimension(monkeypatch: pytest.MonkeyPatch) -> None:
    def leaking(module: Any, query: Any, key: Any, value: Any, *args: Any, **others: Any) -> tuple[Any, None]:
        found = scaled_dot_product_attention(query, key, value)  # every text sees every other
        return found.transpose(1, 2).contiguous(), None

    model = tiny_model("bert")
    for block in model.encoder.layer:
        torch.nn.init.constant_(block.output.LayerNorm.bias[5:6], 3000.0)
    register()
    monkeypatch.setattr(self_check, "register", lambda: AttentionInterface.register(PACKED, leaking))
    engine, check = build_engine(model)
    register()
    assert not engine.packed and check.reason.startswith("packed, it differs by")


def test_a_missing_pooler_is_no_matter(tmp_path: Path) -> None:
    weights = load_file(save(tmp_path) / "model.safetensors")
    kept = {name: weight for name, weight in weights.items() if "pooler" not in name}
    save_file(kept, tmp_path / "model.safetensors", metadata={"format": "pt"})
    assert len(Encoder.from_pretrained(str(tmp_path)).encode(TEXTS)) == 3


def test_an_index_of_pickles_is_refused(tmp_path: Path) -> None:
    weights = load_file(save(tmp_path) / "model.safetensors")
    torch.save(weights, tmp_path / "weights.bin")
    (tmp_path / "model.safetensors").rename(tmp_path / "model-other.safetensors")
    index = {"metadata": {}, "weight_map": dict.fromkeys(weights, "weights.bin")}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index), "utf-8")
    with pytest.raises(UnsafeWeightsError, match=r"names 'weights\.bin'"):
        Encoder.from_pretrained(str(tmp_path))


def test_a_git_lfs_pointer_is_named(tmp_path: Path) -> None:
    weights = save(tmp_path) / "model.safetensors"
    weights.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 90868376\n", "utf-8")
    with pytest.raises(ModelNotFoundError, match=r"is a git-lfs pointer .* run `git lfs pull`"):
        Encoder.from_pretrained(str(tmp_path))


def test_the_checksum_is_of_the_weights_that_are_loaded(tmp_path: Path) -> None:
    before = locate(str(save(tmp_path))).weights_sha256
    expected = Encoder.from_pretrained(str(tmp_path)).encode(TEXTS[:1])[0].hidden_states
    weights = {name: weight * 2 for name, weight in load_file(tmp_path / "model.safetensors").items()}
    save_file(weights, tmp_path / "model.fp16.safetensors", metadata={"format": "pt"})
    change(tmp_path / "config.json", transformers_weights="model.fp16.safetensors")
    assert locate(str(tmp_path)).weights_sha256 == before
    assert np.array_equal(Encoder.from_pretrained(str(tmp_path)).encode(TEXTS[:1])[0].hidden_states, expected)


def test_shapes_that_do_not_fit_are_named(tmp_path: Path) -> None:
    change(save(tmp_path) / "config.json", max_position_embeddings=80)
    with pytest.raises(
        ModelError, match=r"position_embeddings\.weight is 40 × 32 in the files and 80 × 32 by"
    ):
        Encoder.from_pretrained(str(tmp_path))


def test_an_attention_kernel_named_in_the_config_is_not_fetched(tmp_path: Path) -> None:
    change(save(tmp_path) / "config.json", _attn_implementation="some-org/kernels")
    assert len(Encoder.from_pretrained(str(tmp_path)).encode(TEXTS)) == 3


def test_tokens_beyond_the_embeddings_are_refused(tmp_path: Path) -> None:
    encoder = Encoder.from_pretrained(str(save(tmp_path, vocab_size=12)))
    with pytest.raises(ModelError, match="has 12 embeddings: tokenizer and weights do not belong together"):
        encoder.encode(TEXTS)


def test_pairs_for_a_model_of_one_segment(tmp_path: Path) -> None:
    encoder = Encoder.from_pretrained(str(save(tmp_path, type_vocab_size=1)), engine="padded")
    [states] = encoder.encode([("the cat", "the dog")])
    inputs = encoder.tokenizer("the cat", "the dog", return_tensors="pt")
    with torch.inference_mode():
        hidden = encoder.engine.model(input_ids=inputs["input_ids"]).last_hidden_state[0].numpy()
    own = [place for place, special in enumerate(inputs["input_ids"][0]) if special > 4]
    np.testing.assert_allclose(states.layer(-1), hidden[own], atol=1e-5)


@pytest.mark.parametrize("named", [True, False])
def test_token_types_follow_the_tokenizers_own_config(tmp_path: Path, named: bool) -> None:
    names = ["input_ids", *(["token_type_ids"] if named else []), "attention_mask"]
    change(save(tmp_path) / "tokenizer_config.json", model_input_names=names)
    encoder = Encoder.from_pretrained(str(tmp_path), engine="padded")
    inputs = encoder.tokenizer("the cat", "the dog", return_tensors="pt")
    assert ("token_type_ids" in inputs) == named
    with torch.inference_mode():
        hidden = encoder.engine.model(**inputs).last_hidden_state[0].numpy()
    [states] = encoder.encode([("the cat", "the dog")])
    own = [place for place, special in enumerate(inputs["input_ids"][0]) if special > 4]
    np.testing.assert_allclose(states.layer(-1), hidden[own], atol=1e-5)


def test_word_ids_of_a_pair_start_again_as_in_transformers(tmp_path: Path) -> None:
    encoder = Encoder.from_pretrained(str(save(tmp_path)))
    expected = [number for number in encoder.tokenizer("the cat", "a dog").word_ids() if number is not None]
    for unit in ("token", "word"):
        [states] = encoder.encode([("the cat", "a dog")], unit=unit)
        assert [one.word_id for one in states.units] == (expected if unit == "token" else [0, 1, 0, 1])


@pytest.mark.parametrize("pad_token_id", [-1, None])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_padding_token_that_is_none(tmp_path: Path, pad_token_id: int | None, dtype: str) -> None:
    change(save(tmp_path) / "config.json", pad_token_id=pad_token_id)
    expected = Encoder.from_pretrained(str(tmp_path), dtype=dtype).encode(TEXTS)
    padded = Encoder.from_pretrained(str(tmp_path), dtype=dtype, engine="padded").encode(TEXTS)
    for one, other in zip(expected, padded, strict=True):
        np.testing.assert_allclose(
            one.hidden_states, other.hidden_states, atol=0.05 if dtype == "bfloat16" else 1e-5
        )


def test_filling_fits_in_few_positions(tmp_path: Path) -> None:
    encoder = Encoder.from_pretrained(str(save(tmp_path, max_position_embeddings=16)), dtype="bfloat16")
    assert encoder.encode(["the cat"])[0].hidden_states.shape == (3, 2, 32)


@pytest.mark.parametrize("limit", ["512", True, None, -3])
def test_a_maximum_length_that_is_none(tmp_path: Path, limit: Any) -> None:
    change(save(tmp_path) / "tokenizer_config.json", model_max_length=limit)
    assert Encoder.from_pretrained(str(tmp_path)).max_length == 40


@pytest.mark.parametrize("number", [0, -1])
def test_a_model_without_blocks_is_refused(tmp_path: Path, number: int) -> None:
    change(save(tmp_path) / "config.json", num_hidden_layers=number)
    with pytest.raises(ModelError):
        Encoder.from_pretrained(str(tmp_path))


@pytest.mark.parametrize("name", ["", "~nosuchuser/model", "x" * 5_000, "FILE"])
def test_names_that_are_no_model(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    given = str(save(tmp_path) / "model.safetensors") if name == "FILE" else name
    with pytest.raises(ModelError, match="is a file" if name == "FILE" else "no name|there is no model"):
        Encoder.from_pretrained(given)


class _Broken(Engine):
    """An engine that is right at layer 0 and NaN above, as a wrong kernel may be."""

    def run(self, batch: Any, layers: Any, consume: Any) -> None:
        broken = self.packed
        super().run(
            batch,
            layers,
            lambda layer, hidden: consume(layer, hidden * torch.nan if broken and layer else hidden),
        )


def test_the_self_check_sees_nan_above_layer_0(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("layerwise.models.self_check.Engine", _Broken)
    engine, check = build_engine(tiny_model("bert"))
    assert not engine.packed and check.attention == "sdpa" and check.error <= TOLERANCE


def test_what_fails_on_the_device_falls_back_to_what_was_checked() -> None:
    engine, check = build_engine(tiny_model("bert"))
    assert engine.packed and check.passed("sdpa")
    broken = _Broken(engine.model, engine.anatomy, engine.attention)
    confirmed = confirm(broken, check)
    assert not broken.packed and not confirmed.packed
    assert confirmed.error == check.errors["sdpa"] and "cosine to padded is nan" in confirmed.note


def test_a_model_that_looks_at_padding_is_never_padded() -> None:
    engine, check = build_engine(tiny_model("mobilebert"))
    assert check.attention == "sdpa" + EQUAL_LENGTHS and "one length at a time" in check.note
    generator = torch.Generator().manual_seed(5)
    batch = [
        TokenSequence(ids, torch.zeros_like(ids))
        for ids in (torch.randint(10, 120, (length,), generator=generator) for length in (3, 9, 3, 1, 9, 4))
    ]
    together: dict[Any, torch.Tensor] = {}
    engine.run(batch, [0, 2, 4], together.__setitem__)
    assert list(together) == [0, 2, 4]
    apart: dict[Any, list[torch.Tensor]] = {}
    for sequence in batch:
        engine.run([sequence], [0, 2, 4], lambda layer, hidden: apart.setdefault(layer, []).append(hidden))
    for layer, hidden in together.items():
        torch.testing.assert_close(hidden, torch.cat(apart[layer]), atol=1e-5, rtol=0)


def test_a_batch_too_large_for_the_device_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    engine, _ = build_engine(tiny_model("bert"))

    def fail(**inputs: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(engine.model, "forward", fail)
    ids = torch.arange(10, 20)
    with pytest.raises(DeviceMemoryError, match="a batch of 10 tokens does not fit .* lower --batch-tokens"):
        engine.run([TokenSequence(ids, torch.zeros_like(ids))], [0], lambda layer, hidden: None)


def test_rows_too_many_for_the_device_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the pooled rows of a batch need is asked for outside the model."""

    def fail(self: Collector, sequences: Any, lengths: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(Collector, "begin", fail)
    with pytest.raises(DeviceMemoryError, match="a batch of 5 tokens does not fit .* lower --batch-tokens"):
        Encoder.from_pretrained("minilm", device="cpu").encode(["a b c"])


def findings(folder: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {"problem": [], "note": []}
    for finding in examine(str(folder)).findings:
        found[finding.severity].append(finding.text)
    return found


def test_the_doctor_knows_a_decoder(tmp_path: Path) -> None:
    assert not findings(save(tmp_path))["problem"]
    change(tmp_path / "config.json", is_decoder=True)
    assert any("only those before it" in text for text in findings(tmp_path)["problem"])


def test_the_doctor_tells_blocks_that_are_left_out(tmp_path: Path) -> None:
    change(save(tmp_path) / "config.json", num_hidden_layers=1)
    [problem] = findings(tmp_path)["problem"]
    assert "blocks that config.json does not have: encoder.layer.1." in problem


def test_the_doctor_reads_what_it_can(tmp_path: Path) -> None:
    (save(tmp_path) / "sentence_bert_config.json").write_text("{bad", "utf-8")
    change(tmp_path / "tokenizer_config.json", model_max_length="512")
    notes = " ".join(findings(tmp_path)["note"])
    assert "sentence_bert_config.json cannot be read" in notes and "takes it from the config" in notes


def test_big_birds_attention_is_the_same_whatever_was_run_before() -> None:
    model = tiny_model("big_bird", block_size=4, num_random_blocks=2, max_position_embeddings=128)
    engine, _ = build_engine(model)
    ids = torch.randint(10, 120, (60,), generator=torch.Generator().manual_seed(1))
    found: list[torch.Tensor] = []
    engine.run([TokenSequence(ids, torch.zeros_like(ids))], [4], lambda layer, hidden: found.append(hidden))
    full = tiny_model("big_bird", attention_type="original_full", max_position_embeddings=128)
    with torch.inference_mode():
        expected = full(ids[None]).last_hidden_state[0]
    torch.testing.assert_close(found[0], expected, atol=1e-5, rtol=0)


def test_final_is_the_last_layer_where_there_is_no_final_norm(tmp_path: Path) -> None:
    [states] = Encoder.from_pretrained(str(save(tmp_path))).encode(["the cat"], layers="final")
    assert np.array_equal(states.layer("final"), states.layer(2))
