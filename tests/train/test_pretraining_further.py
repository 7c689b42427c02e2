"""Pretraining that goes on from a trained model: nothing of it is lost, and a new vocabulary takes over what it can."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer, BertModel
from transformers import BertForPreTraining as Stock

from layerwise.errors import LayerwiseError, ModelError, UsageError
from layerwise.models.load import quiet
from layerwise.models.locate import locate
from layerwise.train.pretraining.batches import MaskedPair, packed_batch
from layerwise.train.pretraining.losses import Losses
from layerwise.train.pretraining.run import PretrainShape, pretrain
from layerwise.train.pretraining.start import open_source, trained
from layerwise.train.pretraining.transfer import Transfer
from layerwise.train.settings import TrainingSettings
from layerwise.train.unreached import leave_out_unreached
from layerwise.train.vocabulary import train_vocabulary
from tests.tiny import one_thread, tiny_model, tiny_tokenizer  # noqa: F401
from tests.train.learning import curve
from tests.train.test_pretraining import SHAPE, write_corpus

SAME = PretrainShape(max_length=64, batch_tokens=1024)


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("text") / "small.txt")


@pytest.fixture(scope="module")
def first(text: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("first") / "model"
    pretrain(
        text, folder, shape=SHAPE, settings=TrainingSettings(steps=150, lr=3e-3, log_every=25), save_every=150
    )
    return folder


@pytest.fixture(scope="module")
def bare(first: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The encoder without its heads, as most models are published."""
    folder = tmp_path_factory.mktemp("bare") / "model"
    with quiet():
        BertModel.from_pretrained(first).save_pretrained(folder)
        AutoTokenizer.from_pretrained(first).save_pretrained(folder)
    return folder


def test_it_begins_where_the_model_was(first: Path, text: Path, tmp_path: Path) -> None:
    said: list[str] = []
    report = pretrain(
        text,
        tmp_path / "on",
        model=str(first),
        shape=SAME,
        settings=TrainingSettings(steps=5, log_every=1),
        say=said.append,
    )
    assert report is not None
    for name in ("masked_accuracy", "mlm_loss", "nsp_accuracy", "nsp_loss"):
        assert curve(tmp_path / "on", f"eval_{name}_small")[0] == curve(first, f"eval_{name}_small")[150]
    assert not [line for line in said if "anew" in line]
    ours, theirs = (AutoTokenizer.from_pretrained(folder).get_vocab() for folder in (tmp_path / "on", first))
    assert ours == theirs


def test_the_pairs_of_the_run_before_are_noticed(first: Path, text: Path, tmp_path: Path) -> None:
    for seed, again in ((0, True), (1, False)):
        said: list[str] = []
        how = TrainingSettings(steps=1, seed=seed)
        pretrain(text, tmp_path / f"{seed}", model=str(first), shape=SAME, settings=how, say=said.append)
        assert any("the same pairs come again" in line for line in said) is again


def test_a_resumed_run_has_the_losses_of_an_undisturbed_one(first: Path, text: Path, tmp_path: Path) -> None:
    how = TrainingSettings(steps=12, log_every=1)
    shape = PretrainShape(vocab_size=200, layers=1, max_length=64, batch_tokens=1024, dropout=0.1)
    model = str(first)
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    pretrain(text, whole, model=model, shape=shape, settings=how, save_every=10)
    assert (
        pretrain(text, stopped, model=model, shape=shape, settings=how, save_every=10, minutes=1e-6) is None
    )
    with pytest.raises(UsageError, match="was begun with model"):
        pretrain(text, stopped, model="minilm", shape=shape, settings=how, save_every=10, resume=True)
    pretrain(text, stopped, model=model, shape=shape, settings=how, save_every=10, resume=True)
    assert len(curve(stopped)) == 12
    assert curve(stopped) == curve(whole)
    config = json.loads((stopped / "config.json").read_text("utf-8"))
    assert config["num_hidden_layers"] == 1
    assert config["hidden_dropout_prob"] == 0.1
    assert config["vocab_size"] == len(AutoTokenizer.from_pretrained(stopped)) <= 200


def test_what_was_prepared_is_trained_with_settings_chosen_later(
    first: Path, text: Path, tmp_path: Path
) -> None:
    folder, shape = tmp_path / "out", PretrainShape(vocab_size=200, max_length=64, batch_tokens=1024)
    model = str(first)
    pretrain(text, folder, model=model, shape=shape, settings=TrainingSettings(steps=9), prepare_only=True)
    vocabulary = (folder / "tokenizer/tokenizer.json").read_bytes()
    other = PretrainShape(**{**vars(shape), "vocab_size": 190})
    with pytest.raises(UsageError, match="was begun with vocab_size 200, and now it is 190"):
        pretrain(text, folder, model=model, shape=other, settings=TrainingSettings(steps=3), resume=True)
    how = TrainingSettings(steps=4, lr=1e-4, log_every=1)
    assert pretrain(text, folder, model=model, shape=shape, settings=how, minutes=1e-6, resume=True) is None
    assert (folder / "tokenizer/tokenizer.json").read_bytes() == vocabulary
    with pytest.raises(UsageError, match="was begun with lr 0.0001, and now it is not given"):
        pretrain(
            text,
            folder,
            model=model,
            shape=shape,
            settings=TrainingSettings(steps=4, log_every=1),
            resume=True,
        )
    assert pretrain(text, folder, model=model, shape=shape, settings=how, resume=True) is not None


