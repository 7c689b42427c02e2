"""Pruning: what is taken out is gone, what stays computes the same everywhere, and the least important goes first."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import (
    AlbertConfig,
    AlbertModel,
    AutoModel,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DistilBertConfig,
    DistilBertModel,
)

from layerwise import Encoder, ship
from layerwise.errors import ModelError, UsageError
from layerwise.models.dropped_blocks import drop_blocks
from layerwise.models.load import quiet
from layerwise.models.removed_heads import (
    attention_of,
    full_weights,
    removed_heads,
    take_out_heads,
    zero_heads,
)
from layerwise.train.choices import FinetuneChoices
from layerwise.train.evaluate import evaluate
from layerwise.train.finetune import finetune
from layerwise.train.pruning import run as pruning_run
from layerwise.train.pruning.importance import least_important
from layerwise.train.pruning.run import PruneCuts, prune
from layerwise.train.settings import TrainingSettings
from tests.tiny import one_thread, tiny_folder, tiny_model  # noqa: F401
from tests.train.learning import EXAMPLES, tiny_bert, vocabulary, write_jsonl

TEXTS = EXAMPLES / "prose_en.txt"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """A classifier of three blocks that knows its task, and its data."""
    folder = tmp_path_factory.mktemp("trained")
    words = {"red": "warm", "orange": "warm", "blue": "cold", "green": "cold"}
    rows = [
        {"text": f"the {list(words)[n % 4]} hat and {n % 9} more", "label": list(words.values())[n % 4]}
        for n in range(160)
    ]
    data = write_jsonl(folder / "data.jsonl", rows)
    base = tiny_bert(folder / "base", layers=3)
    finetune(
        "classify",
        data,
        folder / "model",
        model=base,
        settings=TrainingSettings(epochs=6, batch_size=16, lr=1e-3),
    )
    return str(folder / "model"), data


def outputs(folder: Path | str, texts: list[str]) -> list[torch.Tensor]:
    with quiet(), torch.no_grad():
        model, tokenizer = AutoModel.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
        return [model(**tokenizer(text, return_tensors="pt"))[0][0] for text in texts]


def test_blocks_are_dropped(trained: tuple[str, Path], tmp_path: Path) -> None:
    model, data = trained
    report = prune(model, tmp_path / "out", PruneCuts(drop_layers=(2,)), data=data)
    before, after = report.rows
    assert report.blocks == 2
    assert after.parameters < before.parameters
    assert after.bytes < before.bytes
    assert before.scores["macro_f1"] > 0.95
    with quiet():
        theirs = AutoModelForSequenceClassification.from_pretrained(tmp_path / "out")
        whole = AutoModelForSequenceClassification.from_pretrained(model)
    assert theirs.config.num_hidden_layers == 2
    assert torch.equal(
        theirs.bert.encoder.layer[1].output.dense.weight, whole.bert.encoder.layer[2].output.dense.weight
    )
    again = evaluate(str(tmp_path / "out"), data)
    assert again.scores == pytest.approx(after.scores)


def test_the_least_useful_block_is_one_that_does_nothing(trained: tuple[str, Path], tmp_path: Path) -> None:
    """A block whose outputs are all zero, in the middle, is found."""
    model, data = trained
    with quiet():
        spoiled = AutoModelForSequenceClassification.from_pretrained(model)
        tokenizer = AutoTokenizer.from_pretrained(model)
    block = spoiled.bert.encoder.layer[1]
    with torch.no_grad():
        for linear in (block.attention.output.dense, block.output.dense):
            linear.weight.zero_()
            linear.bias.zero_()
    with quiet():
        spoiled.save_pretrained(tmp_path / "spoiled")
        tokenizer.save_pretrained(tmp_path / "spoiled")
    report = prune(str(tmp_path / "spoiled"), tmp_path / "out", PruneCuts(least_useful=1), data=data)
    assert any("block 2." in note for note in report.notes)


def test_heads_are_removed_and_give_the_same_numbers_everywhere(tmp_path: Path) -> None:
    base = tiny_folder(tmp_path)
    report = prune(str(base), tmp_path / "out", PruneCuts(heads=0.5), data=TEXTS)
    assert sum(map(len, report.heads.values())) == 3  # of six
    before, after = report.rows
    assert after.parameters < before.parameters
    assert after.scores["cosine"] < before.scores["cosine"] == pytest.approx(1.0, abs=1e-5)
    texts = ["The quick brown fox", "今天天气很好。", "one"]
    ours = Encoder.from_pretrained(str(tmp_path / "out"), device="cpu")
    assert ours.engine.packed
    for theirs, states in zip(outputs(tmp_path / "out", texts), ours.encode(texts, "-1"), strict=True):
        assert np.abs(theirs[1:-1].numpy() - states.hidden_states[0]).max() < 1e-5
    shapes = [block.attention.self.query.out_features for block in ours.engine.model.encoder.layer]
    assert sum(shapes) == 3 * 16
    # And what is cut from it, with the heads back as zeros, is still the same.
    ship(ours, tmp_path / "shipped", layer=2)
    config = json.loads((tmp_path / "shipped" / "config.json").read_text("utf-8"))
    assert set(config["layerwise_removed_heads"]) <= {"1", "2"}


def test_taken_out_is_zeroed() -> None:
    """Both encoders compute the same; putting the heads back as zeros gives the weights that were saved."""
    import copy

    model = copy.deepcopy(tiny_model("wordpiece"))
    zero_heads(model, {1: [0], 3: [1]})
    assert removed_heads(model.config) == {1: [0], 3: [1]}
    saved = {name: weight.clone() for name, weight in model.state_dict().items()}
    smaller = copy.deepcopy(model)
    take_out_heads(smaller)
    assert attention_of(smaller, 1).heads == attention_of(smaller, 3).heads == 1
    assert attention_of(smaller, 2).heads == 2
    ids = torch.arange(5, 25)[None]
    with torch.no_grad():
        torch.testing.assert_close(model(ids)[0], smaller(ids)[0], rtol=0, atol=1e-6)
    back = full_weights(smaller)
    assert all(torch.equal(back[name], saved[name]) for name in saved)
    zero_heads(model, {2: [0]})
    assert removed_heads(model.config) == {1: [0], 2: [0], 3: [1]}
    drop_blocks(model, [1])
    assert removed_heads(model.config) == {1: [0], 2: [1]}


def test_a_head_that_does_nothing_goes_first(trained: tuple[str, Path], tmp_path: Path) -> None:
    model, data = trained
    with quiet():
        spoiled = AutoModelForSequenceClassification.from_pretrained(model)
        tokenizer = AutoTokenizer.from_pretrained(model)
    with torch.no_grad():  # the third head of the second block
        spoiled.bert.encoder.layer[1].attention.output.dense.weight[:, 32:48] = 0
    with quiet():
        spoiled.save_pretrained(tmp_path / "spoiled")
        tokenizer.save_pretrained(tmp_path / "spoiled")
    report = prune(str(tmp_path / "spoiled"), tmp_path / "out", PruneCuts(heads=1 / 12), data=data)
    assert report.heads == {"2": [2]}
    before, after = report.rows
    assert after.scores == pytest.approx(before.scores)


def test_one_head_stays_in_each_block() -> None:
    removed = least_important([[0.1, 0.2], [0.3, 0.9], [0.01, 0.02]], 0.99)
    assert removed == {1: [0], 2: [0], 3: [0]}


def test_distilbert_has_its_heads_elsewhere(tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = DistilBertConfig(vocab_size=len(vocabulary()), dim=32, n_layers=2, n_heads=4, hidden_dim=48)
    with quiet():
        DistilBertModel(config).save_pretrained(tmp_path / "base")
        vocabulary().save_pretrained(tmp_path / "base")
    report = prune(str(tmp_path / "base"), tmp_path / "out", PruneCuts(heads=0.25), data=TEXTS)
    assert sum(map(len, report.heads.values())) == 2
    [theirs] = outputs(tmp_path / "out", ["a small text"])
    ours = Encoder.from_pretrained(str(tmp_path / "out"), device="cpu").encode("a small text", "-1")
    assert np.abs(theirs[1:-1].numpy() - ours[0].hidden_states[0]).max() < 1e-5


def shared_blocks(folder: Path) -> str:
    """A tiny ALBERT, whose three blocks are one."""
    config = AlbertConfig(
        vocab_size=len(vocabulary()),
        embedding_size=16,
        hidden_size=32,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=48,
    )
    with quiet():
        AlbertModel(config).save_pretrained(folder)
        vocabulary().save_pretrained(folder)
    return str(folder)


def test_shared_blocks_cannot_be_pruned(tmp_path: Path) -> None:
    base = shared_blocks(tmp_path / "base")
    with pytest.raises(ModelError, match="no list of blocks with weights of their own"):
        prune(base, tmp_path / "out", PruneCuts(drop_layers=(1,)))
    assert not (tmp_path / "out").exists()


def test_the_smallest_weights_become_zero(tmp_path: Path) -> None:
    base = tiny_folder(tmp_path)
    report = prune(str(base), tmp_path / "out", PruneCuts(magnitude=0.5))
    before, after = report.rows
    assert after.parameters == before.parameters
    with quiet():
        pruned, whole = AutoModel.from_pretrained(tmp_path / "out"), AutoModel.from_pretrained(base)
    weights = [
        (m.weight, whole.encoder.get_submodule(n).weight)
        for n, m in pruned.encoder.named_modules()
        if isinstance(m, torch.nn.Linear)
    ]
    zero = sum(int((new == 0).sum()) for new, _ in weights)
    assert zero / sum(new.numel() for new, _ in weights) == pytest.approx(0.5, abs=1e-3)
    largest_gone = max(float(old[new == 0].detach().abs().max()) for new, old in weights)
    smallest_kept = min(float(old[new != 0].detach().abs().min()) for new, old in weights)
    assert largest_gone <= smallest_kept
    assert after.tokens_per_second is None  # nothing was given to measure on


def test_int8_is_close_and_small(trained: tuple[str, Path], tmp_path: Path) -> None:
    model, data = trained
    report = prune(model, tmp_path / "out", PruneCuts(int8=True), data=data)
    before, after, quantised = report.rows
    assert (tmp_path / "out" / "onnx" / "model_quantized.onnx").stat().st_size == quantised.bytes
    assert quantised.bytes < 0.6 * before.bytes  # in a model so small the graph itself counts
    assert quantised.scores["macro_f1"] > before.scores["macro_f1"] - 0.05
    assert after.scores == before.scores


def test_the_graph_in_int8_is_without_the_heads_that_are_removed(
    trained: tuple[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the model beside it is measured with the attention that it had before."""
    model, data = trained
    attentions = []
    speed = pruning_run._speed
    monkeypatch.setattr(
        pruning_run,
        "_speed",
        lambda subject, run: (
            attentions.append(subject.encoder.config._attn_implementation) or speed(subject, run)
        ),
    )
    whole = prune(model, tmp_path / "whole", PruneCuts(int8=True), data=data).rows[-1]
    cut = prune(model, tmp_path / "cut", PruneCuts(heads=0.5, int8=True), data=data).rows[-1]
    assert set(attentions) == {"sdpa"}
    assert cut.bytes < whole.bytes - (whole.parameters - cut.parameters) / 2  # a byte a weight


