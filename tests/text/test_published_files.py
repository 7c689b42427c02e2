"""Data sets under the names and in the layouts in which they are published; the sentences are our own."""

from __future__ import annotations

import csv
import gzip
import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from layerwise.errors import ColumnError, SourceError, UsageError
from layerwise.text.sources import SourceOptions, Sources
from tests.text.conftest import Write, read, surfaces, texts

EWT = """\
# newdoc id = weblog-example.com_harbour_20040501000000_ENG_20040501_000000
# sent_id = weblog-example.com_harbour_20040501000000_ENG_20040501_000000-0001
# newpar id = weblog-example.com_harbour_20040501000000_ENG_20040501_000000-p0001
# text = The mayor can't come, but Anna will.
1\tThe\tthe\tDET\tDT\tDefinite=Def|PronType=Art\t2\tdet\t2:det\t_
2\tmayor\tmayor\tNOUN\tNN\tNumber=Sing\t5\tnsubj\t5:nsubj\t_
3-4\tcan't\t_\t_\t_\t_\t_\t_\t_\t_
3\tca\tcan\tAUX\tMD\tVerbForm=Fin\t5\taux\t5:aux\t_
4\tn't\tnot\tPART\tRB\t_\t5\tadvmod\t5:advmod\t_
5\tcome\tcome\tVERB\tVB\tVerbForm=Inf\t0\troot\t0:root\tSpaceAfter=No
6\t,\t,\tPUNCT\t,\t_\t9\tpunct\t9:punct\t_
7\tbut\tbut\tCCONJ\tCC\t_\t9\tcc\t9:cc\t_
8\tAnna\tAnna\tPROPN\tNNP\tNumber=Sing\t9\tnsubj\t8.1:nsubj\t_
8.1\tcome\tcome\tVERB\tVB\t_\t_\t_\t5:conj\tCopyOf=5
9\twill\twill\tAUX\tMD\tVerbForm=Fin\t5\tconj\t8.1:aux\tSpaceAfter=No
10\t.\t.\tPUNCT\t.\t_\t5\tpunct\t5:punct\t_

# sent_id = weblog-example.com_harbour_20040501000000_ENG_20040501_000000-0002
# text = 3 1/2 boats :-)
1\t3 1/2\t3 1/2\tNUM\tCD\tNumType=Card\t2\tnummod\t2:nummod\t_
2\tboats\tboat\tNOUN\tNNS\tNumber=Plur\t0\troot\t0:root\t_
3\t:-)\t:-)\tSYM\tNFP\t_\t2\tdiscourse\t2:discourse\t_

"""
GSD = """\
# sent_id = train-s1
# text = 港口的灯塔亮了。
1\t港口\t港口\tNOUN\tNN\t_\t3\tnmod\t_\tSpaceAfter=No|Translit=gǎngkǒu
2\t的\t的\tPART\tDEC\tCase=Gen\t1\tcase\t_\tSpaceAfter=No
3\t灯塔\t灯塔\tNOUN\tNN\t_\t4\tnsubj\t_\tSpaceAfter=No
4\t亮\t亮\tVERB\tVV\t_\t0\troot\t_\tSpaceAfter=No
5\t了\t了\tPART\tUH\t_\t4\tdiscourse:sp\t_\tSpaceAfter=No
6\t。\t。\tPUNCT\t.\t_\t4\tpunct\t_\tSpaceAfter=No

"""
ENG_TRAIN = """\
-DOCSTART- -X- O O

Norway NNP I-NP I-LOC
welcomes VBZ I-VP O
Anna NNP I-NP I-PER
Lind NNP I-NP I-PER
. . O O

OSLO NNP I-NP I-LOC
1996-08-22 CD I-NP O

-DOCSTART- -X- O O

Rain NN I-NP O

"""


