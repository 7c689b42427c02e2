"""Parquet: typed columns, read in batches of rows."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from layerwise.errors import ColumnError, SourceEncodingError, SourceError
from layerwise.text.sources import SourceOptions, Sources
from tests.text.conftest import Write, read, surfaces, texts


def test_columns(tmp_path: Path) -> None:
    table = pa.table(
        {
            "sentence": pa.array(["He's here.", "我爱书"], pa.large_string()),
            "words": [["He", "'s", "here", "."], ["我", "爱", "书"]],
            "label": [0, 1],
            "idx": [10, 11],
            "unused": [b"\xff", b"\x00"],
        }
    )
    pq.write_table(table, tmp_path / "a.parquet")
    first, second = read(tmp_path / "a.parquet", words_column="words", keep=("label",), id_column="idx")
    assert surfaces(first) == ["He", "'s", "here", "."]
    assert (second.text, second.kept, second.id) == ("我爱书", {"label": 1}, "11")


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())]
)
def test_the_only_string_column_of_any_string_type(tmp_path: Path, kind: pa.DataType) -> None:
    pq.write_table(pa.table({"n": [1], "review": pa.array(["good"]).cast(kind)}), tmp_path / "a.parquet")
    assert texts(tmp_path / "a.parquet") == ["good"]


def test_row_groups_and_batches_keep_the_order(tmp_path: Path) -> None:
    lines = [f"text {number}" for number in range(2000)]
    pq.write_table(pa.table({"text": lines}), tmp_path / "a.parquet", row_group_size=700)
    sources = Sources(tmp_path / "a.parquet")
    positions = []
    read = []
    for record in sources.records():
        read.append(record.text)
        positions.append(sources.bytes_read)
    assert read == lines
    assert positions == sorted(positions)
    assert sources.total_bytes is not None
    assert abs(positions[999] - sources.total_bytes / 2) < 0.01 * sources.total_bytes
    assert sources.bytes_read == sources.total_bytes


def test_bad_values(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["a", None]}), tmp_path / "null.parquet")
    with pytest.raises(SourceError, match=r"null\.parquet, row 2: 'text' is null"):
        read(tmp_path / "null.parquet")
    pq.write_table(pa.table({"text": [1, 2]}), tmp_path / "int.parquet")
    with pytest.raises(SourceError, match="row 1: 'text' is a number"):
        read(tmp_path / "int.parquet")
    with pytest.raises(ColumnError, match="no column 'body': it has 'text'"):
        read(tmp_path / "int.parquet", text_column="body")
    pq.write_table(pa.table({"text": [b"ok"]}), tmp_path / "bytes.parquet")
    with pytest.raises(SourceError, match="write it as a string"):
        read(tmp_path / "bytes.parquet", text_column="text")
    twice = pa.table([pa.array(["a"]), pa.array(["b"]), pa.array(["c"])], names=["text", "label", "label"])
    pq.write_table(twice, tmp_path / "twice.parquet")
    with pytest.raises(ColumnError, match="has two columns 'label'"):
        read(tmp_path / "twice.parquet", keep=("label",))
    raw = pa.array([b"ok", b"\xff"]).view(pa.string())
    pq.write_table(pa.table({"text": raw}), tmp_path / "raw.parquet")
    with pytest.raises(SourceEncodingError, match="0xff at byte 1"):
        read(tmp_path / "raw.parquet")


def test_not_parquet(write: Write, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="cannot be read as Parquet"):
        read(write("a.parquet", "hello"))
    with pytest.raises(SourceError, match="cannot be read as Parquet"):
        read(write("b.parquet", b""))
    pq.write_table(pa.table({"text": ["x" * 1000]}), tmp_path / "c.parquet")
    data = (tmp_path / "c.parquet").read_bytes()
    with pytest.raises(SourceError, match="cannot be read as Parquet"):
        read(write("d.parquet", data[: len(data) // 2]))
    pq.write_table(pa.table({"text": pa.array([], pa.string())}), tmp_path / "e.parquet")
    with pytest.raises(SourceError, match="is empty"):
        read(tmp_path / "e.parquet")


def class_label(*names: str) -> dict[str, object]:
    return {"names": list(names), "_type": "ClassLabel"}


def test_numbered_classes_have_the_names_of_their_schema(tmp_path: Path) -> None:
    """The metadata is what `datasets` 2 and 4 write: lists were `Sequence`, and are `List` now."""
    tags = class_label("O", "B-PER", "I-PER")
    features = {
        "text": {"dtype": "string", "_type": "Value"},
        "label": class_label("neg", "pos"),
        "old": {"feature": tags, "length": -1, "_type": "Sequence"},
        "new": {"feature": tags, "_type": "List"},
        "oldest": [tags],
        "stars": {"dtype": "int64", "_type": "Value"},
    }
    table = pa.table(
        {
            "text": ["Ann came", "She"],
            "label": [1, -1],
            "old": [[1, 0], [0]],
            "new": [[1, 2], [0]],
            "oldest": [[0, 0], [2]],
            "stars": [4, 5],
        }
    ).replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    pq.write_table(table, tmp_path / "a.parquet")
    keep = ("label", "old", "new", "oldest", "stars")
    first, second = read(tmp_path / "a.parquet", keep=keep)
    assert first.kept == {
        "label": "pos",
        "old": ["B-PER", "O"],
        "new": ["B-PER", "I-PER"],
        "oldest": ["O", "O"],
        "stars": 4,
    }
    assert second.kept == {"label": None, "old": ["O"], "new": ["O"], "oldest": ["I-PER"], "stars": 5}
    sources = Sources(tmp_path / "a.parquet", SourceOptions(keep=keep))
    expected = {name: pa.list_(pa.string()) for name in ("old", "new", "oldest")}
    assert sources.kept_types() == {"label": pa.string(), **expected, "stars": pa.int64()}


@pytest.mark.parametrize("metadata", ["no JSON", "[]", '{"info": {"features": 7}}', '{"info": {}}'])
def test_other_metadata_changes_nothing(metadata: str, tmp_path: Path) -> None:
    table = pa.table({"text": ["a"], "label": [1]}).replace_schema_metadata({"huggingface": metadata})
    pq.write_table(table, tmp_path / "a.parquet")
    [record] = read(tmp_path / "a.parquet", keep=("label",))
    assert record.kept == {"label": 1}


def test_fields_of_a_column_are_columns(tmp_path: Path) -> None:
    """As translations are published: a column `translation` with a field a language."""
    rows = [{"en": "the sea", "fr": "la mer"}, {"en": "a ship", "fr": "un navire"}]
    pq.write_table(pa.table({"id": ["0", "1"], "translation": rows}), tmp_path / "a.parquet")
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps({"translation": row}) + "\n" for row in rows), "utf-8")
    for source in (tmp_path / "a.parquet", path):
        found = read(source, text_column="translation.en", pair_column="translation.fr")
        assert [(record.text, record.text_pair) for record in found] == [
            ("the sea", "la mer"),
            ("a ship", "un navire"),
        ]
        with pytest.raises(ColumnError, match=r"has no column 'translation\.de'"):
            read(source, text_column="translation.de")
    kept = SourceOptions(text_column="translation.en", keep=("translation.fr",))
    assert Sources(tmp_path / "a.parquet", kept).kept_types() == {"translation.fr": pa.string()}
