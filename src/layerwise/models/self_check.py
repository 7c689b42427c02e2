"""The self-check at load time: is what the engine reads what transformers computes?

Some architectures ignore a registered attention function without a word, and then a packed batch
is silently wrong. So no model is trusted: a short probe of random tokens is run one sequence at a
time through transformers' eager attention with `output_hidden_states=True`, and every layer of
the engine must agree with it, padded and packed. What does not agree is not used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from layerwise.errors import ModelError, NumericError
from layerwise.models.anatomy import Anatomy, dissect, reading
from layerwise.models.engine import Engine, TokenSequence
from layerwise.models.packed_attention import PACKED, register
from layerwise.types import Layer

TOLERANCE = 2e-5
"""Worst allowed difference, relative to the layer's largest value (at least 1), in float32."""

PACKED_TO_PADDED = 30.0
"""How much larger packing's difference may be than that of padding, if it is no rounding (1e-6).

One dimension of thousands, as real models have them, would hide tokens that look at other texts
behind a tolerance relative to it; but padding is as exact as ever.
"""

EQUAL_LENGTHS = ", equal lengths"

CONFIRMED_COSINE = 0.99
"""Least cosine of packed to padded in the precision of the run; leaking attention is far below."""


@dataclass(frozen=True)
class SelfCheck:
    """What the check found.

    Attributes:
        attention: the implementation chosen, `"layerwise_packed"`, `"sdpa"` or `"eager"`; with
            `", equal lengths"` behind it where batches are not even padded.
        errors: worst relative difference by implementation tried, None where it did not run.
        reason: why the model does not run packed; empty if it does.
    """

    attention: str
    errors: dict[str, float | None]
    reason: str = ""

    @property
    def packed(self) -> bool:
        return self.attention == PACKED

    def passed(self, attention: str) -> bool:
        """Whether this implementation was tried and agrees with transformers."""
        return _agrees(self.errors, attention)

    @property
    def padded(self) -> str | None:
        """The fastest padded way that agrees with transformers; None if none was tried."""
        return next((name for name in self.errors if name != PACKED and self.passed(name)), None)

    @property
    def error(self) -> float:
        """Worst relative difference to transformers, over all layers, of the way chosen."""
        error = self.errors[self.attention]
        assert error is not None
        return error

    @property
    def note(self) -> str:
        """One sentence for people if the model does not run packed; else empty."""
        if not self.reason:
            return ""
        if self.attention.endswith(EQUAL_LENGTHS):
            return f"the model runs texts of one length at a time, since it looks at padding: {self.reason}."
        return f"the model runs padded: {self.reason}."


def build_engine(model: Any, mode: str = "auto") -> tuple[Engine, SelfCheck]:
    """Make the fastest engine for a float32 `model` that passes the self-check.

    `mode` is `"auto"`, or `"padded"` to leave packing out.

    Raises:
        ModelError: the hidden states of this model cannot be read, or are NaN.
    """
    register()
    anatomy = dissect(model, model.config)
    if getattr(model, "attention_type", "") == "block_sparse":
        # BigBird does this itself, for good, at the first text that is too short for its blocks.
        model.set_attention_type("original_full")
    model.set_attn_implementation("eager")
    try:
        probe = _probe(model, anatomy)
        expected, has_final = _reference(model, anatomy, probe)
    except ModelError:
        raise
    except Exception as error:  # foreign code, and an input it may not foresee
        raise ModelError(
            f"{type(model).__name__} cannot be used: it does not run on plain token ids "
            f"({' '.join(str(error).split())[:200] or type(error).__name__}); layerwise takes BERT-like encoders."
        ) from error
    errors: dict[str, float | None] = {}
    for attention in _candidates(model, mode):
        engine = Engine(model, anatomy, *way(attention), has_final)
        errors[attention] = _worst(engine, probe, expected)
        if attention != PACKED and _agrees(errors, attention):  # what comes after is slower
            break
    if passed := [attention for attention in errors if _agrees(errors, attention)]:
        return Engine(model, anatomy, *way(passed[0]), has_final), SelfCheck(
            passed[0], errors, _reason(mode, errors)
        )
    tried = (
        f"{'it does not run' if worst is None else f'{worst:.1e}'} ({name})" for name, worst in errors.items()
    )
    raise ModelError(
        f"the layers of {type(model).__name__} cannot be read reliably: they differ from transformers' own "
        f"hidden states by {', '.join(tried)}; please report the architecture."
    )


