"""One tiny random model a family, built from its config: four blocks, 32 wide."""

from __future__ import annotations

from typing import Any

import torch
from transformers import AutoConfig, AutoModel

_COMMON: dict[str, Any] = {
    "vocab_size": 120,
    "hidden_size": 32,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 80,
}
_XLM = {"vocab_size": 120, "emb_dim": 32, "n_layers": 4, "n_heads": 4, "max_position_embeddings": 80}
_DEBERTA = {"relative_attention": True, "pos_att_type": ["p2c", "c2p"]}

PACKED: dict[str, dict[str, Any]] = {
    "bert": {},
    "roberta": {},
    "xlm-roberta": {},
    "camembert": {},
    "distilbert": {
        "vocab_size": 120,
        "dim": 32,
        "n_layers": 4,
        "n_heads": 4,
        "hidden_dim": 48,
        "max_position_embeddings": 80,
    },
    "albert": {"embedding_size": 16},
    "electra": {"embedding_size": 16},
    "ernie": {},
    "nomic_bert": {},
    "eurobert": {"num_key_value_heads": 2, "head_dim": 8, "pad_token_id": 1, "mask_token_id": 4},
    "data2vec-text": {},
    "roberta-prelayernorm": {},
    "xlm-roberta-xl": {},
    "esm": {"pad_token_id": 1, "mask_token_id": 3, "token_dropout": False},
    "bert-generation": {},
    "layoutlm": {},
    "splinter": {},
    "markuplm": {},
    "gte": {},
    "jina_embeddings_v3": {},
    "modernbert": {"local_attention": 16, "global_attn_every_n_layers": 3, "pad_token_id": 0},
}
"""Families that run packed."""

PADDED: dict[str, dict[str, Any]] = {
    "mpnet": {},
    "deberta": _DEBERTA,
    "deberta-v2": {**_DEBERTA, "position_biased_input": False, "conv_kernel_size": 3},
    "megatron-bert": {},
    "mobilebert": {"embedding_size": 16, "intra_bottleneck_size": 16, "true_hidden_size": 16},
    "rembert": {"input_embedding_size": 16, "output_embedding_size": 16},
    "luke": {"entity_vocab_size": 10, "entity_emb_size": 16},
    "ibert": {},
    "longformer": {"attention_window": 8},
    "xlm": _XLM,
    "flaubert": _XLM,
    "tapas": {},
}
"""Families that ignore a registered attention function: right only when padded."""

FINAL = {"eurobert", "roberta-prelayernorm", "xlm-roberta-xl", "esm", "modernbert", "megatron-bert"}
"""Families with a norm after the last block."""


def tiny(family: str, **overrides: Any) -> Any:
    """A random model of the family, with weights large enough that mistakes show."""
    own = (PACKED | PADDED)[family]
    settings = own if "vocab_size" in own else {**_COMMON, **own}
    torch.manual_seed(7)
    model = AutoModel.from_config(AutoConfig.for_model(family, **{**settings, **overrides})).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.dim() == 2 and "position" not in name:
                weight.mul_(4)  # the default initialisation makes attention almost uniform
    return model