def test_universal_dependencies(write: Write) -> None:
    keep = ("form", "upos", "xpos", "feats", "deprel", "newdoc id")
    first, second = read(write("en_ewt-ud-train.conllu", EWT), keep=keep, id_column="sent_id")
    assert first.text == "The mayor can't come, but Anna will."
    assert surfaces(first) == ["The", "mayor", "ca", "n't", "come", ",", "but", "Anna", "will", "."]
    assert first.kept["form"] == surfaces(first)
    assert first.kept["upos"][7:] == ["PROPN", "AUX", "PUNCT"] and first.kept["xpos"][:2] == ["DT", "NN"]
    assert first.kept["deprel"][2:5] == ["aux", "advmod", "root"]
    assert first.kept["feats"][0] == "Definite=Def|PronType=Art"
    assert surfaces(second) == ["3 1/2", "boats", ":-)"], "a form may hold a space"
    assert second.kept["newdoc id"] == first.kept["newdoc id"]
    assert second.id is not None and second.id.endswith("-0002")
    [chinese] = read(write("zh_gsd-ud-train.conllu", GSD), keep=("upos", "deprel"))
    assert (chinese.text, surfaces(chinese)) == (
        "港口的灯塔亮了。",
        ["港口", "的", "灯塔", "亮", "了", "。"],
    )
    assert chinese.kept["deprel"][4] == "discourse:sp"


@pytest.mark.parametrize(
    "name", ["eng.train", "eng.testa", "eng.testb", "train.txt", "valid.txt", "test.txt", "a.gz"]
)
def test_conll_2003_under_its_names(write: Write, name: str) -> None:
    content: Any = gzip.compress(ENG_TRAIN.encode()) if name == "a.gz" else ENG_TRAIN
    source = write(name, content)
    with pytest.raises(SourceError, match="--format"):
        texts(source)
    first, second, third = read(source, format="conll", keep=("pos", "chunk", "label"))
    assert (first.text, second.text, third.text) == ("Norway welcomes Anna Lind .", "OSLO 1996-08-22", "Rain")
    assert first.kept["label"] == ["I-LOC", "O", "I-PER", "I-PER", "O"]
    assert Sources(source, SourceOptions(format="conll")).give_words


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (ENG_TRAIN, "conll"),
        (ENG_TRAIN.partition("\n\n")[2], "conll"),
        ("当\tO\n天\tO\n\n李\tB-PER\n", "conll"),
        ("我 O\n爱 O\n北 B-LOC\n京 I-LOC\n", "conll"),
        ("\ufeff海 O\r\n钓 O\r\n", "conll"),
        (EWT, "conllu"),
        ("体育\t昨晚的比赛下着雨。\n财经\t股市今天没有开盘。\n", "tsv"),
        ("Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\n1\t7\t8\tA cat.\tThe cat.\n", "tsv"),
    ],
)
def test_a_table_named_txt_is_no_texts(write: Write, content: str, named: str) -> None:
    source = write("train.txt", content)
    with pytest.raises(SourceError, match=rf"looks like .*: pass --format {named}.* or --format txt if"):
        texts(source)
    assert texts(source, format="txt")[0] == content.lstrip("\ufeff").splitlines()[0]


@pytest.mark.parametrize(
    "content",
    [
        "Norway welcomes Anna.\nRain in Oslo today.\n",  # as many words in each line
        "one\ttab\nnone\n",
        "a\tb\n",
        "O\nB-LOC\n",
        "# a heading\n\nsome text\n",
        "Grade B-plus and\nvitamin B-12\n",
        "-DOC\n",
    ],
)
def test_texts_named_txt_are_texts(write: Write, content: str) -> None:
    assert texts(write("a.txt", content)) == content.splitlines()


def test_words_and_labels_named_tsv(write: Write) -> None:
    """As the sets of BioNLP are published: no header, a blank line after each sentence."""
    source = write("train.tsv", "Aspirin\tB-Chemical\nhelps\tO\n.\tO\n\nSalt\tB-Chemical\n")
    with pytest.raises(SourceError, match=r"--format conll .* or --format tsv if it is one"):
        texts(source)
    first, _ = read(source, format="conll", keep=("label",))
    assert first.kept["label"] == ["B-Chemical", "O", "O"]


