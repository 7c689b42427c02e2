"""A folder that is there as a whole or not at all, and replaces nothing that somebody may miss."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest

import layerwise
from layerwise import UsageError
from layerwise.shipping.target import whole_folder
from tests.command_line import run
from tests.tiny import one_thread, shared_encoder, tiny_folder

__all__ = ["one_thread"]


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


def test_targets(tmp_path: Path) -> None:
    base = tiny_folder(tmp_path)
    target = tmp_path / "m"
    assert run(f"ship {base} --layer 1 -o {target}").status == 0
    before = (target / "layerwise.json").read_bytes()
    refused = run(f"ship {base} --layer 2 -o {target}")
    assert refused.status == 2 and "--overwrite" in refused.err
    assert (target / "layerwise.json").read_bytes() == before
    assert run(f"ship {base} --layer 2 -o {target} --overwrite").status == 0
    assert (target / "layerwise.json").read_bytes() != before
    for inside in (base, base / "m", tmp_path):
        refused = run(f"ship {base} --layer 1 -o {inside} --overwrite")
        assert refused.status == 2 and "lie in each other" in refused.err
    other = tmp_path / "letters"
    other.mkdir()
    (other / "dear.txt").write_text("dear")
    refused = run(f"ship {base} --layer 1 -o {other} --overwrite")
    assert refused.status == 2 and "was not written by" in refused.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["base", "letters", "m"]


@pytest.mark.parametrize(("name", "overwrite"), [("layerwise.json", False), ("thesis.tex", True)])
def test_a_folder_that_appears_meanwhile_is_kept(name: str, overwrite: bool, tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()  # an empty one is taken
    with pytest.raises(UsageError), whole_folder(tmp_path / "m", tmp_path / "base", overwrite) as draft:
        (draft / "file").touch()
        (tmp_path / "m" / name).touch()
    assert [path.name for path in (tmp_path / "m").iterdir()] == [name]
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_the_folder_one_is_in_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "a" / "b")
    for target in (".", "..", tmp_path / "a", ""):
        with pytest.raises(UsageError, match="the one you are in"):
            layerwise.ship(shared_encoder("wordpiece"), target, layer=1)
    assert Path.cwd() == tmp_path / "a" / "b" and not list(Path.cwd().iterdir())
    layerwise.ship(shared_encoder("wordpiece"), "../c", layer=1)


def test_a_fault_while_writing_leaves_the_old_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from layerwise.shipping import ship as shipping

    encoder = shared_encoder("wordpiece")
    layerwise.ship(encoder, tmp_path / "m", layer=1)
    before = {path.name: path.read_bytes() for path in (tmp_path / "m").iterdir() if path.is_file()}

    def full(*args: Any) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shipping, "model_card", full)
    with pytest.raises(layerwise.LayerwiseError, match="cannot be written: No space left on device"):
        layerwise.ship(encoder, tmp_path / "m", layer=2, overwrite=True)
    after = {path.name: path.read_bytes() for path in (tmp_path / "m").iterdir() if path.is_file()}
    assert after == before
    assert [path.name for path in tmp_path.iterdir()] == ["m"]
