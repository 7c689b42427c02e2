"""What is asked of the encoder, read and checked once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from layerwise.errors import UsageError, choose
from layerwise.types import LONG_TEXT, MIXES, PAIRS, POOLINGS, UNITS, WORDS, LayerSelection, column_name


@dataclass(frozen=True)
class Request:
    """One way to turn texts into rows.

    Attributes:
        layers: which layers, resolved against the model.
        unit, words, pooling, mix: see `layerwise.types` and the documentation of each.
        mix_weights: for `mix="scalar"`, one learned weight a layer and gamma, before the softmax.
        max_length: most tokens of one window, special tokens included.
        stride: tokens by which windows overlap, or None for the default.
        long_text: `"window"`, `"truncate"` or `"error"`.
        pairs: `"joint"`, one sequence of both texts, or `"separate"`, each text on its own.
    """

    layers: LayerSelection
    unit: str
    words: str
    pooling: str
    mix: str
    mix_weights: tuple[tuple[float, ...], float] | None
    max_length: int
    stride: int | None
    long_text: str
    pairs: str = "joint"

    @classmethod
    def build(
        cls,
        layers: LayerSelection,
        unit: str = "token",
        words: str = "tokenizer",
        pooling: str | None = None,
        mix: str = "none",
        mix_weights: tuple[Sequence[float], float] | None = None,
        max_length: int = 512,
        stride: int | None = None,
        long_text: str = "window",
        pairs: str = "joint",
    ) -> Request:
        """Check every choice; `pooling` defaults to `mean` (`none` for tokens).

        Raises:
            UsageError: an unknown name, or a combination without meaning.
        """
        choose("unit", unit, UNITS)
        choose("words", words, WORDS)
        choose("mix", mix, MIXES)
        choose("long-text", long_text, LONG_TEXT)
        choose("pairs", pairs, PAIRS)
        pooling = choose(f"pooling of {unit} units", pooling or POOLINGS[unit][0], POOLINGS[unit])
        if (mix == "scalar") != (mix_weights is not None):
            raise UsageError(
                "the mix 'scalar' needs learned weights (one a layer, and gamma), and only it takes them: "
                "give both or neither."
            )
        weights = None
        if mix_weights is not None:
            weights = (tuple(float(weight) for weight in mix_weights[0]), float(mix_weights[1]))
            if not all(map(math.isfinite, (*weights[0], weights[1]))):
                raise UsageError(
                    f"the mix weights are {weights[0]}, gamma {weights[1]}: expected finite numbers."
                )
            if len(weights[0]) != len(layers.layers):
                raise UsageError(
                    f"{len(weights[0])} mix weights were given for {len(layers.layers)} layers: give one a layer."
                )
        return cls(layers, unit, words, pooling, mix, weights, max_length, stride, long_text, pairs)

    @property
    def rows_of_both(self) -> bool:
        """Whether each text of a pair has rows of its own; else (at text level, joint) they share one."""
        return self.unit != "text" or self.pairs == "separate"

    def columns(self, hidden_size: int) -> dict[str, int]:
        """Store columns and the size of their vectors."""
        if self.mix == "none":
            return dict.fromkeys(self.layers.columns, hidden_size)
        size = hidden_size * (len(self.layers.layers) if self.mix == "concat" else 1)
        return {column_name("mix"): size}

    def describe(self) -> dict[str, Any]:
        """As the store's metadata records it (everything that changes the rows).

        `pairs` is there only if it is not `"joint"`: stores of before there was a choice have no such key.
        """
        return {
            "layers": list(self.layers.layers),
            "unit": self.unit,
            "words": self.words,
            "pooling": self.pooling,
            "mix": self.mix,
            "mix_weights": None
            if self.mix_weights is None
            else {"weights": list(self.mix_weights[0]), "gamma": self.mix_weights[1]},
            "max_length": self.max_length,
            "stride": self.stride,
            "long_text": self.long_text,
            **({"pairs": self.pairs} if self.pairs != "joint" else {}),
        }
