"""The folder of a run: whose it is, and whether a run may go on in it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from glob import glob
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from layerwise.errors import LayerwiseError, UsageError
from layerwise.text.locations import STDIN
from layerwise.train.checkpoints import last_whole
from layerwise.train.choices import FinetuneChoices
from layerwise.train.settings import TrainingSettings
from layerwise.train.tasks.example import DataColumns
from layerwise.whole_file import check_folder, local_path, lock, open_to_readers, whole_file

RUN = "run.json"
CHECKPOINTS = "checkpoints"
LOG = "log.jsonl"
FINISHED = "config.json"
"""Written at the end, before the checkpoints go: a folder with it and without a whole one of them is a model."""


OTHERS = {
    "sequences_sha256": "other data (texts, labels, or how they are cut)",
    "weights_sha256": "other weights of a model of this name",
    "decoder_sha256": "other weights of a decoder of this name",
}
"""What differs where a checksum does."""

NAMES = ("data", "dev")
"""What may be called otherwise in a run that goes on: the same data is told by its checksum."""


def same_run(
    task: str,
    model: str,
    data: list[str],
    dev: list[str] | None,
    named: DataColumns,
    chosen: FinetuneChoices,
    how: TrainingSettings,
    skip: bool,
) -> dict[str, Any]:
    """What has to be the same for a fine-tuning to go on."""
    same = {key: value for key, value in how.document().items() if key not in ("device", "accumulate")}
    return {
        "task": task,
        "model": model,
        "data": data,
        "dev": dev,
        **{f"column {key}": value for key, value in asdict(named).items()},
        **asdict(chosen),
        **same,
        "skip_bad": skip,
    }


def refuse(
    folder: Path,
    document: dict[str, Any],
    resume: bool,
    overwrite: bool,
    prepared: Collection[str] | None = None,
) -> None:
    """Refuse, before any work, a folder that belongs to something else, or to a run with other settings.

    It has to be held: what a run may still choose is written here.

    Args:
        document: what has to be the same for a run to go on.
        prepared: what of it decides what was prepared: before the first checkpoint the rest may still be chosen, and
            counts from then on. None: all of it does.

    Raises:
        UsageError: it does.
    """
    if resume and overwrite:
        raise UsageError("--resume and --overwrite were given: expected one of them.")
    run = folder / RUN
    if resume:
        if not run.is_file():
            raise UsageError(f"{folder} holds no run to go on with: leave --resume out.")
        if (folder / FINISHED).is_file() and last_whole(folder / CHECKPOINTS) is None:
            raise UsageError(
                f"the run in {folder} is finished: leave --resume out, and pass --overwrite to begin anew."
            )
        before, now = _read(folder), json.loads(json.dumps(document))
        if prepared is None or last_whole(folder / CHECKPOINTS) is not None:
            _check_same(folder, before, now)
        else:
            _check_same(folder, before, {key: now[key] for key in prepared})
            _write(folder, document)
        return
    if not folder.exists() or not any(folder.iterdir()):
        return
    if not run.is_file():
        raise UsageError(f"the folder {folder} is there and no run of layerwise: choose another.")
    if not overwrite:
        raise UsageError(
            f"{folder} exists already: pass --overwrite to begin anew, --resume to go on, or choose another."
        )


def refuse_own_sources(folder: Path, *read: str | Path) -> None:
    """Refuse a folder that cannot be begun anew without losing what is to be read: a model, or data.

    Raises:
        UsageError: one is the folder, or lies in it.
    """
    if not folder.exists():
        return
    for one in read:
        name = str(local_path(one))
        matching = [] if Path(name).exists() else glob(name, recursive=True)  # noqa: PTH207 (absolute ones)
        for found in () if name == STDIN or "://" in str(one) else (name, *matching):
            path = Path(found).resolve()
            if folder.resolve() in (path, *path.parents):
                raise UsageError(
                    f"{found}, which is to be read, is in {folder}, the folder to write: choose another folder to write."
                )


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Keep other runs out of a folder, also before it is there: the lock lies beside it, and dies with the process.

    Where nothing may be written beside the folder there is no lock.

    Raises:
        UsageError: another run has it, or it is no folder.
    """
    check_folder(folder)
    folder = folder.resolve()  # one lock, whatever links lead there
    made = [parent for parent in folder.parents if not parent.exists()]
    folder.parent.mkdir(parents=True, exist_ok=True)
    path = folder.parent / f".{folder.name}.lock"
    try:
        handle = lock(path)
    except BlockingIOError:
        raise UsageError(
            f"another run is writing to {folder}: wait for its end, or choose another folder."
        ) from None
    except OSError:
        handle = None
    try:
        yield
    finally:
        if handle is not None:
            path.unlink(missing_ok=True)
            handle.close()
        for parent in made:
            with suppress(OSError):  # something is in it
                parent.rmdir()


