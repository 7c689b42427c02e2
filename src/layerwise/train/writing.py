"""How the pieces of a tokenizer become a text again, and what of a text it cannot write."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Any

from tokenizers.models import WordPiece

from layerwise.models.tokenization import plain_backend
from layerwise.ops.spacing import Spacing
from layerwise.train.tasks.example import batched
from layerwise.train.tasks.task import PIECE


class Writing:
    """A tokenizer as one that writes.

    Attributes:
        spacing: where its words touch; None for a tokenizer that keeps spaces itself.
        lowers: whether it knows no capitals.
        lost: share of the words of the texts that were looked at which it has no piece for, or none with their accents.
        loses_capitals: whether these texts have any that it cannot write.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        backend = tokenizer.backend_tokenizer
        self.spacing = Spacing() if isinstance(backend.model, WordPiece) else None
        self.lowers = _normal(backend, "E") == "e" or bool(getattr(tokenizer, "do_lower_case", False))
        self._strips = _normal(backend, "é") == "e"
        self.lost, self.loses_capitals = 0.0, False

    def learn(self, texts: Sequence[str]) -> None:
        """Look at texts as they are to be written."""
        backend = plain_backend(self._tokenizer)
        unknown = self._tokenizer.unk_token_id
        found, total, lost = [], 0, 0
        for piece in batched(texts, PIECE):
            for text, one in zip(piece, backend.encode_batch(piece, add_special_tokens=False), strict=True):
                words = _words(one.word_ids, one.offsets)
                found.append((text, words))
                total += len(words)
                missing = {
                    number for number, token in zip(one.word_ids, one.ids, strict=True) if token == unknown
                }
                if self._strips:
                    missing |= {
                        number for number, (start, end) in enumerate(words) if _has_accent(text[start:end])
                    }
                lost += len(missing)
        self.lost = lost / max(total, 1)
        self.loses_capitals = self.lowers and any(text != text.lower() for text in texts)
        if self.spacing is not None:
            self.spacing = Spacing.learn(found)

    def text(self, ids: Sequence[int]) -> str:
        """What a model wrote."""
        if self.spacing is None:
            return str(self._tokenizer.decode(ids, skip_special_tokens=True)).strip()
        words: list[str] = []
        prefix = self._tokenizer.backend_tokenizer.model.continuing_subword_prefix
        for token in self._tokenizer.convert_ids_to_tokens(ids, skip_special_tokens=True):
            if words and token.startswith(prefix):
                words[-1] += token.removeprefix(prefix)
            else:
                words.append(token.removeprefix(prefix))
        return self.spacing.join(words)

    def as_written(self, text: str) -> str:
        """A text as the tokenizer could have written it, with regard to capitals."""
        return text.lower() if self.lowers else text


def _normal(backend: Any, letter: str) -> str:
    return letter if backend.normalizer is None else str(backend.normalizer.normalize_str(letter))


def _words(numbers: Sequence[int | None], spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """(start, end) of the words of which the tokens are parts."""
    words: list[tuple[int, int]] = []
    last = None
    for number, (start, end) in zip(numbers, spans, strict=True):
        if words and number == last:
            words[-1] = words[-1][0], end
        else:
            words.append((start, end))
        last = number
    return words


def _has_accent(word: str) -> bool:
    return any(unicodedata.category(one) == "Mn" for one in unicodedata.normalize("NFD", word))
