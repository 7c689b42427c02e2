"""Files on this machine: a path, a folder or a glob to the files it stands for."""

from __future__ import annotations

import difflib
import glob
import os
from pathlib import Path
from typing import NoReturn

from layerwise.errors import SourceError
from layerwise.text.formats import READERS, is_known
from layerwise.whole_file import local_path

Found = tuple[str, str]
"""Path of a file, and its name relative to what was given: the same wherever the data lies."""


def find_local(given: str, format: str | None = None) -> list[Found]:
    """Files that `given` stands for, in the order of their names; of any ending if the format is named.

    Raises:
        SourceError: there is no such file, a folder or glob has none, or it may not be read.
    """
    path = local_path(given)
    try:
        if path.is_dir():
            return _in_folder(path, given, format)
        if path.is_file():  # before globs: brackets may stand in a file's name
            return [(str(path), path.name)]
        if path.exists():
            raise SourceError(
                f"{given} is a pipe or device: pipe it in as '-' (a text or a JSON object a line)."
            )
        if glob.has_magic(given):
            return _matching(str(path), given, format)
        raise _missing(path, given)
    except OSError as error:
        raise SourceError(
            f"{error.filename or given} cannot be read ({error.strerror}): check its name and permissions."
        ) from error


def _in_folder(folder: Path, given: str, format: str | None) -> list[Found]:
    if _is_store(folder):
        raise SourceError(f"{given} is a store, not a source of text: name the texts it was made from.")
    files = []
    for parent, folders, names in os.walk(folder, onerror=_raise):
        # Hidden ones are made by programs (.ipynb_checkpoints, ._notes.txt), not by the user; and a
        # store beside its texts is no text.
        folders[:] = [name for name in folders if not (name.startswith(".") or _is_store(Path(parent, name)))]
        files += [Path(parent, name) for name in names if not name.startswith(".") and is_known(name, format)]
    if not files:
        raise SourceError(
            f"the folder {given} has no file to read: expected endings are {', '.join(READERS)}; or say what they "
            "are with --format."
        )
    return sorted((str(file), file.relative_to(folder).as_posix()) for file in files)


def _matching(pattern: str, given: str, format: str | None) -> list[Found]:
    # Not Path.glob, which refuses absolute patterns.
    paths = sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207
    # Relative to the last folder before the first wildcard.
    parts = Path(pattern).parts
    base = Path(*(parts[: next(i for i, part in enumerate(parts) if glob.has_magic(part))]))
    matched = [path for path in paths if Path(path).is_file() and not _in_store(Path(path), base)]
    if not matched:
        raise SourceError(
            f"{given} matches no file in {Path.cwd()}: check the pattern (** goes into folders)."
        )
    known = [path for path in matched if is_known(path, format)]
    if not known:
        raise SourceError(
            f"{given} matches {len(matched)} files and none that can be read ({Path(matched[0]).name}, …): "
            f"expected endings are {', '.join(READERS)}; or say what they are with --format."
        )
    return [(path, Path(path).relative_to(base).as_posix()) for path in known]


def _is_store(folder: Path) -> bool:
    """Whether this is a Lance dataset, or one of ours before its first version."""
    return any((folder / name).is_dir() for name in ("_versions", "_ledger"))


def _in_store(path: Path, base: Path) -> bool:
    return any(_is_store(base / parent) for parent in path.relative_to(base).parents[:-1])


def _missing(path: Path, given: str) -> SourceError:
    folder = path.parent
    if not folder.is_dir():
        there = next(parent for parent in path.absolute().parents if parent.is_dir())
        return SourceError(
            f"{given} does not exist: its folder {folder} is not there either, only {there} is."
        )
    names = sorted(item.name for item in folder.iterdir() if item.is_dir() or is_known(item.name))
    near = difflib.get_close_matches(path.name, names, n=3)
    hint = f"did you mean {' or '.join(near)}?" if near else "there is nothing to read there."
    if names and not near:
        hint = f"{', '.join(names[:3])}{', …' if len(names) > 3 else ''} can be read there."
    return SourceError(f"{given} does not exist in {folder.absolute()}: {hint}")


def _raise(error: OSError) -> NoReturn:
    raise error
