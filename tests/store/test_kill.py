"""kill -9 at any moment: the store opens, holds whole texts, and the rerun completes it."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from layerwise.store.folder import Kind, kind_of
from layerwise.store.reader import Store, open_store
from layerwise.store.verify import check
from tests.store.making import chunks, length, make
from tests.store.writing_process import main

TEXTS = 500
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """The same run, undisturbed; its commits are other ones."""
    return make(tmp_path_factory.mktemp("whole") / "out.lance", chunks(TEXTS, each=125))


def start_and_kill(path: Path, after: float) -> bool:
    """Run until `after` seconds of writing have passed; says whether it was still writing."""
    command = [sys.executable, "-m", "tests.store.writing_process", str(path), str(TEXTS)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
    assert process.stdout is not None and process.stdout.readline() == b"started\n"
    time.sleep(after)
    process.send_signal(signal.SIGKILL)
    return process.wait() == -signal.SIGKILL


def assert_prefix(path: Path, whole: Store) -> int:
    """What is there is a prefix of the undisturbed run, in whole texts; returns how many."""
    if kind_of(path) is not Kind.STORE:
        return 0  # killed before its first manifest
    store = open_store(path)
    check(store)
    assert len(store) == sum(length(text) for text in range(store.num_texts))
    assert store.to_table().equals(whole.to_table().slice(0, len(store)))
    return store.num_texts


def killed_again_and_again(path: Path, whole: Store, times: int, seed: int) -> None:
    moments = random.Random(seed)
    kills = 0
    reached = 0
    while kills < times:
        kills += start_and_kill(path, moments.uniform(0, 0.6))
        now = assert_prefix(path, whole)
        assert now >= reached, "what was committed is there for good"
        reached = now
        if now == TEXTS:
            shutil.rmtree(path)
            reached = 0
    main(str(path), TEXTS)
    store = open_store(path)
    assert store.to_table().equals(whole.to_table())
    assert store.metadata == whole.metadata
    assert np.array_equal(store.ledger().num_units, whole.ledger().num_units)
    check(store)
    named = {file.name for commit in store.commits for file in commit.files}
    assert {file.name for file in (path / "data").iterdir()} == named, "leftovers are gone"


def test_a_few_kills(tmp_path: Path, whole: Store) -> None:
    killed_again_and_again(tmp_path / "out.lance", whole, times=3, seed=1)


@pytest.mark.slow
def test_fifty_kills(tmp_path: Path, whole: Store) -> None:
    killed_again_and_again(tmp_path / "out.lance", whole, times=50, seed=2)


STEPS = (
    "layerwise.store.writer.write_fragments",
    "layerwise.store.writer.sync",
    "layerwise.store.writer.write_commit",
    "layerwise.store.writer.lance.LanceDataset.commit",
    "layerwise.store.commits.sync",
    "layerwise.store.folder.sync",
    "layerwise.store.folder.shutil.rmtree",
)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", STEPS)
def test_a_death_at_each_step(tmp_path: Path, whole: Store, step: str, when: str) -> None:
    """`os._exit` around every step of a commit (and of an overwrite), the second time it happens."""
    code = f"""
import importlib, os, sys
from pathlib import Path
from tests.store.making import chunks, writer
import layerwise.store.writer, layerwise.store.commits, layerwise.store.folder
names, target = {step!r}.split("."), sys.modules["layerwise"]
for name in names[1:-1]:
    target = getattr(target, name)
real, calls = getattr(target, names[-1]), []
def dying(*given, **named):
    calls.append(1)
    if len(calls) == {2 if "rmtree" not in step else 4} and {when!r} == "before":
        os._exit(77)
    result = real(*given, **named)
    if len(calls) == {2 if "rmtree" not in step else 4}:
        os._exit(77)
    return result
out = writer(Path(sys.argv[1]), commit_bytes=1)
out.append(chunks(60, each=20)[0])
if "rmtree" in {step!r}:
    out.close()
    out = writer(Path(sys.argv[1]), resume=True, commit_bytes=1)
setattr(target, names[-1], dying)
if "rmtree" in {step!r}:
    out.close()
    out = writer(Path(sys.argv[1]), overwrite=True, commit_bytes=1)
    out.append(chunks(60, each=20)[0])
for part in chunks(60, each=20, first=20):
    out.append(part)
"""
    path = tmp_path / "out.lance"
    done = subprocess.run([sys.executable, "-c", code, str(path)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 77, done.stderr
    assert_prefix(path, whole)
    main(str(path), TEXTS // 5)
    store = open_store(path)
    check(store)
    assert store.to_table().equals(whole.to_table().slice(0, len(store))) and store.num_texts == TEXTS // 5
