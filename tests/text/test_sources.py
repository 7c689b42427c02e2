"""What the user names as a source: files, folders, globs, URLs, stdin, compressed or not."""

from __future__ import annotations

import gzip
import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pyarrow as pa
import pytest

from layerwise.errors import MissingExtraError, SourceError
from layerwise.text.sources import SourceOptions, Sources
from tests.text.conftest import Write, read, texts


def zst(data: bytes) -> bytes:
    packed: bytes = pa.Codec("zstd").compress(data).to_pybytes()
    return packed


@pytest.fixture
def memory() -> Iterator[fsspec.AbstractFileSystem]:
    system = fsspec.filesystem("memory")
    yield system
    system.rm("/", recursive=True) if system.exists("/") else None


def stdin(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))


def test_several_sources_in_the_order_given(write: Write) -> None:
    first, second = write("b.txt", "b1\nb2\n"), write("a.jsonl", '{"text": "a1"}')
    assert texts(first, second, str(first)) == ["b1", "b2", "a1", "b1", "b2"]
    assert [record.text for record in Sources(second).records()] == ["a1"]


def test_folders_are_sorted_and_take_known_endings_only(write: Write, tmp_path: Path) -> None:
    for name in ("d/b.txt", "d/a/z.TXT", "d/c.txt.gz", "d/.hidden.txt", "d/.git/x.txt", "d/README.md"):
        write(name, gzip.compress(name.encode()) if name.endswith(".gz") else name)
    assert texts(tmp_path / "d") == ["d/a/z.TXT", "d/b.txt", "d/c.txt.gz"]


@pytest.mark.parametrize("mark", ["_versions", "_ledger"])
def test_a_store_beside_its_texts_is_no_source(write: Write, tmp_path: Path, mark: str) -> None:
    for name in ("d/a.txt", f"d/out.lance/{mark}/0.parquet", "d/out.lance/data/b.txt"):
        write(name, name)
    assert texts(tmp_path / "d") == texts(tmp_path / "d" / "**") == ["d/a.txt"]
    assert texts(tmp_path / "d" / "out.lance" / "data" / "*") == ["d/out.lance/data/b.txt"], (
        "asked for by name"
    )
    with pytest.raises(SourceError, match="is a store, not a source of text"):
        texts(tmp_path / "d" / "out.lance")


def test_globs(write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("x2.txt", "x1.txt", "x3.md", "deep/er/x4.txt", "y[1].txt"):
        write(name, name)
    assert texts(tmp_path / "x*") == ["x1.txt", "x2.txt"]
    assert texts(tmp_path / "**" / "x?.txt") == ["deep/er/x4.txt", "x1.txt", "x2.txt"]
    assert texts(tmp_path / "y[1].txt") == ["y[1].txt"]
    monkeypatch.chdir(tmp_path)
    assert texts("x[12].txt") == ["x1.txt", "x2.txt"]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("corpsu.txt", r"corpsu\.txt does not exist in .*: did you mean corpus\.txt\?"),
        ("ab.csv", r"ab\.csv does not exist in .*: corpus\.txt, empty can be read there\."),
        ("no/such/file.txt", "its folder .* is not there either"),
        ("*.csv", r"\*\.csv matches no file"),
        ("*.md", r"matches 1 files and none that can be read \(README\.md"),
        ("empty", "the folder .*empty has no file to read: expected endings are .txt, .jsonl"),
        ("README.md", r"ending that is not known \(\.md\): expected \.txt, \.jsonl"),
        ("Makefile", r"not known \(none\)"),
        ("a.parquet.gz", "Parquet is compressed itself"),
        ("nosuch://x.txt", "cannot be opened.*expected a path, or a URL"),
    ],
)
def test_what_is_not_there(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, message: str
) -> None:
    for name in ("corpus.txt", "README.md", "Makefile", "a.parquet.gz"):
        write(name, "x")
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SourceError, match=message):
        Sources(source)


def test_a_pipe_is_not_a_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.txt")
    with pytest.raises(SourceError, match="pipe it in as '-'"):
        Sources(tmp_path / "a.txt")