def test_wnut_17(write: Write) -> None:
    content = "@anna_l\tO\nrain\tO\nin\tO\nOslo\tB-location\n&lt;3\tO\n\t\n#\tO\nhttp://t.co/x\tO\n\n"
    first, second = read(write("wnut17train.conll", content), keep=("label",))
    assert surfaces(first) == ["@anna_l", "rain", "in", "Oslo", "&lt;3"]
    assert first.kept["label"][3] == "B-location" and second.text == "# http://t.co/x"


def test_multiconer_and_comments(write: Write) -> None:
    content = (
        "# id 5239d808-f300-46ea-aa3b-5093040213a3\tdomain=train\nthe _ _ O\nharbour _ _ B-LOC\n\n"
        "# id 71f5ea2e\tdomain=train\nrain _ _ O\n\n# sent_id = 3\n# text = snow\nsnow _ _ O\n\n"
        "#begin document (bc/x/00); part 000\nfog _ _ O\n\n#end document\n"
    )
    records = read(write("en_train.conll", content), keep=("label",))
    assert [record.text for record in records] == ["the harbour", "rain", "snow", "fog"]


def test_chinese_sets_with_a_character_a_row(write: Write) -> None:
    weibo = write(
        "weiboNER_2nd_conll.train", "灯0\tB-LOC.NOM\n塔1\tI-LOC.NOM\n亮0\tO\n20\tO\n\n雨0\tO\nA1\tO\n"
    )
    first, second = read(weibo, format="conll", keep=("form", "label"))
    assert first.kept["form"] == surfaces(first) == ["灯", "塔", "亮", "2"]
    assert first.kept["label"] == ["B-LOC.NOM", "I-LOC.NOM", "O", "O"] and second.text == "雨 A"
    other = write("weiboNER_2nd_conll.dev", "@0\tO\n雨0\tB-PER.NAM\n塔1\tI-PER.NAM\n\n灯0\tO\n")
    assert texts(other, format="conll") == ["@ 雨 塔", "灯"], "whatever a post begins with"
    msra = write("msra_train_bio.txt", "海\tO\n上\tO\n5\tO\n\n李\tB-PER\n雷\tI-PER\n")
    assert texts(msra, format="conll") == ["海 上 5", "李 雷"]
    resume = write("train.char.bmes", "海 S-LOC\n  O\n上 O\n\n雨 O\n")
    first, second = read(resume, format="conll", keep=("label",))
    assert surfaces(first) == ["海", " ", "上"] and first.kept["label"] == ["S-LOC", "O", "O"]
    english = write("codes.conll", "G7\tB-ORG\nmet\tO\n")
    assert texts(english) == ["G7 met"], "a digit behind a letter is part of the word"


def test_wikiann_has_the_language_before_each_word(write: Write) -> None:
    content = "fr:Le\tO\nfr:Havre\tB-LOC\nfr:17\tO\n\nfr:fr:wiki\tO\n"
    first, second = read(write("train", content), format="conll", keep=("form", "label"))
    assert first.kept["form"] == surfaces(first) == ["Le", "Havre", "17"]
    assert first.kept["label"] == ["O", "B-LOC", "O"] and second.text == "fr:wiki"
    mixed = write("all", "en:Le\tO\nen:\tO\n\nbe-x-old:Havre\tB-LOC\n")
    assert texts(mixed, format="conll") == ["Le en:", "Havre"]
    simple = write("simple", "simple:Le\tO\nsimple:Havre\tB-LOC\n")
    assert texts(simple, format="conll") == ["Le Havre"]
    [own] = read(write("own.conll", "re:mind\tO\nparis\tB-LOC\n"))
    assert own.text == "re:mind paris", "a colon in one word is part of it"