def claim(folder: Path, document: dict[str, Any], resume: bool, keep: str = "") -> None:
    """Make a folder this run's, once all that can fail beforehand is done: what was in it goes.

    Args:
        keep: what stays of it, by name.

    Raises:
        UsageError: the run is to go on, and the data is other data.
    """
    if resume:
        _check_same(folder, _read(folder), json.loads(json.dumps(document)))
        return
    folder.mkdir(parents=True, exist_ok=True)
    # What says that the folder is a run's goes last: a kill in between leaves one that can be begun anew.
    for path in sorted(folder.iterdir(), key=lambda path: path.name == RUN):
        if path.name == keep:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    _write(folder, document)


def _read(folder: Path) -> dict[str, Any]:
    try:
        found = json.loads((folder / RUN).read_text("utf-8"))
    except (OSError, ValueError):
        found = None
    if not isinstance(found, dict):
        raise UsageError(
            f"{folder / RUN}, which says what the run is, cannot be read: pass --overwrite to begin anew."
        )
    return found


@contextmanager
def publishing(folder: Path) -> Iterator[None]:
    """Around the writing of a model that is trained.

    Raises:
        LayerwiseError: it cannot be written.
    """
    try:
        yield
    except (OSError, SafetensorError) as error:
        said = getattr(error, "strerror", None) or "is the disk full?"
        raise LayerwiseError(
            f"the model cannot be written to {folder} ({said}): make room, and pass --resume, which goes on from the last "
            "checkpoint."
        ) from error


@contextmanager
def published(folder: Path) -> Iterator[Path]:
    """A draft to write a model into; its files then become those of the folder, the config last.

    Raises:
        OSError: a file cannot be written.
    """
    draft = folder / ".draft"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    yield draft
    open_to_readers(draft)
    for path in sorted(draft.iterdir(), key=lambda path: path.name == FINISHED):
        target = folder / path.name
        if target.is_dir():
            shutil.rmtree(target)
        path.replace(target)
    draft.rmdir()


def _write(folder: Path, document: dict[str, Any]) -> None:
    with whole_file(folder / RUN) as file:
        # A file's name may hold bytes that are no UTF-8; so written they are read again.
        file.write(json.dumps(document, ensure_ascii=False, indent=1).encode("utf-8", "backslashreplace"))


def resume_from(folder: Path) -> Path | None:
    """The last whole checkpoint of a run, with the log cut back to it; None: it begins anew."""
    checkpoint = last_whole(folder / CHECKPOINTS)
    step = 0 if checkpoint is None else int(checkpoint.name.rpartition("-")[2])
    log = folder / LOG
    if log.is_file() and int(os.environ.get("RANK", "0")) == 0:
        lines = log.read_text("utf-8").splitlines()
        kept = [line for line in lines if checkpoint is not None and _step_of(line) <= step]
        log.write_text("".join(f"{line}\n" for line in kept), "utf-8")
    return checkpoint


def _step_of(line: str) -> float:
    """The step of a line of the log; infinity for one that is broken, as a kill may leave it."""
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return float("inf")


def _check_same(path: Path, before: dict[str, Any], now: dict[str, Any]) -> None:
    different = [key for key in now if key not in NAMES and before.get(key) != now[key]]
    if different:
        key = different[0]
        if key in OTHERS:
            raise UsageError(
                f"{path} was begun with {OTHERS[key]}: resume with the same, or pass --overwrite to begin anew."
            )
        raise UsageError(
            f"{path} was begun with {key} {_shown(before.get(key))}, and now it is {_shown(now[key])}: resume with the same "
            "settings and data, or pass --overwrite to begin anew."
        )


def _shown(value: Any) -> str:
    return "not given" if value is None else repr(value)
