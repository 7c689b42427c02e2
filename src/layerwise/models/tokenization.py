"""Texts to token sequences, with every token aligned to the characters it stands for.

Works on the backend of a fast tokenizer (`tokenizers.Tokenizer`), whole batches at once, and on a
copy of it: the user's tokenizer is never changed. A text is encoded without special tokens; they
are put around each window afterwards, as the tokenizer itself would have done.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from layerwise.errors import SourceError, TextTooLongError, UsageError
from layerwise.models.encoded_text import EncodedText, Window, side_by_side
from layerwise.models.given_words import GivenWords
from layerwise.models.member import Ints, Member, tokenise, tokenise_only
from layerwise.models.special_tokens import Template, learn_templates
from layerwise.ops.windows import Windows, default_stride, plan
from layerwise.types import TextRecord

DEFAULT_MAX_LENGTH = 512
"""Window of a model that names no maximum itself."""


def longest_window(max_positions: int | None, tokenizer: Any) -> int:
    """Most tokens of one sequence, special tokens included, by the model's positions and its tokenizer."""
    limits = [max_positions, tokenizer.model_max_length]
    # A tokenizer without a limit says 10^30, and a tokenizer_config.json may say anything.
    known = [limit for limit in limits if type(limit) is int and 0 < limit < 1_000_000]
    return min(known, default=DEFAULT_MAX_LENGTH)


def plain_backend(tokenizer: Any) -> Tokenizer:
    """A copy that neither pads nor cuts, as the original may since it was last called with such options."""
    backend = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    backend.no_truncation()
    backend.no_padding()
    return backend


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
        align: bool = True,
        pairs: str = "joint",
    ) -> None:
        """Choose how texts are tokenised; without `align`, spans and words are left out."""
        self._backend = backend = plain_backend(tokenizer)
        self._single, self._pair = learn_templates(backend)
        # What the tokenizer's own config says; the default of a generic class is no statement about the model.
        names = tokenizer.init_kwargs.get("model_input_names")
        if names is not None and "token_type_ids" not in names:
            self._single, self._pair = self._single.without_types(), self._pair.without_types()
        self._max_length, self._stride, self._long_text = max_length, stride, long_text
        self._words, self._align, self._apart = words, align, pairs == "separate"
        self._given = GivenWords(tokenizer) if words == "given" else None
        self._refuse_no_room(self._single, needed=1)
        if stride is not None:  # refuses what does not fit before any text is read
            plan(0, max_length - len(self._single), stride)

    @property
    def has_cls(self) -> bool:
        """Whether a special token opens each sequence, for `pooling="cls"`."""
        return len(self._single.before) > 0

    @property
    def closes_texts(self) -> bool:
        """Whether a special token follows a text."""
        return len(self._single.after) > 0

    def refuse_pairs_without_room(self) -> None:
        """Refuse, before any text is read, what pairs of texts longer than a window would not fit.

        Raises:
            UsageError: a window has no room for both texts, or overlaps by more than its half for one.
        """
        if self._apart:
            return
        self._refuse_no_room(self._pair, needed=2)
        if self._stride is not None:
            plan(0, (self._max_length - len(self._pair)) // 2, self._stride)

    def encode(self, records: Sequence[TextRecord], first_text: int = 0) -> list[EncodedText]:
        """Tokenise texts; `first_text` is the number of the first, for messages."""
        firsts = self._firsts(records, first_text)
        pairs = [record.text_pair for record in records if record.text_pair is not None]
        seconds = iter(self._members(pairs, "tokenizer" if self._given else self._words))
        encoded = []
        for number, (record, first) in enumerate(zip(records, firsts, strict=True)):
            text_id = first_text + number
            if record.text_pair is None:
                encoded.append(self._encode(record.text, (first,), text_id))
            elif self._apart:
                one = self._encode(record.text, (first,), text_id)
                encoded.append(side_by_side(one, self._encode(record.text_pair, (next(seconds),), text_id)))
            else:
                encoded.append(self._encode(record.text, (first, next(seconds)), text_id))
        return encoded

    def _firsts(self, records: Sequence[TextRecord], first_text: int) -> list[Member]:
        texts = [record.text for record in records]
        if self._given is None:
            return self._members(texts, self._words)
        words = []
        for number, record in enumerate(records, first_text):
            if record.words is None:
                raise SourceError(
                    f"text {number} comes without words, and words='given' needs them: name a --words-column, "
                    "read .conllu, or choose tokenizer, whitespace or unicode."
                )
            words.append(record.words)
        return self._given.tokenise(texts, words)

    def _members(self, texts: Sequence[str], words: str) -> list[Member]:
        return tokenise(self._backend, texts, words) if self._align else tokenise_only(self._backend, texts)

    def _encode(self, text: str, members: tuple[Member, ...], number: int) -> EncodedText:
        template = self._single if len(members) == 1 else self._pair
        self._refuse_no_room(template, needed=1)
        total = sum(len(one) for one in members)
        capacity = self._max_length - len(template)
        cut = 0
        if total > capacity:
            if self._long_text == "error":
                raise TextTooLongError(
                    f"text {number} has {total + len(template)} tokens, special tokens included, and the window "
                    f"{self._max_length}: choose --long-text window or truncate, or shorten it (it begins with "
                    f"{text[:30]!r})."
                )
            if self._long_text == "truncate":
                members, cut = _truncate(members, capacity), total - capacity
            else:
                self._refuse_no_room(template, needed=len(members))
        plans = self._plan(members, capacity)
        sequences, window, position = _lay_out(members, plans, template)
        special = _special(sequences, plans, template)
        return self._assemble(text, members, sequences, window, position, total, cut, template, special)

    def _refuse_no_room(self, template: Template, needed: int) -> None:
        if self._max_length < len(template) + needed:
            raise UsageError(
                f"max_length is {self._max_length}, and {len(template)} of these are special tokens: expected at "
                f"least {len(template) + needed}."
            )

    def _plan(self, members: tuple[Member, ...], capacity: int) -> list[Windows]:
        """Windows over each text; over a pair, each gets the room the other leaves, at least half."""
        lengths = [len(one) for one in members]
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
        text: str,
        members: tuple[Member, ...],
        sequences: tuple[Window, ...],
        window: Ints,
        position: Ints,
        total: int,
        cut: int,
        template: Template,
        special: tuple[tuple[int, range], ...],
    ) -> EncodedText:
        spans = np.concatenate([one.spans for one in members])
        words = np.concatenate([one.words for one in members])
        first_token = np.cumsum([0, *(len(one) for one in members)])
        first_word = np.cumsum([0, *(len(one.words) for one in members)])
        edge_token = np.concatenate(
            [one.edge_token + t for one, t in zip(members, first_token, strict=False)]
        )
        edge_word = np.concatenate([one.edge_word + w for one, w in zip(members, first_word, strict=False)])
        numbers = np.arange(len(members))
        word_sequence_id = np.repeat(numbers, [len(one.words) for one in members])
        word_id = np.full(len(spans), -1, np.int64)
        own = edge_word - first_word[word_sequence_id[edge_word]]  # each text of a pair counts from 0
        word_id[edge_token[::-1]] = own[::-1]  # the first word of a token wins
        return EncodedText(
            text=text,
            sequences=sequences,
            num_tokens=total,
            num_truncated=cut,
            cls_position=0 if len(template.before) else None,
            special=special,
            window=window,
            position=position,
            start=spans[:, 0],
            end=spans[:, 1],
            sequence_id=np.repeat(numbers, [len(one) for one in members]),
            word_id=word_id,
            word_start=words[:, 0],
            word_end=words[:, 1],
            word_sequence_id=word_sequence_id,
            edge_token=edge_token,
            edge_word=edge_word,
        )


