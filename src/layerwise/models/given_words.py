"""Words given by the user, tokenised one by one, as transformers' `is_split_into_words=True` does."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from tokenizers import Tokenizer

if TYPE_CHECKING:
    from layerwise.models.tokenization import Member

Span = tuple[int, int]


class GivenWords:
    """Tokenises texts along given words; no token ever crosses the border of a word.

    A byte-level tokenizer must put a space before each word (`add_prefix_space`), or a word
    inside a sentence would get other tokens than it has there; transformers demands the same.
    """

    def __init__(self, tokenizer: Any) -> None:
        state = json.loads(tokenizer.backend_tokenizer.to_str())
        _add_prefix_space(state.get("pre_tokenizer"))
        self._backend = Tokenizer.from_str(json.dumps(state))
        self._backend.no_truncation()
        self._backend.no_padding()

    def members(self, texts: Sequence[str], words: Sequence[Sequence[Span]]) -> list[Member]:
        """Tokens of each text; `pretoken` is the number of the given word."""
        from layerwise.models.tokenization import Member

        split = [[text[start:end] for start, end in spans] for text, spans in zip(texts, words, strict=True)]
        encodings = self._backend.encode_batch(split, is_pretokenized=True, add_special_tokens=False)
        members = []
        for spans, encoding in zip(words, encodings, strict=True):
            word = np.array(encoding.word_ids, np.int64)
            first = np.array([start for start, _ in spans], np.int64)
            offsets = np.array(encoding.offsets, np.int64).reshape(-1, 2)
            within = offsets + first[word][:, None] if len(word) else offsets
            members.append(Member(np.array(encoding.ids, np.int64), within, word))
        return members


def _add_prefix_space(pre_tokenizer: dict[str, Any] | None) -> None:
    """Set `add_prefix_space` wherever a byte-level pre-tokenizer stands."""
    if pre_tokenizer is None:
        return
    if pre_tokenizer.get("type") == "ByteLevel":
        pre_tokenizer["add_prefix_space"] = True
    for part in pre_tokenizer.get("pretokenizers", []):
        _add_prefix_space(part)