GERMEVAL = (
    "#\thttp://de.wikipedia.org/wiki/Le_Havre\t[2009-10-17]\n1\tDer\tO\tO\n2\tHafen\tO\tO\n3\tHavre\tB-LOC\tO\n\n"
    "#\thttp://de.wikipedia.org/wiki/Kiel\t[2009-10-18]\n1\tKieler\tB-ORG\tB-LOCderiv\n2\t#\tO\tO\n"
)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_germeval_numbers_its_rows(write: Write, end: str) -> None:
    file = write("NER-de-train.tsv", GERMEVAL.replace("\n", end))
    with pytest.raises(SourceError, match="pass --format conll to read it so"):
        texts(file)
    first, second = read(file, format="conll", keep=("number", "label", "nested"))
    assert (first.text, second.text) == ("Der Hafen Havre", "Kieler #")
    assert first.kept["label"] == ["O", "O", "B-LOC"] and first.kept["number"] == ["1", "2", "3"]
    assert (second.kept["label"], second.kept["nested"]) == (["B-ORG", "O"], ["B-LOCderiv", "O"])
    short = write("short.conll", "#\thttp://de.wikipedia.org/wiki/Kiel [2009-10-17] \n1\tKiel\tB-LOC\tO\n")
    assert read(short, keep=("label",))[0].kept == {"label": ["B-LOC"]} and texts(short) == ["Kiel"]
    years = write("years.conll", "1\tNUM\tO\n2\tNUM\tO\n\n7\tNUM\tO\n")
    assert texts(years) == ["1 2", "7"], "numbers that do not count the rows are words"
    numbered = write("own.conll", "1 Kiel NE B-LOC\n2 ruft VVFIN O\n")
    assert read(numbered, keep=("pos", "label"))[0].kept == {"pos": ["NE", "VVFIN"], "label": ["B-LOC", "O"]}


@pytest.mark.parametrize(
    "rows",
    [
        "0\tHer\tO\n1\tTuvalu\tB-LOC\n\n0\tIn\tO\n1\tit\tO\n",  # WikiNEuRal
        "1\tHer\tO\n2\tTuvalu\tB-LOC\n\n3\tIn\tO\n4\tit\tO\n",
        "# text = Her Tuvalu\n1\tHer\tO\t-\t-\n2\tTuvalu\tB-LOC\t-\tanna\n\n1\tIn\tO\t-\t-\n2\tit\tO\t-\t-\n",
        "O\tHer\nB-LOC\tTuvalu\n\nO\tIn\nO\tit\n",  # MIT Movie
        "###MEDLINE:95369245\n\nHer\tO\nTuvalu\tB-LOC\n\n###MEDLINE:95369246\n\nIn\tO\nit\tO\n",  # JNLPBA
        "## klue-ner-v1_train_0\t<Her Tuvalu:LC>\nHer\tO\nTuvalu\tB-LOC\n\n## klue-ner-v1_train_1\tIn it\nIn\tO\nit\tO\n",
        "Word\tTag\nHer\tO\nTuvalu\tB-LOC\n\nIn\tO\nit\tO\n",
        "# newdoc\nHer X O\nTuvalu X B-LOC\n\n# document_id = x0\nIn X O\nit X O\n",
        "# global.columns = FORM TAG\nHer O\nTuvalu B-LOC\n\nIn O\nit O\n",
    ],
)
@pytest.mark.parametrize("ending", ["conll", "iob2"])
def test_where_published_sets_have_words_and_tags(write: Write, rows: str, ending: str) -> None:
    first, second = read(write(f"train.{ending}", rows), keep=("label",))
    assert (first.text, second.text) == ("Her Tuvalu", "In it")
    assert (first.kept, second.kept) == ({"label": ["O", "B-LOC"]}, {"label": ["O", "O"]})


@pytest.mark.parametrize(
    ("row", "label"),
    [
        ("You PRP B-NP (S(S*", "(S(S*"),  # clauses of CoNLL-2001
        ("IL-2 NN B-NP B", "B"),
        ("Anna NNP O nsubj", "nsubj"),
        ("Boot B-ASP Positive", "Positive"),
    ],
)
def test_the_last_column_is_the_label(write: Write, row: str, label: str) -> None:
    [text] = read(write("train.conll", f"{row}\n{row}\n"), keep=("label",))
    assert text.kept == {"label": [label, label]}