def _truncate(members: tuple[Member, ...], capacity: int) -> tuple[Member, ...]:
    """What transformers' `truncation=True` keeps: of a pair, the longer text is cut first."""
    if len(members) == 1:
        return (members[0].cut(capacity),)
    lengths = [len(one) for one in members]
    half = capacity // 2
    if min(lengths) > half:  # both are cut; an odd token stays with the longer, of equals with the second
        keep = [capacity - half, half] if lengths[0] > lengths[1] else [half, capacity - half]
    elif lengths[0] <= lengths[1]:
        keep = [lengths[0], capacity - lengths[0]]
    else:
        keep = [capacity - lengths[1], lengths[1]]
    return tuple(one.cut(count) for one, count in zip(members, keep, strict=True))


def _special(
    sequences: tuple[Window, ...], plans: list[Windows], template: Template
) -> tuple[tuple[int, range], ...]:
    """Where the special tokens stand, each of the template's once: a text in one window has just these."""
    before, after = len(template.before), len(template.after)
    second = template.offset(1, int(plans[0].end[0] - plans[0].start[0]))
    # Where the text ends, or the second one of a pair, if there is one.
    last = len(plans[-1].start) - 1 if len(plans[-1].owner) else len(sequences) - 1
    length = len(sequences[last])
    return (
        (0, range(before)),
        (0, range(second - len(template.between), second)),
        (last, range(length - after, length)),
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
