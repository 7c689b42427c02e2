"""Labels that come along with words stay with their words, or the run says why it cannot."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import layerwise
from tests.command_line import run

CONLLU = """# sent_id = a
# text = I can't swim.
1\tI\tI\tPRON\t_\t_\t0\troot\t_\t_
2-3\tcan't\t_\t_\t_\t_\t_\t_\t_\tSpaceAfter=No
2\tca\tcan\tAUX\t_\t_\t1\tx\t_\tSpaceAfter=No
3\tn't\tnot\tPART\t_\t_\t1\tx\t_\t_
4\tswim\tswim\tVERB\t_\t_\t1\tx\t_\tSpaceAfter=No
5\t.\t.\tPUNCT\t_\t_\t1\tx\t_\t_

"""


@pytest.mark.parametrize("unit", ["word --words tokenizer", "token"])
def test_labels_go_with_given_words_only(tmp_path: Path, unit: str) -> None:
    source = tmp_path / "a.conllu"
    source.write_text(CONLLU, encoding="utf-8")
    command = f"extract {source} -o {tmp_path / 'o.lance'} --keep upos --unit {unit}"
    refused = run(command)
    assert refused.status == 1 and "text 0: the column 'upos' is a list of 5" in refused.err
    assert "--words given" in refused.err
    assert run(f"{command} --words given --overwrite").status == 0
    table = layerwise.open(tmp_path / "o.lance").units()
    labels = dict(zip(table["unit"].to_pylist(), table["upos"].to_pylist(), strict=True))
    assert (labels["I"], labels["swim"], labels["."]) == ("PRON", "VERB", "PUNCT")


def test_words_of_the_source_are_the_default_at_word_level(tmp_path: Path) -> None:
    treebank, plain = tmp_path / "a.conllu", tmp_path / "b.txt"
    treebank.write_text(CONLLU, encoding="utf-8")
    plain.write_text("I can't swim.\n", encoding="utf-8")
    expected = {
        f"{treebank} --unit word --keep upos": ("given", ["I", "ca", "n't", "swim", "."]),
        f"{treebank} --unit word --words whitespace": ("whitespace", ["I", "can't", "swim."]),
        f"{treebank} --unit token": ("tokenizer", ["I", "can", "'", "t", "swim", "."]),
        f"{treebank} {plain} --unit word": ("tokenizer", ["I", "can", "'", "t", "swim", "."] * 2),
    }
    for number, (arguments, (words, surfaces)) in enumerate(expected.items()):
        assert run(f"extract -o {tmp_path / str(number)} {arguments}").status == 0
        store = layerwise.open(tmp_path / str(number))
        assert (store.metadata["words"], store.units()["unit"].to_pylist()) == (words, surfaces)


def test_a_list_of_another_length_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "a.jsonl"
    rows = [
        {"text": "a b", "words": ["a", "b"], "tag": ["X", "Y"]},
        {"text": "a b c", "words": ["a", "b", "c"], "tag": ["X", "Y"]},
    ]
    source.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    outcome = run(
        f"extract {source} -o {tmp_path / 'o.lance'} --unit word --words-column words --keep tag --limit 2"
    )
    assert outcome.status == 1
    assert "text 1: the column 'tag' is a list of 2, to be spread over 3 words" in outcome.err
    mixed = run(
        f"extract {source} -o {tmp_path / 'p.lance'} --unit word --words-column words --words unicode"
    )
    assert mixed.status == 2 and "choose one" in mixed.err


def test_words_and_labels_as_conll_2003_is_published(tmp_path: Path) -> None:
    source = tmp_path / "eng.testa"
    source.write_text("-DOCSTART- -X- O O\n\nOslo NNP I-NP I-LOC\nwaits VBZ I-VP O\n", encoding="utf-8")
    command = f"extract {source} -o {tmp_path / 'o'} --unit word --keep label,pos"
    refused = run(command)
    assert refused.status == 1 and "--format" in refused.err
    assert run(f"{command} --format conll").status == 0
    store = layerwise.open(tmp_path / "o")
    assert store.metadata["words"] == "given" and store.metadata["source"]["options"]["format"] == "conll"
    assert store.units()["unit"].to_pylist() == ["Oslo", "waits"]
    assert store.units()["label"].to_pylist() == ["I-LOC", "O"]
    assert "unknown format" in run(f"{command} --format iob").err


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_tags_as_hugging_face_exports_them(tmp_path: Path, ending: str) -> None:
    rows = [
        {"id": "0", "tokens": ["Oslo", "waits", "."], "ner_tags": [5, 0, 0]},
        {"id": "1", "tokens": ["Rain"], "ner_tags": [0]},
    ]
    source = tmp_path / f"train.{ending}"
    if ending == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), source)
    else:
        source.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    command = f"extract {source} -o {tmp_path / 'o'} --unit word --words-column tokens --keep ner_tags"
    assert run(f"{command} --id-column id").status == 0
    units = layerwise.open(tmp_path / "o").units()
    assert units["unit"].to_pylist() == ["Oslo", "waits", ".", "Rain"]
    assert units["ner_tags"].to_pylist() == [5, 0, 0, 0] and units["id"].to_pylist() == ["0", "0", "0", "1"]


def test_the_sts_benchmark_needs_no_columns_named(tmp_path: Path) -> None:
    source = tmp_path / "stsbenchmark.tsv.gz"
    header = "split\tgenre\tdataset\tyear\tsid\tscore\tsentence1\tsentence2\n"
    row = 'test\tmain-news\theadlines\t2013\t0002\t3.200\t"Rain.\tIt\'s "raining.\n'
    source.write_bytes(gzip.compress((header + row).encode()))
    assert run(f"extract {source} -o {tmp_path / 'o'} --pairs separate --keep score,split").status == 0
    units = layerwise.open(tmp_path / "o").units()
    assert units["unit"].to_pylist() == ['"Rain.', "It's \"raining."]
    assert units["score"].to_pylist() == ["3.200", "3.200"]
    plain = tmp_path / "sts-test.csv"
    plain.write_text("main-news\theadlines\t2013\t0002\t3.2\tRain is falling.\tIt rains.\n", encoding="utf-8")
    refused = run(f"extract {plain} -o {tmp_path / 'p'} --pairs separate")
    assert refused.status == 1 and "--text-column 5 --pair-column 6" in refused.err
    numbered = (
        f"extract {plain} -o {tmp_path / 'p'} --pairs separate --text-column 5 --pair-column 6 --keep 4"
    )
    assert run(numbered).status == 0
    assert layerwise.open(tmp_path / "p").units()["4"].to_pylist() == ["3.2", "3.2"]


@pytest.mark.parametrize("limits", [["", ""], ["--limit 1", ""]])
@pytest.mark.parametrize("values", [[None, 2.0, 1.5], [1, 2.5, None]])
def test_the_type_of_a_column_does_not_depend_on_how_many_texts_are_taken_at_first(
    tmp_path: Path, limits: list[str], values: list[float | None]
) -> None:
    source, long = tmp_path / "a.jsonl", "the sea " * 9000  # a chunk of its own
    rows = [{"text": "short" if n else long, "n": value} for n, value in enumerate(values)]
    source.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    for limit in limits:
        assert run(f"extract {source} -o {tmp_path / 'o.lance'} --keep n --layers 0 {limit}").status == 0
    assert layerwise.open(tmp_path / "o.lance").units()["n"].to_pylist() == values


def test_a_bad_row_behind_the_limit_does_no_harm(tmp_path: Path) -> None:
    source = tmp_path / "a.jsonl"
    source.write_text('{"text": "a", "n": 1}\n{"text": 5, "n": 2}\n', encoding="utf-8")
    command = f"extract {source} -o {tmp_path / 'o.lance'} --keep n --layers 0"
    assert run(f"{command} --limit 1").status == 0
    assert layerwise.open(tmp_path / "o.lance").units()["n"].to_pylist() == [1]
    refused = run(command)
    assert refused.status == 1 and "a.jsonl, line 2" in refused.err
