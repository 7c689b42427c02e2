"""Texts to token sequences, with every token aligned to the characters it stands for.

Works on the backend of a fast tokenizer (`tokenizers.Tokenizer`), whole batches at once, and on a
copy of it: the user's tokenizer is never changed. A text is encoded without special tokens; they
are put around each window afterwards, as the tokenizer itself would have done.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Encoding, Tokenizer

from layerwise.errors import SourceError, TextTooLongError, UsageError
from layerwise.models.given_words import GivenWords
from layerwise.models.special_tokens import Template, learn_templates
from layerwise.ops.alignment import assign, trim, unicode_words, whitespace_words
from layerwise.ops.windows import Windows, default_stride, plan
from layerwise.types import TextRecord

Ints = npt.NDArray[np.int64]

_NONE = np.zeros(0, np.int64)
_FIND_WORDS = {"whitespace": whitespace_words, "unicode": unicode_words}


@dataclass(frozen=True, slots=True)
class Window:
    """One sequence as the model takes it: (seq,) ids and token types, special tokens included."""

    input_ids: Ints
    token_type_ids: Ints

    def __len__(self) -> int:
        return len(self.input_ids)


@dataclass(frozen=True, slots=True)
class EncodedText:
    """One text (or pair) as token sequences.

    Attributes:
        text: the first text.
        sequences: its windows.
        num_tokens: tokens of the text and its pair, special tokens and cuts not counted.
        num_truncated: how many of them were cut off.
        cls_position: position of the special token that opens a sequence, or None.
        window, position: (tokens,) where to find each token: window and position in it.
        start, end: (tokens,) its characters, without surrounding white space.
        sequence_id: (tokens,) 0 in the text, 1 in the pair.
        word_id: (tokens,) the (first) word it belongs to; -1 for none.
        word_start, word_end, word_sequence_id: (words,) the words.
        edge_token, edge_word: (edges,) which token belongs to which word; sorted by word, token.
    """

    text: str
    sequences: tuple[Window, ...]
    num_tokens: int
    num_truncated: int
    cls_position: int | None
    window: Ints
    position: Ints
    start: Ints
    end: Ints
    sequence_id: Ints
    word_id: Ints
    word_start: Ints
    word_end: Ints
    word_sequence_id: Ints
    edge_token: Ints
    edge_word: Ints


@dataclass(frozen=True, slots=True)
class Member:
    """The tokens of one text on its own: ids (tokens,), spans (tokens, 2), pre-token (tokens,)."""

    ids: Ints
    spans: npt.NDArray[np.int64]
    pretoken: Ints


class Tokenization:
    """How texts become sequences of tokens under one choice of windows and words.

    Raises (from `encode`):
        TextTooLongError: a text needs several windows and `long_text` is `"error"`.
        SourceError: words are to be given and a text comes without.
        UsageError: the window has no room for a token.
    """

    def __init__(
        self,
        tokenizer: Any,
        max_length: int,
        stride: int | None = None,
        long_text: str = "window",
        words: str = "tokenizer",
        need_words: bool = True,
    ) -> None:
        backend = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
        backend.no_truncation()
        backend.no_padding()
        self._backend = backend
        self._single, self._pair = learn_templates(backend)
        self._max_length, self._stride, self._long_text = max_length, stride, long_text
        self._words, self._need_words = words, need_words
        self._given = GivenWords(tokenizer) if words == "given" else None
        for template in (self._single, self._pair):
            if max_length <= len(template):
                raise UsageError(
                    f"max_length is {max_length}, and {len(template)} of these are special tokens: expected more."
                )

    def encode(self, records: Sequence[TextRecord], first_text: int = 0) -> list[EncodedText]:
        """Tokenise texts; `first_text` is the number of the first, for messages."""
        texts = [record.text for record in records]
        pairs = [record.text_pair for record in records if record.text_pair is not None]
        if self._given is None:
            firsts = self._members(texts)
        else:
            for number, record in enumerate(records):
                if record.words is None:
                    raise SourceError(
                        f"text {first_text + number} comes without words, and words='given' needs them: name a "
                        "--words-column, read .conllu, or choose tokenizer, whitespace or unicode."
                    )
            firsts = self._given.members(texts, [record.words or () for record in records])
        seconds = iter(self._members(pairs))
        encoded = []
        for number, (record, first) in enumerate(zip(records, firsts, strict=True)):
            second = None if record.text_pair is None else next(seconds)
            encoded.append(self._encode(record, first, second, first_text + number))
        return encoded

    def _members(self, texts: Sequence[str]) -> list[Member]:
        encodings: list[Encoding] = self._backend.encode_batch(list(texts), add_special_tokens=False)
        return [member(text, encoding) for text, encoding in zip(texts, encodings, strict=True)]

    def _encode(self, record: TextRecord, first: Member, second: Member | None, number: int) -> EncodedText:
        members: tuple[Member, ...] = (first,) if second is None else (first, second)
        template = self._single if second is None else self._pair
        total = sum(len(one.ids) for one in members)
        capacity = self._max_length - len(template)
        cut = 0
        if total > capacity:
            if self._long_text == "error":
                raise TextTooLongError(
                    f"text {number} has {total + len(template)} tokens, special tokens included, and the window "
                    f"{self._max_length}: choose --long-text window or truncate, or shorten it."
                )
            if self._long_text == "truncate":
                members, cut = _truncate(members, capacity), total - capacity
        plans = self._plan(members, capacity)
        sequences, window, position = _lay_out(members, plans, template)
        return self._assemble(record, members, sequences, window, position, total, cut, template)

    def _plan(self, members: tuple[Member, ...], capacity: int) -> list[Windows]:
        """Windows over each text; over a pair, each gets the room the other leaves, at least half."""
        lengths = [len(one.ids) for one in members]
        rooms = [capacity]
        if len(members) == 2:
            room = min(lengths[0], max(capacity // 2, capacity - lengths[1]))
            rooms = [room, capacity - room]
        plans = []
        for length, room in zip(lengths, rooms, strict=True):
            stride = default_stride(room) if self._stride is None else self._stride
            plans.append(plan(length, room, stride) if length > room else plan(length, max(room, 1), 0))
        return plans

    def _assemble(
        self,
        record: TextRecord,
        members: tuple[Member, ...],
        sequences: tuple[Window, ...],
        window: Ints,
        position: Ints,
        total: int,
        cut: int,
        template: Template,
    ) -> EncodedText:
        spans = np.concatenate([one.spans for one in members])
        member_ids = np.repeat(np.arange(len(members)), [len(one.ids) for one in members])
        words = self._find_words(record, members) if self._need_words else _NO_WORDS
        word_id = np.full(len(spans), -1, np.int64)
        word_id[words.edge_token[::-1]] = words.edge_word[::-1]  # the first word of a token wins
        return EncodedText(
            text=record.text,
            sequences=sequences,
            num_tokens=total,
            num_truncated=cut,
            cls_position=0 if len(template.before) else None,
            window=window,
            position=position,
            start=spans[:, 0],
            end=spans[:, 1],
            sequence_id=member_ids,
            word_id=word_id,
            word_start=words.spans[:, 0],
            word_end=words.spans[:, 1],
            word_sequence_id=words.member,
            edge_token=words.edge_token,
            edge_word=words.edge_word,
        )

    def _find_words(self, record: TextRecord, members: tuple[Member, ...]) -> _Words:
        found = []
        for index, (one, text) in enumerate(
            zip(members, (record.text, record.text_pair or ""), strict=False)
        ):
            if self._words == "given" and index == 0:
                spans = np.array(record.words, np.int64).reshape(-1, 2)
                found.append((spans, np.arange(len(one.ids)), one.pretoken))
            elif self._words in _FIND_WORDS:
                spans = _FIND_WORDS[self._words](text)
                found.append((spans, *assign(one.spans, spans)))
            else:
                found.append(_pretokens(one))
        return _join_words(found, [len(one.ids) for one in members])


@dataclass(frozen=True, slots=True)
class _Words:
    spans: npt.NDArray[np.int64]
    member: Ints
    edge_token: Ints
    edge_word: Ints


_NO_WORDS = _Words(np.zeros((0, 2), np.int64), _NONE, _NONE, _NONE)


def member(text: str, encoding: Encoding) -> Member:
    """One encoding as arrays, spans trimmed of white space."""
    ids = np.array(encoding.ids, np.int64)
    spans = np.array(encoding.offsets, np.int64).reshape(-1, 2)
    pretoken = np.array([-1 if word is None else word for word in encoding.word_ids], np.int64)
    return Member(ids, trim(text, spans), pretoken)


def _pretokens(one: Member) -> tuple[npt.NDArray[np.int64], Ints, Ints]:
    """The tokenizer's own words: runs of tokens of one pre-token."""
    if not len(one.ids):
        return np.zeros((0, 2), np.int64), _NONE, _NONE
    # A token outside any pre-token (a literal "[MASK]") is a word of its own.
    new = (one.pretoken[1:] != one.pretoken[:-1]) | (one.pretoken[1:] < 0)
    word = np.concatenate(([0], np.cumsum(new)))
    begins = np.flatnonzero(np.concatenate(([True], new)))
    start = np.minimum.reduceat(one.spans[:, 0], begins)
    end = np.maximum.reduceat(one.spans[:, 1], begins)
    return np.stack([start, end], axis=1), np.arange(len(word)), word


