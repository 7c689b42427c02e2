"""Corpora and settings of which pretraining would make a model that is worth less than its scores say."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from layerwise.errors import LayerwiseError, NumericError, SourceError, UsageError
from layerwise.train.evaluate import evaluate
from layerwise.train.finetune import finetune
from layerwise.train.pretraining.corpus import Corpus, prepare
from layerwise.train.pretraining.run import PretrainShape, pretrain
from layerwise.train.pruning.run import PruneCuts, prune
from layerwise.train.settings import TrainingSettings
from layerwise.train.tasks.example import DataColumns
from tests.tiny import one_thread  # noqa: F401
from tests.train.learning import vocabulary
from tests.train.test_pretraining import SHAPE, write_corpus

ONE = TrainingSettings(steps=1)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A pretrained model, and its corpus."""
    folder = tmp_path_factory.mktemp("written")
    text = write_corpus(folder / "text.txt")
    pretrain(text, folder / "model", shape=SHAPE, settings=ONE)
    return folder / "model", text


@pytest.mark.parametrize(("batch_tokens", "accumulate", "fits"), [(576, 2, 640), (256, 100, 6400)])
def test_pairs_that_cannot_be_shared_are_refused(
    batch_tokens: int, accumulate: int, fits: int, tmp_path: Path
) -> None:
    """Rounded, a step would have other pairs than on one device."""
    shape = PretrainShape(vocab_size=300, layers=1, hidden=32, max_length=64, batch_tokens=batch_tokens)
    with pytest.raises(UsageError, match=rf"of {accumulate} pairs, as --batch-tokens {fits}\."):
        pretrain("text.txt", tmp_path / "out", shape=shape, settings=TrainingSettings(accumulate=accumulate))
    assert not (tmp_path / "out").exists()


def test_weights_that_a_step_broke_are_not_kept(tmp_path: Path) -> None:
    """The loss is of the weights before the step, so the last step has none that tells."""
    text = write_corpus(tmp_path / "text.txt")
    how = TrainingSettings(steps=2, warmup=0.0, lr=1e38, precision="fp32")
    with pytest.raises(NumericError, match=r"the weights are NaN or infinite after step [12]"):
        pretrain(text, tmp_path / "out", shape=SHAPE, settings=how, save_every=1)
    assert not list((tmp_path / "out").rglob("*.safetensors"))


def test_broken_weights_are_told_in_fine_tuning(tiny: str, data: Path, tmp_path: Path) -> None:
    how = TrainingSettings(steps=1, warmup=0.0, lr=1e38, batch_size=16, precision="fp32")
    with pytest.raises(NumericError, match=r"the weights are NaN or infinite after step 1"):
        finetune("classify", data, tmp_path / "out", model=tiny, settings=how)
    assert not (tmp_path / "out" / "config.json").exists()


def test_unknown_tokens_are_told(tmp_path: Path) -> None:
    """A letter that the vocabulary lacks is [UNK], which is easily predicted."""
    text = write_corpus(tmp_path / "text.txt")
    other = tmp_path / "zh.txt"
    other.write_text("天上飘着白云。地上开着红花。\n\n" * 20, "utf-8")
    pretrain(text, tmp_path / "english", shape=SHAPE, settings=ONE)
    report = pretrain(
        [text, other],
        tmp_path / "out",
        model=tmp_path / "english",
        shape=PretrainShape(max_length=64, batch_tokens=1024),
        settings=ONE,
    )
    assert report is not None
    [note] = report.notes
    assert "100% of the tokens of zh are [UNK]" in note
    assert evaluate(tmp_path / "english", other).notes == (note,)
    assert not evaluate(tmp_path / "english", text).notes


def test_documents_of_one_sentence_are_told(tmp_path: Path) -> None:
    rows = [
        {"text": line} for line in write_corpus(tmp_path / "text.txt").read_text("utf-8").split("\n") if line
    ]
    source = tmp_path / "rows.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    report = pretrain(source, tmp_path / "out", shape=SHAPE, settings=ONE)
    assert report is not None
    [note] = report.notes
    assert "100% of the pairs are random ones" in note


def test_the_names_of_special_tokens_in_a_text_are_text(tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("The ship [MASK] sails [SEP] again.\n\n[CLS] The wave breaks.\n\n", "utf-8")
    tokenizer = vocabulary()
    prepare(
        [str(text)],
        tokenizer,
        tmp_path / "corpus",
        format=None,
        text_column=None,
        longest=61,
        report=lambda said: None,
    )
    tokens = Corpus.load(tmp_path / "corpus").tokens
    special = {tokenizer.cls_token_id, tokenizer.sep_token_id, tokenizer.mask_token_id}
    assert not np.isin(tokens, list(special)).any()


def test_a_disk_that_is_full_for_the_vocabulary_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tokenizers library says it with a bare Exception."""

    def full(*given: object, **named: object) -> None:
        raise Exception("No space left on device (os error 28)")

    monkeypatch.setattr("transformers.PreTrainedTokenizerBase.save_pretrained", full)
    text = write_corpus(tmp_path / "text.txt")
    with pytest.raises(LayerwiseError, match="cannot be written to .*No space left"):
        pretrain(text, tmp_path / "out", shape=SHAPE, settings=ONE)


@pytest.mark.parametrize(("hidden", "heads"), [(256, 4), (200, 4), (384, 6), (32, 1), (97, 1), (312, 6)])
def test_heads_divide_the_width(hidden: int, heads: int) -> None:
    assert PretrainShape(hidden=hidden).filled().heads == heads


def test_bad_rows_of_texts_are_left_out(written: tuple[Path, Path], tmp_path: Path) -> None:
    model, text = written
    lines = [{"text": line} for line in text.read_text("utf-8").split("\n")[:60] if line]
    source = tmp_path / "rows.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in [*lines, {"x": 1}, *lines]), "utf-8")
    with pytest.raises(SourceError, match="there is no 'text'"):
        evaluate(model, source)
    assert "1 bad row was left out" in evaluate(model, source, skip_bad=True).notes[0]
    with pytest.raises(SourceError, match="there is no 'text'"):
        prune(model, tmp_path / "out", PruneCuts(drop_layers=(1,)), data=source)
    report = prune(model, tmp_path / "out", PruneCuts(drop_layers=(1,)), data=source, skip_bad=True)
    assert any("1 bad row was left out" in note for note in report.notes)


def test_columns_of_answers_are_refused_where_texts_alone_are_read(
    written: tuple[Path, Path], tmp_path: Path
) -> None:
    model, text = written
    with pytest.raises(UsageError, match="--label y was given"):
        evaluate(model, text, columns=DataColumns(label="y"))
    with pytest.raises(UsageError, match="--pair-column y was given"):
        prune(model, tmp_path / "out", PruneCuts(drop_layers=(1,)), data=text, columns=DataColumns(pair="y"))


def test_a_model_that_was_written_has_numbers(written: tuple[Path, Path]) -> None:
    from safetensors.torch import load_file

    weights = load_file(written[0] / "model.safetensors")
    assert all(bool(torch.isfinite(one).all()) for one in weights.values())
