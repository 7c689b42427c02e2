"""The engine: sequences of token ids in, every layer's hidden states out, packed or padded.

Both ways hand over the same thing: for each layer a flat (total_tokens, hidden_size) tensor of
the sequences' own tokens, one sequence after the other, no padding rows.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from layerwise.errors import ModelError, UsageError
from layerwise.models.anatomy import Anatomy, Consumer, reading
from layerwise.models.memory import within_memory
from layerwise.models.packed_attention import PACKED, PackedSequences, position_ids
from layerwise.types import Layer

Index = tuple[Any, ...]
"""Picks the real tokens out of a layer, (batch, seq, hidden_size): `hidden[index]` is (total_tokens, hidden_size)."""

ROUND_TO = 32
"""16-bit packed batches on the CPU are filled up to a multiple of this many tokens.

oneDNN compiles a product anew for every number of rows it has not seen: measured at 10 ms for
2,040 × 768 × 3,072 in bfloat16, twice the time of the product itself. Filling costs 1 % once every
size has been seen, and saves 15 % on the first 2,500 texts of the embedded model.
"""


@dataclass(frozen=True)
class TokenSequence:
    """One sequence as the model takes it, special tokens included.

    Attributes:
        input_ids: (seq,) int64, on the CPU.
        token_type_ids: (seq,) int64, on the CPU.
    """

    input_ids: Tensor
    token_type_ids: Tensor

    def __len__(self) -> int:
        return len(self.input_ids)


class Engine:
    """Runs one model and reads its layers.

    Attributes:
        model: a transformers encoder in evaluation mode.
        anatomy: where its layers are.
        attention: `"layerwise_packed"`, or `"sdpa"` or `"eager"` for padded batches.
        has_final: whether the encoder's output differs from block N's own (a final norm).
        takes_types: whether token types are fed to it.
        mixes_lengths: whether a padded batch may hold sequences of different lengths. It may not
            where padding is seen through the mask, as by MobileBERT's trigram input (Sun et al. 2020,
            §3), ConvBERT's convolutions and FNet's Fourier transform: then nothing is padded at all.
        lock: held while the model runs: hooks and attention belong to it, so there is one forward pass at a time.
    """

    def __init__(
        self,
        model: Any,
        anatomy: Anatomy,
        attention: str,
        mixes_lengths: bool = True,
        has_final: bool = False,
    ) -> None:
        self.model = model
        self.anatomy = anatomy
        self.has_final = has_final
        self.mixes_lengths = mixes_lengths
        self.vocab_size = len(model.get_input_embeddings().weight)
        self.pad_token_id = _token_id(getattr(model.config, "pad_token_id", None), self.vocab_size)
        self._segments = token_types(model)
        self.takes_types = self._segments > 0
        self._takes_positions = "position_ids" in inspect.signature(model.forward).parameters
        self.lock = threading.Lock()
        self.use(attention)

    def use(self, attention: str, mixes_lengths: bool | None = None) -> None:
        """Choose the attention implementation, and with it packed or padded batches."""
        self.attention = attention
        self.mixes_lengths = self.mixes_lengths if mixes_lengths is None else mixes_lengths
        self.model.set_attn_implementation(attention)

    def __getstate__(self) -> dict[str, Any]:
        """All but the lock: a copy has its own."""
        return {name: value for name, value in vars(self).items() if name != "lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, lock=threading.Lock())

    @property
    def hidden_size(self) -> int:
        """Size of each vector."""
        return int(self.model.config.hidden_size)

    @property
    def packed(self) -> bool:
        return self.attention == PACKED

    @property
    def device(self) -> torch.device:
        device: torch.device = self.model.device
        return device

    @property
    def dtype_name(self) -> str:
        """`"float32"`, `"bfloat16"` or `"float16"`: the precision the model is in."""
        return str(self.model.dtype).removeprefix("torch.")

    def run(self, batch: Sequence[TokenSequence], layers: Sequence[Layer], consume: Consumer) -> None:
        """Run one batch and hand each of `layers` to `consume` as soon as it exists.

        `consume(layer, hidden)` gets (total_tokens, hidden_size) in the order of `batch`; layers
        come in the order of the model. Blocks above the highest layer asked for are not run.

        Raises:
            ModelError: a token id is beyond the model's embeddings.
            DeviceMemoryError: the batch does not fit on the device.
        """
        self._refuse_unknown_tokens(batch)
        run = self._run if self.packed or self.mixes_lengths else self._run_by_length
        with within_memory(
            self.device, "lower --batch-tokens", f"a batch of {sum(map(len, batch)):,} tokens"
        ):
            run(batch, layers, consume)

    def _run_by_length(
        self, batch: Sequence[TokenSequence], layers: Sequence[Layer], consume: Consumer
    ) -> None:
        """Run the sequences of each length together, and put the layers back in the order of `batch`."""
        groups: dict[int, list[int]] = {}
        for number, sequence in enumerate(batch):
            groups.setdefault(len(sequence), []).append(number)
        found: dict[Layer, dict[int, Tensor]] = {}
        for length, members in groups.items():

            def keep(layer: Layer, hidden: Tensor) -> None:
                own = found.setdefault(layer, {})
                own.update(zip(members, hidden.view(len(members), length, -1), strict=True))  # noqa: B023 - used at once

            self._run([batch[number] for number in members], layers, keep)
        for layer, own in found.items():
            consume(layer, torch.cat([own[number] for number in range(len(batch))]))

    def _run(self, batch: Sequence[TokenSequence], layers: Sequence[Layer], consume: Consumer) -> None:
        wanted = set(layers)
        final = "final" in wanted
        number = self.anatomy.num_hidden_layers
        highest = number if final else max(layer for layer in wanted if isinstance(layer, int))
        real: Index = ()

        def take(layer: Layer, hidden: Tensor) -> None:
            if layer in wanted:
                consume(layer, hidden[real])

        watching = any(isinstance(layer, int) for layer in wanted)
        with (
            self.lock,
            torch.inference_mode(),
            reading(self.anatomy, highest, take) if watching else nullcontext(),
        ):
            inputs, real = self.packed_inputs(batch) if self.packed else self.padded_inputs(batch)
            output = self.model(**inputs)
            if final:
                take("final", output[0])

    def attention_weights(self, sequence: TokenSequence, blocks: Sequence[int]) -> Tensor:
        """Attention weights of `blocks` (1..N) for one sequence: (num_blocks, num_heads, seq, seq) float32.

        Fused kernels never make these weights, so the sequence runs alone, with eager attention.

        Raises:
            UsageError: the model gives no attention weights, or not one matrix over the sequence.
        """
        with self.lock, torch.inference_mode():
            attention = self.attention
            self.use("eager")
            try:
                inputs, _ = self.padded_inputs([sequence])
                output = self.model(**inputs, output_attentions=True)
            finally:
                self.use(attention)
        weights = getattr(output, "attentions", None) or ()
        size = len(sequence)
        square = all(weight.shape[-2:] == (size, size) for weight in weights)
        if len(weights) != self.anatomy.num_hidden_layers or not square:
            raise UsageError(
                f"{type(self.model).__name__} gives no attention weights of the form (heads, seq, seq) for each block."
            )
        return torch.stack([weights[block - 1][0].float().cpu() for block in blocks])

    def packed_inputs(self, batch: Sequence[TokenSequence]) -> tuple[dict[str, Any], Index]:
        """The model's keyword arguments for one packed batch, and where its tokens are in a layer."""
        total = sum(len(sequence) for sequence in batch)
        batch = [*batch, *self._filling(total)]
        ids = [sequence.input_ids for sequence in batch]
        positions = position_ids(ids, self.anatomy.position_padding_idx)
        inputs = self._inputs(
            torch.cat(ids).unsqueeze(0),
            torch.cat([sequence.token_type_ids for sequence in batch]).unsqueeze(0),
        )
        if self._takes_positions:
            inputs["position_ids"] = self._to_device(positions.unsqueeze(0))
        inputs["packed"] = PackedSequences(tuple(len(sequence) for sequence in batch), self.device)
        return inputs, (0, slice(total))

    def _filling(self, total: int) -> list[TokenSequence]:
        """Sequences of padding that nobody reads, to round a batch up; see `ROUND_TO`."""
        missing = -total % ROUND_TO
        if not missing or self.device.type != "cpu" or self.model.dtype == torch.float32:
            return []
        ids = torch.full((missing,), self.pad_token_id)
        longest = self.anatomy.max_positions or missing
        parts = [ids[first : first + longest] for first in range(0, missing, longest)]
        return [TokenSequence(part, torch.zeros_like(part)) for part in parts]

    def padded_inputs(self, batch: Sequence[TokenSequence]) -> tuple[dict[str, Any], Index]:
        """The model's keyword arguments for one padded batch, and where its tokens are in a layer."""
        lengths = torch.tensor([len(sequence) for sequence in batch])
        longest = int(lengths.max())
        ids = torch.full((len(batch), longest), self.pad_token_id)
        types = torch.zeros_like(ids)
        for row, sequence in enumerate(batch):  # always padded on the right
            ids[row, : len(sequence)] = sequence.input_ids
            types[row, : len(sequence)] = sequence.token_type_ids
        mask = torch.arange(longest) < lengths[:, None]
        inputs = self._inputs(ids, types)
        inputs["attention_mask"] = self._to_device(mask.long())
        rows, columns = mask.nonzero(as_tuple=True)
        return inputs, (self._to_device(rows), self._to_device(columns))

    def _inputs(self, ids: Tensor, types: Tensor) -> dict[str, Any]:
        inputs = {"input_ids": self._to_device(ids)}
        if self.takes_types:
            inputs["token_type_ids"] = self._to_device(types.clamp(max=self._segments - 1))
        return inputs

    def _refuse_unknown_tokens(self, batch: Sequence[TokenSequence]) -> None:
        """On CUDA such an index would end the whole process's use of the device."""
        highest = max((int(sequence.input_ids.max()) for sequence in batch if len(sequence)), default=0)
        if highest >= self.vocab_size:
            raise ModelError(
                f"the tokenizer gives the token {highest} and {type(self.model).__name__} has {self.vocab_size:,} "
                "embeddings: tokenizer and weights do not belong together; take both from one source."
            )

    def _to_device(self, tensor: Tensor) -> Tensor:
        if self.device.type == "cuda":
            return tensor.pin_memory().to(self.device, non_blocking=True)
        return tensor.to(self.device)


def token_types(model: Any) -> int:
    """How many token types (0 in a text, 1 in its pair) a model knows; 0: none are fed to it.

    Without a segment table token types mean something else: TAPAS has seven kinds of them, and XLM would look them up
    among its words. There the model's own default is right.
    """
    accepted = inspect.signature(model.forward).parameters
    return getattr(model.config, "type_vocab_size", 0) or 0 if "token_type_ids" in accepted else 0


def _token_id(given: Any, vocab_size: int) -> int:
    """A token id from a config, 0 where it is none (some configs say -1, or a token they lack)."""
    return given if isinstance(given, int) and 0 <= given < vocab_size else 0
