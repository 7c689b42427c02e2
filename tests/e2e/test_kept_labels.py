"""Labels that come along with words stay with their words, or the run says why it cannot."""

from __future__ import annotations

import json
from pathlib import Path

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