def test_a_text_given_for_a_source() -> None:
    with pytest.raises(SourceError, match="cannot be read"):
        Sources("I love this book. " * 30)


def test_no_source() -> None:
    with pytest.raises(SourceError, match="no source was given"):
        Sources([])


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read everything")
def test_no_permission(write: Write, tmp_path: Path) -> None:
    path = write("d/a.txt", "x")
    path.chmod(0)
    with pytest.raises(SourceError, match="check its permissions"):
        read(path)
    path.parent.chmod(0)
    try:
        for source in (tmp_path / "d", path):
            with pytest.raises(SourceError, match="check its permissions"):
                Sources(source)
    finally:
        path.parent.chmod(0o755)


@pytest.mark.parametrize("pack", [gzip.compress, zst])
def test_compressed(write: Write, pack: object) -> None:
    assert callable(pack)
    ending = "gz" if pack is gzip.compress else "zst"
    parts = ["".join(f"{part} 我爱书 {number**9:x}\n" for number in range(30_000)) for part in "ab"]
    data = b"".join(pack(part.encode()) for part in parts)  # two members, two frames
    path = write(f"a.txt.{ending}", data)
    sources = Sources(path)
    seen = [sources.bytes_read for _ in sources.records()]
    assert len(seen) == 60_000
    assert seen == sorted(seen)
    assert abs(seen[30_000] - len(data) / 2) < 0.1 * len(data)
    assert sources.bytes_read == sources.total_bytes == len(data)
    for cut in (len(data) // 4, len(data) - 2):
        with pytest.raises(SourceError, match="is cut short"):
            texts(write(f"cut.txt.{ending}", data[:cut]))
    with pytest.raises(SourceError, match=r"cannot be read \("):
        texts(write(f"not.txt.{ending}", b"plain text, no more"))
    with pytest.raises(SourceError, match="is empty"):
        texts(write(f"empty.txt.{ending}", b""))
    assert texts(write(f"a.csv.{ending}", pack(b"text,n\nx,1\n"))) == ["x"]


def test_padding_of_compressed_files_is_skipped(write: Write) -> None:
    skippable = bytes.fromhex("502a4d18 05000000") + b"hello"  # as parallel zstd programs write it
    assert texts(write("a.txt.zst", skippable + zst(b"a\n") + zst(b"") + zst(b"b\n") + skippable)) == [
        "a",
        "b",
    ]
    assert texts(write("a.txt.gz", gzip.compress(b"a\n") + bytes(512))) == ["a"]


def test_stdin(monkeypatch: pytest.MonkeyPatch) -> None:
    stdin(monkeypatch, b"one\n\ntwo")
    sources = Sources("-")
    assert [record.text for record in sources.records()] == ["one", "", "two"]
    assert (sources.total_bytes, sources.bytes_read) == (None, 8)
    assert sources.fingerprint()["stdin"] is True
    assert not sys.stdin.buffer.closed
    with pytest.raises(SourceError, match="stdin was read already"):
        list(sources.records())


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zst])
def test_stdin_of_json_lines_and_compressed(monkeypatch: pytest.MonkeyPatch, pack: object) -> None:
    assert callable(pack)
    stdin(monkeypatch, pack(b'\n {"text": "one"}\n{"text": "two"}\n'))
    assert texts("-") == ["one", "two"]
    stdin(monkeypatch, pack(b"[one]\n"))
    assert texts("-") == ["[one]"]


def test_stdin_twice_or_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SourceError, match="given twice"):
        Sources(["-", "-"])
    stdin(monkeypatch, b"")
    with pytest.raises(SourceError, match="stdin is empty"):
        texts("-")


