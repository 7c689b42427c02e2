"""`.conllu`: a text a sentence, with its words given.

The format: https://universaldependencies.org/format.html. The words are the rows with a plain
number: those that treebanks annotate and probes predict. Of a multiword token (`1-2 vámonos`,
with rows 1 and 2 for `vamos` and `nos`) the words share its span, unless their forms put together
are its surface (`do` and `n't`), when each has its part. Empty nodes (`8.1`) are skipped.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from layerwise.errors import ColumnError, SourceError
from layerwise.text.columns import SourceOptions, listed, refuse_columns
from layerwise.text.lines import place, read_lines
from layerwise.text.stream import Stream
from layerwise.types import TextRecord

COLUMNS = ("id", "form", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc")
LONGEST_NUMBER = 10
"""Digits: Python converts no number of thousands of them."""

STICKY = ("newdoc id", "newpar id")
"""Comments that stand at the first sentence of a document and hold for all of it."""


@dataclass
class Token:
    """A stretch of the surface: one word, or several in a multiword token."""

    form: str
    space_after: bool
    words: list[int]
    """Positions of its words among those of the sentence."""


@dataclass
class Sentence:
    """One sentence: comments by key, ten columns a word, and the tokens of its surface."""

    first_line: int
    comments: dict[str, str] = field(default_factory=dict)
    words: list[list[str]] = field(default_factory=list)
    tokens: list[Token] = field(default_factory=list)
    until: int = 0  # last word of the multiword token that is open
    bad: bool = False  # a row of it cannot be used


def read_conllu(stream: Stream, options: SourceOptions) -> Iterator[TextRecord]:
    """Read sentences.

    The text is that of `# text`, if the forms are found in it one after the other with nothing but
    white space between them; else it is made from the forms and `SpaceAfter=No`.
    Kept are columns by their CoNLL-U names (a list, a value a word; `head` as numbers) and comments
    (`sent_id`, a value a text); an identifier is a comment.

    Raises:
        ColumnError: a column or comment is not there.
        SourceError: a row has not ten columns, or its number does not follow; or the treebank comes
            without its words.
        SourceEncodingError: a line is not UTF-8.
    """
    checked = False
    sticky: dict[str, str] = {}
    for sentence in _read_sentences(stream, options):
        # A new document ends the paragraph, also one without an id: `# newdoc`.
        for number, key in enumerate(STICKY):
            if any(comment in (key, key.removesuffix(" id")) for comment in sentence.comments):
                sticky = {kept: value for kept, value in sticky.items() if kept in STICKY[:number]}
        sticky |= {key: value for key, value in sentence.comments.items() if key in STICKY}
        sentence.comments = sticky | sentence.comments
        if sentence.bad:
            continue
        if not checked:
            _check(options, sentence, stream.name)
            checked = True
        records = []
        with options.row():
            _refuse_unfinished(sentence, stream.name)
            records.append(_record(sentence, options, stream.name))
        yield from records


def _read_sentences(stream: Stream, options: SourceOptions) -> Iterator[Sentence]:
    """The sentences of a source; comments without words belong to the sentence after them.

    One with a bad row is bad as a whole, up to the blank line behind it.
    """
    sentence: Sentence | None = None
    for number, line in read_lines(stream):
        if line.strip():
            sentence = sentence or Sentence(number)
            if not sentence.bad:
                sentence.bad = True
                with options.row():
                    _read_line(sentence, line, place(stream.name, number))
                    sentence.bad = False
        elif sentence is not None and (sentence.bad or sentence.words):
            yield sentence
            sentence = None
    if sentence is not None and (sentence.bad or sentence.words):
        yield sentence


def _refuse_unfinished(sentence: Sentence, name: str) -> None:
    if len(sentence.words) < sentence.until:
        raise SourceError(
            f"{place(name, sentence.first_line)}: the sentence ends with word {len(sentence.words)}, "
            f"inside a multiword token that goes to {sentence.until}: correct the range or add the words."
        )


def _read_line(sentence: Sentence, line: str, where: str) -> None:
    if line.startswith("#"):
        key, _, value = line[1:].partition("=")
        sentence.comments[key.strip()] = value.strip()
        return
    columns = line.split("\t")
    if len(columns) != len(COLUMNS):
        hint = " separated by tabs, not spaces" if len(columns) == 1 else ""
        raise SourceError(
            f"{where}: the row has {len(columns)} columns; CoNLL-U has 10{hint}, and a blank line after each "
            "sentence: correct the row, or pass --format conll if it has word and label columns only."
        )
    if "." not in columns[0]:
        _add_row(sentence, columns, where)


def _add_row(sentence: Sentence, columns: list[str], where: str) -> None:
    number, form = columns[0], columns[1]
    following = len(sentence.words) + 1
    first, dash, last = number.partition("-")
    fits = first == str(following) and (
        not dash
        or (last.isdecimal() and len(last) < LONGEST_NUMBER and int(last) >= following > sentence.until)
    )
    if not fits:
        raise SourceError(
            f"{where}: the row is numbered {number!r}; expected {following} (or a range from there on): "
            "put a blank line after each sentence, and number its words from 1."
        )
    space_after = "SpaceAfter=No" not in columns[9].split("|")
    if dash:
        sentence.until = int(last)
        sentence.tokens.append(Token(form, space_after, []))
        return
    if following > sentence.until:
        sentence.tokens.append(Token(form, space_after, []))
    sentence.tokens[-1].words.append(len(sentence.words))
    sentence.words.append(columns)


def _record(sentence: Sentence, options: SourceOptions, name: str) -> TextRecord:
    forms = [word[1] for word in sentence.words]
    if len(forms) > 1 and set(forms) == {"_"}:
        raise SourceError(
            f"{place(name, sentence.first_line)}: every word of the sentence is '_': the treebank "
            "is published without its text, and its README says how to put it back."
        )
    text, starts = _surface(sentence)
    words = [(0, 0)] * len(forms)
    for token, start in zip(sentence.tokens, starts, strict=True):
        for word, span in zip(token.words, _share(token, start, forms), strict=True):
            words[word] = span
    return TextRecord(
        text=text,
        words=tuple(words),
        kept={column: _kept(sentence, column) for column in options.keep},
        id=None if options.id_column is None else _identifier(sentence, options.id_column, name),
        place=place(name, sentence.first_line),
    )


def _surface(sentence: Sentence) -> tuple[str, list[int]]:
    """The text and where each token starts in it."""
    given = sentence.comments.get("text")
    if given is not None:
        starts = _locate(given, sentence.tokens)
        if starts is not None:
            return given, starts
    text, starts = "", []
    for token in sentence.tokens:
        starts.append(len(text))
        text += token.form + " " * token.space_after
    return text[: starts[-1] + len(sentence.tokens[-1].form)], starts


def _locate(text: str, tokens: list[Token]) -> list[int] | None:
    starts = []
    position = 0
    for token in tokens:
        while not text.startswith(token.form, position):
            if position >= len(text) or not text[position].isspace():
                return None
            position += 1
        starts.append(position)
        position += len(token.form)
    return None if text[position:].strip() else starts


def _share(token: Token, start: int, forms: list[str]) -> list[tuple[int, int]]:
    """The spans of a token's words."""
    parts = [forms[word] for word in token.words]
    whole = (start, start + len(token.form))
    if "".join(parts) != token.form:
        return [whole] * len(parts)
    spans = []
    for part in parts:
        spans.append((start, start + len(part)))
        start += len(part)
    return spans


