"""An encoder-decoder that begins as two encoders (Rothe, Narayan and Severyn 2020, BERT2BERT)."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from transformers import AutoModelForCausalLM, EncoderDecoderConfig, EncoderDecoderModel

from layerwise.errors import ModelError
from layerwise.models.load import load, quiet
from layerwise.models.locate import locate
from layerwise.train.tasks.seq2seq import Generation
from layerwise.train.tasks.task import Example


def join(
    encoder: Any, task: Generation, decoder: str, loading: tuple[str | None, bool], train: Sequence[Example]
) -> EncoderDecoderModel:
    """The encoder with a decoder that begins with the weights of another; its cross-attention is random.

    Args:
        decoder: name of the model the decoder begins as.

    Raises:
        ModelError: transformers has no decoder of that family.
    """
    files = locate(decoder, *loading)
    loaded = load(files)
    tokenizer = loaded.tokenizer
    if decoder != getattr(task, "source_name", None):
        task.use_target_tokenizer(tokenizer if tokenizer.get_vocab() != task.tokenizer.get_vocab() else task.tokenizer)
        task.prepare(train)
    config = copy.deepcopy(loaded.model.config)
    config.is_decoder, config.add_cross_attention, config.tie_word_embeddings = True, True, True
    try:
        with quiet():
            head = AutoModelForCausalLM.from_config(config, dtype=torch.float32, attn_implementation="eager")
    except ValueError as error:
        raise ModelError(
            f"{decoder!r} is a {config.model_type} model, which transformers cannot make a decoder of: take one of the BERT or "
            "RoBERTa family."
        ) from error
    report = head.base_model.load_state_dict(loaded.model.state_dict(), strict=False)
    random = [key for key in report.missing_keys if "crossattention" not in key]
    if random:
        raise ModelError(f"{decoder!r} lacks weights of a decoder ({', '.join(random[:3])}, …): take another model.")
    _take_over_masked_head(files, head)
    whole = EncoderDecoderConfig.from_encoder_decoder_configs(encoder.config, head.config)
    with quiet():
        model = EncoderDecoderModel(config=whole, encoder=encoder.requires_grad_(True), decoder=head)
    target = task.target_tokenizer
    begin = target.cls_token_id if target.cls_token_id is not None else target.bos_token_id
    end = target.sep_token_id if target.sep_token_id is not None else target.eos_token_id
    for holder in (model.config, model.generation_config):
        holder.decoder_start_token_id, holder.eos_token_id = begin, end
        holder.pad_token_id = target.pad_token_id
        holder.bos_token_id = begin
    pooler = getattr(encoder, "pooler", None)
    if pooler is not None:
        pooler.requires_grad_(False)
    head.train().requires_grad_(True)
    return model.train()


def _take_over_masked_head(files: Any, head: Any) -> None:
    """The transform before the vocabulary, where the checkpoint has it: it was trained to predict tokens."""
    from safetensors import safe_open

    own = head.state_dict()
    for path in sorted(files.folder.glob("*.safetensors")):
        with safe_open(path, "pt") as tensors:
            for name in set(tensors.keys()) & own.keys():
                if name.startswith("cls.predictions.transform") or name == "cls.predictions.bias":
                    own[name].copy_(tensors.get_tensor(name))
