"""Label to layer to model folder to labels, as a user does it: `extract`, `probe`, `best`, `predict`."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from sentence_transformers import SentenceTransformer

import layerwise
from layerwise.ops.linear_probe import LinearProbe
from tests.command_line import run

LABELLED = Path(__file__).parents[2] / "examples" / "labelled"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stores of topics (texts) and parts of speech (words), every layer of the embedded model."""
    path = tmp_path_factory.mktemp("best")
    for name in ("topics_en.jsonl", "pos_en.conllu"):
        shutil.copy(LABELLED / name, path)
    for command in (
        f"extract {path}/topics_en.jsonl -o {path}/topics.lance --keep topic,split",
        f"extract {path}/pos_en.conllu -o {path}/pos.lance --unit word --keep upos --layers 1,2,6",
    ):
        assert run(command).status == 0
    return path


def test_topics_from_labels_to_labels(folder: Path) -> None:
    made = run(
        f"best {folder}/topics.lance --label topic --split split --ship {folder}/topics --cheapest --json"
    )
    assert made.status == 0, made.err
    document = json.loads(made.out)
    layer = document["probe"]["enough"]
    assert document["shipped"]["layer"] == layer and document["shipped"]["blocks"] == layer

    texts = [json.loads(line) for line in (folder / "topics_en.jsonl").read_text("utf-8").splitlines()]
    found = run(f"predict {folder}/topics {folder}/topics_en.jsonl --json")
    assert found.status == 0, found.err
    labels = [json.loads(line)["label"] for line in found.out.splitlines()]
    test = [number for number, text in enumerate(texts) if text["split"] == "test"]
    right = np.mean([labels[number] == texts[number]["topic"] for number in test])
    scores = next(row for row in document["probe"]["table"] if row["feature"] == layer)["scores"]
    assert right == pytest.approx(scores["accuracy"]["value"], abs=1e-6)

    vectors = SentenceTransformer(str(folder / "topics")).encode([text["text"] for text in texts[:20]])
    encoder = layerwise.Encoder.from_pretrained("minilm")
    states = encoder.encode(
        [text["text"] for text in texts[:20]], [layer], unit="text", pooling="mean_with_special"
    )
    assert np.abs(vectors - np.stack([one.hidden_states[0, 0] for one in states])).max() < 1e-5


def test_words_of_plain_text_are_labelled_by_a_probe_of_given_words(folder: Path) -> None:
    made = run(
        f"best {folder}/pos.lance --label upos --min-count 2 --ship {folder}/pos --folds 1 --no-control"
    )
    assert made.status == 0, made.err
    assert "is best on the development part" in made.out and "blocks" in made.out.splitlines()[-1]
    (folder / "new.txt").write_text("The ship sailed.\n", encoding="utf-8")
    found = run(f"predict {folder}/pos {folder}/new.txt")
    assert found.status == 0 and "UAX #29" in found.err
    rows = [line.split("\t") for line in found.out.splitlines() if line]
    assert [row[:2] for row in rows] == [["The", "DET"], ["ship", "NOUN"], ["sailed", "VERB"], [".", "PUNCT"]]


def test_an_existing_folder_is_refused_before_the_work(folder: Path) -> None:
    (folder / "mine").mkdir()
    (folder / "mine" / "file").touch()
    for options, said in (("", "--overwrite"), (" --overwrite", "not written by")):
        found = run(f"best {folder}/topics.lance --label topic --ship {folder}/mine{options}")
        assert found.status == 2 and said in found.err and not found.out
    assert [path.name for path in (folder / "mine").iterdir()] == ["file"]


def test_a_model_with_other_weights_is_refused(folder: Path) -> None:
    made = run(f"ship minilm --layer 2 -o {folder}/two")
    assert made.status == 0, made.err
    found = run(f"best {folder}/topics.lance --label topic --ship {folder}/x --model {folder}/two")
    assert found.status == 2 and "other weights" in found.err and not (folder / "x").exists()
    assert not found.out  # said before the probing, not after