def _kept(sentence: Sentence, column: str) -> Any:
    if column not in COLUMNS:
        return sentence.comments.get(column)
    values = [word[COLUMNS.index(column)] for word in sentence.words]
    if column in ("head", "id"):
        return [int(value) if value.isdecimal() and len(value) < LONGEST_NUMBER else None for value in values]
    return values


def _identifier(sentence: Sentence, key: str, name: str) -> str:
    if key not in sentence.comments:
        raise SourceError(
            f"{place(name, sentence.first_line)}: the sentence has no comment '# {key} = …', "
            "which --id-column names: give every sentence one, or leave the option out."
        )
    return sentence.comments[key]


def _check(options: SourceOptions, sentence: Sentence, name: str) -> None:
    """Refuse columns that are not there, by the first sentence."""
    comments: Mapping[str, str] = sentence.comments
    fixed = SourceOptions(options.text_column, options.pair_column, None, options.words_column)
    refuse_columns(fixed, name, ["text", "form"], [])
    for wanted in options.keep:
        if wanted not in COLUMNS and wanted not in comments:
            raise ColumnError(
                f"{name} has no column {wanted!r} to keep: it has {listed(COLUMNS)}, "
                f"and its first sentence the comments {listed(list(comments))}."
            )
    if options.id_column is not None and options.id_column not in comments:
        raise ColumnError(
            f"{name} has no comment '# {options.id_column} = …' to take as an identifier; "
            f"its first sentence has {listed(list(comments))}."
        )