def _join_words(found: list[tuple[npt.NDArray[np.int64], Ints, Ints]], lengths: list[int]) -> _Words:
    """Words of both texts, numbered on; tokens that truncation cut off are no longer there."""
    num_words = [len(spans) for spans, _, _ in found]
    first_token = np.concatenate(([0], np.cumsum(lengths)))
    first_word = np.concatenate(([0], np.cumsum(num_words)))
    return _Words(
        spans=np.concatenate([spans for spans, _, _ in found]),
        member=np.repeat(np.arange(len(found)), num_words),
        edge_token=np.concatenate([token + first_token[i] for i, (_, token, _) in enumerate(found)]),
        edge_word=np.concatenate([word + first_word[i] for i, (_, _, word) in enumerate(found)]),
    )


def _truncate(members: tuple[Member, ...], capacity: int) -> tuple[Member, ...]:
    """What transformers' `truncation=True` keeps: of a pair, the longer text is cut first."""
    keep = [len(one.ids) for one in members]
    if len(keep) == 1:
        keep = [capacity]
    else:
        short = min(keep)
        other = min(short, capacity // 2)
        rest = capacity - other
        # tokenizers' LongestFirst: equal halves, the odd token to the second text
        if short > capacity // 2:
            keep = [capacity // 2, capacity - capacity // 2]
        else:
            keep = [other, rest] if keep[0] <= keep[1] else [rest, other]
    return tuple(
        Member(one.ids[:n], one.spans[:n], one.pretoken[:n]) for one, n in zip(members, keep, strict=True)
    )


def _lay_out(
    members: tuple[Member, ...], plans: list[Windows], template: Template
) -> tuple[tuple[Window, ...], Ints, Ints]:
    """Sequences, and for each token its sequence and position.

    Windows a_i of a text and b_j of its pair give the sequences (a_0, b_j) for all j, then
    (a_i, b_0) for i ≥ 1: every token stands in at least one, and nothing is cut.
    """
    first = [members[0].ids[s:e] for s, e in zip(plans[0].start, plans[0].end, strict=True)]
    if len(members) == 1:
        sequences = tuple(Window(*template.wrap(body)) for body in first)
        owner = plans[0].owner
        position = np.arange(len(owner)) - plans[0].start[owner] + template.offset(0)
        return sequences, owner, position
    second = [members[1].ids[s:e] for s, e in zip(plans[1].start, plans[1].end, strict=True)]
    combined = [(first[0], body) for body in second] + [(body, second[0]) for body in first[1:]]
    owner_a = np.where(plans[0].owner > 0, plans[0].owner + len(second) - 1, 0)
    position_a = np.arange(len(owner_a)) - plans[0].start[plans[0].owner] + template.offset(0)
    owner_b = plans[1].owner
    position_b = np.arange(len(owner_b)) - plans[1].start[owner_b] + template.offset(1, len(first[0]))
    return (
        tuple(Window(*template.wrap(*bodies)) for bodies in combined),
        np.concatenate([owner_a, owner_b]),
        np.concatenate([position_a, position_b]),
    )