@pytest.mark.parametrize(
    ("cuts", "message"),
    [
        (PruneCuts(), "nothing to prune was named"),
        (PruneCuts(drop_layers=(7,)), "expected some of 1 to 3"),
        (PruneCuts(drop_layers=(1, 2, 3)), "one at least to stay"),
        (PruneCuts(heads=0.5), "measured on data"),
        (PruneCuts(heads=1.5), "--heads is 1.5"),
        (PruneCuts(magnitude=1.0), "--magnitude is 1"),
    ],
)
def test_what_cannot_be_pruned_is_refused(tmp_path: Path, cuts: PruneCuts, message: str) -> None:
    base = tiny_folder(tmp_path)
    with pytest.raises(UsageError, match=message):
        prune(str(base), tmp_path / "out", cuts)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("cuts", [PruneCuts(heads=0.02), PruneCuts(magnitude=1e-9)])
def test_a_share_of_nothing_is_refused(cuts: PruneCuts, trained: tuple[str, Path], tmp_path: Path) -> None:
    model, data = trained
    with pytest.raises(UsageError, match=r"which is none: expected a"):
        prune(model, tmp_path / "out", cuts, data=data)
    assert not (tmp_path / "out").exists()


def test_a_pruned_model_can_be_trained_on(trained: tuple[str, Path], tmp_path: Path) -> None:
    """Removed heads stay removed."""
    model, data = trained
    prune(model, tmp_path / "pruned", PruneCuts(heads=0.25), data=data)
    finetune(
        "classify",
        data,
        tmp_path / "again",
        model=str(tmp_path / "pruned"),
        settings=TrainingSettings(steps=5, lr=1e-3),
    )
    first = json.loads((tmp_path / "pruned" / "config.json").read_text("utf-8"))
    second = json.loads((tmp_path / "again" / "config.json").read_text("utf-8"))
    assert first["layerwise_removed_heads"] == second["layerwise_removed_heads"]
    with quiet():
        again = AutoModelForSequenceClassification.from_pretrained(tmp_path / "again")
    [(block, heads), *_] = removed_heads(again.config).items()
    attention = attention_of(again.bert, block)
    rows = slice(heads[0] * attention.head_size, (heads[0] + 1) * attention.head_size)
    assert not attention.output.weight[:, rows].any()


