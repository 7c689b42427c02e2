"""What a `.conll` source has in its columns, and what is put before or behind its words, told by its first lines."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby

import regex

NAMES = {
    1: ("form",),
    2: ("form", "label"),
    3: ("form", "pos", "label"),
    4: ("form", "pos", "chunk", "label"),
}

COMMENT = re.compile(
    r"#id(?= )|# id\b|# (sent_id|text|newdoc|newpar)\b(.*=|\s*$)|#\s*\w[\w.: -]*\s=(\s|$)|#(begin|end) document\b"
    r"|## [^\t]+\t|###\w+:"
    r"|(?P<dated>#\t.*\[\d{4}-\d\d-\d\d\]\s*$)"
)
"""MultiCoNER writes `# id 5f0b... domain=en` before a sentence, others `# key = value` as CoNLL-U does, KLUE
`## number` and the sentence behind a tab, JNLPBA `###MEDLINE:number`, OntoNotes `#begin document (...)`, GermEval an
address and a date behind tabs; a lone `#` is a word (in tweets)."""

_TAG_NAMES = "tag tags label labels ner ner_tag ner_tags iob bio pos upos entity"
WORD_NAMES, TAG_NAMES = {"word", "words", "token", "tokens", "form"}, frozenset(_TAG_NAMES.split())
"""What a first row that names the columns has in the first and in the last."""

_OF_HIPE = re.compile(r"NE-[A-Z-]+")
"""Names of columns with tags in HIPE's sets, which have several."""

TAG = re.compile(r"O|[BIESLUMW][-_]\S+")
"""A label of a word: `O`, or its place in a chunk and the chunk's kind."""

MOST_PLACED = 0.95

_PLACED = regex.compile(r"(\S)\d")
_LANGUAGE = re.compile(r"^(?:[a-z]{2,3}(?:-[a-z]+)*|simple):")


ONTONOTES = re.compile(r"#begin document\b")
"""Of CoNLL-2012, whose rows begin with the name of the document and have entities in brackets over the words."""


@dataclass(frozen=True)
class Layout:
    """How the rows of a source are read.

    Attributes:
        names: of the columns, from the left.
        word: what is cut off or changed in a form to have the word.
    """

    names: Sequence[str]
    word: Callable[[str], str] = str


def split(line: str) -> list[str]:
    """The columns of a line; none if it is blank. Only tabs and plain spaces separate: others can be words."""
    if not line.strip(" \t"):
        return []
    return line.split("\t") if "\t" in line else [part for part in line.split(" ") if part]


def layout_of_rows(head: bytes) -> Layout:
    """The layout of a source that begins with `head`.

    Told apart from plain columns are those of Weibo NER (Peng and Dredze 2015), which has the place of
    each character in its word behind it (`科0`, `技1`); WikiANN (Rahimi et al. 2019), which has the
    language before each word (`en:Paris`); and GermEval 2014, which numbers the rows of a sentence and
    has nested entities in a last column.
    """
    lines = head.decode("utf-8", "replace").removeprefix("\ufeff").split("\n")
    lines = lines[:-1] or lines  # the last may be cut off
    lines = [line.rstrip("\r") for line in lines]
    comments = list(filter(None, map(COMMENT.match, lines)))
    found = [split(line) for line in lines if not COMMENT.match(line)]
    sentences = [list(rows) for filled, rows in groupby(found, bool) if filled]
    if sentences and is_header(sentences[0][0]):
        header, *sentences[0] = sentences[0]
        if header[-1].lower() not in TAG_NAMES:
            return Layout(("form", *header[1:]))
    rows = [row for sentence in sentences for row in sentence if row[0] != "-DOCSTART-"]
    if not rows:
        return Layout(NAMES[1])
    dated = any(comment["dated"] for comment in comments)
    if len(rows[0]) > 2 and _are_numbered(sentences) and (dated or max(map(len, sentences)) > 1):
        return Layout(_names_behind_numbers(rows))
    names = _names(rows)
    if all(_LANGUAGE.match(row[0]) for row in rows):
        return Layout(names, _without_language)
    if _are_placed([row[0] for row in rows]):
        return Layout(names, lambda form: _PLACED.sub(r"\1", form) if len(form) == 2 else form)
    return Layout(names)


def is_header(row: Sequence[str]) -> bool:
    """Whether a first row names the columns."""
    tags = row[-1].lower() in TAG_NAMES or any(map(_OF_HIPE.fullmatch, row[1:]))
    return len(row) > 1 and row[0].lower() in WORD_NAMES and tags


def _are_numbered(sentences: Sequence[Sequence[Sequence[str]]]) -> bool:
    """Whether each row begins with its number: in its sentence, from 1 or from 0, or in the file."""
    counts = [[row[0] for row in sentence] for sentence in sentences if sentence]
    firsts = []
    for numbers in counts:
        first = int(numbers[0]) if re.fullmatch(r"\d{1,9}", numbers[0]) else -1
        if numbers != [str(number) for number in range(first, first + len(numbers))]:
            return False
        firsts.append(first)
    through = [firsts[0] + sum(map(len, counts[:place])) for place in range(len(counts))] if counts else []
    begins = set(firsts) in ({0}, {1}) or (firsts == through and firsts[0] in (0, 1))
    words = {row[1] for sentence in sentences for row in sentence if len(row) > 1}
    one_kind = len(words) == 1 and sum(map(len, counts)) > 1  # of numbers, as CD: they are the words
    return begins and not one_kind


def _names_behind_numbers(rows: Sequence[Sequence[str]]) -> Sequence[str]:
    tagged = all(len(row) > 2 and TAG.fullmatch(row[2]) for row in rows)
    if len(rows[0]) == 4 and tagged:
        return ("number", "form", "label", "nested")
    if len(rows[0]) == 5 and tagged and not all(TAG.fullmatch(row[-1]) for row in rows):
        return ("number", "form", "label", "misc", "annotator")
    return ("number", *_names([row[1:] for row in rows]))


def _without_language(form: str) -> str:
    return (
        _LANGUAGE.sub("", form, count=1) or form
    )  # a language without a word is left: a word has a character


def _are_placed(forms: Sequence[str]) -> bool:
    placed = [form for form in forms if _PLACED.fullmatch(form)]
    some = len(forms) > 1 and len(placed) >= MOST_PLACED * len(forms)  # a row may be a space alone
    return some and any(regex.match(r"\p{Han}", form) for form in placed)


def _names(rows: Sequence[Sequence[str]]) -> Sequence[str]:
    """The first column is the word and the last its label; in MIT's sets of films and restaurants it is the other way.

    A last column with `_` for nothing beside columns of tags is a remark or a link (HIPE's `MISC`): the label is the only
    one with tags, and of several none is called so.
    """
    count = len(rows[0])
    values = [[row[n].strip() for row in rows if len(row) > n] for n in range(count)]
    tagged = [n for n in range(count) if all(map(TAG.fullmatch, values[n])) and {*values[n]} != {"O"}]
    if count == 2 and tagged == [0]:
        return ("label", "form")
    tagged = [n for n in tagged if n]
    if not tagged or "_" not in values[-1]:
        return NAMES.get(count) or ("form", *(f"column_{number}" for number in range(1, count - 1)), "label")
    only = tagged[0] if len(tagged) == 1 else None
    return ("form", *("label" if number == only else f"column_{number}" for number in range(1, count)))