def confirm(engine: Engine, check: SelfCheck) -> SelfCheck:
    """Check again where the model now is, in the precision it now has.

    On CUDA in 16 bits packed attention is another kernel than the one checked in float32. Packed
    and padded must give nearly the same direction for every token at every layer; otherwise the
    engine is switched to the padded way that agreed with transformers in float32.

    Raises:
        ModelError: it does not run there.
        NumericError: its values do not fit into this precision.
    """
    fallback = check.padded
    if fallback is None:
        return check
    probe = _probe(engine.model, engine.anatomy)
    layers: list[Layer] = [*range(engine.anatomy.num_hidden_layers + 1)]
    packed = _read(engine, probe, layers) if engine.packed else None
    engine.use(*way(fallback))
    padded = _read(engine, probe, layers)
    if padded is None:
        raise ModelError(
            f"{type(engine.model).__name__} does not run on {engine.device.type} in {engine.dtype_name}."
        )
    if broken := [layer for layer in layers if not bool(padded[layer].isfinite().all())]:
        raise NumericError(
            f"layer {broken[0]} of {type(engine.model).__name__} is NaN or infinite in {engine.dtype_name}, in float32 "
            "it is not: run it with --dtype float32 (dtype='float32')."
        )
    if not check.packed:
        return check
    cosine = None
    if packed is not None:
        cosine = float(torch.tensor([_cosine(packed[layer], padded[layer]) for layer in layers]).min())
    if cosine is not None and cosine >= CONFIRMED_COSINE:
        engine.use(PACKED)
        return check
    where = f"on {engine.device.type} in {engine.dtype_name}"
    found = "it cannot run packed" if cosine is None else f"packed, its cosine to padded is {cosine:.3f}"
    return SelfCheck(fallback, {**check.errors, PACKED: None}, f"{where} {found}")


def needed_weights(engine: Engine, names: Sequence[str]) -> list[str]:
    """Those of `names` that a layer depends on: with NaN in their place, a layer is NaN."""
    weights = dict(engine.model.named_parameters())
    known = [name for name in names if name in weights]
    attention = engine.attention
    engine.use("eager")  # fused kernels take scores that are NaN for masked ones
    try:
        if not _spoils(engine, [weights[name] for name in known]):
            return []
        return [name for name in known if _spoils(engine, [weights[name]])]
    finally:
        engine.use(attention)


def _spoils(engine: Engine, weights: Sequence[Tensor]) -> bool:
    """Whether some layer is no longer finite when these weights are NaN; they are put back after."""
    kept = [weight.detach().clone() for weight in weights]
    layers: list[Layer] = [*range(engine.anatomy.num_hidden_layers + 1)]
    if engine.has_final:
        layers.append("final")
    with torch.no_grad():
        for weight in weights:
            weight.fill_(torch.nan)
        found = _read(engine, _probe(engine.model, engine.anatomy), layers) if weights else {}
        for weight, before in zip(weights, kept, strict=True):
            weight.copy_(before)
    return found is None or not all(bool(layer.isfinite().all()) for layer in found.values())


def _cosine(found: Tensor, expected: Tensor) -> float:
    return float(cosine_similarity(found.float(), expected.float(), dim=-1).min())


def _candidates(model: Any, mode: str) -> list[str]:
    # `_can_set_attn_implementation` sees models that use the interface but do not declare it (LayoutLM, Splinter).
    supported = type(model).is_backend_compatible() or type(model)._can_set_attn_implementation()
    packed = mode == "auto" and supported
    padded = [*(["sdpa"] if getattr(model, "_supports_sdpa", False) else []), "eager"]
    return [*([PACKED] if packed else []), *padded, *(attention + EQUAL_LENGTHS for attention in padded)]


def way(attention: str) -> tuple[str, bool]:
    """Of a candidate, the implementation, and whether lengths may be mixed in a batch."""
    return attention.removesuffix(EQUAL_LENGTHS), not attention.endswith(EQUAL_LENGTHS)


def _reason(mode: str, errors: dict[str, float | None]) -> str:
    """Why the model does not run packed; empty if it does."""
    if mode == "padded":
        return "asked for"
    if PACKED not in errors:
        return "it does not use transformers' attention interface"
    error = errors[PACKED]
    if error is None:
        return "it cannot run packed"
    return "" if _agrees(errors, PACKED) else f"packed, it differs by {error:.1e}"


