"""What is pretrained: vocabulary, depth, width, lengths."""

from __future__ import annotations

from dataclasses import dataclass

from transformers import BertConfig

from layerwise.errors import UsageError


@dataclass(frozen=True)
class Shape:
    """What is pretrained.

    Attributes:
        vocab_size: pieces of the vocabulary, special ones included.
        cased: whether capitals and accents are kept.
        layers, hidden, heads: blocks, width, attention heads (None: one for each 64 of the width).
        max_length: tokens of a pair of sentences.
        batch_tokens: tokens of one step, over all devices.
        whole_words: mask whole words.
        dropout: in pretraining; 0 as in Geiping & Goldstein (2023), §4.3. The config that is saved says 0.1.
    """

    vocab_size: int = 16_000
    cased: bool = False
    layers: int = 6
    hidden: int = 256
    heads: int | None = None
    max_length: int = 128
    batch_tokens: int = 8_192
    whole_words: bool = False
    dropout: float = 0.0

    @property
    def num_heads(self) -> int:
        return self.heads if self.heads is not None else max(1, self.hidden // 64)

    def check(self) -> None:
        """Refuse what cannot be.

        Raises:
            UsageError: a number is out of its range.
        """
        for name in ("layers", "hidden", "num_heads", "batch_tokens"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name.replace('_', ' ')} is {getattr(self, name)}: expected at least 1.")
        if self.hidden % self.num_heads:
            raise UsageError(
                f"the width {self.hidden} and {self.num_heads} heads were given: expected a width that the heads divide."
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
        return BertConfig(
            vocab_size=vocab_size,
            hidden_size=self.hidden,
            num_hidden_layers=self.layers,
            num_attention_heads=self.num_heads,
            intermediate_size=4 * self.hidden,
            max_position_embeddings=self.max_length,  # a longer one would read vectors that were never trained
            initializer_range=0.02 * (768 / self.hidden) ** 0.5,
            hidden_dropout_prob=self.dropout,
            attention_probs_dropout_prob=self.dropout,
            pad_token_id=pad,
        )
