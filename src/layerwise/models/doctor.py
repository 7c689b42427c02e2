"""The doctor's list: what is odd about a model, before it costs somebody a week."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import torch

from layerwise.errors import ModelError
from layerwise.models.engine import Engine, TokenSequence
from layerwise.models.load import LoadedModel, load
from layerwise.models.locate import ModelFiles, locate
from layerwise.models.self_check import SelfCheck, build_engine
from layerwise.models.stored_dtype import stored_dtypes


@dataclass(frozen=True, slots=True)
class Finding:
    """One oddity.

    Attributes:
        severity: `"note"` (handled, good to know) or `"problem"` (vectors are or may be wrong).
        text: one sentence.
    """

    severity: str
    text: str


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Everything `layerwise models MODEL` prints.

    Attributes:
        files: where the model is.
        loaded: the model.
        engine, self_check: how it runs; None if its layers cannot be read.
        findings: what is odd, worst first; empty for a model without oddities.
    """

    files: ModelFiles
    loaded: LoadedModel
    engine: Engine | None
    self_check: SelfCheck | None
    findings: tuple[Finding, ...]


def examine(name: str, revision: str | None = None, allow_pickle: bool = False) -> Diagnosis:
    """Load a model and list what is odd about it.

    Raises:
        ModelError: it cannot even be loaded.
    """
    files = locate(name, revision, allow_pickle)
    loaded = load(files)
    sparse = getattr(loaded.model, "attention_type", "") == "block_sparse"  # before the self-check changes it
    found = [*_weights(loaded, files), *_tokenizer(loaded), *_sentence_transformers(files)]
    engine, check = None, None
    try:
        engine, check = build_engine(loaded.model)
    except ModelError as error:
        found.append(Finding("problem", str(error)))
    else:
        if check.note:
            found.append(Finding("note", check.note))
        found += [*_attention(engine, sparse), *_length(engine, loaded)]
    found.sort(key=lambda finding: finding.severity != "problem")
    return Diagnosis(files, loaded, engine, check, tuple(found))


def _weights(loaded: LoadedModel, files: ModelFiles) -> list[Finding]:
    found = []
    pooler = [name for name in loaded.missing if "pooler" in name]
    missing = [name for name in loaded.missing if "pooler" not in name]
    if missing:
        found.append(
            Finding(
                "problem",
                f"{len(missing)} weights are not in the files and are random now: {_some(missing)}.",
            )
        )
    if pooler:
        found.append(
            Finding(
                "note",
                "the pooler is not in the files: pooler_output would be random (layerwise never uses it).",
            )
        )
    if inside := loaded.unused_in_blocks:
        found.append(
            Finding("problem", f"{len(inside)} weights of its blocks are not used: {_some(inside)}.")
        )
    if beyond := loaded.unused_blocks:
        found.append(
            Finding(
                "problem",
                f"the files hold blocks that config.json does not have: {_some(beyond)}; they are not run.",
            )
        )
    if unused := [name for name in loaded.unused if name not in {*inside, *beyond}]:
        found.append(
            Finding("note", f"{len(unused)} weights in the files belong to no layer: {_some(unused)}.")
        )
    broken = [name for name, weight in loaded.model.named_parameters() if not bool(weight.isfinite().all())]
    if broken:
        severity = "note" if all("pooler" in name for name in broken) else "problem"
        found.append(Finding(severity, f"{len(broken)} weights hold NaN or infinity: {_some(broken)}."))
    if files.pickled:
        found.append(Finding("note", "the weights are pickled; convert them to safetensors."))
    stored = stored_dtypes(files)
    if stored and set(stored) != {"F32"}:
        names = ", ".join(f"{count} {name}" for name, count in stored.most_common())
        found.append(
            Finding(
                "note", f"the weights are not stored in float32 ({names}); layerwise loads them as float32."
            )
        )
    return found


def _tokenizer(loaded: LoadedModel) -> list[Finding]:
    found = []
    tokenizer, config = loaded.tokenizer, loaded.model.config
    if tokenizer.padding_side == "left":
        found.append(
            Finding(
                "note",
                "the tokenizer pads on the left, which shifts BERT's positions; layerwise pads on the right.",
            )
        )
    if len(tokenizer) > config.vocab_size:
        found.append(
            Finding(
                "problem",
                f"the tokenizer has {len(tokenizer):,} tokens and the model only {config.vocab_size:,} embeddings: "
                "some texts will fail.",
            )
        )
    return found


def _attention(engine: Engine, sparse: bool) -> list[Finding]:
    """What a token does not see."""
    found = []
    if _sees_backwards_only(engine):
        found.append(
            Finding("problem", "each token sees only those before it: a decoder, or is_decoder is set.")
        )
    if sparse:
        found.append(
            Finding(
                "problem",
                "its block-sparse attention is replaced by full attention, as transformers does after a short text: "
                "the vectors of texts of many blocks differ from those of sparse attention.",
            )
        )
    return found


def _sees_backwards_only(engine: Engine) -> bool:
    """Whether another last token leaves layer N of all earlier tokens as it was."""
    length, last = min(8, engine.anatomy.max_positions or 8), engine.anatomy.num_hidden_layers
    if length < 2:
        return False
    ids = torch.arange(length) % engine.vocab_size
    other = ids.clone()
    other[-1] = engine.vocab_size - 1
    states: list[torch.Tensor] = []
    for one in (ids, other):
        engine.run(
            [TokenSequence(one, torch.zeros_like(one))], [last], lambda _, hidden: states.append(hidden)
        )
    return bool(torch.equal(states[0][:-1], states[1][:-1]))


def _length(engine: Engine, loaded: LoadedModel) -> list[Finding]:
    limit = loaded.tokenizer.model_max_length
    if type(limit) is int and 0 < limit < 1_000_000:  # one without a limit says 10^30
        return []
    if engine.anatomy.max_positions is None:
        return [
            Finding(
                "note",
                "neither model nor tokenizer names a maximum length; layerwise uses windows of 512 tokens.",
            )
        ]
    return [Finding("note", "the tokenizer names no maximum length; layerwise takes it from the config.")]


def _sentence_transformers(files: ModelFiles) -> list[Finding]:
    """sentence-transformers folders carry a length limit of their own."""
    path = files.folder / "sentence_bert_config.json"
    if not path.is_file():
        return []
    try:
        settings: Any = json.loads(path.read_text("utf-8"))
    except ValueError:
        return [Finding("note", "its sentence_bert_config.json cannot be read; layerwise does not need it.")]
    limit = settings.get("max_seq_length") if isinstance(settings, dict) else None
    if not isinstance(limit, int):
        return []
    return [
        Finding(
            "note", f"sentence-transformers cuts texts at {limit} tokens for this model; layerwise does not."
        )
    ]


def _some(names: list[str] | tuple[str, ...]) -> str:
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