@pytest.mark.parametrize("links", [["Q90", "_"], ["EndOfSentence", "_"]])
def test_a_last_column_of_remarks_is_no_label(links: list[str], write: Write) -> None:
    rows = f"Paris\tB-LOC\t{links[0]}\nis\tO\t{links[1]}\n"
    [text] = read(write("one.conll", rows), keep=("label",))
    assert text.kept == {"label": ["B-LOC", "O"]}
    several = "".join(f"{row}\n".replace("\t", "\tB-x\t", 1) for row in rows.splitlines())
    with pytest.raises(
        ColumnError, match="no column 'label': it has 'form', 'column_1', 'column_2', 'column_3'"
    ):
        read(write("two.conll", several), keep=("label",))


HIPE = """\
TOKEN\tNE-COARSE-LIT\tNE-COARSE-METO\tNEL-LIT\tMISC
# hipe2022:document_id = NZZ-1798-01-20-a-p0002
# segment_iiif_link = https://example.org/1
Paris\tB-loc\tO\tQ90\tNoSpaceAfter
,\tO\tO\t_\t_
# segment_iiif_link = https://example.org/2
hier\tO\tO\t_\tEndOfSentence

"""


def test_hipe_has_names_and_comments_within_a_text(write: Write) -> None:
    [text] = read(write("hipe.tsv", HIPE), format="conll", keep=("NE-COARSE-LIT", "NEL-LIT"))
    assert text.text == "Paris , hier"
    assert text.kept == {"NE-COARSE-LIT": ["B-loc", "O", "O"], "NEL-LIT": ["Q90", "_", "_"]}


def test_spaces_around_a_tag_are_no_part_of_it(write: Write) -> None:
    [text] = read(write("a.conll", "Paris\tB-LOC \nis\tO \n"), keep=("label",))
    assert text.kept == {"label": ["B-LOC", "O"]}


@pytest.mark.parametrize(
    "comment",
    ["# sent_id=1", "# text=A b", "# newdoc id=weblog", "# sent_id-orig = 1", "# text[en] = A", "# newpar"],
)
def test_comments_of_treebanks(write: Write, comment: str) -> None:
    rows = f"{comment}\nAnna\tNNP\tB-NP\tB-PER\nsings\tVBZ\tB-VP\tO\n\n"
    assert texts(write("train.conll", rows * 2)) == ["Anna sings"] * 2


def test_numbers_that_are_words_are_not_counted_as_rows(write: Write) -> None:
    assert texts(write("years.conll", "1990\tCD\tO\n1991\tCD\tO\n")) == ["1990 1991"]


def test_a_table_with_an_empty_line_is_a_table(write: Write) -> None:
    rows = "id\ttext\n1\thello world\n\n2\tfoo bar\n\n"
    assert texts(write("a.tsv", rows)) == ["hello world", "foo bar"]
    with pytest.raises(SourceError, match="pass --format tsv"):
        texts(write("a.txt", rows))


def test_words_that_begin_with_a_hash_are_words(write: Write) -> None:
    rows = "#\tO\n##\tO\n#id\tO\n#a=b\tO\n\n## O\n# O\n"
    assert texts(write("tweets.conll", rows)) == ["# ## #id #a=b", "## #"]


def test_tags_without_places_named_txt(write: Write) -> None:
    """Few-NERD's tags have no B- and I-; the empty lines say that there are sentences."""
    file = write("train.txt", "Anna\tperson-actor\nsings\tO\n\nParis\tlocation-city\nsleeps\tO\n")
    with pytest.raises(SourceError, match="pass --format conll to read it so"):
        texts(file)
    assert texts(file, format="conll") == ["Anna sings", "Paris sleeps"]
    assert texts(write("verse.txt", "two words\n\nmore words\nand words\n")) == [
        "two words",
        "",
        "more words",
        "and words",
    ]


