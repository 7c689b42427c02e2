"""Writes docs/commands.md from the help of the commands: `python docs/generate_commands.py`.

The text is what a terminal of 100 columns without colours shows, so it is the same on every machine.
"""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

PAGE = Path(__file__).resolve().parent / "commands.md"
COMMANDS = (
    "show",
    "extract",
    "inspect",
    "export",
    "neighbours",
    "probe",
    "report",
    "best",
    "compare",
    "plot",
    "fit-projection",
    "ship",
    "pretrain",
    "finetune",
    "evaluate",
    "predict",
    "prune",
    "models",
)
WIDTH = "100"

HEAD = """# Commands

This page is what `layerwise --help` and the `--help` of each command print, made by `docs/generate_commands.py`.
Data goes to stdout, progress and messages to stderr.
The exit status is 0 for success, 1 if a run failed, 2 if the call was wrong.

"""


def arguments(command: str | None) -> list[str]:
    """What is typed after `layerwise` for the help of a command (None: of the program)."""
    return [*([command] if command else []), "--help"]


def help_text(command: str | None) -> str:
    """The help as text.

    Raises:
        CalledProcessError: it did not exit with 0.
    """
    plain = {"TERMINAL_WIDTH": WIDTH, "COLUMNS": WIDTH, "NO_COLOR": "1", "PYTHONUTF8": "1"}
    ignored = ("FORCE_COLOR", "PY_COLORS", "GITHUB_ACTIONS")  # typer takes these for a terminal
    inherited = {name: value for name, value in os.environ.items() if name not in ignored}
    run = subprocess.run(
        [sys.executable, "-c", "from layerwise.cli import main; main()", *arguments(command)],
        env={**inherited, **plain, "_TYPER_FORCE_DISABLE_TERMINAL": "1"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=True,
    )
    lines = [line.rstrip() for line in run.stdout.replace("Usage: -c", "Usage: layerwise").splitlines()]
    return "\n".join(lines).strip("\n")


def section(command: str | None) -> str:
    title = f"layerwise {command}" if command else "layerwise"
    return f"## `{title}`\n\n```text\n{help_text(command)}\n```\n"


def page() -> str:
    with ThreadPoolExecutor(2) as pool:
        return HEAD + "\n".join(pool.map(section, (None, *COMMANDS)))


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
