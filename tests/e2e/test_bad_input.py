"""Hostile and mistaken input: one sentence on stderr, exit 1 or 2, no traceback, nothing lost."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import layerwise
from tests.command_line import run


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ok.txt").write_text("I love this book.\n\n我爱这本书。\n", "utf-8")
    return tmp_path


def refused(command: str, status: int, *fragments: str) -> None:
    outcome = run(command)
    assert outcome.status == status, outcome
    assert outcome.out == ""
    message = outcome.err.strip()
    assert message.startswith("layerwise: ") and "\n" not in message, message
    assert "Traceback" not in message and "defect" not in message
    for fragment in fragments:
        assert fragment in message, message


def test_an_empty_file(folder: Path) -> None:
    (folder / "empty.txt").touch()
    refused("extract empty.txt -o out", 1, "empty.txt is empty")


def test_invalid_utf8_names_line_and_byte(folder: Path) -> None:
    (folder / "bad.txt").write_bytes(b"fine\nbr\xf6ken\n")
    refused("extract bad.txt -o out", 1, "bad.txt", "line 2", "byte 3", "UTF-8")


def test_a_missing_column_lists_those_there_are(folder: Path) -> None:
    (folder / "a.jsonl").write_text('{"t": "x", "u": "y"}\n')
    refused("extract a.jsonl -o out", 1, "'t', 'u'", "--text-column")
    refused("extract a.jsonl -o out --text-column text", 1, "'text'", "'t', 'u'")


def test_a_wrong_column_is_told_before_the_model_is_loaded(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "a.jsonl").write_text('{"text": "x", "topic": "y"}\n')
    assert run("extract a.jsonl -o out --keep topic").status == 0
    before = sorted((folder / "out").rglob("*"))
    monkeypatch.setattr("layerwise.models.encoder.Encoder.from_pretrained", None)
    for out in ("out", "new"):
        refused(f"extract a.jsonl -o {out} --keep topci --keep topic", 1, "'topci'", "'topic'")
        refused(f"extract a.jsonl -o {out} --text-column t", 1, "'t'", "'text'")
        refused(f"extract a.jsonl -o {out} --limit 0", 2, "the limit is 0")
    assert sorted((folder / "out").rglob("*")) == before and not (folder / "new").exists()


def test_stdin_keeps_its_first_text(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"one\ntwo\n")))
    assert json.loads(run("extract - -o out --json").out)["texts"] == 2


def test_a_null_text(folder: Path) -> None:
    (folder / "a.jsonl").write_text('{"text": "x"}\n{"text": null}\n')
    refused("extract a.jsonl -o out", 1, "line 2", "null")


def test_what_was_read_before_a_fault_is_kept(folder: Path) -> None:
    lines = [json.dumps({"text": f"text {i}"}) for i in range(600)]
    (folder / "a.jsonl").write_text("\n".join([*lines, '{"text": null}']) + "\n")
    assert run("extract a.jsonl -o out").status == 1
    assert run("inspect out --check").status == 0


@pytest.mark.parametrize("layers", ["9", "-8", "0,0", "1:a", "", "5:2"])
def test_layers(folder: Path, layers: str) -> None:
    refused(f"extract ok.txt -o out --layers '{layers}'", 2, "0..6")
    assert not (folder / "out").exists()


@pytest.mark.parametrize(
    ("options", "fragment"),
    [
        ("--unit sentence", "text, word, token"),
        ("--words bpe --unit word", "tokenizer, whitespace, unicode, given"),
        ("--pooling cls --unit word", "mean, first, last, max"),
        ("--mix average", "none, mean, sum, concat, scalar"),
        ("--mix scalar", "weights"),
        ("--dtype int8", "float32, bfloat16, float16"),
        ("--store-dtype int8", "float32, float16"),
        ("--device cuda:99", "cuda:99"),
        ("--long-text cut", "window, truncate, error"),
        ("--max-length 513", "512"),
        ("--max-length 2", "special tokens"),
        ("--limit 0", "limit"),
        ("--batch-tokens 0", "batch_tokens"),
    ],
)
def test_options(folder: Path, options: str, fragment: str) -> None:
    refused(f"extract ok.txt -o out {options}", 2, fragment)
    assert not (folder / "out").exists()


def test_an_unknown_model_says_what_was_tried(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    refused("extract ok.txt -o out -m no/such", 1, "'no/such'", "minilm", str(folder / "no/such"), "Hub")


def test_pickled_weights_only(folder: Path) -> None:
    (folder / "model").mkdir()
    (folder / "model/config.json").write_text('{"model_type": "bert"}')
    (folder / "model/pytorch_model.bin").write_bytes(b"cos\nsystem\n(S'touch owned'\ntR.")
    refused("extract ok.txt -o out -m model", 1, "pytorch_model.bin", "--allow-pickle")
    refused("extract ok.txt -o out -m model --allow-pickle", 1, "model", "weights")
    assert not (folder / "owned").exists(), "even then a pickle runs no code"


def test_remote_code_never_runs(folder: Path) -> None:
    (folder / "model").mkdir()
    config = {"model_type": "mine", "auto_map": {"AutoConfig": "code.C", "AutoModel": "code.M"}}
    (folder / "model/config.json").write_text(json.dumps(config))
    (folder / "model/code.py").write_text("open('owned', 'w')")
    (folder / "model/model.safetensors").write_bytes(b"\x02\0\0\0\0\0\0\0{}")
    refused("extract ok.txt -o out -m model", 1, "never runs such code")
    assert not (folder / "owned").exists()


def test_the_output_is_something_else(folder: Path) -> None:
    (folder / "mine").mkdir()
    (folder / "mine/thesis.tex").write_text("x")
    for option in ("", "--overwrite"):
        refused(f"extract ok.txt -o mine {option}", 1, "not a layerwise store")
        refused(f"extract ok.txt -o ok.txt {option}", 1, "not a layerwise store")
    assert (folder / "mine/thesis.tex").read_text() == "x"


def test_a_store_of_another_run(folder: Path) -> None:
    assert run("extract ok.txt -o out --unit word").status == 0
    refused("extract ok.txt -o out --unit token", 1, 'unit is "word" there and "token" now', "--overwrite")
    refused("extract ok.txt -o out --unit word --layers 0", 1, "layers")
    (folder / "ok.txt").write_text("another text\n")
    refused("extract ok.txt -o out --unit word", 1, "source")
    assert run("extract ok.txt -o out --unit word --overwrite").status == 0


@pytest.mark.parametrize(
    "command", ["inspect nowhere", "inspect .", "export nowhere a.npy", "neighbours nowhere sea"]
)
def test_no_store(folder: Path, command: str) -> None:
    refused(command, 1, "store")


def test_misuse_of_a_command_exits_2(folder: Path) -> None:
    for command in ("extract ok.txt", "extract", "nonsense", "show --nonsense"):
        outcome = run(command)
        assert outcome.status == 2 and "Traceback" not in outcome.err


def test_empty_and_blank_texts_count_as_done(folder: Path) -> None:
    (folder / "blank.txt").write_text("\n   \n\t\nword\n\n")
    outcome = run("extract blank.txt -o out --unit word --json")
    assert outcome.status == 0
    summary = json.loads(outcome.out)
    assert (summary["texts"], summary["rows"], summary["windowed_texts"]) == (5, 1, 0)
    (folder / "nothing.txt").write_text("\n\n")
    summary = json.loads(run("extract nothing.txt -o none --unit word --json").out)
    assert (summary["texts"], summary["rows"]) == (2, 0)
    assert run("inspect none --check").status == 0
    assert "nothing was left to do" in run("extract nothing.txt -o none --unit word").out


def test_lengths_are_told(folder: Path) -> None:
    (folder / "long.txt").write_text("word " * 1000 + "\nshort\n")
    summary = json.loads(run("extract long.txt -o a --json").out)
    assert (summary["windowed_texts"], summary["truncated_texts"]) == (1, 0)
    outcome = run("extract long.txt -o b --long-text truncate")
    assert "1 cut (490 tokens lost)" in outcome.out
    refused("extract long.txt -o c --long-text error", 1, "text 0", "1002 tokens")


def test_the_home_folder_is_the_same_for_all(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = folder / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    assert run("extract ok.txt -o '~/st.lance' --layers 0").status == 0
    assert (home / "st.lance" / "_ledger").is_dir() and not (folder / "~").exists()
    assert run("inspect '~/st.lance' --check").status == 0
    refused("extract '~nobody.txt' -o out", 1, "~nobody.txt does not exist")
    refused("predict '~nobody' ok.txt", 1, "~nobody")


def test_a_store_that_lost_its_data_is_not_complete(folder: Path) -> None:
    command = "extract ok.txt -o out --layers 0"
    assert run(command).status == 0
    [data] = (folder / "out" / "data").iterdir()
    content = data.read_bytes()
    data.write_bytes(content[:-1])
    refused(
        command, 1, f"has {len(content) - 1} bytes, and {len(content)} were written", "restore it from a copy"
    )
    data.unlink()
    refused(command, 1, "is missing")
    data.write_bytes(content)
    assert "nothing was left to do" in run(command).out


def test_a_ledger_without_some_texts_is_damage(folder: Path) -> None:
    assert run("extract ok.txt -o out --layers 0").status == 0
    [ledger] = (folder / "out" / "_ledger").glob("*.parquet")
    pq.write_table(pq.read_table(ledger).slice(0, 2), ledger)
    for command in ("inspect out --check", "inspect out", "extract ok.txt -o out --layers 0"):
        refused(command, 1, "has 2 texts, and 3 were written")


@pytest.mark.parametrize(
    ("command", "status", "fragment"),
    [
        ("extract '' -o out", 2, "the empty name ''"),
        ("show hello --revision main", 2, "the revision 'main' was given for 'minilm', which is embedded"),
        ("extract ok.txt -o out --limit 99999999999999999999999", 2, "expected a number of texts"),
        (f"extract ok.txt -o {'x' * 300}", 2, "too long for this disk"),
        (f"inspect {'x' * 300}", 2, "too long for this disk"),
        ("show hello --mix scalar --mix-weights weights.json", 2, "there is no 'gamma'"),
        ("show hello --mix scalar --mix-weights deep.json", 2, "cannot be read"),
        ("extract dots.jsonl -o out --keep a.b", 1, "names without dots: rename it"),
        ("probe store --label n --group ''", 2, "no column ''"),
        ("compare store --csv loop", 2, "is a link to itself"),
    ],
)
def test_odd_names_and_values(folder: Path, command: str, status: int, fragment: str) -> None:
    (folder / "weights.json").write_text('{"weights": [1, 2]}')
    (folder / "deep.json").write_text("[" * 100_000)
    (folder / "dots.jsonl").write_text('{"text": "a", "a": {"b": 1}}\n')
    (folder / "loop").symlink_to("loop")
    if " store " in command:
        rows = "".join(json.dumps({"text": f"text {n}", "n": "ab"[n % 2]}) + "\n" for n in range(6))
        (folder / "rows.jsonl").write_text(rows)
        assert run("extract rows.jsonl -o store --layers 0,1 --keep n").status == 0
    refused(command, status, fragment)


def test_a_store_without_rows_is_told(folder: Path) -> None:
    (folder / "nothing.txt").write_text("\n\n")
    assert run("extract nothing.txt -o none --unit word").status == 0
    refused("probe none --unsupervised", 2, "has no rows")


def test_python_is_told_what_is_no_store_and_no_layer(folder: Path) -> None:
    assert run("extract ok.txt -o out --layers 0").status == 0
    store = layerwise.open("out")
    for wrong in (lambda: store.text(None), lambda: store.layer(None), lambda: layerwise.open(None)):
        with pytest.raises(layerwise.LayerwiseError, match="expected"):
            wrong()
    with pytest.raises(layerwise.UsageError, match="size of batches is -1"):
        list(store.layer(0).batches(-1))
    assert [len(batch) for batch in store.layer(0).batches(10**12)] == [3]


def test_a_byte_order_mark_is_no_text(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("\ufeffhello\n"))
    assert json.loads(run("show - --layers 0 --unit text --json").out)["text"] == "hello"