def _agrees(errors: Mapping[str, float | None], attention: str) -> bool:
    """Whether a way that was tried is transformers' result, up to rounding."""
    error = errors.get(attention)
    if error is None or not error <= TOLERANCE:
        return False
    padded = [one for name, one in errors.items() if name != PACKED and one is not None and one <= TOLERANCE]
    return attention != PACKED or not padded or error <= max(1e-6, PACKED_TO_PADDED * min(padded))


def _probe(model: Any, anatomy: Anatomy) -> list[TokenSequence]:
    """Random tokens of several lengths, one longer than a local attention window, with a mask token."""
    config = model.config
    generator = torch.Generator().manual_seed(0)
    limit = anatomy.max_positions or 64
    window = getattr(config, "sliding_window", None) or 0
    lengths = [min(length, limit) for length in (7, 5, 7, max(12, 2 * window + 9))]
    sequences = []
    for length in lengths:
        low = min(10, config.vocab_size // 2)  # keep clear of padding and special ids
        ids = torch.randint(low, config.vocab_size, (length,), generator=generator)
        sequences.append(TokenSequence(ids, torch.zeros_like(ids)))
    mask = getattr(config, "mask_token_id", None)
    if (
        mask is not None and mask < config.vocab_size and lengths[1] > 2
    ):  # ESM rescales a whole row by its share of mask tokens
        sequences[1].input_ids[2] = mask
    return sequences


def _reference(model: Any, anatomy: Anatomy, probe: list[TokenSequence]) -> tuple[dict[Layer, Tensor], bool]:
    """Every layer by transformers itself, one sequence at a time; whether there is a final norm."""
    states: list[list[Tensor]] = []
    last_block: list[Tensor] = []
    number = anatomy.num_hidden_layers
    engine = Engine(model, anatomy, "eager")
    for sequence in probe:

        def keep(layer: Layer, hidden: Tensor) -> None:
            if layer == number:
                last_block.append(hidden[0, : len(sequence)])  # noqa: B023 - used at once

        inputs, _ = engine.padded_inputs([sequence])
        with torch.inference_mode(), reading(anatomy, number, keep):
            output = model(**inputs, output_hidden_states=True)
        hidden = output.hidden_states
        stride = (len(hidden) - 1) // number  # ALBERT with inner groups reports inner layers as well
        states.append([state[0, : len(sequence)] for state in hidden[::stride]])
    layers: dict[Layer, Tensor] = {k: torch.cat([state[k] for state in states]) for k in range(number + 1)}
    if not all(bool(layer.isfinite().all()) for layer in layers.values()):
        broken = next(k for k, layer in layers.items() if not bool(layer.isfinite().all()))
        raise ModelError(
            f"layer {broken} of this model is NaN or infinite on a plain probe: its weights are damaged."
        )
    own = torch.cat(last_block)
    has_final = _difference(own, layers[number]) > TOLERANCE
    if has_final:  # transformers ties its last hidden state to the output after the final norm
        layers["final"], layers[number] = layers[number], own
    return layers, has_final


def _worst(engine: Engine, probe: list[TokenSequence], expected: dict[Layer, Tensor]) -> float | None:
    found = _read(engine, probe, list(expected))
    if found is None:
        return None
    # As a tensor: Python's max passes over NaN.
    return float(torch.tensor([_difference(found[layer], expected[layer]) for layer in expected]).max())


def _read(engine: Engine, probe: list[TokenSequence], layers: list[Layer]) -> dict[Layer, Tensor] | None:
    """Every layer of the probe, or None if the model cannot run this way."""
    found: dict[Layer, Tensor] = {}
    try:
        engine.run(probe, layers, lambda layer, hidden: found.update({layer: hidden.clone()}))
    except (RuntimeError, TypeError, ValueError, KeyError, IndexError, AttributeError):
        # Foreign code given an input it does not foresee may fail in any of these ways.
        return None
    return found if found.keys() == set(layers) else None


def _difference(found: Tensor, expected: Tensor) -> float:
    if found.shape != expected.shape:
        return float("inf")
    return float((found - expected).abs().max() / expected.abs().max().clamp(min=1))
