"""The public surface is a test: what is in `layerwise.__all__` is there, stays there, and costs nothing to import."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import layerwise

PUBLIC = [
    "DataColumns",
    "Encoder",
    "FinetuneChoices",
    "HiddenStates",
    "LayerSelection",
    "LayerwiseError",
    "PretrainShape",
    "PruneCuts",
    "Store",
    "TextRecord",
    "TrainingSettings",
    "Unit",
    "UsageError",
    "__version__",
    "evaluate",
    "extract",
    "finetune",
    "open",
    "predict",
    "pretrain",
    "probe",
    "prune",
    "ship",
]
STARRED = [name for name in PUBLIC if name != "open"]
"""A star brings all but the one that would replace Python's own."""

HEAVY = ("torch", "transformers", "tokenizers", "numpy", "pyarrow", "lance", "fsspec", "typer", "rich")


def test_the_public_names_are_these() -> None:
    """A name that is added or removed here is a change for the CHANGELOG."""
    assert layerwise.__all__ == STARRED
    assert layerwise.__all__ == sorted(layerwise.__all__)


@pytest.mark.parametrize("name", PUBLIC)
def test_each_name_is_there(name: str) -> None:
    assert getattr(layerwise, name) is not None
    assert name in dir(layerwise)


@pytest.mark.parametrize("name", [name for name in PUBLIC if name != "__version__"])
def test_each_name_is_documented(name: str) -> None:
    assert inspect.getdoc(getattr(layerwise, name))


def test_star_import_brings_exactly_these() -> None:
    names: dict[str, object] = {}
    exec("from layerwise import *", names)
    assert sorted(names.keys() - {"__builtins__"}) == STARRED


def test_what_type_checkers_see_is_what_is_there() -> None:
    """The imports under TYPE_CHECKING name the same objects as the lazy ones."""
    tree = ast.parse(Path(layerwise.__file__).read_text(encoding="utf-8"))
    guarded = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {
        alias.asname or alias.name: (statement.module, alias.name)
        for statement in guarded.body
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
    }
    seen["open"] = seen.pop("open_store")  # the one that has another name at home
    assert seen == layerwise._HOME
    assert sorted([*seen, "__version__"]) == PUBLIC


def test_a_name_that_is_not_there() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        layerwise.nonsense  # noqa: B018


def test_import_is_light() -> None:
    code = f"import sys, layerwise; print(*sorted(set({HEAVY!r}) & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == []


def test_errors_and_types_need_no_torch() -> None:
    code = (
        "import sys, layerwise; layerwise.UsageError, layerwise.Unit, layerwise.LayerSelection; "
        "print(*{'torch', 'transformers', 'lance'} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == []


def test_extract_is_a_function_whatever_was_imported_before() -> None:
    code = "import layerwise.cli, layerwise.extraction.run, layerwise; assert callable(layerwise.extract)"
    subprocess.run([sys.executable, "-c", code], check=True)


WITHOUT_TRAIN = """
import sys
sys.modules.update(dict.fromkeys(["accelerate", "sklearn", "seqeval", "sacrebleu"]))  # None: as if not installed
"""


def test_all_names_are_there_without_the_extra_for_training() -> None:
    code = f"{WITHOUT_TRAIN}\nfrom layerwise import *\nprint(callable(finetune))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["True"]


@pytest.mark.parametrize(
    "command",
    [
        "finetune classify texts.tsv -o out",
        "pretrain texts.txt -o out",
        "evaluate model texts.tsv",
        "prune model -o out --drop-layers 1",
    ],
)
def test_a_command_without_the_extra_for_training(command: str, tmp_path: Path) -> None:
    code = f"{WITHOUT_TRAIN}\nfrom layerwise.cli import main\nsys.argv[1:] = {command.split()!r}\nmain()"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert run.returncode == 1 and not list(tmp_path.iterdir())
    assert run.stderr.count("\n") == 1 and "Traceback" not in run.stderr
    assert "training needs the Python package 'accelerate'" in run.stderr and "pip install" in run.stderr
