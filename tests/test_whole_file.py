"""A file is written whole or not at all, and what stands in its way is said before the work."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import pytest

from layerwise.errors import LayerwiseError, UsageError
from layerwise.whole_file import check_folder, check_target, refuse_existing, whole_file


@pytest.mark.parametrize("before", [None, b"old"])
def test_a_full_disk_leaves_what_was_there(tmp_path: Path, before: bytes | None) -> None:
    target = tmp_path / "a.csv"
    if before is not None:
        target.write_bytes(before)
    with pytest.raises(LayerwiseError, match="cannot be written: No space left"), whole_file(target) as out:
        out.write(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert list(tmp_path.iterdir()) == ([] if before is None else [target])
    assert before is None or target.read_bytes() == before


def test_the_mode_is_that_of_any_new_file_and_an_old_one_keeps_its_own(tmp_path: Path) -> None:
    plain, target = tmp_path / "plain", tmp_path / "target"
    plain.write_bytes(b"")
    with whole_file(target) as out:
        out.write(b"new")
    assert target.stat().st_mode == plain.stat().st_mode
    target.chmod(0o640)
    with whole_file(target) as out:
        out.write(b"newer")
    assert target.stat().st_mode & 0o777 == 0o640 and target.read_bytes() == b"newer"


def test_a_link_stays_one_and_a_pipe_is_written_to(tmp_path: Path) -> None:
    link, target, pipe = tmp_path / "link", tmp_path / "target", tmp_path / "pipe"
    target.write_bytes(b"old")
    link.symlink_to(target)
    with whole_file(link) as out:
        out.write(b"new")
    assert link.is_symlink() and target.read_bytes() == b"new"
    os.mkfifo(pipe)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    with whole_file(pipe) as out:
        out.write(b"through")
    reader.join(timeout=10)
    assert read == [b"through"] and pipe.is_fifo()


def test_what_cannot_be_written_is_said_before(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for check, path, said in (
        (check_target, tmp_path, "is a folder"),
        (check_target, tmp_path / "none" / "a.csv", "there is no folder"),
        (check_target, "", "empty file name"),
        (check_folder, tmp_path / "file", "is a file"),
        (check_folder, tmp_path / "file" / "below", "is a file"),
        (check_folder, "", "empty folder name"),
    ):
        with pytest.raises(UsageError, match=said):
            check(path)
    check_target(tmp_path / "new.csv")
    check_target("/dev/null")
    refuse_existing("/dev/null", overwrite=False)
    check_folder(tmp_path / "new" / "deeper")
