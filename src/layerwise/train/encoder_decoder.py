"""An encoder-decoder that begins as two encoders (Rothe, Narayan and Severyn 2020, BERT2BERT)."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
from transformers import (
    AutoModelForCausalLM,
    BertConfig,
    BertLMHeadModel,
    EncoderDecoderConfig,
    EncoderDecoderModel,
)

from layerwise.errors import ModelError, UsageError
from layerwise.models.load import load, quiet
from layerwise.models.locate import ModelFiles
from layerwise.train.choices import NEW
from layerwise.train.tasks.example import Example
from layerwise.train.tasks.seq2seq import MOST_LOST, Generation
from layerwise.train.vocabulary import train_vocabulary

NEW_BLOCKS = 2
NEW_VOCABULARY = 8_000


def join(
    encoder: Any,
    task: Generation,
    decoder: str,
    find: Callable[[str], ModelFiles],
    train: Sequence[Example],
    frozen: bool = False,
) -> EncoderDecoderModel:
    """The encoder with a decoder behind it, whose cross-attention is random.

    Args:
        decoder: name of the model the decoder begins as; `new` or `new:BLOCKS`: a small one with random weights and a
            vocabulary of the targets, for targets that the vocabularies of trained models do not cover.
        find: files of a model, by its name.
        frozen: whether the encoder stays as it is, without dropout.

    Raises:
        ModelError: transformers has no decoder of that family.
        UsageError: `new:` with something else than a number behind it.
    """
    name, _, blocks = decoder.partition(":")
    head = (
        _new_decoder(encoder, task, blocks, train)
        if name == NEW
        else _trained_decoder(task, decoder, find, train)
    )
    whole = EncoderDecoderConfig.from_encoder_decoder_configs(encoder.config, head.config)
    with quiet():
        model = EncoderDecoderModel(config=whole, encoder=encoder.requires_grad_(not frozen), decoder=head)
    target = task.target_tokenizer
    begin = target.cls_token_id if target.cls_token_id is not None else target.bos_token_id
    end = target.sep_token_id if target.sep_token_id is not None else target.eos_token_id
    for holder in (model.config, model.generation_config):
        holder.decoder_start_token_id, holder.eos_token_id = begin, end
        holder.bos_token_id, holder.pad_token_id = begin, target.pad_token_id
    for module in encoder.modules() if frozen else ():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    head.requires_grad_(True)
    model.train()
    return model


def covers(task: Generation) -> bool:
    """Whether the vocabulary of the encoder has the targets of training, so that a decoder can begin as it does."""
    return task.writing.lost <= MOST_LOST


def _new_decoder(encoder: Any, task: Generation, blocks: str, train: Sequence[Example]) -> Any:
    if blocks and not (blocks.isdecimal() and int(blocks) > 0):
        raise UsageError(
            f"the decoder is new:{blocks}: expected new, or new: and a number of blocks above 0."
        )
    config = encoder.config
    size = int(config.hidden_size)
    task.use_target_tokenizer(
        train_vocabulary([example.target for example in train], NEW_VOCABULARY, cased=True, max_length=512)
    )
    task.prepare(train)
    own = BertConfig(
        vocab_size=len(task.target_tokenizer),
        hidden_size=size,
        num_hidden_layers=int(blocks or NEW_BLOCKS),
        num_attention_heads=next(
            heads for heads in (config.num_attention_heads, 8, 4, 2, 1) if size % heads == 0
        ),
        intermediate_size=4 * size,
        is_decoder=True,
        add_cross_attention=True,
    )
    with quiet():
        return BertLMHeadModel._from_config(  # type: ignore[no-untyped-call]
            own, dtype=torch.float32, attn_implementation="eager"
        )


def _trained_decoder(
    task: Generation, decoder: str, find: Callable[[str], ModelFiles], train: Sequence[Example]
) -> Any:
    files = find(decoder)
    loaded = load(files)
    if loaded.tokenizer.get_vocab() != task.tokenizer.get_vocab():
        task.use_target_tokenizer(loaded.tokenizer)
        task.prepare(train)
    config = copy.deepcopy(loaded.model.config)
    config.is_decoder, config.add_cross_attention, config.tie_word_embeddings = True, True, True
    try:
        with quiet():
            head = AutoModelForCausalLM.from_config(  # type: ignore[no-untyped-call]
                config, dtype=torch.float32, attn_implementation="eager"
            )
    except ValueError as error:
        raise ModelError(
            f"{decoder!r} is a {config.model_type} model, which transformers cannot make a decoder of: take one of the BERT "
            "or RoBERTa family, or --decoder new."
        ) from error
    report = head.base_model.load_state_dict(loaded.model.state_dict(), strict=False)
    random = [key for key in report.missing_keys if "crossattention" not in key]
    if random:
        raise ModelError(
            f"{decoder!r} lacks weights of a decoder ({', '.join(random[:3])}, …): take another model."
        )
    _take_over_masked_head(files, head)
    return head


def _take_over_masked_head(files: Any, head: Any) -> None:
    """The transform before the vocabulary, where the checkpoint has it: it was trained to predict tokens."""
    from safetensors import safe_open

    own = head.state_dict()
    for path in sorted(files.folder.glob("*.safetensors")):
        with safe_open(path, "pt") as tensors:
            for name in set(tensors.keys()) & own.keys():
                if name.startswith("cls.predictions.transform") or name == "cls.predictions.bias":
                    own[name].copy_(tensors.get_tensor(name))
