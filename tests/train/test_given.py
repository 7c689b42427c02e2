"""What a Python caller hands in: numbers of numpy are numbers, and the wrong thing is refused before any work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import layerwise
from layerwise import DataColumns, FinetuneChoices, PretrainShape, PruneCuts, TrainingSettings, UsageError
from layerwise.train.given import name_of, plain
from tests.tiny import one_thread, tiny_folder  # noqa: F401

TEXTS = "".join(f"the {'sea' if number % 2 else 'wind'} {number}\t{number % 2}\n" for number in range(40))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_folder(tmp_path_factory.mktemp("model"))


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    (tmp_path / "texts.tsv").write_text("text\tlabel\n" + TEXTS, "utf-8")
    return tmp_path / "texts.tsv"


def test_numbers_of_numpy_are_numbers() -> None:
    found = plain(
        TrainingSettings(steps=np.int64(2), lr=np.float32(0.5), epochs=3), TrainingSettings, "settings"
    )
    assert [type(value) for value in (found.steps, found.lr, found.epochs)] == [int, float, float]
    assert (found.steps, found.lr, found.accumulate) == (2, 0.5, 1)
    assert plain(PruneCuts(drop_layers=np.array([5, 6])), PruneCuts, "cuts").drop_layers == (5, 6)
    assert plain(FinetuneChoices(frozen=np.bool_(True)), FinetuneChoices, "choices").frozen is True
    assert plain(None, PretrainShape, "shape") == PretrainShape()
    assert name_of(Path("a/b")) == "a/b"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (TrainingSettings(steps=2.0), r"settings.steps is 2.0: expected a whole number\."),
        (TrainingSettings(steps=True), r"settings.steps is True: expected a whole number\."),
        (TrainingSettings(lr="1e-3"), r"settings.lr is '1e-3': expected a number\."),
        (TrainingSettings(seed=None), r"settings.seed is None: expected a whole number\."),
        (TrainingSettings(precision=32), r"settings.precision is 32: expected a text\."),
        ({"lr": 1e-3}, r"settings is \{'lr': 0.001\}: expected layerwise.TrainingSettings\(…\)\."),
    ],
)
def test_the_wrong_thing_is_refused(options: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        plain(options, TrainingSettings, "settings")
    with pytest.raises(UsageError, match=r"cuts.drop_layers is 6: expected several whole numbers\."):
        plain(PruneCuts(drop_layers=6), PruneCuts, "cuts")  # type: ignore[arg-type]


def test_paths_generators_and_numbers_of_numpy_train(tiny: Path, texts: Path, tmp_path: Path) -> None:
    report = layerwise.finetune(
        "classify",
        (source for source in [texts]),
        tmp_path / "out",
        model=tiny,
        choices=FinetuneChoices(blocks=np.int64(1)),
        settings=TrainingSettings(steps=np.int64(2), batch_size=np.int64(8), lr=np.float32(1e-3)),
    )
    assert report is not None and report.steps == 2
    assert layerwise.evaluate(tmp_path / "out", [texts]).examples == 40
    assert len(list(layerwise.predict(tmp_path / "out", texts, limit=np.int64(3)))) == 3


def test_an_output_that_is_no_folder_is_refused(tiny: Path, texts: Path) -> None:
    with pytest.raises(UsageError, match="output is None: expected the folder to write"):
        layerwise.finetune("classify", texts, None, model=tiny)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="output is None"):
        layerwise.prune(tiny, None, PruneCuts(drop_layers=(1,)))  # type: ignore[arg-type]


@pytest.mark.parametrize("data", [[{"text": "a"}], b"texts.tsv", None, 3])
def test_what_is_no_source_is_refused(tiny: Path, tmp_path: Path, data: Any) -> None:
    for call in (
        lambda: layerwise.finetune("classify", data, tmp_path / "out", model=tiny),
        lambda: layerwise.extract(
            data, tmp_path / "out.lance", encoder=layerwise.Encoder.from_pretrained(str(tiny))
        ),
    ):
        with pytest.raises(UsageError, match=r"a source is .*: expected the name of a file"):
            call()
    assert not list(tmp_path.iterdir())


def test_a_column_that_splits_is_refused_where_all_rows_are_read(
    tiny: Path, texts: Path, tmp_path: Path
) -> None:
    columns = DataColumns(split="part")
    with pytest.raises(
        UsageError, match="'part' was named as the one that splits the data, and here all rows"
    ):
        layerwise.evaluate(tiny, texts, columns=columns)
    with pytest.raises(UsageError, match="here all rows are read"):
        layerwise.prune(tiny, tmp_path / "out", PruneCuts(drop_layers=(1,)), data=texts, columns=columns)
