"""Killed, interrupted, resumed: the store opens, holds whole texts, and ends with the same rows."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import layerwise
from layerwise.errors import UsageError
from layerwise.store.verify import check
from tests.command_line import run

TEXTS = Path("examples/prose_en.txt").resolve()

# Small chunks and a commit after each, so that a run of seconds has many moments to die at.
SMALL_COMMITS = """
import sys
from layerwise.store import writer
writer.COMMIT_BYTES = 1
print("ready", flush=True)
from layerwise.cli import main
sys.argv = ["layerwise", *sys.argv[1:]]
main()
"""
OPTIONS = ["--unit", "word", "--batch-tokens", "32"]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("texts") / "texts.txt"
    lines = TEXTS.read_text("utf-8").splitlines()
    path.write_text("\n".join([*lines, "", *lines]) + "\n", "utf-8")
    return path


@pytest.fixture(scope="module")
def undisturbed(source: Path) -> Path:
    out = source.with_name("undisturbed.lance")
    subprocess.run(
        [sys.executable, "-c", SMALL_COMMITS, *arguments(source, out)], check=True, capture_output=True
    )
    return out


def arguments(source: Path, out: Path) -> list[str]:
    return ["extract", str(source), "-o", str(out), *OPTIONS]


def start(source: Path, out: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", SMALL_COMMITS, *arguments(source, out)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def wait_for_commits(process: subprocess.Popen[bytes], out: Path, commits: int) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if len(list((out / "_versions").glob("*.manifest"))) > commits:
            return
        assert process.poll() is None, "the run ended before it could be disturbed"
        time.sleep(0.005)
    raise AssertionError("no commit in two minutes")


def assert_same_rows(out: Path, expected: Path) -> None:
    found, wanted = layerwise.open(out), layerwise.open(expected)
    assert found.units().equals(wanted.units())
    for layer in wanted.layers:
        assert np.array_equal(found.layer(layer).numpy(), wanted.layer(layer).numpy()), "bit for bit"
    assert np.array_equal(found.ledger().num_units, wanted.ledger().num_units)


def assert_whole_texts_only(out: Path) -> int:
    store = layerwise.open(out)
    check(store)
    texts, units = np.unique(store.units().column("text_id").to_numpy(), return_counts=True)
    ledger = store.ledger().num_units
    assert np.array_equal(ledger[ledger > 0], units) and (len(texts) == 0 or texts.max() < len(ledger))
    return len(ledger)


def kill_and_complete(source: Path, out: Path, undisturbed: Path, commits: int, delay: float) -> None:
    process = start(source, out)
    wait_for_commits(process, out, commits)
    time.sleep(delay)
    process.kill()
    process.wait()
    if (out / "_versions").is_dir() and list((out / "_versions").glob("*.manifest")):
        assert_whole_texts_only(out)
    outcome = run(" ".join(arguments(source, out)))
    assert outcome.status == 0, outcome
    assert_same_rows(out, undisturbed)


@pytest.mark.parametrize("commits", [0, 3])
def test_kill_9(source: Path, undisturbed: Path, tmp_path: Path, commits: int) -> None:
    kill_and_complete(
        source, tmp_path / "out.lance", undisturbed, commits, random.Random(commits).random() / 20
    )


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(50))
def test_fifty_times_kill_9(source: Path, undisturbed: Path, tmp_path: Path, seed: int) -> None:
    generator = random.Random(seed)
    commits = generator.randrange(-1, 20)
    kill_and_complete(source, tmp_path / "out.lance", undisturbed, commits, generator.random() / 10)


def test_ctrl_c_commits_and_says_how_to_go_on(source: Path, undisturbed: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.lance"
    process = start(source, out)
    wait_for_commits(process, out, 2)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    message = errors.decode().strip().splitlines()[-1]
    assert process.returncode == 1, message
    texts = assert_whole_texts_only(out)
    assert f"interrupted: {texts:,} texts are committed" in message and "again" in message
    assert 0 < texts < len(layerwise.open(undisturbed).ledger())
    assert run(" ".join(arguments(source, out))).status == 0
    assert_same_rows(out, undisturbed)


def _takes_interrupts(process: int) -> bool:
    """Whether it has come to where SIGTERM too is an interruption: Python itself catches SIGINT alone."""
    status = Path(f"/proc/{process}/status").read_text("utf-8")
    caught = next(line for line in status.splitlines() if line.startswith("SigCgt"))
    return bool(int(caught.split()[1], 16) >> (signal.SIGTERM - 1) & 1)


def test_ctrl_c_while_the_source_gives_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "layerwise", "extract", "-", "-o", str(tmp_path / "out.lance")]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 120
    while not _takes_interrupts(process.pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=30) == 1, "stdin is still open"
    assert process.stderr is not None and process.stdin is not None
    assert "interrupted: 0 texts" in process.stderr.read().decode()
    process.stdin.close()


def test_a_limit_below_what_is_there_completes_nothing(
    source: Path, undisturbed: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.lance"
    process = start(source, out)
    wait_for_commits(process, out, 3)
    process.kill()
    process.wait()
    texts = layerwise.open(out).num_texts
    assert texts > 1 and run(" ".join(arguments(source, out)) + " --limit 1").status == 0
    store = layerwise.open(out)
    assert store.num_texts == texts and not store.metadata["complete"]


def test_a_limit_can_be_raised(source: Path, undisturbed: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.lance"
    command = " ".join(arguments(source, out))
    assert run(f"{command} --limit 10").status == 0
    assert layerwise.open(out).num_texts == 10
    assert run(command).status == 0
    found, wanted = layerwise.open(out), layerwise.open(undisturbed)
    assert found.units().equals(wanted.units())
    # The first ten texts shared a batch with fewer others: the same up to rounding.
    assert np.abs(found.layer(6).numpy() - wanted.layer(6).numpy()).max() < 1e-5


def test_a_text_that_is_too_long_keeps_what_came_before_and_has_its_number(tmp_path: Path) -> None:
    source, out = tmp_path / "a.txt", tmp_path / "o.lance"
    source.write_text("the sea\n" * 700 + "the sea " * 40 + "\n", "utf-8")
    command = f"extract {source} -o {out} --unit text --layers 0 --max-length 16 --long-text error --batch-tokens 64"
    for _ in range(2):
        outcome = run(command)
        assert outcome.status == 1 and "text 700 has 82 tokens" in outcome.err
        assert layerwise.open(out).num_texts >= 512


def test_a_source_that_cannot_be_read_costs_no_store(tmp_path: Path) -> None:
    source, out = tmp_path / "a.csv", tmp_path / "o.lance"
    source.write_text("text,label\nthe sea,1\n", "utf-8")
    assert run(f"extract {source} -o {out} --layers 0").status == 0
    before = layerwise.open(out).to_table()
    assert run(f"extract {source} -o {out} --layers 0 --overwrite --keep labl").status == 1
    assert layerwise.open(out).to_table().equals(before)


def test_a_stride_that_pairs_have_no_room_for_is_refused_at_once(tmp_path: Path) -> None:
    source, out = tmp_path / "a.csv", tmp_path / "o.lance"
    source.write_text("a,b\nthe sea,the ship\n", "utf-8")
    options = "--text-column a --pair-column b --max-length 64 --stride"
    outcome = run(f"extract {source} -o {out} {options} 40")
    assert outcome.status == 2 and "windows of 30 tokens cannot overlap by 40" in outcome.err
    assert not out.exists() and run(f"extract {source} -o {out} {options} 20").status == 0


def test_a_table_is_no_source_and_one_column_to_keep_is_one(tmp_path: Path) -> None:
    encoder = layerwise.Encoder.from_pretrained("minilm", device="cpu")
    table = pd.DataFrame({"text": ["the sea"], "label": [1]})
    with pytest.raises(UsageError, match=r"given as DataFrame: expected files.* take Encoder\.stream"):
        layerwise.extract(table, tmp_path / "o", encoder=encoder)  # type: ignore[arg-type]
    table.to_parquet(tmp_path / "a.parquet")
    layerwise.extract(tmp_path / "a.parquet", tmp_path / "o", encoder=encoder, keep="label", layers=0)
    assert layerwise.open(tmp_path / "o").kept_columns == ("label",)