def test_urls(memory: fsspec.AbstractFileSystem, write: Write) -> None:
    memory.pipe({"/d/b.txt": b"b", "/d/a.jsonl.gz": gzip.compress(b'{"text": "a"}'), "/d/c.md": b"c"})
    memory.pipe("/d/.x/h.txt", b"hidden")
    assert texts("memory://d/b.txt") == ["b"]
    assert texts("memory://d") == ["a", "b"]
    assert texts("memory://d/*.txt") == ["b"]
    assert Sources("memory://d/b.txt").total_bytes == 1
    for url in ("memory://d/none.txt", "memory://none/*.txt"):
        with pytest.raises(SourceError, match="does not exist"):
            Sources(url)
    with pytest.raises(SourceError, match="1 files and none that can be read"):
        Sources("memory://d/*.md")
    assert texts(write("a b.txt", "local").as_uri().replace("%20", " ")) == ["local"]


def test_parquet_behind_a_url(memory: fsspec.AbstractFileSystem) -> None:
    import pyarrow.parquet as pq

    with memory.open("/a.parquet", "wb") as file:
        pq.write_table(pa.table({"text": ["x", "y"]}), file)
    assert texts("memory://a.parquet") == ["x", "y"]


def test_a_missing_backend_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(MissingExtraError, match=r's3://.*run: pip install "s3fs"'):
        Sources("s3://bucket/a.txt")


def test_secrets_of_urls_are_not_shown() -> None:
    from layerwise.text.remote_files import public

    assert public("ftp://me:secret@host/a.txt?token=1#x") == "ftp://host/a.txt"


def test_fingerprint_follows_content_names_and_options(write: Write, tmp_path: Path) -> None:
    write("one/a.txt", "same")
    write("two/a.txt", "same")
    one, two = Sources(tmp_path / "one").fingerprint(), Sources(tmp_path / "two").fingerprint()
    assert one == two
    assert one["names"] == ["a.txt"]
    assert (one["files"], one["bytes"]) == (1, 4)
    write("two/a.txt", "lame")
    assert Sources(tmp_path / "two").fingerprint() != one
    assert Sources(tmp_path / "one", SourceOptions(keep=("x",))).fingerprint() != one
    write("one/b.txt", "")
    assert Sources(tmp_path / "one").fingerprint() != one


def test_fingerprint_of_large_sources_reads_their_ends(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("layerwise.text.fingerprints.WHOLE_BYTES", 1000)
    content = bytearray(b"x" * 300_000)
    before = Sources(write("a.txt", bytes(content))).fingerprint()
    for changed in (0, 299_999):
        other = content.copy()
        other[changed] = 0x79
        assert Sources(write("a.txt", bytes(other))).fingerprint() != before
    for size in (65_000, 66_000, 131_000, 132_000):
        Sources(write("b.txt", b"x" * size)).fingerprint()


def test_progress_is_the_bytes_consumed(write: Write) -> None:
    sources = Sources([write("a.txt", "12\n45\n"), write("b.txt", "1234\n")])
    assert (sources.bytes_read, sources.total_bytes) == (0, 11)
    assert [sources.bytes_read for _ in sources.records()] == [3, 6, 11]
    assert sources.bytes_read == 11
    assert [sources.bytes_read for _ in sources.records()] == [3, 6, 11]


def test_reading_stops_and_closes_when_the_iterator_is_closed(write: Write) -> None:
    records = Sources(write("a.txt", "x\n" * 10)).records()
    next(records)
    records.close()  # type: ignore[attr-defined]


def test_a_store_in_a_remote_folder_is_no_source(memory: fsspec.AbstractFileSystem) -> None:
    memory.pipe(
        {"/d/a.txt": b"a", "/d/out.lance/_ledger/0.parquet": b"PAR1", "/d/out.lance/data/b.txt": b"b"}
    )
    assert texts("memory://d") == texts("memory://d/**") == ["a"]


def test_a_connection_lost_while_reading_is_told(
    memory: fsspec.AbstractFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    class PayloadError(Exception):
        """As aiohttp's: no OSError."""

    def fail(self: object, size: int = -1) -> bytes:
        raise PayloadError("not enough data")

    memory.pipe({"/d/a.txt": b"a"})
    sources = Sources("memory://d/a.txt")
    monkeypatch.setattr("fsspec.implementations.memory.MemoryFile.read", fail)
    with pytest.raises(SourceError, match=r"a\.txt cannot be read .*PayloadError not enough data"):
        list(sources.records())