def test_columns_by_number_beside_a_header_or_without_one(write: Write) -> None:
    table = write(
        "train.tsv", "index\tsentence1\tsentence2\tgold_label\n0\tA man sings.\tHe is loud.\tneutral\n"
    )
    with pytest.raises(
        ColumnError, match=r"has names in its first line .*: name columns by them, not by num"
    ):
        read(table, text_column="1", pair_column="2", keep=("3",))
    bare = write("sts.csv", "main,MSRvid,5.0,A man sings.,A man is singing.\nmain,x,1.0,A cat.,The sea.\n")
    with pytest.raises(
        ColumnError, match="has no column 'score' .*every column is named by its number"
    ) as error:
        read(bare, text_column="3", pair_column="4", keep=("score",))
    assert error.value.column == "score"
    yelp = write(
        "yelp.csv", '"1","The food was cold, the wine was warm and the staff was rude."\n"2","Nice."\n'
    )
    assert texts(yelp, text_column="1")[1] == "Nice."  # '1' is the label of the first row too


def test_sst_2(write: Write) -> None:
    train = write("train.tsv", "sentence\tlabel\na warm , witty film \t1\nit 's \"dull \t0\n")
    first, second = read(train, keep=("label",))
    assert (first.text, first.kept, second.text) == ("a warm , witty film ", {"label": "1"}, "it 's \"dull ")
    assert texts(write("test.tsv", "index\tsentence\n0\tuneven but warm\n")) == ["uneven but warm"]
    bare = write("sst.tsv", "4\tA warm film .\n0\tIt 's dull .\n")
    with pytest.raises(ColumnError, match=r"no header\?.* as in --text-column 1\)"):
        texts(bare)
    assert read(bare, text_column="1", keep=("0",))[0].kept == {"0": "4"}


GLUE_STS = (
    "index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2\tscore\n"
    "0\tmain-captions\tMSRvid\t2012test\t0001\tnone\tnone\tA boat leaves.\tA boat is leaving.\t5.000\n"
    '1\tmain-news\theadlines\t2013\t0002\thttp://x.com/a\thttp://x.com/b\t"Rain\tIt\'s "raining"\t3.2\n'
)
STS_TRAIN = (
    "main-captions\tMSRvid\t2012test\t0001\t5.000\tA boat leaves.\tA boat is leaving.\n"
    'main-news\theadlines\t2013\t0002\t3.2\t"Rain\tIt\'s "raining"\thttp://x.com/a\thttp://x.com/b\n'
)
SBERT_STS = (
    "split\tgenre\tdataset\tyear\tsid\tscore\tsentence1\tsentence2\n"
    "train\tmain-captions\tMSRvid\t2012test\t0001\t5.000\tA boat leaves.\tA boat is leaving.\n"
    'dev\tmain-news\theadlines\t2013\t0002\t3.2\t"Rain\tIt\'s "raining"\n'
)
STS = [("A boat leaves.", "A boat is leaving."), ('"Rain', 'It\'s "raining"')]
NAMED: dict[str, Any] = {"text_column": "sentence1", "pair_column": "sentence2", "keep": ("score",)}


def rows_of(scores: list[Any]) -> list[dict[str, Any]]:
    return [{"sentence1": a, "sentence2": b, "score": s} for (a, b), s in zip(STS, scores, strict=True)]


def quoted(rows: list[dict[str, Any]]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "scores"),
    [
        ("train.tsv", GLUE_STS, ["5.000", "3.2"]),
        ("stsbenchmark.tsv.gz", gzip.compress(SBERT_STS.encode()), ["5.000", "3.2"]),
        ("stsb.csv", quoted(rows_of([5.0, 3.2])), ["5.0", "3.2"]),
        ("stsb.jsonl", "".join(json.dumps(row) + "\n" for row in rows_of([5.0, 3.2])), [5.0, 3.2]),
        ("stsb.parquet", rows_of([5.0, 3.2]), [5.0, 3.2]),
    ],
)
def test_sts_benchmark_with_a_header(
    write: Write, tmp_path: Path, name: str, content: Any, scores: list[Any]
) -> None:
    if name.endswith(".parquet"):
        pq.write_table(pa.Table.from_pylist(content), tmp_path / name)
    else:
        write(name, content)
    records = read(tmp_path / name, **NAMED)
    assert [(record.text, record.text_pair) for record in records] == STS
    assert [record.kept["score"] for record in records] == scores