@pytest.mark.parametrize(
    "choices",
    [FinetuneChoices(mix="scalar"), FinetuneChoices(frozen=True), FinetuneChoices(mix="scalar", frozen=True)],
)
def test_a_model_with_a_head_of_our_own_is_pruned_twice(
    choices: FinetuneChoices, trained: tuple[str, Path], tmp_path: Path
) -> None:
    """The second time without the heads that the first one took out, measured as it runs."""
    _, data = trained
    short = TrainingSettings(steps=4, batch_size=8)
    model = tiny_bert(tmp_path / "base", layers=2)
    finetune("classify", data, tmp_path / "model", model=model, choices=choices, settings=short)
    first = prune(str(tmp_path / "model"), tmp_path / "one", PruneCuts(heads=0.25), data=data)
    again = prune(str(tmp_path / "one"), tmp_path / "two", PruneCuts(heads=0.25), data=data)
    assert again.rows[0].parameters == first.rows[1].parameters > again.rows[1].parameters
    assert again.rows[0].scores == pytest.approx(first.rows[1].scores)
    assert sum(map(len, again.heads.values())) == 4  # of eight: two, then a quarter of six, rounded
    assert evaluate(str(tmp_path / "two"), data).scores == pytest.approx(again.rows[1].scores)


@pytest.mark.parametrize(
    "cuts", [PruneCuts(least_useful=1), PruneCuts(drop_layers=(1,)), PruneCuts(int8=True)]
)
def test_what_cannot_be_cut_under_a_mix_is_refused_before_anything_is_measured(
    cuts: PruneCuts, trained: tuple[str, Path], tmp_path: Path
) -> None:
    _, data = trained
    model = tiny_bert(tmp_path / "base", layers=2)
    mix, short = FinetuneChoices(mix="scalar"), TrainingSettings(steps=2, batch_size=8)
    finetune("classify", data, tmp_path / "model", model=model, choices=mix, settings=short)
    said: list[str] = []
    with pytest.raises(UsageError, match="under it|of layerwise's own"):
        prune(str(tmp_path / "model"), tmp_path / "out", cuts, data=data, say=said.append)
    assert not said and not (tmp_path / "out").exists()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_weights_are_written_as_they_were(dtype: torch.dtype, tmp_path: Path) -> None:
    base = tiny_folder(tmp_path)
    with quiet():
        AutoModel.from_pretrained(base, dtype=torch.float32).to(dtype).save_pretrained(base)
    report = prune(str(base), tmp_path / "out", PruneCuts(heads=0.25), data=TEXTS)
    before, after = report.rows
    assert after.bytes == pytest.approx(before.bytes, rel=0.05)
    with quiet():
        whole, pruned = (
            AutoModel.from_pretrained(folder, dtype="auto") for folder in (base, tmp_path / "out")
        )
    assert pruned.dtype == whole.dtype == dtype
    theirs = dict(whole.named_parameters())
    for name, weight in pruned.named_parameters():
        assert torch.equal(weight[weight != 0], theirs[name][weight != 0])


