"""CoNLL-U: words are the annotated ones, and each knows its place in the text."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from layerwise.errors import ColumnError, SourceError
from tests.text.conftest import Write, read, surfaces, texts

EWT = """\
# newdoc id = weblog-example_20040101
# sent_id = weblog-example_20040101-0001
# text = They don't sell "old" books.
1	They	they	PRON	PRP	Case=Nom|Number=Plur	4	nsubj	4:nsubj	_
2-3	don't	_	_	_	_	_	_	_	_
2	do	do	AUX	VBP	Mood=Ind	4	aux	4:aux	_
3	n't	not	PART	RB	_	4	advmod	4:advmod	_
4	sell	sell	VERB	VB	VerbForm=Inf	0	root	0:root	_
5	"	"	PUNCT	``	_	6	punct	6:punct	SpaceAfter=No
6	old	old	ADJ	JJ	Degree=Pos	8	amod	8:amod	SpaceAfter=No
7	"	"	PUNCT	''	_	6	punct	6:punct	_
8	books	book	NOUN	NNS	Number=Plur	4	obj	4:obj	SpaceAfter=No
9	.	.	PUNCT	.	_	4	punct	4:punct	_

# sent_id = weblog-example_20040101-0002
# text = Nobody asked
1	Nobody	nobody	PRON	NN	_	2	nsubj	2:nsubj	_
2	asked	ask	VERB	VBD	_	0	root	0:root	_
2.1	asked	ask	VERB	VBD	_	_	_	0:root	_
"""

GSD = """\
# sent_id = test-s1
# text = 然而,这本书不错。
1	然而	然而	SCONJ	RB	_	5	mark	_	SpaceAfter=No|Translit=rán'ér
2	,	,	PUNCT	,	_	5	punct	_	SpaceAfter=No|Translit=,
3-4	这本	_	_	_	_	_	_	_	SpaceAfter=No
3	这	这	DET	DT	_	5	det	_	SpaceAfter=No
4	本	本	NOUN	NNB	_	3	clf	_	SpaceAfter=No
5	书	书	NOUN	NN	_	6	nsubj	_	SpaceAfter=No
6	不错	不错	ADJ	JJ	_	0	root	_	SpaceAfter=No
7	。	。	PUNCT	.	_	6	punct	_	SpaceAfter=No
"""

SPANISH = """\
# text = Vámonos al mar
1-2	Vámonos	_	_	_	_	_	_	_	_
1	Vamos	ir	VERB	_	_	0	root	_	_
2	nos	nosotros	PRON	_	_	1	obj	_	_
3-4	al	_	_	_	_	_	_	_	_
3	a	a	ADP	_	_	5	case	_	_
4	el	el	DET	_	_	5	det	_	_
5	mar	mar	NOUN	_	_	1	obl	_	_