@pytest.mark.parametrize("content", [STS_TRAIN, "\n".join(reversed(STS_TRAIN.splitlines())) + "\r\n"])
def test_the_original_sts_benchmark(write: Write, content: str) -> None:
    """`sts-train.csv`: tabs, no header, unbalanced quotes, and two more fields in some rows, also the first."""
    source = write("sts-train.csv", content)
    with pytest.raises(ColumnError, match=r"no header\?"):
        read(source, **NAMED)
    records = read(source, text_column="5", pair_column="6", keep=("4",))
    found = {(record.text, record.text_pair): record.kept["4"] for record in records}
    assert found == dict(zip(STS, ["5.000", "3.2"], strict=True))


def test_the_message_about_a_missing_header_tells_which_columns(write: Write) -> None:
    with pytest.raises(ColumnError, match="--text-column 5 --pair-column 6"):
        read(write("sts-dev.csv", STS_TRAIN), **NAMED)
    with pytest.raises(SourceError, match=r"line 2: the row has 6 fields; expected at least 7, for the col"):
        read(
            write("short.csv", STS_TRAIN.splitlines()[0] + "\na\tb\tc\td\te\tf\n"),
            text_column="5",
            pair_column="6",
        )
    with pytest.raises(ColumnError, match=r"'question1'.*--text-column and --pair-column"):
        read(write("quora.jsonl", '{"question1": "a", "question2": "b"}\n'), **NAMED)


@pytest.mark.parametrize(
    ("name", "content", "options", "pair", "kept"),
    [
        (
            "train.tsv",  # MRPC
            '\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\n1\t70\t71\tHe said "no .\tNo , he said .\n',
            {"text_column": "#1 String", "pair_column": "#2 String", "keep": ("Quality",)},
            ('He said "no .', "No , he said ."),
            "1",
        ),
        (
            "msr_paraphrase_train.txt",
            "\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\r\n1\t70\t71\tHe left.\tHe went.\r\n",
            {"text_column": "#1 String", "pair_column": "#2 String", "keep": ("Quality",), "format": "tsv"},
            ("He left.", "He went."),
            "1",
        ),
        (
            "in_domain_train.tsv",  # CoLA
            "gj04\t1\t\tThe boat left.\ngj04\t0\t*\tLeft boat the.\n",
            {"text_column": "3", "keep": ("1",)},
            ("The boat left.", None),
            "1",
        ),
        (
            "dev_matched.tsv",  # MultiNLI
            "index\tgenre\tsentence1_parse\tsentence1\tsentence2\tlabel1\tgold_label\n"
            "0\tfiction\t(ROOT (S x))\tIt rains.\tIt is dry.\tcontradiction\tcontradiction\n",
            {"text_column": "sentence1", "pair_column": "sentence2", "keep": ("gold_label",)},
            ("It rains.", "It is dry."),
            "contradiction",
        ),
        (
            "dev.tsv",  # QNLI
            "index\tquestion\tsentence\tlabel\n0\tWho left?\tThe boat left.\tentailment\n",
            {"text_column": "question", "pair_column": "sentence", "keep": ("label",)},
            ("Who left?", "The boat left."),
            "entailment",
        ),
        (
            "translated_train.tsv",  # PAWS-X, Chinese
            "id\tsentence1\tsentence2\tlabel\n1\t港口在北边。\t北边是“港口”。\t0\n",
            {"text_column": "sentence1", "pair_column": "sentence2", "keep": ("label",)},
            ("港口在北边。", "北边是“港口”。"),
            "0",
        ),
        (
            "train.json",  # AFQMC of CLUE
            '{"sentence1": "怎么还款", "sentence2": "如何还钱", "label": "1"}\n',
            {"text_column": "sentence1", "pair_column": "sentence2", "keep": ("label",), "format": "jsonl"},
            ("怎么还款", "如何还钱"),
            "1",
        ),
        (
            "lcqmc.jsonl",
            '{"sentence1": "船什么时候开", "sentence2": "几点开船", "label": 1}\n',
            {"text_column": "sentence1", "pair_column": "sentence2", "keep": ("label",)},
            ("船什么时候开", "几点开船"),
            1,
        ),
        (
            "atec_nlp_sim_train.csv",
            "\ufeff1\t怎么还款\t如何还钱\t1\n2\t船\t雨\t0\n",
            {"text_column": "1", "pair_column": "2", "keep": ("3",)},
            ("怎么还款", "如何还钱"),
            "1",
        ),
        (
            "train.tsv",  # ChnSentiCorp
            'label\ttext_a\n1\t房间很干净,"早餐也好。\n',
            {"keep": ("label",)},
            ('房间很干净,"早餐也好。', None),
            "1",
        ),
        (
            "ChnSentiCorp_htl_all.csv",
            'label,review\n1,"房间很干净，""早餐""也好。\n还会再来"\n',
            {"keep": ("label",)},
            ('房间很干净，"早餐"也好。\n还会再来', None),
            "1",
        ),
        (
            "cnews.train.txt",  # THUCNews
            "体育\t昨晚的比赛下着雨。\n财经\t股市今天没有开盘。\n",
            {"text_column": "1", "keep": ("0",), "format": "tsv"},
            ("昨晚的比赛下着雨。", None),
            "体育",
        ),
    ],
)
def test_labelled_texts_and_pairs(
    write: Write, name: str, content: str, options: dict[str, Any], pair: tuple[str, str | None], kept: Any
) -> None:
    record = read(write(name, content), **options)[0]
    assert ((record.text, record.text_pair), list(record.kept.values())) == (pair, [kept])


