"""Checkpoints that are whole or do not count: a folder is sealed once all of it is on the disk."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

SEAL = "sealed.json"
"""Written last: names and sizes of the other files. Without it, or if one differs, a checkpoint does not count."""

_NAME = re.compile(r"checkpoint-(\d+)")


class Sealing(TrainerCallback):
    """Seals each checkpoint after transformers has written it."""

    def __init__(self, wait_for_everyone: Any) -> None:
        self._wait_for_everyone = wait_for_everyone  # each process writes the state of its own random numbers

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Called by the trainer, in every process."""
        self._wait_for_everyone()
        if state.is_world_process_zero:
            seal(Path(args.output_dir) / f"checkpoint-{state.global_step}")


class Best(TrainerCallback):
    """Where a run goes on, the best checkpoint so far is the one in its folder, wherever that was when it was written.

    Attributes:
        lost: the step of the best one, if it is not whole any more: the best of what comes is kept then.
    """

    def __init__(self) -> None:
        self.lost: int | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Called by the trainer, which forgets a path that is not there, and keeps the score that nothing else beats."""
        if state.best_global_step is None:
            return
        folder = Path(args.output_dir) / f"checkpoint-{state.best_global_step}"
        if is_whole(folder):
            state.best_model_checkpoint = str(folder)
        else:
            self.lost = state.best_global_step
            state.best_model_checkpoint = state.best_global_step = state.best_metric = None


def seal(folder: Path) -> None:
    """Bring a folder to the disk, then say that it is whole."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != SEAL)
    for path in files:
        _sync(path)
    sizes = {path.relative_to(folder).as_posix(): path.stat().st_size for path in files}
    draft = folder / f"{SEAL}.part"
    draft.write_text(json.dumps(sizes, indent=1), "utf-8")
    _sync(draft)
    draft.replace(folder / SEAL)
    _sync(folder)


def is_whole(folder: Path) -> bool:
    """Whether a checkpoint is sealed and all its files are there in their sizes."""
    try:
        sizes = json.loads((folder / SEAL).read_text("utf-8"))
        return all((folder / name).stat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError, AttributeError):
        return False


def last_whole(folder: Path) -> Path | None:
    """The latest checkpoint that is whole."""
    numbered = [
        (int(found[1]), path) for path in folder.glob("checkpoint-*") if (found := _NAME.fullmatch(path.name))
    ]
    return next((path for _, path in sorted(numbered, reverse=True) if is_whole(path)), None)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
