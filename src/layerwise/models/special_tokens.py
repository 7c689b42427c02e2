"""Where a tokenizer puts its special tokens, learnt from the tokenizer itself.

Every tokenizer has its own post-processor; instead of knowing them all, two probes are encoded
with and without special tokens, and what the second lacks is the template.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from tokenizers import Encoding, Tokenizer

from layerwise.errors import ModelError

Ids = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Template:
    """Special tokens around one text, or around and between two.

    Attributes:
        before, between, after: ids of the special tokens in front of the first text, between the
            texts (empty for one text), behind the last.
        before_types, between_types, after_types: their token types.
        text_types: the token type of each text.
    """

    before: Ids
    between: Ids
    after: Ids
    before_types: Ids
    between_types: Ids
    after_types: Ids
    text_types: tuple[int, ...]

    def __len__(self) -> int:
        """Number of special tokens."""
        return len(self.before) + len(self.between) + len(self.after)

    def without_types(self) -> Template:
        """The same with all token types 0."""
        return replace(
            self,
            before_types=self.before_types * 0,
            between_types=self.between_types * 0,
            after_types=self.after_types * 0,
            text_types=(0,) * len(self.text_types),
        )

    def wrap(self, *bodies: Ids) -> tuple[Ids, Ids]:
        """input_ids and token_type_ids of one sequence."""
        types = [np.full(len(body), kind) for body, kind in zip(bodies, self.text_types, strict=True)]
        middle = [bodies[0], *((self.between, bodies[1]) if len(bodies) == 2 else ())]
        middle_types = [types[0], *((self.between_types, types[1]) if len(bodies) == 2 else ())]
        ids = np.concatenate([self.before, *middle, self.after]).astype(np.int64)
        kinds = np.concatenate([self.before_types, *middle_types, self.after_types]).astype(np.int64)
        return ids, kinds

    def offset(self, member: int, first_length: int = 0) -> int:
        """Position at which text `member` (0 or 1) starts, the first having `first_length` tokens."""
        return len(self.before) + (first_length + len(self.between) if member else 0)


def learn_templates(backend: Tokenizer) -> tuple[Template, Template]:
    """The templates for one text and for a pair.

    Raises:
        ModelError: the tokenizer puts special tokens inside a text, or cannot encode a plain letter.
    """
    try:
        single, pair = backend.encode("a"), backend.encode("a", "b")
    except Exception as error:  # tokenizers raises no class of its own
        raise ModelError(
            f"the tokenizer cannot encode a plain letter ({error}): it needs a token for what it does not know."
        ) from error
    return _template(single, 1), _template(pair, 2)


def _template(encoding: Encoding, members: int) -> Template:
    owner = np.array([-1 if index is None else index for index in encoding.sequence_ids])
    ids, types = np.array(encoding.ids, np.int64), np.array(encoding.type_ids, np.int64)
    places = [np.flatnonzero(owner == member) for member in range(members)]
    if any(len(place) == 0 or place[-1] - place[0] + 1 != len(place) for place in places):
        raise ModelError("the tokenizer does not keep a text in one piece between its special tokens.")
    first, last = int(places[0][0]), int(places[-1][-1]) + 1
    gap = slice(int(places[0][-1]) + 1, int(places[-1][0])) if members == 2 else slice(0, 0)
    return Template(
        ids[:first],
        ids[gap],
        ids[last:],
        types[:first],
        types[gap],
        types[last:],
        tuple(int(types[place[0]]) for place in places),
    )