@pytest.mark.parametrize(
    ("words", "tags", "values"), [("words", "tags", ["O", "B-LOC", "O"]), ("tokens", "ner_tags", [0, 5, 0])]
)
def test_words_with_a_list_of_labels(
    write: Write, tmp_path: Path, words: str, tags: str, values: list[Any]
) -> None:
    row = {"id": "0", words: ["In", "Oslo", "."], tags: values}
    as_lines = write("train.jsonl", json.dumps(row) + "\n")
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "train.parquet")
    for source in (as_lines, tmp_path / "train.parquet"):
        with pytest.raises(ColumnError, match="--words-column"):
            texts(source)
        [record] = read(source, words_column=words, keep=(tags,), id_column="id")
        assert (record.text, surfaces(record)) == ("In Oslo .", ["In", "Oslo", "."])
        assert record.kept[tags] == values


def test_a_named_format_overrules_the_ending(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.json", "a.train", "a", "b.txt.gz"):
        content: Any = b'{"text": "x"}\n'
        source = write(name, gzip.compress(content) if name.endswith(".gz") else content)
        assert texts(source, format="jsonl") == ["x"]
    with pytest.raises(UsageError, match="format 'json': choose one of txt, jsonl"):
        texts(source, format="json")
    with pytest.raises(SourceError, match=r"\.json\).*--format txt, jsonl.*\(jsonl if it has a JSON object"):
        texts(write("c.json", "{}\n"))
    folder = write("set/eng.train", ENG_TRAIN).parent
    with pytest.raises(SourceError, match="--format"):
        texts(folder)
    assert texts(folder, format="conll")[-1] == texts(f"{folder}/eng.*", format="conll")[-1] == "Rain"


def test_a_named_format_of_stdin(monkeypatch: pytest.MonkeyPatch) -> None:
    def stdin(content: str) -> None:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content.encode())))

    stdin(ENG_TRAIN)
    assert texts("-", format="conll")[0] == "Norway welcomes Anna Lind ."
    stdin(ENG_TRAIN)
    with pytest.raises(SourceError, match="stdin looks like words and labels.*--format conll"):
        texts("-")
    stdin("{not json\n")
    assert texts("-", format="txt") == ["{not json"]
    with pytest.raises(SourceError, match="Parquet cannot be read from stdin"):
        texts("-", format="parquet")


def test_the_format_tells_sources_apart_only_if_it_was_named(write: Write) -> None:
    source = write("a.txt", "x\n")
    plain, named = (Sources(source, SourceOptions(format=name)).fingerprint() for name in (None, "tsv"))
    assert "format" not in plain["options"] and named["options"]["format"] == "tsv"
