"""Both losses of BERT and both accuracies, added up between two lines of the log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

NAMES = ("mlm_loss", "masked_accuracy", "nsp_loss", "nsp_accuracy")


class Losses:
    """The loss of a step: the mean over its masked tokens plus the mean over its pairs (Devlin et al. 2019, §A.2).

    Attributes:
        pairs: pairs in a step, over all devices.
    """

    def __init__(self, pairs: int) -> None:
        self.pairs = pairs
        self._sums = torch.zeros(6, dtype=torch.float64)

    def __call__(
        self, outputs: Mapping[str, Tensor], labels: Tensor, num_items_in_batch: Any = None
    ) -> Tensor:
        """The part of the step's loss that this batch has; `num_items_in_batch` masked tokens are in the step."""
        tokens = cross_entropy(outputs["prediction_logits"].float(), labels, reduction="sum")
        following = outputs["next_labels"]
        pairs = cross_entropy(outputs["seq_relationship_logits"].float(), following, reduction="sum")
        self._add(outputs, labels, tokens, pairs)
        items = num_items_in_batch if num_items_in_batch is not None else labels.numel()
        return tokens / items + pairs / self.pairs

    def _add(self, outputs: Mapping[str, Tensor], labels: Tensor, tokens: Tensor, pairs: Tensor) -> None:
        number = torch.float32 if tokens.device.type == "mps" else torch.float64  # MPS has no float64
        with torch.no_grad():
            right = (outputs["prediction_logits"].argmax(-1) == labels).sum()
            next_right = (outputs["seq_relationship_logits"].argmax(-1) == outputs["next_labels"]).sum()
            counts = torch.tensor([labels.numel(), len(outputs["next_labels"])], device=tokens.device)
            sums = torch.stack([tokens, right, counts[0], pairs, next_right, counts[1]]).to(number)
            self._sums = self._sums.to(sums) + sums  # no wait for the device before the log asks

    def drain(self, add_up: Any = lambda sums: sums) -> dict[str, float]:
        """Means since the last call; `add_up` sums over processes."""
        tokens, right, masked, pairs, next_right, number = add_up(self._sums.cpu()).tolist()
        self._sums = torch.zeros(6, dtype=torch.float64)
        if not masked or not number:
            return {}
        means = (tokens / masked, right / masked, pairs / number, next_right / number)
        return dict(zip(NAMES, means, strict=True))
