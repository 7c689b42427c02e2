"""Words and labels in columns, as sets for named entities come."""

from __future__ import annotations

import pytest

from layerwise.errors import ColumnError, SourceError
from tests.text.conftest import Write, read, surfaces, texts

CONLL2003 = """\
-DOCSTART- -X- -X- O

EU NNP B-NP B-ORG
rejects VBZ B-VP O
German JJ B-NP B-MISC
call NN I-NP O
. . O O

Peter NNP B-NP B-PER
Blackburn NNP I-NP I-PER

"""


def test_conll2003(write: Write) -> None:
    first, second = read(write("eng.train.conll", CONLL2003), keep=("label", "pos", "chunk"))
    assert first.text == "EU rejects German call ."
    assert surfaces(first) == ["EU", "rejects", "German", "call", "."]
    assert first.kept["label"] == ["B-ORG", "O", "B-MISC", "O", "O"]
    assert (second.kept["pos"], second.kept["chunk"]) == (["NNP", "NNP"], ["B-NP", "I-NP"])


def test_two_columns_by_tabs_or_spaces(write: Write) -> None:
    chinese = write("weibo.bio", "科\tO\n技\tO\n\n\u3000\tO\n#\tO\n")
    first, second = read(chinese, keep=("label",))
    assert (first.text, second.text) == ("科 技", "\u3000 #")
    tweets = write("wnut.bio", "# O\nnow O\n \nyes O\r\n")
    assert texts(tweets) == ["# now", "yes"]


def test_multiconer(write: Write) -> None:
    content = "# id 5f0b4d2c\tdomain=en\nthe _ _ O\nsea _ _ B-LOC\n"
    [record] = read(write("en.conll", content), keep=("label",))
    assert (record.text, record.kept) == ("the sea", {"label": ["O", "B-LOC"]})


def test_bad_files(write: Write) -> None:
    with pytest.raises(SourceError, match="line 2: the row has 1 columns; expected 2"):
        read(write("a.bio", "a O\nb\n"))
    with pytest.raises(SourceError, match=r"looks like CoNLL-U.*\.conllu"):
        read(write("b.conll", "1\tA\t_\t_\t_\t_\t0\t_\t_\t_\n"))
    with pytest.raises(ColumnError, match="no column 'pos': it has 'form', 'label'"):
        read(write("c.bio", "a O\n"), keep=("pos",))
    with pytest.raises(ColumnError, match="made from its words"):
        read(write("d.bio", "a O\n"), text_column="form")
    ontonotes = "#begin document (bc/cctv); part 000\n" + "bc/cctv 0 0 Rome NNP * - - - - (GPE) -\n" * 2
    with pytest.raises(SourceError, match="looks like CoNLL-2012"):
        read(write("onto.conll", ontonotes), keep=("label",))


def test_a_hash_tag_is_a_word(write: Write) -> None:
    [record] = read(write("tweet.conll", "#id\tO\nRome\tB-LOC\n"))
    assert record.text == "#id Rome"


def test_words_with_bare_tags_are_told_from_a_table(write: Write) -> None:
    """As sets for one kind of entity are named: `train.tsv`."""
    path = write("train.tsv", "Richard\tB\nis\tO\n\nA\tO\n")
    with pytest.raises(SourceError, match="looks like words and labels.*--format conll"):
        read(path)
    assert texts(write("letters.tsv", "text\tlabel\nBob\tB\nOle\tO\n")) == ["Bob", "Ole"]
