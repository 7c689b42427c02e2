"""The folder of a run: whose it is, and whether a run may go on in it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from layerwise.errors import UsageError
from layerwise.whole_file import check_folder

RUN = "run.json"
CHECKPOINTS = "checkpoints"
LOG = "log.jsonl"


def refuse(folder: Path, document: dict[str, Any], resume: bool, overwrite: bool) -> None:
    """Refuse, before any work, a folder that belongs to something else, or to a run with other settings.

    Args:
        document: what has to be the same for a run to go on.

    Raises:
        UsageError: it does.
    """
    check_folder(folder)
    run = folder / RUN
    if resume:
        if not run.is_file():
            raise UsageError(f"{folder} holds no run to go on with: leave --resume out.")
        _check_same(folder, json.loads(run.read_text("utf-8")), json.loads(json.dumps(document)))
        return
    if not folder.exists() or not any(folder.iterdir()):
        return
    if not run.is_file():
        raise UsageError(f"the folder {folder} is there and no run of layerwise: choose another.")
    if not overwrite:
        raise UsageError(
            f"{folder} exists already: pass --overwrite to begin anew, --resume to go on, or choose another."
        )


def claim(folder: Path, document: dict[str, Any], resume: bool) -> None:
    """Make a folder this run's, once all that can fail beforehand is done: what was in it goes."""
    if resume:
        return
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    (folder / RUN).write_text(json.dumps(document, ensure_ascii=False, indent=1), "utf-8")


def _check_same(path: Path, before: dict[str, Any], now: dict[str, Any]) -> None:
    different = [key for key in now if before.get(key) != now[key]]
    if different:
        key = different[0]
        raise UsageError(
            f"{path} was begun with {key} {before.get(key)!r}, and now it is {now[key]!r}: resume with the same settings "
            "and data, or pass --overwrite to begin anew."
        )
