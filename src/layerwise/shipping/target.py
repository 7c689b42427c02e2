"""A folder that is either there as a whole or not at all."""

from __future__ import annotations

import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from safetensors import SafetensorError

from layerwise.errors import LayerwiseError, UsageError
from layerwise.models.shipped import NAME, PRUNED
from layerwise.whole_file import local_path, open_to_readers


@contextmanager
def whole_folder(target: Path, source: Path, overwrite: bool) -> Iterator[Path]:
    """Give a folder to write in; it becomes `target` if nothing fails, else it is removed.

    Args:
        source: the folder of the model that is read meanwhile.
        overwrite: replace a folder that `layerwise ship` wrote.

    Raises:
        UsageError: `target` is there and may not be replaced, or it and `source` lie in each other.
        LayerwiseError: it cannot be written.
    """
    target = local_path(target).absolute()
    refuse(target, source, overwrite)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".partial", dir=target.parent))
    except OSError as error:
        raise LayerwiseError(f"{target} cannot be written: {error.strerror or error}.") from error
    try:
        try:
            with _termination_as_interrupt():
                yield draft
                open_to_readers(draft)
                refuse_there(target, overwrite)  # again: somebody may have been quicker
                _publish(draft, target)
        except (OSError, SafetensorError) as error:  # the second where safetensors meets a full disk
            said = getattr(error, "strerror", None) or error
            raise LayerwiseError(f"{target} cannot be written: {said}.") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)


@contextmanager
def _termination_as_interrupt() -> Iterator[None]:
    """SIGTERM like Ctrl-C, which removes the draft: by default it ends the process on the spot.

    A handler that the program has set itself stays.
    """
    ours = threading.current_thread() is threading.main_thread()
    if not ours or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def refuse(target: Path, source: Path, overwrite: bool) -> None:
    """Refuse a target that would destroy something.

    Raises:
        UsageError: see `whole_folder`.
    """
    real, origin = local_path(target).resolve(), source.resolve()
    if real == origin or real.is_relative_to(origin) or origin.is_relative_to(real):
        raise UsageError(
            f"{target} and the model's own folder {source} lie in each other: choose another folder."
        )
    refuse_there(target, overwrite)


def refuse_there(target: Path, overwrite: bool) -> None:
    """Refuse a target that is there and may not be replaced.

    Raises:
        UsageError: see `whole_folder`.
    """
    target = local_path(target)
    if not (target.exists() or target.is_symlink()):
        return
    if not target.is_dir() or target.is_symlink():
        raise UsageError(f"{target} is there and is no folder: choose another name.")
    if Path.cwd().is_relative_to(target.resolve()):  # it is renamed, and takes who stands in it along
        raise UsageError(
            f"the folder {target} is the one you are in, or above it, and a new one takes its place: name another."
        )
    if not any(target.iterdir()):
        return
    if not overwrite:
        raise UsageError(f"the folder {target} exists already: pass --overwrite, or choose another.")
    if not any((target / name).is_file() for name in (NAME, PRUNED)):
        raise UsageError(
            f"the folder {target} was not written by `layerwise ship` or `prune` (it has no {NAME} or {PRUNED}), so it is "
            "not replaced: choose another, or remove it yourself."
        )


def _publish(draft: Path, target: Path) -> None:
    """Rename; what stood there is moved aside first and comes back if that fails."""
    if target.exists() and not any(target.iterdir()):
        target.rmdir()
    if not target.exists():
        draft.rename(target)  # an error if a folder with something in it appears just now
        return
    aside = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".old", dir=target.parent))
    old = aside / target.name
    target.rename(old)
    try:
        draft.rename(target)
    except OSError:
        old.rename(target)
        raise
    finally:
        if target.exists():
            shutil.rmtree(aside, ignore_errors=True)
