"""A probe that goes along with a shipped folder labels as it does on the base model."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

import layerwise
from layerwise import Encoder
from layerwise.ops.linear_probe import LinearProbe
from tests.command_line import run
from tests.tiny import SENTENCES, one_thread, tiny_encoder

__all__ = ["one_thread"]

CLASSES = ("few", "many", "more")


def trained(
    base: Path, unit: str, pooling: str = "mean", words: str = "tokenizer", document_words: str = ""
) -> LinearProbe:
    """A probe of made-up labels, and the document that goes with it."""
    encoder = Encoder.from_pretrained(str(base), device="cpu")
    options = {"words": words} if unit == "word" else {}
    states = encoder.encode(SENTENCES, 2, unit, pooling=pooling, **options)
    vectors = np.concatenate([one.layer(2) for one in states])
    labels = np.array([unit.end - unit.start for one in states for unit in one.units]) % 3
    model = LogisticRegression(max_iter=2000).fit(vectors, labels)
    document = {
        "label": "length",
        "task": "classification",
        "layer": 2,
        "unit": unit,
        "pooling": pooling,
        "words": document_words or words,
        "model": "base",
        "weights_sha256": encoder.files.weights_sha256,
        "scores": {"accuracy": 0.75},
    }
    return LinearProbe(model.coef_.astype(np.float32), model.intercept_.astype(np.float32), CLASSES, document)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base") / "base"
    tiny_encoder(folder, "wordpiece")
    (folder.parent / "texts.txt").write_text("\n".join([*SENTENCES, "", "last"]), "utf-8")
    return folder


def shipped(base: Path, probe: LinearProbe, folder: Path) -> Path:
    probe.save(folder / "probe.safetensors")
    done = run(f"ship {base} --layer 2 --probe {folder / 'probe.safetensors'} -o {folder / 'm'}")
    assert done.status == 0, done.err
    return folder / "m"


@pytest.mark.parametrize("pooling", ["mean", "mean_with_special", "cls"])
def test_texts(base: Path, pooling: str, tmp_path: Path) -> None:
    probe = trained(base, "text", pooling)
    folder = shipped(base, probe, tmp_path)
    found = run(f"predict {folder} {base.parent / 'texts.txt'}")
    assert found.status == 0, found.err
    texts = [*SENTENCES, "", "last"]
    states = Encoder.from_pretrained(str(base), device="cpu").encode(texts, 2, "text", pooling=pooling)
    lines = [line.split("\t") for line in found.out.splitlines()]
    assert [line[2] for line in lines] == texts
    for (label, probability, _), one in zip(lines, states, strict=True):
        logits = probe(one.layer(2))[0].astype(np.float64)
        if np.isnan(logits).any():  # the empty text, where special tokens do not count
            assert (label, probability) == ("_", "_")
            continue
        shares = np.exp(logits) / np.exp(logits).sum()
        assert label == CLASSES[shares.argmax()]
        assert float(probability) == pytest.approx(shares.max(), abs=1e-4)
    card = (folder / "README.md").read_text("utf-8")
    assert "length" in card and "few, many, more" in card and "| accuracy | 75.0 |" in card


def test_labels_keep_to_their_column(base: Path, tmp_path: Path) -> None:
    probe = trained(base, "text")
    names = ("a\tb", "two\nlines\n# and a heading", "a|b")
    folder = shipped(base, replace(probe, classes=names), tmp_path)
    found = run(f"predict {folder} {base.parent / 'texts.txt'}")
    lines = [line.split("\t") for line in found.out.split("\n")[:-1]]
    assert {len(line) for line in lines} == {3} and len(lines) == len(SENTENCES) + 2
    assert {line[0] for line in lines} <= {"a b", "two lines # and a heading", "a|b", "_"}
    exact = run(f"predict {folder} {base.parent / 'texts.txt'} --json")
    assert {json.loads(line)["label"] for line in exact.out.splitlines()} <= {*names, None}
    assert "\n# and a heading" not in (folder / "README.md").read_text("utf-8")


@pytest.mark.parametrize("words", ["tokenizer", "whitespace", "unicode"])
def test_words(base: Path, words: str, tmp_path: Path) -> None:
    probe = trained(base, "word", "first", words)
    folder = shipped(base, probe, tmp_path)
    target = tmp_path / "out.jsonl"
    done = run(f"predict {folder} {base.parent / 'texts.txt'} --json -o {target}")
    assert done.status == 0 and done.out == "", done.err
    found = [json.loads(line) for line in target.read_text("utf-8").splitlines()]
    encoder = Encoder.from_pretrained(str(base), device="cpu")
    texts = [*SENTENCES, "", "last"]
    expected = encoder.encode(texts, 2, "word", pooling="first", words=words)
    assert [one["text"] for one in found] == texts
    for one, states in zip(found, expected, strict=True):
        assert [word["word"] for word in one["words"]] == [unit.surface for unit in states.units]
        best = probe(states.layer(2)).argmax(axis=1) if len(states) else []
        for word, unit, label in zip(one["words"], states.units, best, strict=True):
            assert word["label"] == (CLASSES[label] if unit.embedded else None)
            assert one["text"][word["start"] : word["end"]] == word["word"]
    table = run(f"predict {folder} {base.parent / 'texts.txt'} --limit 1").out.splitlines()
    assert table[0].startswith("The\t") and table[-1] == "" and len(table) == len(found[0]["words"]) + 1
    refused = run(f"predict {folder} {base.parent / 'texts.txt'} -o {target}")
    assert refused.status == 2 and "--overwrite" in refused.err


def test_given_words(base: Path, tmp_path: Path) -> None:
    folder = shipped(base, trained(base, "word", document_words="given"), tmp_path)
    (tmp_path / "a.jsonl").write_text('{"text": "The dog", "words": ["The", "dog"]}\n')
    found = run(f"predict {folder} {tmp_path / 'a.jsonl'} --words-column words")
    assert [line.split("\t")[0] for line in found.out.splitlines()] == ["The", "dog", ""], found.err
    plain = run(f"predict {folder} {base.parent / 'texts.txt'} --limit 1")  # none are given: Unicode's rules
    assert plain.status == 0 and "UAX #29" in plain.err


def test_sources_are_read_as_extract_reads_them(base: Path, tmp_path: Path) -> None:
    folder = shipped(base, trained(base, "word", document_words="given"), tmp_path)
    (tmp_path / "eng.testb").write_text("The DT\ndog NN\n\nHe PRP\n", "utf-8")
    refused = run(f"predict {folder} {tmp_path / 'eng.testb'}")
    assert refused.status == 1 and "--format" in refused.err
    found = run(f"predict {folder} {tmp_path / 'eng.testb'} --format conll")
    assert [line.split("\t")[0] for line in found.out.splitlines()] == ["The", "dog", "", "He", ""], found.err
    (tmp_path / "empty.txt").touch()
    empty = run(f"predict {folder} {tmp_path / 'empty.txt'}")
    assert empty.status == 1 and "empty.txt is empty: expected at least one text" in empty.err


def test_numbers(base: Path, tmp_path: Path) -> None:
    probe = trained(base, "text")
    number = LinearProbe(probe.weight[:1], probe.bias[:1], (), {**probe.document, "task": "regression"})
    folder = shipped(base, number, tmp_path)
    lines = run(f"predict {folder} {base.parent / 'texts.txt'} --limit 3").out.splitlines()
    [states] = Encoder.from_pretrained(str(base), device="cpu").encode(SENTENCES[0], 2, "text")
    assert float(lines[0].split("\t")[0]) == pytest.approx(number(states.layer(2))[0, 0], rel=1e-4)
    assert lines[0].split("\t")[1] == "_"


@pytest.mark.parametrize("options", ["--max-length 12 --stride 1", "--max-length 12 --long-text truncate"])
def test_texts_are_read_as_the_store_was(base: Path, options: str, tmp_path: Path) -> None:
    rows = [{"text": text, "other": "no", "label": "ab"[n % 2]} for n, text in enumerate(SENTENCES * 2)]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    extract = f"extract {tmp_path / 'a.jsonl'} --text-column text -m {base} -l 2 --keep label {options}"
    probe = "--label label --no-control --rows 50 --l2 1 --layer 2 --save"
    assert run(f"{extract} -o {tmp_path / 's'}").status == 0
    made = run(f"probe {tmp_path / 's'} {probe} {tmp_path / 'p'}")
    assert made.status == 0, made.err
    trained = LinearProbe.load(tmp_path / "p")
    assert trained.document["max_length"] == 12 and trained.document["pairs"] is None
    assert run(f"ship {base} -l 2 --probe {tmp_path / 'p'} -o {tmp_path / 'm'}").status == 0
    found = run(f"predict {tmp_path / 'm'} {tmp_path / 'a.jsonl'} --text-column text --json")
    logits = trained(layerwise.open(tmp_path / "s").layer(2).numpy()).astype(np.float64)
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    given = [json.loads(line)["probability"] for line in found.out.splitlines()]
    np.testing.assert_allclose(given, shares.max(axis=1), atol=1e-4)


def test_a_probe_of_pairs_read_together_is_refused(base: Path, tmp_path: Path) -> None:
    rows = [{"text": text, "other": text[::-1], "label": "ab"[n % 2]} for n, text in enumerate(SENTENCES * 2)]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    for pairs, status in (("joint", 2), ("separate", 0)):
        store, probe, target = (tmp_path / f"{pairs}.{kind}" for kind in ("lance", "probe", "model"))
        run(
            f"extract {tmp_path / 'a.jsonl'} --text-column text --pair-column other --pairs {pairs} -m {base} -l 2 "
            f"--keep label -o {store}"
        )
        made = run(f"probe {store} --label label --no-control --l2 1 --layer 2 --save {probe}")
        assert made.status == 0, made.err
        shipped = run(f"ship {base} -l 2 --probe {probe} -o {target}")
        assert shipped.status == status and ("--pairs separate" in shipped.err) == (status == 2), shipped.err


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"layer": 1}, "fitted on layer 1"),
        ({"layer": "concat"}, "fitted on layer concat"),
        ({"weights_sha256": "0" * 64}, "weights of sha256 000000000000"),
        ({"task": "similarity"}, "does similarity on texts"),
        ({"unit": "token"}, "on tokens"),
        ({"pooling": "first"}, "the pooling 'first'"),
        ({"projection": {"kind": "pca", "dim": 8}}, "trained on projected vectors"),
        ({"pairs": "joint"}, "labels single texts"),
        ({"max_length": 65}, "takes up to 64 tokens"),
        ({"max_length": 12, "stride": 11}, "does not read so"),
        ({"task": "regression"}, "regression with 3 classes"),
        ({"words": "klingon"}, "is not a probe"),
    ],
)
def test_a_probe_that_does_not_fit(base: Path, changes: dict[str, Any], said: str, tmp_path: Path) -> None:
    probe = trained(base, "text")
    LinearProbe(probe.weight, probe.bias, probe.classes, {**probe.document, **changes}).save(tmp_path / "p")
    found = run(f"ship {base} -l 2 --probe {tmp_path / 'p'} -o {tmp_path / 'm'}")
    assert found.status == 2 and said in found.err and found.err.count("\n") == 1
    assert not (tmp_path / "m").exists()


def test_a_probe_of_another_size(base: Path, tmp_path: Path) -> None:
    probe = trained(base, "text")
    LinearProbe(probe.weight[:, :7], probe.bias, CLASSES, probe.document).save(tmp_path / "p")
    found = run(f"ship {base} -l 2 --probe {tmp_path / 'p'} -o {tmp_path / 'm'}")
    assert found.status == 2 and "vectors of size 7" in found.err


def test_no_probe_there(base: Path, tmp_path: Path) -> None:
    found = run(f"predict {base} {base.parent / 'texts.txt'}")
    assert found.status == 2 and "--probe" in found.err
    found = run(f"predict {tmp_path / 'nowhere'} {base.parent / 'texts.txt'}")
    assert found.status == 1 and "there is no model" in found.err
    assert run(f"ship {base} -l 2 -o {tmp_path / 'm'}").status == 0
    assert run(f"predict {tmp_path / 'm'} {base.parent / 'texts.txt'}").status == 2