def test_a_missing_head_hands_on_the_states(bare: Path) -> None:
    files = locate(str(bare))
    tokenizer = AutoTokenizer.from_pretrained(bare)
    start = trained(open_source(files, SAME), SAME, tokenizer)
    assert start.notes == (
        f"{str(bare)!r} has no trained head: the one for masked tokens and the one for next sentences begin anew",
    )
    with quiet():
        encoder = BertModel.from_pretrained(bare).eval()
    for name, weight in encoder.state_dict().items():
        torch.testing.assert_close(start.model.bert.state_dict()[name], weight, rtol=0, atol=0)
    transform = start.model.cls.predictions.transform
    assert torch.equal(transform.dense.weight, torch.eye(SHAPE.hidden or 0))
    assert start.model.cls.predictions.decoder.weight is start.model.bert.embeddings.word_embeddings.weight


def test_a_new_vocabulary_takes_over_what_the_old_one_knew(bare: Path) -> None:
    old = AutoTokenizer.from_pretrained(bare)
    new = train_vocabulary(["the ship sails", "a shipwave 鯨", "ship wave the 鯨"] * 9, 120, cased=False)
    transfer = Transfer.between(old, new)
    weights = torch.randn(len(old), 8, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(1)
    found, numbers = transfer.vectors(weights), transfer.numbers(weights[:, 0])
    places, known = new.get_vocab(), old.get_vocab()
    for piece in ("the", "ship", "wave", "[CLS]", "[MASK]", "[PAD]"):
        assert torch.equal(found[places[piece]], weights[known[piece]])
        assert numbers[places[piece]] == weights[known[piece], 0]
    made = next(piece for piece in places if piece not in known and piece.isascii())
    ids = old(made.removeprefix("##"), add_special_tokens=False)["input_ids"]
    torch.testing.assert_close(found[places[made]], weights[ids].mean(0))
    assert "鯨" not in known
    assert not (found[places["鯨"]] == weights).all(1).any()
    assert numbers[places["鯨"]] == pytest.approx(float(weights[:, 0].mean()))
    assert transfer.kept + transfer.made + transfer.random == len(new)
    assert transfer.random == sum(piece.endswith("鯨") for piece in places)


def test_vectors_that_cannot_be_spelled_are_distributed_as_the_old_ones() -> None:
    old = torch.randn(4000, 4, generator=torch.Generator().manual_seed(0)) @ torch.tensor(
        [[2.0, 1, 0, 0], [0, 1, 0, 0], [0, 0, 0.1, 0], [0, 0, 0, 0]]
    ) + torch.tensor([5.0, 0, 0, 0])
    torch.manual_seed(0)
    drawn = Transfer(((),) * 4000, 0).vectors(old)
    torch.testing.assert_close(drawn.mean(0), old.mean(0), rtol=0, atol=0.15)
    torch.testing.assert_close(torch.cov(drawn.T), torch.cov(old.T), rtol=0.1, atol=0.1)


def test_a_new_vocabulary_learns(first: Path, text: Path, tmp_path: Path) -> None:
    """Sooner than with random weights, whose first scores are those of the most frequent token."""
    how = TrainingSettings(steps=60, lr=1e-3, log_every=10)
    shape = PretrainShape(vocab_size=150, max_length=64, batch_tokens=1024)
    said: list[str] = []
    found = pretrain(
        text, tmp_path / "on", model=str(first), shape=shape, settings=how, save_every=60, say=said.append
    )
    random = PretrainShape(**{**vars(SHAPE), "vocab_size": 150})
    other = pretrain(text, tmp_path / "new", shape=random, settings=how, save_every=60)
    assert found is not None
    assert other is not None
    name = "masked_accuracy_small"
    assert found.scores[name] > other.scores[name] + 0.1
    [line] = [line for line in said if "new pieces" in line]
    assert "are in the vocabulary of" in line
    with quiet():
        Stock.from_pretrained(tmp_path / "on")


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (PretrainShape(hidden=64), "--hidden 64 was given, and the model"),
        (PretrainShape(heads=2), "--heads 2 was given"),
        (PretrainShape(cased=True), "--cased was given, and the vocabulary is that of"),
        (PretrainShape(layers=3), "--layers is 3: .* has 1 to 2 blocks"),
        (PretrainShape(max_length=512), "max-length is 512: the model .* takes at most 64 tokens"),
    ],
)
def test_what_the_model_decides_cannot_be_asked_for(
    shape: PretrainShape, message: str, first: Path, text: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=message):
        pretrain(text, tmp_path / "out", model=str(first), shape=shape, settings=TrainingSettings(steps=1))
    assert not (tmp_path / "out").exists()


