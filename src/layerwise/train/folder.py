"""The folder of a fine-tuned model: what transformers reads, and `layerwise_task.json` with what it is for.

With a head of transformers the folder is a checkpoint like any other. With a head of layerwise's own the checkpoint
is the encoder, and the head is in `head.safetensors`. What pairs of texts are compared with is a folder for
sentence-transformers too.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from layerwise.errors import ModelError, UsageError
from layerwise.models.anatomy import dissect
from layerwise.models.engine import token_types
from layerwise.models.heads import kind_of_head, load_with_head
from layerwise.models.layered import LayeredModel, PairModel
from layerwise.models.load import load, quiet
from layerwise.models.locate import ModelFiles
from layerwise.models.removed_heads import take_out_heads
from layerwise.models.shipped import TRAINED
from layerwise.models.tokenization import longest_window
from layerwise.models.tokenizer_files import save_tokenizer
from layerwise.reports.wording import without_nan
from layerwise.train.batches import TokenBatches
from layerwise.train.run_folder import published
from layerwise.train.tasks.by_name import TASKS
from layerwise.train.tasks.example import Example
from layerwise.train.tasks.qa import QuestionAnswering
from layerwise.train.tasks.seq2seq import Generation
from layerwise.train.tasks.task import Task

HEAD = "head.safetensors"
DECODER_TOKENIZER = "decoder_tokenizer"
FORMAT_VERSION = 1

PAIR_POOLING = "mean_with_special"
"""How the texts that are compared become vectors, as sentence-transformers does it."""

_TASK_OF_HEAD = {"sequence": "classify", "token": "ner", "question": "qa", "seq2seq": "seq2seq"}


@dataclass(frozen=True)
class Trained:
    """A model that was trained for a task.

    Attributes:
        model: gives logits; float32, on the CPU.
        task: what they mean.
        batches: how features become a batch.
        document: of the folder; empty for a checkpoint from elsewhere.
    """

    model: nn.Module
    task: Task
    batches: TokenBatches
    document: Mapping[str, Any]

    @property
    def encoder(self) -> Any:
        """The part of the model that has blocks."""
        bare = takes_texts(self.model, self.task)
        return self.model.base_model if bare is self.model else bare

    @property
    def no_text(self) -> list[str]:
        """Columns that were no text in training: data with all of them is read again as it was read there."""
        said = self.document.get("training", {})
        return ["label", *(said[key] for key in ("column label", "column split") if said.get(key))]

    def look_at(self, examples: Sequence[Example]) -> None:
        """Take from the data what a checkpoint from elsewhere does not say: whether questions may be without an answer."""
        if isinstance(self.task, QuestionAnswering) and self.task.no_answers is None:
            self.task.no_answers = any(one.target.start is None for one in examples) or None

    def to_run(self) -> Trained:
        """The same, with heads that were pruned taken out."""
        take_out_heads(self.encoder)
        return self


def batches_for(model: Any, task: Task) -> TokenBatches:
    """How features of a task become batches of a model."""
    layered, bare = isinstance(model, LayeredModel), takes_texts(model, task)
    decoder_pad = None
    if isinstance(task, Generation):
        decoder_pad = _padding(task.target_tokenizer)
    # An encoder-decoder hands token types to nobody; without them both texts of a pair have type 0, as it has one.
    types = 0 if task.head == "seq2seq" else token_types(bare)
    return TokenBatches(_padding(task.tokenizer), types, layered and task.pooled, decoder_pad)


def takes_texts(model: Any, task: Task) -> Any:
    """The part of a model that takes the texts: its encoder, if that is a model of its own."""
    return model.encoder if isinstance(model, LayeredModel) or task.head == "seq2seq" else model


def _padding(tokenizer: Any) -> int:
    return 0 if tokenizer.pad_token_id is None else int(tokenizer.pad_token_id)


def save_trained(folder: Path, model: Any, task: Task, document: Mapping[str, Any], base: str) -> None:
    """Write a model and its task; the document, which makes the folder one, comes last.

    Args:
        document: how it was trained, for people.
        base: name of the model it was trained from.

    Raises:
        OSError: a file cannot be written.
    """
    found: dict[str, Any] = {"format_version": FORMAT_VERSION, **task.document(), "base": base}
    with published(folder) as draft:
        with quiet():
            if isinstance(model, LayeredModel):
                encoder, head = model.encoder, model.head
                encoder.save_pretrained(draft)
                found |= {"layers": list(model.layers), "frozen": model.frozen, "shares": head.shares}
                found["outputs"] = None if head.linear is None else head.linear.out_features
                tensors = {
                    name: value.detach().cpu().contiguous() for name, value in head.state_dict().items()
                }
                if tensors:
                    save_file(tensors, draft / HEAD)
            else:
                model.save_pretrained(draft)
            save_tokenizer(task.tokenizer, draft, token_types(takes_texts(model, task)) > 1)
            if isinstance(task, Generation) and task.target_tokenizer is not task.tokenizer:
                task.target_tokenizer.save_pretrained(draft / DECODER_TOKENIZER)
        if isinstance(model, PairModel) and model.head.mix is None:
            found["pooling"] = PAIR_POOLING
            _for_sentence_transformers(draft, model, task)
    written = folder / f"{TRAINED}.part"
    written.write_text(
        json.dumps(without_nan({**found, "training": document}), ensure_ascii=False, indent=1),
        "utf-8",
        "backslashreplace",  # names of files may hold bytes that are no UTF-8
    )
    written.replace(folder / TRAINED)


def _for_sentence_transformers(folder: Path, model: PairModel, task: Task) -> None:
    from layerwise.shipping.sentence_transformers_layout import write_modules

    write_modules(
        folder,
        model.config.hidden_size,
        task.max_length,
        PAIR_POOLING,
        None,
        normalize=False,
        prompts={},
    )


def load_trained(files: ModelFiles) -> Trained:
    """A fine-tuned folder, or any checkpoint with a head that transformers knows.

    Raises:
        ModelError: it cannot be loaded, or has no trained head.
        UsageError: it is for no task that can be run.
    """
    name, document = files.name, read_document(files)
    if document is not None and "layers" in document:
        return _layered(files, document)
    kind = kind_of_head(files)
    task_name = str(document["task"]) if document is not None else _TASK_OF_HEAD.get(kind or "")
    if kind is None or task_name is None or kind not in _TASK_OF_HEAD:
        raise UsageError(
            f"the model {name!r} has no head for a task: expected what `layerwise finetune` or `layerwise ship --probe` "
            "wrote, or a checkpoint for sequence or token classification, questions or generation."
        )
    model, tokenizer = load_with_head(files, kind)
    if kind == "seq2seq":
        return _encoder_decoder(files, model, tokenizer, document or {})
    if kind == "sequence" and model.config.pad_token_id is None:
        _find_the_end(model.config, tokenizer, name)
    longest = longest_window(dissect(model.base_model, model.config).max_positions, tokenizer)
    labels = _labels(model.config, name)
    if kind == "sequence" and (
        len(labels) == 1 or getattr(model.config, "problem_type", None) == "regression"
    ):
        numbers = f"one number a text ({labels[0]})" if len(labels) == 1 else f"{len(labels)} numbers a text"
        raise UsageError(
            f"the model {name!r} gives {numbers}, and `classify` names a class: take another checkpoint."
        )
    if getattr(model.config, "problem_type", None) == "multi_label_classification":
        raise UsageError(
            f"the model {name!r} gives a text several labels at once, and `classify` gives one: take another checkpoint."
        )
    given = (document or {}).get("max_length") or longest
    task = TASKS[task_name](tokenizer, min(given, longest), labels if kind in ("sequence", "token") else ())
    task.configure(document or {})
    return Trained(model, task, batches_for(model, task), document or {})


def _find_the_end(config: Any, tokenizer: Any, name: str) -> None:
    """Say what pads: heads that read the last token, as GPT-2's does, find it by that.

    Raises:
        ModelError: nothing does.
    """
    if tokenizer.pad_token_id is None:
        raise ModelError(
            f"the model {name!r} has no padding token, which tells texts of different lengths apart: set pad_token_id in "
            "its config.json to that of its training, or take another checkpoint."
        )
    config.pad_token_id = tokenizer.pad_token_id


def _labels(config: Any, name: str) -> tuple[str, ...]:
    """The names of the classes.

    Raises:
        ModelError: one is missing, or two are called the same.
    """
    names = tuple(str(config.id2label.get(number)) for number in range(config.num_labels))
    if len(set(names)) < len(names) or any(number not in config.id2label for number in range(len(names))):
        raise ModelError(
            f"id2label in config.json of {name!r} is {str(config.id2label)[:80]}: expected a name for each class, from 0 to "
            f"{len(names) - 1}, and no name twice."
        )
    return names


def _layered(files: ModelFiles, document: Mapping[str, Any]) -> Trained:
    loaded = load(files)
    task_type = TASKS[document["task"]]
    task = task_type(loaded.tokenizer, document["max_length"], document["labels"])
    task.configure(document)
    kind = PairModel if task.head == "pair" else LayeredModel
    layers = tuple(document["layers"])
    model = kind(loaded.model, layers, document["outputs"], pooled=task.pooled, frozen=True, drawn=False)
    path = files.folder / HEAD
    try:
        tensors = load_file(path) if model.head.state_dict() else {}
        model.head.load_state_dict(tensors)
    except (OSError, SafetensorError, RuntimeError) as error:
        said = " ".join(str(error).split())[:200]
        raise ModelError(
            f"{path} is not the head that {TRAINED} speaks of ({said}): copy the whole folder again, or train anew."
        ) from error
    return Trained(model, task, batches_for(model, task), document)


def _encoder_decoder(files: ModelFiles, model: Any, tokenizer: Any, document: Mapping[str, Any]) -> Trained:
    longest = longest_window(dissect(model.encoder, model.encoder.config).max_positions, tokenizer)
    task = Generation(tokenizer, min(document.get("max_length", 512), longest))
    own = files.folder / DECODER_TOKENIZER
    if own.is_dir():
        from transformers import AutoTokenizer

        task.use_target_tokenizer(
            AutoTokenizer.from_pretrained(own, trust_remote_code=False, local_files_only=True)
        )
    task.configure(document)  # what it learned is of this tokenizer
    target, generation = task.target_tokenizer, model.generation_config
    if generation.decoder_start_token_id is None and generation.bos_token_id is None:
        begin = target.cls_token_id if target.cls_token_id is not None else target.bos_token_id
        if begin is None:
            raise ModelError(
                f"the model {files.name!r} does not say what its texts begin with: set decoder_start_token_id in its "
                "generation_config.json to that of its training, or take another checkpoint."
            )
        generation.decoder_start_token_id = begin
    return Trained(model, task, batches_for(model, task), document)


def read_document(files: ModelFiles) -> Mapping[str, Any] | None:
    """What a folder says of its task; None where `finetune` did not write it.

    Raises:
        ModelError: the file is there and is not what `finetune` writes.
    """
    path = files.folder / TRAINED
    if not path.is_file():
        return None
    try:
        document = json.loads(path.read_text("utf-8"))
        version, task = document["format_version"], document["task"]
        fits = isinstance(document["labels"], list) and isinstance(document["max_length"], int)
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"{path} cannot be read ({error}): expected what `layerwise finetune` wrote; train anew."
        ) from error
    if version != FORMAT_VERSION or task not in TASKS or not fits:
        raise ModelError(
            f"{path} has format version {version!r} and task {task!r}: this layerwise knows version {FORMAT_VERSION} and "
            f"the tasks {', '.join(TASKS)}; update it, or train anew."
        )
    return dict(document)
