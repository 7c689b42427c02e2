"""The families layerwise is held to, each as a tiny random model built from its own config.

A model of a family that is not listed works as well if its self-check passes; the list is what the
parity tests cover and what `layerwise models` reports for the transformers installed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from transformers import AutoConfig, AutoModel

from layerwise.errors import ModelError
from layerwise.models.load import quiet
from layerwise.models.self_check import SelfCheck, build_engine

_COMMON: Mapping[str, Any] = {
    "vocab_size": 120,
    "hidden_size": 32,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 80,
}
_DISTILBERT = {
    "vocab_size": 120,
    "dim": 32,
    "n_layers": 4,
    "n_heads": 4,
    "hidden_dim": 48,
    "max_position_embeddings": 80,
}
_XLM = {"vocab_size": 120, "emb_dim": 32, "n_layers": 4, "n_heads": 4, "max_position_embeddings": 80}
_DEBERTA = {"relative_attention": True, "pos_att_type": ["p2c", "c2p"]}
_SMALL_IDS = {"bos_token_id": 2, "eos_token_id": 3, "mask_token_id": 4}

FAMILIES: Mapping[str, Mapping[str, Any]] = {
    "bert": {},
    "roberta": {},
    "xlm-roberta": {},
    "camembert": {},
    "distilbert": _DISTILBERT,
    "albert": {**_COMMON, "embedding_size": 16},
    "electra": {**_COMMON, "embedding_size": 16},
    "ernie": {},
    "nomic_bert": {},
    "eurobert": {**_COMMON, **_SMALL_IDS, "num_key_value_heads": 2, "head_dim": 8, "pad_token_id": 1},
    "data2vec-text": {},
    "roberta-prelayernorm": {},
    "xlm-roberta-xl": {},
    "esm": {**_COMMON, "pad_token_id": 1, "mask_token_id": 3, "token_dropout": True},
    "bert-generation": {},
    "layoutlm": {},
    "splinter": {},
    "gte": {},
    "jina_embeddings_v3": {},
    "modernbert": {**_COMMON, "local_attention": 16, "global_attn_every_n_layers": 3, "pad_token_id": 0},
    "markuplm": {},
    "mpnet": {},
    "deberta": {**_COMMON, **_DEBERTA},
    "deberta-v2": {**_COMMON, **_DEBERTA, "position_biased_input": False, "conv_kernel_size": 3},
    "megatron-bert": {},
    "mobilebert": {**_COMMON, "embedding_size": 16, "intra_bottleneck_size": 16, "true_hidden_size": 16},
    "rembert": {**_COMMON, "input_embedding_size": 16, "output_embedding_size": 16},
    "luke": {**_COMMON, "entity_vocab_size": 10, "entity_emb_size": 16},
    "ibert": {},
    "longformer": {**_COMMON, "attention_window": 8},
    "xlm": _XLM,
    "flaubert": _XLM,
    "tapas": {},
    "convbert": {**_COMMON, "embedding_size": 16, "conv_kernel_size": 3, "head_ratio": 2},
    "fnet": {name: value for name, value in _COMMON.items() if name != "num_attention_heads"},
}
"""Model type to the settings of its tiny config (empty: the common ones)."""


@dataclass(frozen=True, slots=True)
class FamilyReport:
    """How one family runs under the transformers installed.

    Attributes:
        family: its model type.
        self_check: None if the installed transformers does not have the family or cannot run it.
        has_final: whether it has a norm after its last block.
        problem: why there is no self-check; else empty.
    """

    family: str
    self_check: SelfCheck | None
    has_final: bool = False
    problem: str = ""


def tiny_model(family: str, **overrides: Any) -> Any:
    """A random model of `family`: four blocks, 32 wide.

    Its weights are four times the default initialisation, under which attention is almost
    uniform and a wrong mask would hardly show. Its padding token has a vector, as in published
    checkpoints: a fresh one is zero, and padding that is seen by mistake would not show either.
    """
    settings = {**(FAMILIES.get(family) or _COMMON), **overrides}
    with torch.random.fork_rng():
        torch.manual_seed(7)
        config = AutoConfig.for_model(family, **settings)
        model = AutoModel.from_config(config).eval()  # type: ignore[no-untyped-call]
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.dim() == 2 and "position" not in name:
                weight.mul_(4)
        words = model.get_input_embeddings().weight
        words[config.pad_token_id or 0] = words[-1]
    return model


def survey() -> Iterator[FamilyReport]:
    """Run the self-check on a tiny model of every family."""
    for family in FAMILIES:
        try:
            with quiet():  # transformers warns of the ids that a tiny vocabulary does not have
                engine, check = build_engine(tiny_model(family))
        except ModelError as error:
            yield FamilyReport(family, None, problem=str(error))
        except ValueError:  # transformers does not know this model type
            yield FamilyReport(family, None, problem="not in the transformers installed")
        else:
            yield FamilyReport(family, check, engine.has_final)