def test_heads_that_are_gone_are_no_small_weights(tmp_path: Path) -> None:
    base = tiny_folder(tmp_path)
    prune(str(base), tmp_path / "fewer", PruneCuts(heads=0.5), data=TEXTS)
    prune(str(tmp_path / "fewer"), tmp_path / "out", PruneCuts(magnitude=0.5))
    with quiet():
        fewer, out = (
            AutoModel.from_pretrained(tmp_path / "fewer"),
            AutoModel.from_pretrained(tmp_path / "out"),
        )
    removed = removed_heads(fewer.config)
    assert removed
    for model in (fewer, out):
        take_out_heads(model)
    kept, zero = (
        sum(
            int((m.weight == 0).sum()) if count else m.weight.numel()
            for m in out.encoder.modules()
            if isinstance(m, torch.nn.Linear)
        )
        for count in (False, True)
    )
    assert zero / kept == pytest.approx(0.5, abs=1e-3)


def test_small_weights_of_shared_blocks_become_zero(tmp_path: Path) -> None:
    prune(shared_blocks(tmp_path / "base"), tmp_path / "out", PruneCuts(magnitude=0.3))
    with quiet():
        block = AutoModel.from_pretrained(tmp_path / "out").encoder.albert_layer_groups[0].albert_layers[0]
    weights = [module.weight for module in block.modules() if isinstance(module, torch.nn.Linear)]
    zero = sum(int((weight == 0).sum()) for weight in weights)
    assert zero / sum(weight.numel() for weight in weights) == pytest.approx(0.3, abs=1e-3)
