"""Checkpoints that layerwise did not write: what they say is what transformers says, or they are refused in a sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from transformers import AutoConfig, AutoModel, AutoTokenizer, pipeline

from layerwise.errors import ModelError, UsageError
from layerwise.models.encoder import Encoder
from layerwise.models.families import FAMILIES
from layerwise.models.heads import CLASSES
from layerwise.models.load import quiet
from layerwise.train.evaluate import evaluate
from layerwise.train.finetune import FinetuneChoices, finetune
from layerwise.train.predict import predict
from layerwise.train.pruning.run import PruneCuts, prune
from layerwise.train.settings import TrainingSettings
from layerwise.train.tasks.example import DataColumns
from tests.tiny import one_thread, tiny_tokenizer  # noqa: F401
from tests.train.learning import EXAMPLES, write_jsonl

ABC = ("a", "b", "c")
FEW = TrainingSettings(steps=3, batch_size=8, device="cpu")
TEXTS = [
    "the fox",
    "the quick brown fox jumps over the lazy dog, and the cat sat on the mat while the dog slept",
    "one layer",
    "every layer of every encoder",
]
BIG_BIRD = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 128,
    "block_size": 2,
    "num_random_blocks": 1,
}


def checkpoint(folder: Path, family: str, kind: str = "", labels: tuple[str, ...] = (), **more: Any) -> str:
    """Random weights, larger than usual, so that padding that is seen shows."""
    tokenizer = tiny_tokenizer("wordpiece")
    sizes = BIG_BIRD if family == "big_bird" else FAMILIES.get(family) or FAMILIES["albert"]
    config = AutoConfig.for_model(family, **{**sizes, "vocab_size": len(tokenizer), **more})
    for name in ("pad", "bos", "eos", "cls", "sep"):
        if hasattr(config, f"{name}_token_id"):
            setattr(config, f"{name}_token_id", getattr(tokenizer, f"{name}_token_id") or 0)
    if labels:
        config.id2label = dict(enumerate(labels))
    torch.manual_seed(1)
    with quiet():
        model = (CLASSES[kind] if kind else AutoModel).from_config(config)
        with torch.no_grad():
            for name, weight in model.named_parameters():
                if weight.dim() == 2 and "position" not in name:
                    weight.mul_(4)
            words = model.get_input_embeddings().weight
            words[tokenizer.pad_token_id] = words[
                -1
            ]  # as published ones have; a fresh one is zero, and would not show
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    return str(folder)


def labelled(path: Path) -> Path:
    rows = [{"text": f"{TEXTS[n % 4]} {'and the dog ' * (n % 3)}", "label": ABC[n % 3]} for n in range(24)]
    return write_jsonl(path, [{**row, "text": f"{row['text']} {n}"} for n, row in enumerate(rows)])


def pairs(path: Path) -> Path:
    rows = [
        {"sentence1": f"{TEXTS[n % 4]} {n}", "sentence2": TEXTS[(n + 1) % 4], "score": n % 5}
        for n in range(24)
    ]
    return write_jsonl(path, rows)


@pytest.mark.parametrize("family", ["convbert", "mobilebert", "fnet", "big_bird", "longformer", "bert"])
def test_what_is_said_of_a_text_depends_on_no_other(family: str, tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "model", family, "sequence", ABC)
    (tmp_path / "all.txt").write_text("\n".join(TEXTS) + "\n", "utf-8")
    together = [one.to_dict()["probabilities"] for one in predict(folder, tmp_path / "all.txt")]
    with quiet():
        model = CLASSES["sequence"].from_pretrained(folder, attn_implementation="eager").eval()
        tokenizer = AutoTokenizer.from_pretrained(folder)
    if family == "big_bird":
        model.base_model.set_attention_type("original_full")
    for text, found in zip(TEXTS, together, strict=True):
        with torch.no_grad(), quiet():
            expected = model(**tokenizer(text, return_tensors="pt")).logits[0].softmax(-1)
        assert [*found.values()] == pytest.approx(expected.tolist(), abs=1e-5)


@pytest.mark.parametrize("family", ["convbert", "longformer"])
@pytest.mark.parametrize("frozen", [False, True])
def test_layerwise_s_own_heads_look_at_no_padding_either(family: str, frozen: bool, tmp_path: Path) -> None:
    base = checkpoint(tmp_path / "base", family)
    data = pairs(tmp_path / "pairs.jsonl")
    choices = FinetuneChoices(mix="scalar", frozen=frozen)
    finetune("similarity", data, tmp_path / "out", model=base, choices=choices, settings=FEW)
    together = [one.to_dict()["cosine"] for one in predict(tmp_path / "out", data)]
    lines = data.read_text("utf-8").splitlines(keepends=True)
    for line, cosine in zip(lines[:6], together, strict=False):
        (tmp_path / "one.jsonl").write_text(line, "utf-8")
        [alone] = predict(tmp_path / "out", tmp_path / "one.jsonl")
        assert alone.to_dict()["cosine"] == pytest.approx(cosine, abs=1e-5)


def test_words_are_tagged_with_a_mix_of_longformer_s_layers(tmp_path: Path) -> None:
    base = checkpoint(tmp_path / "base", "longformer")
    rows = [
        {"words": ["the", *["old"] * (n % 5), "fox", str(n)], "label": ["O"] * (n % 5 + 1) + ["B-X", "O"]}
        for n in range(24)
    ]
    data = write_jsonl(tmp_path / "data.jsonl", rows)
    columns, choices = DataColumns(words="words"), FinetuneChoices(mix="scalar")
    report = finetune(
        "ner", data, tmp_path / "out", model=base, columns=columns, choices=choices, settings=FEW
    )
    assert report is not None
    assert len(list(predict(tmp_path / "out", data, columns=columns))) == 24


@pytest.mark.parametrize("family", ["bert", "xlm"])
def test_questions_are_learned_whatever_the_model_told_apart_before(family: str, tmp_path: Path) -> None:
    base = checkpoint(tmp_path / "base", family, "sequence", ABC)
    data = EXAMPLES / "training" / "qa_en.json"
    finetune("qa", data, tmp_path / "out", model=base, settings=FEW)
    answers = list(predict(tmp_path / "out", data, limit=5))
    assert len(answers) == 5


def test_token_types_that_the_model_does_not_know_are_not_fed(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "model", "roberta", "sequence", ABC, type_vocab_size=1)
    data = write_jsonl(tmp_path / "pairs.jsonl", [{"text": "the fox", "other": "a dog"}])
    [found] = predict(folder, data, columns=DataColumns(text="text", pair="other"))
    with quiet():
        model = CLASSES["sequence"].from_pretrained(folder).eval()
    inputs = AutoTokenizer.from_pretrained(folder)("the fox", "a dog", return_tensors="pt")
    with torch.no_grad():
        expected = model(inputs["input_ids"]).logits[0].softmax(-1).tolist()
    assert [*found.to_dict()["probabilities"].values()] == pytest.approx(expected, abs=1e-5)
    prune(folder, tmp_path / "pruned", PruneCuts(magnitude=0.01))
    # Its tokenizer gives no types, so that this runs.
    alone = pipeline("text-classification", model=str(tmp_path / "pruned"), device="cpu")
    assert alone([{"text": "the fox", "text_pair": "a dog"}])[0]["label"] == found.to_dict()["label"]


def test_the_first_blocks_of_esm_are_trained(tmp_path: Path) -> None:
    base = checkpoint(tmp_path / "base", "esm")
    data = labelled(tmp_path / "data.jsonl")
    finetune("classify", data, tmp_path / "out", model=base, choices=FinetuneChoices(blocks=1), settings=FEW)
    assert json.loads((tmp_path / "out" / "config.json").read_text("utf-8"))["num_hidden_layers"] == 1


def test_what_no_class_can_be_read_from_is_refused(tmp_path: Path) -> None:
    (tmp_path / "texts.txt").write_text("the fox\n", "utf-8")
    folder = Path(checkpoint(tmp_path / "model", "bert", "sequence", ABC))
    config = json.loads((folder / "config.json").read_text("utf-8"))

    def said_with(**changed: Any) -> str:
        (folder / "config.json").write_text(json.dumps({**config, **changed}), "utf-8")
        with pytest.raises((ModelError, UsageError)) as caught:
            list(predict(folder, tmp_path / "texts.txt"))
        return str(caught.value)

    assert "gives 3 numbers a text, and `classify` names a class" in said_with(problem_type="regression")
    assert "expected a name for each class, from 0 to 2" in said_with(id2label={"1": "a", "2": "b", "3": "c"})
    assert "no name twice" in said_with(id2label={"0": "a", "1": "a", "2": "b"})
    (folder / "config.json").write_text(json.dumps({**config, "id2label": {"0": 5, "1": 6, "2": 7}}), "utf-8")
    [found] = predict(folder, tmp_path / "texts.txt")
    assert found.to_dict()["label"] in ("5", "6", "7")


def test_questions_without_an_answer_in_the_data_may_be_answered_so(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "model", "bert", "question")
    with torch.no_grad():
        model = CLASSES["question"].from_pretrained(folder)
        model.qa_outputs.weight.zero_()  # all spans are alike, and [CLS] is as good as the best
        model.save_pretrained(folder)
    answers = {"text": [], "answer_start": []}
    data = write_jsonl(
        tmp_path / "data.jsonl", [{"question": "who", "context": "the fox", "answers": answers}]
    )
    assert evaluate(folder, data).scores["f1"] == 1.0
    [found] = predict(folder, data)
    assert found.to_dict()["no_answer"] is None


def test_iob1_stays_iob1_in_what_is_pruned(tmp_path: Path) -> None:
    labels = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")
    folder = checkpoint(tmp_path / "model", "bert", "token", labels)
    with torch.no_grad():
        model = CLASSES["token"].from_pretrained(folder)
        model.classifier.weight.zero_()
        model.classifier.bias[2] = 5.0  # always I-PER
        model.save_pretrained(folder)
    data = tmp_path / "data.conll"
    data.write_text("emma I-PER\nwatson I-PER\n\npeter I-PER\n\n" * 3, "utf-8")
    scores = evaluate(folder, data).scores
    assert scores["f1"] == scores["accuracy"] == 1.0
    report = prune(folder, tmp_path / "pruned", PruneCuts(magnitude=0.01), data=data)
    assert report.rows[-1].scores["f1"] == evaluate(tmp_path / "pruned", data).scores["f1"] == 1.0


def test_a_block_that_is_built_in_another_way_stays(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "model", "modernbert", "sequence", ABC)
    data = labelled(tmp_path / "data.jsonl")
    with pytest.raises(ModelError, match="block 2 of ModernBertModel would become block 1"):
        prune(folder, tmp_path / "refused", PruneCuts(drop_layers=(1,)), data=data)
    report = prune(folder, tmp_path / "pruned", PruneCuts(least_useful=2), data=data)
    assert report.rows[-1].scores["macro_f1"] == evaluate(tmp_path / "pruned", data).scores["macro_f1"]


def test_the_least_useful_block_is_that_of_all_texts_alike(tmp_path: Path) -> None:
    """The loss is the mean over texts, not over batches: the last batch has one text."""
    folder = checkpoint(tmp_path / "model", "bert", "sequence", ABC)
    texts = [{"text": "the fox jumps over the lazy dog " * 4, "label": ABC[n % 3]} for n in range(60)]
    data = write_jsonl(tmp_path / "data.jsonl", [*texts, {"text": "the", "label": "c"}])
    said: list[str] = []
    prune(folder, tmp_path / "pruned", PruneCuts(least_useful=1), data=data, say=said.append)
    losses = {}
    for block in range(1, 5):
        prune(folder, tmp_path / f"{block}", PruneCuts(drop_layers=(block,)), data=data)
        shares = [one.to_dict()["probabilities"] for one in predict(tmp_path / f"{block}", data)]
        given = [json.loads(line)["label"] for line in data.read_text("utf-8").splitlines()]
        own = [share[label] for share, label in zip(shares, given, strict=True)]
        losses[block] = -float(torch.tensor(own).log().mean())
    best = min(losses, key=losses.__getitem__)
    assert f"without block {best} the loss is {losses[best]:.4f}, the lowest" in said


@pytest.mark.parametrize("family", ["longformer", "convbert", "big_bird"])
def test_heads_that_cannot_be_taken_out_are_refused(family: str, tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "model", family, "sequence", ABC)
    data = labelled(tmp_path / "data.jsonl")
    with pytest.raises(ModelError, match="does not run with heads taken out: drop blocks"):
        prune(folder, tmp_path / "pruned", PruneCuts(heads=0.4), data=data)
    assert not (tmp_path / "pruned").exists()


def test_heads_narrower_than_the_width_of_a_block_are_counted_right(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "model", "mobilebert", "sequence", ABC)
    data = labelled(tmp_path / "data.jsonl")
    report = prune(folder, tmp_path / "pruned", PruneCuts(heads=0.5), data=data)
    assert sum(map(len, report.heads.values())) == 8
    assert report.rows[-1].scores["macro_f1"] == evaluate(tmp_path / "pruned", data).scores["macro_f1"]


def test_what_stands_behind_an_encoder_is_kept(tmp_path: Path) -> None:
    folder = Path(checkpoint(tmp_path / "model", "bert"))
    modules = [{"idx": 0, "path": "", "type": "T"}, {"idx": 1, "path": "1_Pooling", "type": "x.Pooling"}]
    (folder / "modules.json").write_text(json.dumps(modules), "utf-8")
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text('{"pooling_mode_cls_token": true}', "utf-8")
    prune(folder, tmp_path / "pruned", PruneCuts(drop_layers=(4,)))
    assert (tmp_path / "pruned" / "1_Pooling" / "config.json").is_file()
    assert json.loads((tmp_path / "pruned" / "modules.json").read_text("utf-8")) == modules
    report = finetune("similarity", pairs(tmp_path / "p.jsonl"), tmp_path / "out", model=folder, settings=FEW)
    assert report is not None
    assert any("makes its vectors with cls" in note for note in report.notes)


def test_an_encoder_decoder_with_a_head_for_classes_is_refused(tmp_path: Path) -> None:
    with quiet():
        tiny_tokenizer("wordpiece").save_pretrained(tmp_path)
        config = AutoConfig.for_model(
            "t5", vocab_size=700, d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2
        )
        CLASSES["sequence"].from_config(config).save_pretrained(tmp_path)
    (tmp_path / "texts.txt").write_text("the fox\n", "utf-8")
    with pytest.raises(ModelError, match="is an encoder-decoder"):
        list(predict(tmp_path, tmp_path / "texts.txt"))


def test_a_head_that_reads_the_last_token_is_told_what_pads(tmp_path: Path) -> None:
    """Also where only the tokenizer knows; what nothing pads is refused."""
    sizes: dict[str, Any] = {"n_embd": 32, "n_layer": 1, "n_head": 2, "n_positions": 64, "labels": ABC}
    model = checkpoint(tmp_path / "gpt", "gpt2", "sequence", **sizes)
    config = json.loads((tmp_path / "gpt" / "config.json").read_text("utf-8"))
    (tmp_path / "gpt" / "config.json").write_text(json.dumps({**config, "pad_token_id": None}), "utf-8")
    texts = tmp_path / "texts.txt"
    texts.write_text("\n".join(TEXTS), "utf-8")
    alone = [
        next(iter(predict(model, write_jsonl(tmp_path / "one.jsonl", [{"text": one}])))) for one in TEXTS
    ]
    for one, other in zip(alone, predict(model, texts), strict=True):
        assert other.probabilities == pytest.approx(one.probabilities, abs=1e-5)  # type: ignore[union-attr]
    tokenizer = AutoTokenizer.from_pretrained(model)
    tokenizer.pad_token = None
    tokenizer.save_pretrained(model)
    with pytest.raises(ModelError, match="has no padding token"):
        list(predict(model, texts))


def test_an_encoder_decoder_begins_its_texts_as_its_tokenizer_does(tmp_path: Path) -> None:
    """Where it does not say with what; without either it is refused."""
    from transformers import BertConfig, EncoderDecoderConfig

    tokenizer = tiny_tokenizer("wordpiece")
    sizes = {**(FAMILIES["bert"] or {}), "vocab_size": len(tokenizer)}
    half = BertConfig(**sizes)
    with quiet():
        both = EncoderDecoderConfig.from_encoder_decoder_configs(half, BertConfig(**sizes))
        ids = tokenizer(TEXTS[0], return_tensors="pt").input_ids
        for seed in range(50):  # random weights may write special tokens only, or begin with a part of a word
            torch.manual_seed(seed)
            model = CLASSES["seq2seq"](both)
            model.save_pretrained(tmp_path)
            model.generation_config.decoder_start_token_id = tokenizer.cls_token_id
            model.generation_config.pad_token_id = tokenizer.pad_token_id
            written = model.eval().generate(ids, num_beams=1, do_sample=False, max_new_tokens=8)
            expected = tokenizer.decode(written[0], skip_special_tokens=True)
            if expected[:1].isalnum():
                break
        tokenizer.save_pretrained(tmp_path)
    (tmp_path / "texts.txt").write_text(TEXTS[0], "utf-8")
    said = next(iter(predict(tmp_path, tmp_path / "texts.txt", beams=1)))
    assert expected[:1].isalnum() and said.output.startswith(expected)  # type: ignore[union-attr]
    for name in ("cls_token", "bos_token"):
        setattr(tokenizer, name, None)
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="does not say what its texts begin with"):
        list(predict(tmp_path, tmp_path / "texts.txt"))


@pytest.fixture
def silent(tmp_path: Path) -> str:
    """A model whose tokenizer does not say that token types are fed, and cuts and pads on the left."""
    model = checkpoint(tmp_path / "base", "bert")
    path = tmp_path / "base" / "tokenizer_config.json"
    said = json.loads(path.read_text("utf-8"))
    said.pop("model_input_names", None)
    said |= {"tokenizer_class": "PreTrainedTokenizerFast", "padding_side": "left", "truncation_side": "left"}
    path.write_text(json.dumps(said), "utf-8")
    assert "token_type_ids" not in AutoTokenizer.from_pretrained(model).model_input_names
    return model


@pytest.mark.parametrize("pruned", [False, True])
def test_the_folder_says_what_its_tokenizer_left_out(silent: str, tmp_path: Path, pruned: bool) -> None:
    """transformers alone, which reads the folder, gives what layerwise gives: of pairs, of long texts, in batches."""
    rows = [{"text": one, "text_pair": two} for one in TEXTS for two in reversed(TEXTS)]
    data = write_jsonl(tmp_path / "d.jsonl", [{**row, "label": "ab"[n % 2]} for n, row in enumerate(rows)])
    columns, folder = DataColumns(pair="text_pair"), tmp_path / "out"
    finetune("classify", data, folder, model=silent, columns=columns, settings=FEW, dev=data)
    if pruned:
        prune(folder, tmp_path / "pruned", PruneCuts(magnitude=0.1))
        folder = tmp_path / "pruned"
    said = [one.probabilities for one in predict(folder, data, columns=columns)]  # type: ignore[union-attr]
    found = pipeline("text-classification", model=str(folder), top_k=None, device="cpu")(rows, batch_size=4)
    for mine, theirs in zip(said, found, strict=True):
        assert mine == pytest.approx({one["label"]: one["score"] for one in theirs}, abs=1e-5)


def test_vectors_of_a_folder_for_similarity_are_the_same_everywhere(silent: str, tmp_path: Path) -> None:
    rows = [
        {"sentence1": one, "sentence2": two, "score": len(two)} for one in TEXTS for two in reversed(TEXTS)
    ]
    data = write_jsonl(tmp_path / "d.jsonl", rows)
    finetune("similarity", data, tmp_path / "out", model=silent, settings=FEW, dev=data)
    cosines = [one.cosine for one in predict(tmp_path / "out", data)]  # type: ignore[union-attr]
    with quiet():
        theirs = SentenceTransformer(str(tmp_path / "out"), device="cpu")
    one, two = (theirs.encode([row[key] for row in rows]) for key in ("sentence1", "sentence2"))
    assert theirs.similarity_pairwise(one, two).tolist() == pytest.approx(cosines, abs=1e-5)
    encoder = Encoder.from_pretrained(str(tmp_path / "out"))
    mine = [found.hidden_states[0, 0] for found in encoder.encode(TEXTS, unit="text", layers=-1)]
    assert encoder.text_pooling == "mean_with_special"
    assert np.allclose(mine, theirs.encode(TEXTS), atol=1e-5)
