"""A head of layerwise's own: a linear layer on one layer of an encoder, or on a learned mix of several.

The mix is the one of ELMo (Peters et al. 2018, §3.2): softmax weights, one a layer, times gamma. transformers'
own heads read the last layer only, and the [CLS] token in families that have one; this one reads the mean over
the tokens of a text, the first token of each word, or all tokens.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import skip_init

from layerwise.models.layer_reader import LayerReader
from layerwise.models.padding import mask_padded_logits
from layerwise.types import Layer


class LayeredHead(nn.Module):
    """States of some layers to logits.

    Attributes:
        mix: (layers,) weights before the softmax; None where there is one layer.
        gamma: the scale of the mix.
        linear: to the outputs; None: the mixed states are the output.
    """

    def __init__(
        self, layers: int, hidden_size: int, outputs: int | None, dropout: float, drawn: bool = True
    ) -> None:
        super().__init__()
        self.mix = nn.Parameter(torch.zeros(layers, dtype=torch.float32)) if layers > 1 else None
        self.gamma = nn.Parameter(torch.ones((), dtype=torch.float32)) if layers > 1 else None
        self.dropout = nn.Dropout(dropout if outputs else 0.0)
        self.linear: nn.Linear | None = None
        if outputs is not None:
            self.linear = skip_init(nn.Linear, hidden_size, outputs, dtype=torch.float32)  # type: ignore[no-untyped-call]
        if self.linear is not None and drawn:
            nn.init.normal_(self.linear.weight, std=0.02)  # Devlin et al. 2019, as every head of BERT
            nn.init.zeros_(self.linear.bias)

    @property
    def shares(self) -> list[float]:
        """The share of each layer in the mix; they sum to 1."""
        return [1.0] if self.mix is None else self.mix.detach().float().softmax(0).tolist()

    @property
    def mixing(self) -> list[nn.Parameter]:
        """The numbers of the mix."""
        return [one for one in (self.mix, self.gamma) if one is not None]

    def forward(self, states: Tensor) -> Tensor:
        """(…, layers, hidden_size) to (…, outputs)."""
        if self.mix is None or self.gamma is None:
            mixed = states[..., 0, :]
        else:
            mixed = self.gamma * torch.einsum("l,...lh->...h", self.mix.softmax(0), states)
        return mixed if self.linear is None else self.linear(self.dropout(mixed))


def _dropout(config: Any) -> float:
    """What transformers' own heads take."""
    for name in ("classifier_dropout", "hidden_dropout_prob", "dropout"):
        value = getattr(config, name, None)
        if isinstance(value, int | float):
            return float(value)
    return 0.1


class LayeredModel(nn.Module):
    """An encoder and a `LayeredHead` on it.

    Attributes:
        encoder: of transformers.
        layers: the layers that are read: numbers, or `"final"`.
        pooled: whether a text gets one vector, the mean over the tokens marked; else each token has its own.
        frozen: whether the encoder stays as it is: it then runs without dropout and without gradients.
        reader: runs the encoder and reads those layers.
    """

    def __init__(
        self,
        encoder: Any,
        layers: tuple[Layer, ...],
        outputs: int | None,
        *,
        pooled: bool,
        frozen: bool = False,
        drawn: bool = True,
    ) -> None:
        """Put a head on an encoder; without `drawn` its weights are yet to be read."""
        super().__init__()
        self.encoder = encoder
        self.config = encoder.config
        self.pooled = pooled
        self.frozen = frozen
        dropout = _dropout(encoder.config)
        self.head = LayeredHead(len(layers), encoder.config.hidden_size, outputs, dropout, drawn)
        self.refit(layers)
        encoder.requires_grad_(not frozen)

    def refit(self, layers: tuple[Layer, ...]) -> None:
        """Look at the encoder anew, which may have fewer blocks now, and read these layers of it."""
        self.layers = layers
        self.reader = LayerReader(self.encoder, layers, self.pooled)

    def train(self, mode: bool = True) -> LayeredModel:
        """As in torch; a frozen encoder stays in evaluation mode."""
        super().train(mode)
        if self.frozen:
            self.encoder.eval()
        return self

    def states(self, inputs: Mapping[str, Tensor], pool_mask: Tensor | None = None) -> Tensor:
        """(batch, seq, layers, hidden_size); where texts are pooled (batch, layers, hidden_size).

        Args:
            inputs: as transformers takes them.
            pool_mask: (batch, seq) 1 at the tokens that are pooled.
        """
        with torch.no_grad() if self.frozen else contextlib.nullcontext():
            return self.reader(inputs, pool_mask)

    def forward(
        self, pool_mask: Tensor | None = None, num_items_in_batch: Any = None, **inputs: Tensor
    ) -> dict[str, Tensor]:
        """`logits`: (batch, outputs), or (batch, seq, outputs) where each token has its own.

        Args:
            num_items_in_batch: what the trainer hands every model; the loss is not computed here.
        """
        logits = self.head(self.states(inputs, pool_mask))
        return {"logits": logits if self.pooled else mask_padded_logits(logits, inputs["attention_mask"])}


class HeadOnStates(nn.Module):
    """The head of a model whose encoder is frozen, over states that were computed once."""

    def __init__(self, model: LayeredModel) -> None:
        super().__init__()
        self.head = model.head
        self._pairs = isinstance(model, PairModel)

    def forward(self, states: Tensor, places: Tensor | None = None) -> dict[str, Tensor]:
        """`logits` of `states`, as `LayeredModel.states` gives them.

        Args:
            places: (batch, places) 1 where there is a state, where a text has several.
        """
        logits = cosines(self.head(states)) if self._pairs else self.head(states)
        return {"logits": logits if places is None else mask_padded_logits(logits, places)}


def cosines(vectors: Tensor) -> Tensor:
    """(2 · pairs, size) to (pairs,): the first texts of all pairs come before the second ones."""
    first, second = vectors.float().chunk(2)
    return nn.functional.cosine_similarity(first, second)


class PairModel(LayeredModel):
    """Two texts encoded apart, and the cosine of their vectors (Reimers & Gurevych 2019, §3).

    A batch holds the first texts of all pairs, then the second ones.
    """

    def forward(
        self, pool_mask: Tensor | None = None, num_items_in_batch: Any = None, **inputs: Tensor
    ) -> dict[str, Tensor]:
        """`logits`: (pairs,) cosines."""
        return {"logits": cosines(self.head(self.states(inputs, pool_mask)))}
