"""A folder that is there as a whole or not at all, when the process is told to end."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from layerwise.shipping.target import whole_folder


def test_sigterm_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), whole_folder(tmp_path / "m", tmp_path / "base", False) as draft:
        (draft / "file").touch()
        signal.raise_signal(signal.SIGTERM)
    assert not list(tmp_path.iterdir()) and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_handler_of_sigterm_stays(tmp_path: Path) -> None:
    seen: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: seen.append(number))
    try:
        with whole_folder(tmp_path / "m", tmp_path / "base", False):
            signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    assert seen == [signal.SIGTERM] and (tmp_path / "m").is_dir()
