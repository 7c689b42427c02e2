"""Heads on encoders: those of transformers, by the task they are for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from transformers import (
    AutoModelForMaskedLM,
    AutoModelForPreTraining,
    AutoModelForQuestionAnswering,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    EncoderDecoderModel,
)

from layerwise.errors import ModelError
from layerwise.models.load import config_of, from_folder, quiet, tokenizer_of
from layerwise.models.locate import ModelFiles
from layerwise.models.padding import mask_padded_spans, settle

CLASSES: Mapping[str, Any] = {
    "sequence": AutoModelForSequenceClassification,
    "token": AutoModelForTokenClassification,
    "question": AutoModelForQuestionAnswering,
    "masked": AutoModelForMaskedLM,
    "pretraining": AutoModelForPreTraining,
    "seq2seq": EncoderDecoderModel,
}
"""Kinds of heads, and what transformers loads a model of each with."""

_ENDINGS = {
    "ForSequenceClassification": "sequence",
    "ForTokenClassification": "token",
    "ForQuestionAnswering": "question",
    "ForQuestionAnsweringSimple": "question",  # XLM's
    "ForMaskedLM": "masked",
    "WithLMHeadModel": "masked",  # XLM's and FlauBERT's
    "ForPreTraining": "pretraining",
    "EncoderDecoderModel": "seq2seq",
}


def kind_of_head(files: ModelFiles) -> str | None:
    """The head of a checkpoint, as its config.json says it: a key of `CLASSES`; None: a bare encoder or another.

    Raises:
        ModelError: config.json cannot be used.
    """
    for name in getattr(config_of(files), "architectures", None) or ():
        if name == "ElectraForPreTraining":  # it tells tokens that were exchanged, and predicts none
            return None
        for ending, kind in _ENDINGS.items():
            if name.endswith(ending):
                return kind
    return None


def new_head(encoder: Any, kind: str, labels: tuple[str, ...] = (), name: str = "the model") -> Any:
    """A model of transformers with the weights of an encoder and a new head, whose weights are random.

    Args:
        encoder: as `load` gives it, cut or not; its weights are copied.
        kind: `sequence`, `token` or `question`.
        labels: names of the classes, kept in the config.
        name: of the model, for messages.

    Raises:
        ModelError: transformers has no such head for this family.
    """
    config = type(encoder.config).from_dict(encoder.config.to_dict())
    if labels:
        config.id2label = dict(enumerate(labels))
        config.label2id = {label: number for number, label in enumerate(labels)}
    if kind == "question":
        config.num_labels = 2  # where it begins and where it ends, whatever the model told apart before
    if kind == "sequence":
        config.problem_type = "single_label_classification"
    try:
        with quiet():
            model = CLASSES[kind].from_config(config, dtype=torch.float32, attn_implementation="eager")
    except ValueError as error:
        raise ModelError(
            f"{name} is a {config.model_type} model, for which transformers has no "
            f"{CLASSES[kind].__name__.removeprefix('AutoModelFor')} head: take another model, or a head of layerwise's "
            "own with --mix scalar or --frozen."
        ) from error
    report = model.base_model.load_state_dict(encoder.state_dict(), strict=False)
    random = [key for key in report.missing_keys if "pooler" not in key]
    assert not random, random
    return _settled(model, kind)


def load_with_head(files: ModelFiles, kind: str) -> tuple[Any, Any]:
    """A model with its trained head, float32, and its tokenizer.

    Raises:
        ModelError: it cannot be loaded, or the files lack weights of the head: it was never trained.
    """
    config = config_of(files)
    if config.is_encoder_decoder and kind != "seq2seq":
        raise ModelError(
            f"{files.name!r} is an encoder-decoder ({config.model_type}); layerwise takes encoders of the BERT family."
        )
    model, info = from_folder(CLASSES[kind], files, config)
    wrong = sorted({*info["missing_keys"], *(one[0] for one in info["mismatched_keys"])})
    if wrong:
        raise ModelError(
            f"the files of {files.name!r} lack {len(wrong)} weights of {type(model).__name__} ({', '.join(wrong[:3])}"
            f"{', …' if len(wrong) > 3 else ''}), or have them in other shapes: they would be random; take a checkpoint "
            "that was trained for this task, or train one with `layerwise finetune`."
        )
    return _settled(model, kind), tokenizer_of(files)


def _settled(model: Any, kind: str) -> Any:
    if kind == "seq2seq":
        settle(model.encoder, model.encoder)
    else:
        settle(model.base_model, model, per_text=kind == "sequence")
    if kind == "question":
        mask_padded_spans(model)
    return model
