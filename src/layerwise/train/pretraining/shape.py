"""What is pretrained: vocabulary, depth, width, lengths."""

from __future__ import annotations

from dataclasses import dataclass, replace

from transformers import BertConfig

from layerwise.errors import UsageError
from layerwise.train.vocabulary import check_size

VOCABULARY, BLOCKS, WIDTH, HEAD = 16_000, 6, 256, 64
"""What is usual here: pieces, blocks, width, and the width of a head."""


@dataclass(frozen=True)
class PretrainShape:
    """What is pretrained. None stands for the usual, or, where a trained model is the beginning, for what it has.

    Attributes:
        vocab_size: pieces of the vocabulary, special ones included; None: 16,000, or the vocabulary of the model.
        cased: whether capitals and accents are kept; None: they are not.
        layers: blocks; None: 6, or all of the model, of which a number takes the first.
        hidden, heads: width, attention heads; None: 256, and one for about each 64 of the width.
        max_length: tokens of a pair of sentences.
        batch_tokens: tokens of one step, over all devices.
        whole_words: mask whole words.
        dropout: in pretraining; 0 as in Geiping & Goldstein (2023), §4.3. The config that is saved says 0.1, or what the
            config of the trained model says.
    """

    vocab_size: int | None = None
    cased: bool | None = None
    layers: int | None = None
    hidden: int | None = None
    heads: int | None = None
    max_length: int = 128
    batch_tokens: int = 8_192
    whole_words: bool = False
    dropout: float = 0.0

    def filled(self, model: str | None = None) -> PretrainShape:
        """With numbers where nothing was given.

        Args:
            model: the trained model that is the beginning; what it decides stays None.

        Raises:
            UsageError: a number is out of its range, or is the model's to decide.
        """
        if model is None:
            hidden = WIDTH if self.hidden is None else self.hidden
            full = replace(
                self,
                vocab_size=VOCABULARY if self.vocab_size is None else self.vocab_size,
                cased=bool(self.cased),
                layers=BLOCKS if self.layers is None else self.layers,
                hidden=hidden,
                heads=_heads_for(hidden) if self.heads is None else self.heads,
            )
        else:
            full = self._on(model)
        full._check()
        return full

    def _on(self, model: str) -> PretrainShape:
        for name, value in (("hidden", self.hidden), ("heads", self.heads)):
            if value is not None:
                raise UsageError(
                    f"--{name} {value} was given, and the model {model!r} has its own: leave it out."
                )
        if self.vocab_size is None and self.cased is not None:
            raise UsageError(
                f"--{'cased' if self.cased else 'uncased'} was given, and the vocabulary is that of {model!r}: leave it "
                "out, or have a new vocabulary with --vocab-size."
            )
        return self if self.vocab_size is None else replace(self, cased=bool(self.cased))

    def _check(self) -> None:
        if self.vocab_size is not None:
            check_size(self.vocab_size)
        for name in ("layers", "hidden", "heads", "batch_tokens"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UsageError(f"{name.replace('_', ' ')} is {value}: expected at least 1.")
        if self.hidden is not None and self.heads is not None and self.hidden % self.heads:
            raise UsageError(
                f"the width {self.hidden} and {self.heads} heads were given: expected a width that the heads divide."
            )
        if not 16 <= self.max_length <= 512:
            raise UsageError(f"max-length is {self.max_length}: expected 16 to 512 tokens.")
        if self.batch_tokens < self.max_length:
            raise UsageError(
                f"batch-tokens is {self.batch_tokens}: expected at least one sequence, {self.max_length} tokens."
            )
        if not 0 <= self.dropout < 1:
            raise UsageError(f"the dropout is {self.dropout:g}: expected 0 or more, and less than 1.")

    def config(self, vocab_size: int, pad: int) -> BertConfig:
        """The model's config for a vocabulary.

        Weights begin with BERT's standard deviation of 0.02 at its width of 768, and as the root of the width goes at
        others: with 0.02 a narrow model attends to everything alike for thousands of steps.
        """
        assert self.hidden is not None and self.layers is not None and self.heads is not None
        return BertConfig(
            vocab_size=vocab_size,
            hidden_size=self.hidden,
            num_hidden_layers=self.layers,
            num_attention_heads=self.heads,
            intermediate_size=4 * self.hidden,
            max_position_embeddings=self.max_length,  # a longer one would read vectors that were never trained
            initializer_range=0.02 * (768 / self.hidden) ** 0.5,
            hidden_dropout_prob=self.dropout,
            attention_probs_dropout_prob=self.dropout,
            pad_token_id=pad,
        )


def _heads_for(hidden: int) -> int:
    """So many that a head is nearest to what is usual; they divide the width."""
    return min(
        (number for number in range(1, max(hidden, 1) + 1) if hidden % number == 0),
        key=lambda number: abs(hidden / number - HEAD),
        default=1,
    )
