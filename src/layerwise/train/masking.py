"""Masks, drawn anew for each sequence each time it is seen (Liu et al. 2019, §4.1, dynamic masking).

15 % of the tokens are to be predicted; of these 80 % become [MASK], 10 % another token, 10 % stay (Devlin et al. 2019,
§3.1). With whole words, all pieces of a word are taken or none (Google's BERT, 2019); a Chinese character is a word.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from layerwise.errors import SourceError

SHARE = 0.15

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Masking:
    """How tokens are masked.

    Attributes:
        mask: id of [MASK].
        ordinary: ids that may stand in for a token: all but the special ones.
        following: (vocabulary,) whether a piece goes on with the word before it; None: pieces are taken one by one.
    """

    mask: int
    ordinary: Ints
    following: npt.NDArray[np.bool_] | None = None

    @classmethod
    def of(cls, tokenizer: Any, whole_words: bool) -> Masking:
        """For a tokenizer whose pieces inside words begin with `##`.

        Raises:
            SourceError: it has special tokens only.
        """
        special = set(tokenizer.all_special_ids)
        ordinary = np.array([one for one in range(len(tokenizer)) if one not in special], np.int64)
        if not len(ordinary):
            raise SourceError(
                "the vocabulary has special tokens only, since the texts hold no word of a length that it takes: expected "
                "texts in words."
            )
        following = None
        if whole_words:
            pieces = tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))
            following = np.array([piece.startswith("##") for piece in pieces])
        return cls(int(tokenizer.mask_token_id), ordinary, following)

    def choose(self, ids: Ints, maskable: Ints, draw: np.random.Generator) -> Ints:
        """Sorted positions to predict: 15 % of those that are maskable, at least one.

        Args:
            ids: (seq,) token ids.
            maskable: positions of tokens that are no special ones, ascending.
        """
        wanted = max(1, round(len(maskable) * SHARE))
        if self.following is None:
            return np.sort(draw.choice(maskable, wanted, replace=False))
        begins = ~self.following[ids[maskable]]
        begins[0] = True
        begins[1:] |= np.diff(maskable) > 1  # [SEP] stands between
        word = np.cumsum(begins) - 1
        order = draw.permutation(word[-1] + 1)
        taken, room = [], wanted
        for one, size in zip(order.tolist(), np.bincount(word)[order].tolist(), strict=True):
            if size <= room:  # a word that does not fit is left out, as in Google's script
                taken.append(one)
                room -= size
        taken = taken or order[:1].tolist()
        return maskable[np.isin(word, taken)]

    def replace(self, ids: Ints, places: Ints, draw: np.random.Generator) -> Ints:
        """The ids with what stands at `places` masked, exchanged or left."""
        masked = ids.copy()
        kind = draw.random(len(places))
        masked[places[kind < 0.8]] = self.mask
        other = places[(kind >= 0.8) & (kind < 0.9)]
        masked[other] = draw.choice(self.ordinary, len(other))
        return masked
