"""What a command cannot write, or would ignore, is refused before any work."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.command_line import run
from tests.study.labelled import text_store
from tests.study.test_probing import pairs

LABEL = "--label label"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("early")
    text_store(folder / "t.lance")
    pairs(folder / "p.lance", {"score": lambda score: [float(one) for one in score]})
    (folder / "file").touch()
    return folder


@pytest.fixture(autouse=True)
def no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    def work(*arguments: object, **options: object) -> None:
        raise AssertionError("the work began")

    for place in ("probing.probe", "report.report", "comparison.compare", "signals.unsupervised"):
        monkeypatch.setattr(f"layerwise.study.{place}", work)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (f"probe t.lance {LABEL} --csv none/a.csv", "there is no folder none"),
        (f"probe t.lance {LABEL} --csv .", ". is a folder"),
        (f"probe t.lance {LABEL} --save none/p", "there is no folder none"),
        (f"probe t.lance {LABEL} --save file", "file exists already: pass --overwrite"),
        (
            f"probe t.lance {LABEL} --layers 0 --layer 1 --save p",
            "--layer 1 is none of the layers probed (0)",
        ),
        (f"probe t.lance {LABEL} --layer 1", "--layer 1 was given without --save"),
        ("probe p.lance --label score --pair --save p", "--save and --pair were given"),
        ("probe t.lance --unsupervised --csv none/a.csv", "there is no folder none"),
        ("compare t.lance --csv none/a.csv", "there is no folder none"),
        ("compare t.lance -o none/a.png", "there is no folder none"),
        ("plot t.lance -o none/a.png", "there is no folder none"),
        (f"report t.lance {LABEL} -o none/a.html", "there is no folder none"),
        (f"report t.lance {LABEL} -o a.html --figures file", "is a file"),
        (f"report t.lance {LABEL} -o a.html --figures ''", "empty folder name"),
        (f"report t.lance {LABEL} -o a.html --figure-format svg", "given without --figures"),
    ],
)
def test_before_the_work(folder: Path, monkeypatch: pytest.MonkeyPatch, arguments: str, said: str) -> None:
    monkeypatch.chdir(folder)
    found = run(arguments)
    assert found.status == 2 and said in found.err and found.err.count("\n") == 1, found
    assert {path.name for path in folder.iterdir()} == {"t.lance", "p.lance", "file"}


@pytest.mark.parametrize(
    "option",
    [
        "--task regression",
        "--pair",
        "--group label",
        "--split label",
        "--folds 5",
        "--min-count 2",
        "--skip-missing",
        "--missing-label -1",
        "--no-control",
        "--codelength",
        "--l2 1",
        "--save p",
        "--layer 1",
        "--overwrite",
    ],
)
def test_what_unsupervised_ignores(folder: Path, option: str) -> None:
    found = run(f"probe {folder}/t.lance --unsupervised {option}")
    assert found.status == 2 and f"{option.split()[0]} is for --label" in found.err, found


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_that_is_none(folder: Path, tmp_path: Path, seed: int) -> None:
    said = f"--seed is {seed}: expected a whole number from 0 to 4294967295."
    for command in (
        f"fit-projection {folder}/t.lance -l 1 --dim 2 -o {tmp_path}/p",
        f"plot {folder}/t.lance --method umap -o {tmp_path}/p.png",
    ):
        found = run(f"{command} --seed {seed}")
        assert found.status == 2 and said in found.err, found
    assert not list(tmp_path.iterdir())