def test_a_layer_that_cannot_be_shipped_is_compared_and_not_chosen(folder: Path) -> None:
    base = f"best {folder}/topics.lance --label topic --split split"
    found = run(f"{base} --layers 0 --ship {folder}/none")
    assert found.status == 1 and "layer 0 of 'minilm' cannot be shipped" in found.err
    assert not found.out and not (folder / "none").exists()
    found = run(f"{base} --layers 0,1 --cheapest --ship {folder}/one --json")
    assert found.status == 0, found.err
    made = json.loads(found.out)
    assert [row["feature"] for row in made["probe"]["table"][:2]] == [0, 1]
    assert made["shipped"]["layer"] == made["probe"]["enough"] == 1
    assert any("Layer 0: compared only" in note for note in made["probe"]["notes"])


def test_mixed_layers_are_refused_before_the_work(folder: Path) -> None:
    made = run(f"extract {folder}/topics_en.jsonl -o {folder}/mix.lance --keep topic --mix mean")
    assert made.status == 0, made.err
    found = run(f"best {folder}/mix.lance --label topic --ship {folder}/none")
    assert found.status == 2 and "mixed or projected" in found.err and not found.out


def test_probe_saves_json_csv_and_the_probe(folder: Path) -> None:
    made = run(
        f"probe {folder}/topics.lance --label topic --split split --layers 0,3 --save {folder}/p.safetensors "
        f"--layer 3 --csv {folder}/t.csv --json"
    )
    assert made.status == 0, made.err
    report = json.loads(made.out)
    rows = list(csv.DictReader((folder / "t.csv").open(encoding="utf-8")))
    assert [row["feature"] for row in rows] == ["0", "3", "mean", "concat", "scalar", "majority"]
    assert float(rows[1]["accuracy"]) == pytest.approx(report["table"][1]["scores"]["accuracy"]["value"])
    assert LinearProbe.load(folder / "p.safetensors").document["layer"] == 3


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        ("probe {0}/topics.lance", 2, "neither --label nor --unsupervised"),
        ("probe {0}/topics.lance --label topic --unsupervised", 2, "expected one of them"),
        ("probe {0}/topics.lance --label topics", 2, "it has topic, split"),
        ("probe {0}/topics.lance --label topic --l2 a,b", 2, "expected numbers"),
        ("probe {0}/topics.lance --label topic --layers 9", 2, "out of range"),
        ("probe {0}/topics.lance --label topic --folds 3", 2, "expected 1 or 5"),
        ("probe {0}/topics.lance --label topic --pair", 2, "--pairs separate"),
        ("probe {0}/topics.lance --label topic --save {0}/none/p.safetensors", 2, "there is no folder"),
        ("probe {0}/topics.lance --label topic --csv {0}/none/t.csv", 2, "there is no folder"),
        ("probe {0}/nothing.lance --label topic", 1, "there is no store"),
        ("report {0}/topics.lance --label topic -o {0}/r.txt", 2, "expected .html"),
        ("report {0}/topics.lance --label topic -o {0}/r.html --figure-format gif", 2, "png, svg, pdf"),
    ],
)
def test_misuse_is_one_sentence(arguments: str, status: int, said: str, folder: Path) -> None:
    found = run(arguments.format(folder))
    assert found.status == status and said in found.err and found.err.count("\n") == 1


def test_the_card_gives_the_probes_figures(folder: Path) -> None:
    made = run(f"best {folder}/topics.lance --label topic --split split --ship {folder}/carded --json")
    assert made.status == 0, made.err
    report = json.loads(made.out)["probe"]
    score = next(row for row in report["table"] if row["feature"] == report["best"])["scores"]["accuracy"]
    card = (folder / "carded" / "README.md").read_text("utf-8")
    shown = " to ".join(f"{100 * score[end]:.1f}" for end in ("low", "high"))
    assert f"| accuracy | {100 * score['value']:.1f} ({shown}) |" in card and "on 48 test rows" in card
