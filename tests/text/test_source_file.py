"""The name of the file a text is from, kept as a column."""

from __future__ import annotations

from pathlib import Path

from layerwise.text.sources import SourceOptions, Sources


def test_the_file_of_a_text_is_kept_beside_other_columns(tmp_path: Path) -> None:
    (tmp_path / "sst-train.tsv").write_text("sentence\tlabel\nGood.\t1\nBad.\t0\n", encoding="utf-8")
    (tmp_path / "sst-dev.tsv").write_text("sentence\tlabel\nFine.\t1\n", encoding="utf-8")
    sources = Sources(
        [tmp_path / "sst-train.tsv", tmp_path / "sst-dev.tsv"], SourceOptions(keep=("source_file", "label"))
    )
    kept = [record.kept for record in sources.records()]
    assert kept == [
        {"label": "1", "source_file": "sst-train.tsv"},
        {"label": "0", "source_file": "sst-train.tsv"},
        {"label": "1", "source_file": "sst-dev.tsv"},
    ]


def test_texts_without_columns_have_a_file_too(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("One.\n", encoding="utf-8")
    [record] = Sources(tmp_path / "a.txt", SourceOptions(keep=("source_file",))).records()
    assert record.kept == {"source_file": "a.txt"}
