"""A model cut to its first blocks: a model of its own, whose output is the layer asked for.

A block of a BERT-like encoder does not know how many come after it, so the weights of blocks 1..k
and the embeddings are a whole model. What does know is the config: the number of blocks, lists with
an entry for each, and ALBERT's way to spread shared groups over its blocks.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import AutoModel
from transformers.models.auto import processing_auto

from layerwise.errors import ModelError
from layerwise.models.config_lists import has_entry_per_block
from layerwise.models.encoder import Encoder
from layerwise.models.engine import Engine
from layerwise.models.load import quiet
from layerwise.models.removed_heads import KEY, full_weights, removed_heads
from layerwise.models.tokenizer_files import faults_of_files, save_tokenizer
from layerwise.types import Layer

_GROUPS = "albert_layer_groups."


def blocks_needed(engine: Engine, layer: Layer, name: str) -> int:
    """How many blocks make `layer` the output of the model.

    Raises:
        ModelError: no number of blocks does; the message says why.
    """
    number = engine.anatomy.num_hidden_layers
    processors = processing_auto.PROCESSOR_MAPPING_NAMES  # type: ignore[attr-defined]
    if engine.model.config.model_type in processors:
        raise ModelError(
            f"{name!r} cannot be shipped: for {type(engine.model).__name__} sentence-transformers looks for a processor "
            "of more than text (pages, images), which an encoder of texts does not have."
        )
    if layer == "final":
        return number
    if layer == 0:
        raise ModelError(
            f"layer 0 of {name!r} cannot be shipped: it is the embedding layer, and a model without blocks is none "
            f"that transformers loads; choose one of 1..{number}."
        )
    if engine.has_final:
        raise ModelError(
            f"layer {layer} of {name!r} cannot be shipped: {type(engine.model).__name__} puts a norm behind its last "
            f"block, whichever that is, so a model cut there would give that layer with the norm of block {number} "
            "on it, which is no layer of this model; choose 'final'."
        )
    return layer


def cut(model: Any, blocks: int, missing: tuple[str, ...] = ()) -> tuple[Any, dict[str, Tensor]]:
    """The first `blocks` blocks of a transformers encoder as a new model, and its weights.

    Args:
        model: the encoder, float32; it stays as it is.
        blocks: 1..N.
        missing: names of weights that its files lacked: random values that nothing reads (a pooler's)
            and that are not handed on.
    """
    number = model.config.num_hidden_layers
    config = copy.deepcopy(model.config)
    config.num_hidden_layers = blocks
    for key, value in list(vars(config).items()):
        if has_entry_per_block(key, value, number):
            setattr(config, key, value[:blocks])
    removed = removed_heads(model.config)
    if removed:
        setattr(config, KEY, {str(block): heads for block, heads in removed.items() if block <= blocks})
    weights = {name: weight.cpu() for name, weight in full_weights(model).items()}
    if any(_GROUPS in name for name in weights):
        weights = _regroup(config, weights, number, blocks)
    with quiet(), torch.random.fork_rng(devices=[]):
        smaller = AutoModel.from_config(  # type: ignore[no-untyped-call]
            config, dtype=torch.float32, attn_implementation="eager", trust_remote_code=False
        ).eval()
    # ESM's head for contacts reads the attention of all blocks: it fits no other number of them, and no layer reads it.
    own = smaller.state_dict()
    fits = {name: weights[name] for name, weight in own.items() if weights[name].shape == weight.shape}
    smaller.load_state_dict(fits, strict=False)
    kept = {
        name: weight for name, weight in smaller.state_dict().items() if name in fits and name not in missing
    }
    return smaller, kept


def _regroup(config: Any, weights: dict[str, Tensor], number: int, blocks: int) -> dict[str, Tensor]:
    """ALBERT's groups for fewer blocks: block i of n (from 0) belongs to group int(i / (n / groups)).

    With one group (Lan et al. 2020, §3.1) nothing changes. With several, the same weights go to as
    few groups as spread over the blocks as they did.
    """
    groups = config.num_hidden_groups
    of_block = [int(block / (number / groups)) for block in range(blocks)]
    for count in range(1, blocks + 1):
        new = [int(block / (blocks / count)) for block in range(blocks)]
        source = dict(zip(new, of_block, strict=True))
        if all(source[group] == old for group, old in zip(new, of_block, strict=True)):
            break
    config.num_hidden_groups = count
    kept = {name: weight for name, weight in weights.items() if _GROUPS not in name}
    for name, weight in weights.items():
        prefix, found, rest = name.partition(_GROUPS)
        old, _, tail = rest.partition(".")
        for group, origin in source.items() if found else ():
            if origin == int(old):
                kept[f"{prefix}{_GROUPS}{group}.{tail}"] = weight.clone()
    return kept


def save(encoder: Encoder, model: nn.Module, weights: dict[str, Tensor], folder: Path) -> None:
    """Write model, config and tokenizer as transformers does: safetensors, float32.

    The tokenizer says how long a text the model takes. Its tokenizer.json says the same, for those
    who read nothing else (the tokenizers library beside onnxruntime): MiniLM's pads every text to
    128 tokens and cuts it there.

    Raises:
        OSError: a file cannot be written.
        ModelError: see `padding_token`.
    """
    tokenizer, padding = encoder.tokenizer, padding_token(encoder)
    if padding != tokenizer.pad_token:
        tokenizer = copy.deepcopy(tokenizer)
        tokenizer.pad_token = padding
    with quiet():
        model.save_pretrained(folder, state_dict=weights)  # type: ignore[operator]
    save_tokenizer(tokenizer, folder, encoder.engine.takes_types, encoder.max_length)
    with faults_of_files():
        _tokenizer_alone(folder / "tokenizer.json", encoder.max_length)


def _tokenizer_alone(path: Path, max_length: int) -> None:
    """Cut at the longest text of the model, and pad nothing."""
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.enable_truncation(max_length)
    tokenizer.no_padding()
    tokenizer.save(str(path))


def padding_token(encoder: Encoder) -> str:
    """The token that fills a batch: the tokenizer's own, if the model has a vector for it, else another special one.

    Which one makes no difference, since nothing looks at padding; `verify` makes sure of that.

    Raises:
        ModelError: there is no special token that the model has a vector for.
    """
    known = encoder.engine.model.get_input_embeddings().weight.shape[0]
    own = encoder.tokenizer.pad_token_id
    if own is not None and own < known:
        return str(encoder.tokenizer.pad_token)
    added = encoder.tokenizer.backend_tokenizer.get_added_tokens_decoder()
    special = {number: token.content for number, token in added.items() if token.special and number < known}
    tokenizer, config = encoder.tokenizer, encoder.engine.model.config
    wished = (
        getattr(config, "pad_token_id", None),
        tokenizer.sep_token_id,
        tokenizer.eos_token_id,
        tokenizer.unk_token_id,
        tokenizer.cls_token_id,
        *special,
    )
    for number in wished:
        if number in special:
            return str(special[number])
    raise ModelError(
        f"{encoder.files.name!r} cannot be shipped: its tokenizer has no padding token that the model has a vector for, "
        "nor another special token in its place, and sentence-transformers pads every batch; set its pad_token to a "
        "token of the model, and save it."
    )


def output_vectors(encoder: Encoder, texts: Sequence[str]) -> list[Tensor]:
    """What transformers alone gives: its tokenizer, one forward pass, the last hidden state.

    Args:
        texts: one, or several as one padded batch.

    Returns:
        (tokens, hidden_size) a text, of all tokens, special ones included, of a text cut to the model's length.
    """
    engine = encoder.engine
    before = engine.attention
    inputs = encoder.tokenizer(
        list(texts),
        padding=len(texts) > 1,
        truncation=True,
        max_length=encoder.max_length,
        return_tensors="pt",
    )
    engine.use("eager")
    try:
        with torch.inference_mode():
            output: Tensor = engine.model(**inputs)[0]
    finally:
        engine.use(before)
    lengths = inputs["attention_mask"].sum(dim=1).tolist()
    return [one[:length] for one, length in zip(output, lengths, strict=True)]
