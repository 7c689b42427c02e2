"""BERT with both of its heads, on packed sequences: no padding, and logits of masked tokens only."""

from __future__ import annotations

from typing import Any

import torch
import transformers
from torch import Tensor

from layerwise.models.packed_attention import PACKED, PackedSequences, register


class BertForPreTraining(transformers.BertForPreTraining):  # type: ignore[no-untyped-call]
    """transformers' model of this name, which is what its config.json says, with a forward pass of its own.

    All sequences of a batch stand in one row, one after the other. The vocabulary's logits are computed at the masked
    tokens alone: in a small model they would cost more than all its blocks.
    """

    @classmethod
    def new(cls, config: Any) -> BertForPreTraining:
        """A model with random weights, normal with the standard deviation that its config says."""
        register()
        model: BertForPreTraining = cls._from_config(  # type: ignore[no-untyped-call]
            config, dtype=torch.float32, attn_implementation=PACKED
        )
        return model

    def forward(
        self,
        input_ids: Tensor,
        token_type_ids: Tensor,
        position_ids: Tensor,
        lengths: Tensor,
        places: Tensor,
        next_labels: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Logits of a packed batch.

        Args:
            input_ids, token_type_ids, position_ids: (1, total_tokens).
            lengths: (sequences,) tokens of each; they sum to total_tokens.
            places: (masked,) positions of the masked tokens in the row.
            next_labels: (sequences,) handed on: 1 where the second part of the pair is a random one.

        Returns:
            `prediction_logits` (masked, vocabulary), `seq_relationship_logits` (sequences, 2), `next_labels`.
        """
        packed = PackedSequences(tuple(lengths.tolist()), input_ids.device)
        hidden = self.bert(
            input_ids=input_ids,
            token_type_ids=token_type_ids,
            position_ids=position_ids,
            packed=packed,
        )[0][0]
        first = packed.boundaries[:-1].long()
        assert self.bert.pooler is not None
        pooled = self.bert.pooler(hidden[first].unsqueeze(1))
        found = {
            "prediction_logits": self.cls.predictions(hidden[places]),
            "seq_relationship_logits": self.cls.seq_relationship(pooled),
        }
        return found if next_labels is None else {**found, "next_labels": next_labels}