"""


def test_english_ewt(write: Write) -> None:
    first, second = read(write("ewt.conllu", EWT), keep=("upos", "head", "newdoc id"), id_column="sent_id")
    assert first.text == 'They don\'t sell "old" books.'
    assert surfaces(first) == ["They", "do", "n't", "sell", '"', "old", '"', "books", "."]
    assert first.kept["upos"] == ["PRON", "AUX", "PART", "VERB", "PUNCT", "ADJ", "PUNCT", "NOUN", "PUNCT"]
    assert first.kept["head"] == [4, 4, 4, 0, 6, 8, 6, 4, 4]
    assert first.id == "weblog-example_20040101-0001"
    assert surfaces(second) == ["Nobody", "asked"]  # the empty node is no word
    assert second.kept["newdoc id"] == "weblog-example_20040101"


def test_chinese_gsd(write: Write) -> None:
    [record] = read(write("gsd.conllu", GSD), keep=("form",))
    assert record.text == "然而,这本书不错。"
    assert surfaces(record) == record.kept["form"] == ["然而", ",", "这", "本", "书", "不错", "。"]
    assert record.id is None


def test_words_of_a_contraction_share_its_surface(write: Write) -> None:
    [record] = read(write("es.conllu", SPANISH))
    assert surfaces(record) == ["Vámonos", "Vámonos", "al", "al", "mar"]


@pytest.mark.parametrize(
    "comment", ["# text = Quite another sentence.\n", "", "# text = Vámonos al mar, sí\n"]
)
def test_a_text_that_does_not_fit_is_rebuilt(write: Write, comment: str) -> None:
    content = SPANISH.replace("# text = Vámonos al mar\n", comment)
    assert texts(write("es.conllu", content)) == ["Vámonos al mar"]


def test_white_space_inside_texts_and_forms(write: Write) -> None:
    content = (
        "# text = 10 000\u00a0 ha\n1\t10 000\t_\t_\t_\t_\t0\troot\t_\t_\n2\tha\t_\t_\t_\t_\t1\tdep\t_\t_\n"
    )
    [record] = read(write("fr.conllu", content))
    assert record.text == "10 000\u00a0 ha"
    assert surfaces(record) == ["10 000", "ha"]


WORDS = st.lists(st.tuples(st.text("ab我é#_", min_size=1, max_size=3), st.booleans()), min_size=1, max_size=5)


@settings(max_examples=50, deadline=None)
@given(st.lists(WORDS.filter(lambda words: {form for form, _ in words} != {"_"}), min_size=1, max_size=3))
def test_rebuilt_spans_are_the_forms(sentences: list[list[tuple[str, bool]]]) -> None:
    lines = []
    for words in sentences:
        for number, (form, space) in enumerate(words, 1):
            misc = "_" if space else "SpaceAfter=No"
            lines.append(f"{number}\t{form}\t_\t_\t_\t_\t0\t_\t_\t{misc}")
        lines.append("")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.conllu")
        path.write_text("\n".join(lines), encoding="utf-8")
        records = read(path)
    assert [surfaces(record) for record in records] == [[form for form, _ in words] for words in sentences]
    assert all(record.text == record.text.strip(" ") for record in records)


def test_first_word_may_be_a_hash_sign(write: Write) -> None:
    assert texts(write("a.conllu", "1\t#\t_\t_\t_\t_\t0\t_\t_\t_\n")) == ["#"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("1\tA\n", "line 1: the row has 2 columns; CoNLL-U has 10"),
        ("1 A a DET _ _ 0 root _ _\n", "separated by tabs, not spaces"),
        (SPANISH.replace("\n2\t", "\n7\t"), "line 4: the row is numbered '7'; expected 2"),
        (SPANISH.strip() + "\n" + SPANISH, "columns|numbered"),
        (SPANISH.replace("3-4", "3-2"), "'3-2'"),
        (SPANISH.replace("3-4", "2-4"), "'2-4'"),
        (SPANISH.replace("3-4", "3-6"), "ends with word 5, inside a multiword token that goes to 6"),
        ("# only = comments\n\n", "is empty"),
        ("1\t_\t_\t_\t_\t_\t0\t_\t_\t_\n2\t_\t_\t_\t_\t_\t1\t_\t_\t_\n", "published without its text"),
    ],
)
def test_bad_rows(write: Write, content: str, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        read(write("a.conllu", content))


def test_missing_columns(write: Write) -> None:
    path = write("a.conllu", EWT)
    with pytest.raises(ColumnError, match="no column 'pos' to keep: it has 'id', 'form', 'lemma', 'upos'"):
        read(path, keep=("pos",))
    with pytest.raises(ColumnError, match="has no comment '# id = "):
        read(path, id_column="id")
    with pytest.raises(ColumnError, match="'body'"):
        read(path, text_column="body")
    with pytest.raises(SourceError, match="line 15: the sentence has no comment '# text"):
        read(write("b.conllu", EWT.replace("# text = Nobody asked\n", "")), id_column="text")


def test_a_new_document_ends_the_paragraph(write: Write) -> None:
    row = "1\ta\ta\tX\t_\t_\t0\troot\t_\t_\n\n"
    comments = [
        "# newdoc id = d1\n# newpar id = p1\n",
        "",
        "# newdoc id = d2\n",
        "# newpar id = p2\n",
        "# newdoc\n",
    ]
    path = write("a.conllu", "".join(one + row for one in comments))
    found = [tuple(record.kept.values()) for record in read(path, keep=("newdoc id", "newpar id"))]
    assert found == [("d1", "p1"), ("d1", "p1"), ("d2", None), ("d2", "p2"), (None, None)]


def test_a_broken_sentence_can_be_left_out_as_a_whole(write: Write) -> None:
    def block(name: str, *rows: str) -> str:
        return "\n".join((f"# sent_id = {name}", *rows, "", ""))

    def row(number: str, form: str) -> str:
        return "\t".join((number, form, *"________"))

    good = [block(name, row("1", "Nobody"), row("2", name)) for name in ("came", "asked", "left")]
    bad = {
        "columns": block("columns", row("1", "Nobody"), "2\tasked", row("3", "."), row("4", ".")),
        "number": block("number", row("1", "Nobody"), row("3", "asked")),
        "range": block("range", row("1-3", "Nobody"), row("1", "No"), row("2", "body")),
        "words": block("words", row("1", "_"), row("2", "_")),
    }
    path = write(
        "a.conllu", good[0] + "".join(bad.values()) + good[1] + bad["columns"] + good[2] + bad["number"]
    )
    told: list[SourceError] = []
    found = read(path, keep=("form", "sent_id"), on_bad_row=told.append)
    assert [record.kept["sent_id"] for record in found] == ["came", "asked", "left"]
    assert [record.text for record in found] == ["Nobody came", "Nobody asked", "Nobody left"]
    assert len(told) == 6
    assert "a.conllu, line 7: the row has 2 columns" in str(told[0])
    with pytest.raises(SourceError, match="line 7: the row has 2 columns"):
        read(path)


def test_a_document_that_begins_with_a_broken_sentence_begins_there(write: Write) -> None:
    def block(comment: str, row: str) -> str:
        return f"{comment}\n{row}\n\n"

    good = "1\tA\t" + "\t".join("________")
    path = write(
        "a.conllu",
        block("# newdoc id = d1", good) + block("# newdoc id = d2", "1\tA") + block("# sent_id = 3", good),
    )
    found = read(path, keep=("newdoc id",), on_bad_row=lambda error: None)
    assert [record.kept["newdoc id"] for record in found] == ["d1", "d2"]
