"""Ctrl-C, a reader that goes away, a full disk, a terminal of few characters: real signals and pipes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from layerwise.cli.ending import escape_output
from tests.study.labelled import text_store

INTERRUPTED = """
import os, signal, sys
from layerwise.study import probing
probing.probe = lambda *given, **options: os.kill(os.getpid(), signal.SIGINT)
signal.signal(signal.SIGINT, signal.default_int_handler)
from layerwise.cli import main
sys.argv = ["layerwise", *sys.argv[1:]]
main()
"""
"""A shell that starts a program in the background has it ignore Ctrl-C: hence the handler."""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("stopped") / "文.lance"
    text_store(path)
    return path


def layerwise(*arguments: object, **given: object) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "layerwise", *map(str, arguments)]
    return subprocess.run(command, stderr=subprocess.PIPE, **given)  # type: ignore[call-overload, no-any-return]


def test_ctrl_c_is_said(store: Path) -> None:
    command = [sys.executable, "-c", INTERRUPTED, "probe", str(store), "--label", "label"]
    found = subprocess.run(command, capture_output=True)
    assert (found.returncode, found.stdout, found.stderr) == (1, b"", b"layerwise: interrupted.\n")


@pytest.mark.parametrize("option", [[], ["--json"], ["--help"]])
def test_a_reader_that_has_gone_is_no_failure(store: Path, option: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    found = layerwise("compare", store, *option, stdout=writing)
    os.close(writing)
    assert (found.returncode, found.stderr) == (0, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a disk that is always full")
@pytest.mark.parametrize("option", [[], ["--json"]])
def test_a_full_disk_is_one_sentence(store: Path, option: list[str]) -> None:
    with Path("/dev/full").open("wb") as full:
        found = layerwise("compare", store, *option, stdout=full)
    said = "layerwise: stdout cannot be written (No space left on device): make room, or send it elsewhere.\n"
    assert (found.returncode, found.stderr.decode()) == (1, said)


@pytest.mark.parametrize("encoding", ["latin-1", "ascii"])
def test_characters_that_cannot_be_printed_are_escaped(store: Path, encoding: str) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "1"}
    table = layerwise("compare", store, stdout=subprocess.PIPE, env=environment)
    assert table.returncode == 0 and rb"\u6587.lance" in table.stdout, table
    found = layerwise("compare", store, "--json", stdout=subprocess.PIPE, env=environment)
    assert found.returncode == 0 and json.loads(found.stdout)["first"]["store"] == str(store), found


def test_a_locale_that_hides_a_name_is_no_damage(store: Path) -> None:
    environment = {**os.environ, "LC_ALL": "POSIX", "PYTHONUTF8": "0"}
    found = layerwise("inspect", store, env=environment)
    assert found.returncode == 1 and b"or the locale hides it (ascii): set LC_ALL=C.UTF-8" in found.stderr
    assert b"overwrite" not in found.stderr and found.stderr.count(b"\n") == 1
    new = store.with_name("新.lance")
    found = layerwise("extract", "examples/prose_en.txt", "-o", new, "--layers", 0, env=environment)
    assert found.returncode == 1 and b"the locale hides it" in found.stderr and not new.exists()


def test_an_escaped_character_is_one_of_json() -> None:
    escape_output()
    for encoding in ("ascii", "latin-1", "utf-8"):
        escaped = '"é 文 😀"'.encode(encoding, "layerwise.escaped").decode(encoding)
        assert json.loads(escaped) == "é 文 😀"
    assert "\udce6".encode("utf-8", "layerwise.escaped") == rb"\udce6"
