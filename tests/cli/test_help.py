"""Every help page can be had, and docs/commands.md is what they say."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import typer

from layerwise.cli import app

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    path = ROOT / "docs" / "generate_commands.py"
    spec = importlib.util.spec_from_file_location("generate_commands", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_up_to_date(generator: ModuleType) -> None:
    written = generator.PAGE.read_text(encoding="utf-8")
    assert written == generator.page(), "run: python docs/generate_commands.py"


def test_the_page_has_every_command(generator: ModuleType) -> None:
    assert tuple(typer.main.get_command(app).commands) == generator.COMMANDS  # type: ignore[attr-defined]


@pytest.mark.parametrize("option", ["--help", "-h"])
@pytest.mark.parametrize("command", [None, *typer.main.get_command(app).commands])  # type: ignore[attr-defined]
def test_help(command: str | None, option: str) -> None:
    run = layerwise(*([command] if command else []), option)
    assert run.returncode == 0, run.stderr
    assert "Usage:" in run.stdout
    assert not run.stderr


def test_help_loads_no_model_library() -> None:
    code = (
        "import sys\nfrom layerwise.cli import main\n"
        "try:\n    main()\nexcept SystemExit as stop:\n    assert not stop.code\n"
        "print(*{'torch', 'transformers', 'lance', 'pyarrow', 'numpy'} & set(sys.modules), file=sys.stderr)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, "extract", "--help"], capture_output=True, text=True, encoding="utf-8"
    )
    assert run.returncode == 0, run.stderr
    assert not run.stderr.strip()


def test_without_arguments_the_help_is_shown() -> None:
    run = layerwise()
    assert run.returncode == 2
    assert "extract" in run.stdout + run.stderr


@pytest.mark.parametrize("arguments", [["nonsense"], ["show"], ["extract"], ["show", "text", "--nonsense"]])
def test_misuse_is_status_2(arguments: list[str]) -> None:
    run = layerwise(*arguments)
    assert run.returncode == 2
    assert not run.stdout
    assert "Traceback" not in run.stderr


def test_version() -> None:
    import layerwise as library

    run = layerwise("--version")
    assert run.returncode == 0
    assert run.stdout.split() == ["layerwise", library.__version__]


def layerwise(*arguments: str) -> subprocess.CompletedProcess[str]:
    code = "from layerwise.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-X", "utf8", "-c", code, *arguments],
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