def test_the_model_is_not_written_over(first: Path, bare: Path, text: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="which is to be read, is in .* the folder to write"):
        pretrain(
            text, first, model=str(first), shape=SAME, settings=TrainingSettings(steps=1), overwrite=True
        )
    assert (first / "model.safetensors").is_file()
    shutil.copytree(first, tmp_path / "run")
    inside = tmp_path / "run" / "inside"
    shutil.copytree(bare, inside)
    with pytest.raises(UsageError, match="which is to be read, is in"):
        pretrain(
            text,
            tmp_path / "run",
            model=str(inside),
            shape=SAME,
            settings=TrainingSettings(steps=1),
            overwrite=True,
        )
    assert (inside / "model.safetensors").is_file()


def test_an_earlier_run_stays_until_it_can_be_replaced(
    first: Path, bare: Path, text: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(first, run)
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    (tmp_path / "one.txt").write_text("Only one. Document here.", "utf-8")
    broken = tmp_path / "broken"
    shutil.copytree(bare, broken)
    weights = load_file(broken / "model.safetensors")
    del weights["encoder.layer.1.output.dense.weight"]
    save_file(weights, broken / "model.safetensors", {"format": "pt"})
    for corpus, model, message in (
        (tmp_path / "missing.txt", bare, "does not exist"),
        (tmp_path / "one.txt", bare, "expected at least two"),
        (text, broken, "lack 1 weights of a BERT"),
    ):
        for vocab in (None, 150):
            shape = PretrainShape(vocab_size=vocab, max_length=64, batch_tokens=1024)
            with pytest.raises(LayerwiseError, match=message):
                pretrain(
                    corpus,
                    run,
                    model=str(model),
                    shape=shape,
                    settings=TrainingSettings(steps=1),
                    overwrite=True,
                )
        assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before
    shape = PretrainShape(vocab_size=150, max_length=64, batch_tokens=1024)
    assert pretrain(
        text, run, model=str(bare), shape=shape, settings=TrainingSettings(steps=2), overwrite=True
    )
    assert sorted(path.name for path in run.iterdir()) == sorted(path.name for path in first.iterdir())


def test_another_model_of_the_same_name_is_told(bare: Path, first: Path, text: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(bare, model)
    how = TrainingSettings(steps=3)
    pretrain(text, tmp_path / "out", model=str(model), shape=SAME, settings=how, prepare_only=True)
    weights = load_file(model / "model.safetensors")
    save_file(
        {name: weight + 1 for name, weight in weights.items()}, model / "model.safetensors", {"format": "pt"}
    )
    with pytest.raises(UsageError, match="was begun with other weights"):
        pretrain(text, tmp_path / "out", model=str(model), shape=SAME, settings=how, resume=True)


def test_weights_that_are_not_tied_take_the_vectors_too(bare: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(bare, model)
    config = json.loads((model / "config.json").read_text("utf-8"))
    (model / "config.json").write_text(json.dumps({**config, "tie_word_embeddings": False}), "utf-8")
    tokenizer = AutoTokenizer.from_pretrained(model)
    start = trained(open_source(locate(str(model)), SAME), SAME, tokenizer)
    head = start.model.cls.predictions
    embeddings = start.model.bert.embeddings.word_embeddings.weight
    assert head.decoder.weight is not embeddings
    assert torch.equal(head.decoder.weight, embeddings)
    ids = np.arange(5, 12)
    batch = packed_batch([MaskedPair(ids, 0 * ids, ids[:2] - 4, ids[:2], 0)])
    labels = batch.pop("labels")
    leave_out_unreached(start.model, Losses(1)(start.model(**batch), labels))
    alone = [name for name, weight in start.model.named_parameters() if not weight.requires_grad]
    assert alone == ["cls.predictions.bias"]  # the decoder has one of its own


def test_few_vectors_have_no_root_and_are_drawn_from_all_the_same() -> None:
    flat = torch.randn(100, 8) @ torch.randn(8, 64)
    drawn = Transfer(((),) * 50, 0).vectors(flat)
    assert torch.isfinite(drawn).all()
    assert torch.linalg.matrix_rank(drawn - flat.mean(0), atol=1e-3) == 8


def test_other_families_are_refused(text: Path, tmp_path: Path) -> None:
    folder = tmp_path / "roberta"
    with quiet():
        tiny_model("bpe").save_pretrained(folder)
        tiny_tokenizer("bpe").save_pretrained(folder)
    with pytest.raises(ModelError, match="is a roberta model: .* the BERT architecture"):
        pretrain(text, tmp_path / "out", model=str(folder), shape=SAME, settings=TrainingSettings(steps=1))
    assert not (tmp_path / "out").exists()
