"""From a folder of files to a transformers model and its tokenizer, with nothing left to defaults."""

from __future__ import annotations

import contextlib
import logging
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
import transformers
from transformers import AutoConfig, AutoModel, AutoTokenizer, PreTrainedTokenizerFast
from transformers.utils import logging as transformers_logging

from layerwise.errors import ModelError, UsageError, choose, require
from layerwise.models import random_numbers
from layerwise.models.locate import ModelFiles

SENTENCEPIECE = "sentencepiece>=0.2 protobuf>=5"
"""What transformers reads a tokenizer with where there is no tokenizer.json (DeBERTa-v3)."""

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


_BLOCK = re.compile(r"(.*?\b(?:layer|layers|h|blocks?))\.(\d+)\.")
_BUFFER = re.compile(r"\.(inv_freq|position_ids|masked_bias)$")
"""What older versions of transformers saved though it is computed, not trained."""


@dataclass(frozen=True)
class LoadedModel:
    """A model and its tokenizer, and what transformers said about the weights.

    Attributes:
        model: the bare encoder, float32, on the CPU, in evaluation mode.
        tokenizer: a fast tokenizer.
        missing, unused: names of weights the files lack (random now!) or that the model has no use for.
    """

    model: Any
    tokenizer: PreTrainedTokenizerFast
    missing: tuple[str, ...]
    unused: tuple[str, ...]

    @property
    def unused_in_blocks(self) -> tuple[str, ...]:
        """Those of `unused` in blocks that the model has: it computes something else than was trained."""
        number = self.model.config.num_hidden_layers
        return tuple(
            name for name, block in self._unused_by_block() if block < number and not _BUFFER.search(name)
        )

    @property
    def unused_blocks(self) -> tuple[str, ...]:
        """Those of `unused` in blocks beyond those the model has."""
        number = self.model.config.num_hidden_layers
        return tuple(name for name, block in self._unused_by_block() if block >= number)

    def _unused_by_block(self) -> list[tuple[str, int]]:
        own = {found[1] for name, _ in self.model.named_parameters() if (found := _BLOCK.match(name))}
        matches = [(name, _BLOCK.match(name)) for name in self.unused]
        return [
            (name, int(found[2]))
            for name, found in matches
            if found and any(found[1] == stem or found[1].endswith("." + stem) for stem in own)
        ]


def load(files: ModelFiles) -> LoadedModel:
    """Load a model in float32, without ever running code from its folder.

    float32 whatever the files hold: the self-check needs it, and a checkpoint in float16 would
    otherwise load as float16. `Encoder` casts afterwards.

    Raises:
        ModelError: transformers cannot load it, or it is not an encoder.
        MissingExtraError: its tokenizer is a SentencePiece model, and what reads those is not installed.
    """
    config = config_of(files)
    if getattr(config, "is_encoder_decoder", False):
        raise ModelError(
            f"{files.name!r} is an encoder-decoder ({config.model_type}); layerwise takes encoders of the BERT family."
        )
    config.return_dict = True  # the engine reads outputs by name
    model, info = from_folder(AutoModel, files, config)
    if info.get("mismatched_keys"):
        name, found, expected = sorted(info["mismatched_keys"])[0]
        raise ModelError(
            f"the weights of {files.name!r} do not have the shapes its config.json says: {name} is "
            f"{' × '.join(map(str, found))} in the files and {' × '.join(map(str, expected))} by the config."
        )
    return LoadedModel(
        model.eval().requires_grad_(False),
        tokenizer_of(files),
        tuple(sorted(info["missing_keys"])),
        tuple(sorted(info["unexpected_keys"])),
    )


def from_folder(kind: Any, files: ModelFiles, config: Any) -> tuple[Any, dict[str, Any]]:
    """A model of a class of transformers with the weights that were checked, and what transformers says of them.

    float32, eager attention; weights that are missing or of another shape are random, and named in what is said.

    Raises:
        ModelError: transformers cannot load it, or leaves out weights that it was trained with.
    """
    if getattr(config, "transformers_weights", None):
        config.transformers_weights = None  # another file than the one that was checked
    broken = "its weights cannot be loaded (fetch them again if a download broke off)"
    # Weights that are missing are drawn.
    with quiet(), in_words(files, broken), random_numbers.kept():
        model, info = kind.from_pretrained(
            files.folder,
            config=config,
            dtype=torch.float32,
            use_safetensors=not files.pickled,
            trust_remote_code=False,
            local_files_only=True,
            # Not the folder's choice, which may be a kernel that is not installed, or code on the Hub.
            attn_implementation="eager",
            ignore_mismatched_sizes=True,  # the caller says it, in our words
            output_loading_info=True,
        )
    if any(name.endswith("distance_embedding.weight") for name in info["unexpected_keys"]):
        raise ModelError(
            f"the model {files.name!r} was trained with relative positions "
            f"(position_embedding_type {getattr(config, 'position_embedding_type', None)!r}), which transformers "
            f"{transformers.__version__} leaves out of {type(model).__name__}: its vectors would not be that model's."
        )
    return model, info


def config_of(files: ModelFiles) -> Any:
    """The config of a model.

    Raises:
        ModelError: config.json cannot be used.
    """
    with in_words(files, "its config.json cannot be used"):
        return AutoConfig.from_pretrained(files.folder, trust_remote_code=False, local_files_only=True)


def tokenizer_of(files: ModelFiles) -> PreTrainedTokenizerFast:
    """The fast tokenizer of a model.

    Raises:
        ModelError: it cannot be loaded, is not a fast one, or has no vocabulary.
        MissingExtraError: it is a SentencePiece model, and what reads those is not installed.
    """
    if not (files.folder / "tokenizer.json").is_file() and any(files.folder.glob("*.model")):
        # Without them transformers asks for a package that does not help.
        for module in ("sentencepiece", "google.protobuf"):
            require(module, SENTENCEPIECE, f"the tokenizer of {files.name!r} (a SentencePiece model)")
    with quiet(), in_words(files, "its tokenizer cannot be loaded"):
        tokenizer = AutoTokenizer.from_pretrained(
            files.folder, trust_remote_code=False, local_files_only=True, use_fast=True
        )
    if not getattr(tokenizer, "is_fast", False):
        raise ModelError(
            f"the tokenizer of {files.name!r} ({type(tokenizer).__name__}) is not a fast one, so characters cannot "
            "be aligned to tokens; a tokenizer.json is needed."
        )
    # Without tokenizer files transformers makes an empty tokenizer instead of failing.
    if len(tokenizer) <= len(tokenizer.all_special_ids):
        raise ModelError(
            f"the model {files.name!r} in {files.folder} has no tokenizer vocabulary: expected tokenizer.json (or the "
            "vocabulary files of its tokenizer) beside config.json."
        )
    return tokenizer  # type: ignore[no-any-return, return-value, unused-ignore]


@contextlib.contextmanager
def in_words(files: ModelFiles, what: str) -> Iterator[None]:
    """Turn whatever transformers raises on a broken folder into one sentence."""
    try:
        yield
    except Exception as error:  # foreign code on foreign files: any error there is the model's
        said = " ".join(str(error).split()) or type(error).__name__
        if "trust_remote_code" in said or "custom code" in said:
            said = "it needs Python code from its repository, and layerwise never runs such code"
        raise ModelError(
            f"the model {files.name!r} in {files.folder} cannot be used: {what}: {said[:400]}"
        ) from error


@dataclass
class _Quiet:
    """How many are within `quiet`, and transformers' verbosity and bars outside of it."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    within: int = 0
    found: tuple[int, bool] = (logging.WARNING, True)


_QUIET = _Quiet()


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep transformers' loading reports off stderr: the doctor's list says the same.

    Of several at once, in threads or one in another, the last to end puts back what the first found.
    """
    with _QUIET.lock:
        if not _QUIET.within:
            _QUIET.found = (
                transformers_logging.get_verbosity(),
                transformers_logging.is_progress_bar_enabled(),
            )
            transformers_logging.set_verbosity(logging.CRITICAL)
            transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        _QUIET.within += 1
    try:
        yield
    finally:
        with _QUIET.lock:
            _QUIET.within -= 1
            if not _QUIET.within:
                level, bars = _QUIET.found
                transformers_logging.set_verbosity(level)
                if bars:
                    transformers_logging.enable_progress_bar()  # type: ignore[no-untyped-call]


def pick_device(device: str) -> torch.device:
    """`"auto"` takes CUDA, then MPS, then the CPU; anything else as torch names devices.

    Raises:
        UsageError: no such device here.
    """
    if device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        chosen = torch.device(device)
        torch.empty(1, device=chosen).item()  # which a device without memory, "meta", has none of
    except (RuntimeError, TypeError, AssertionError, NotImplementedError) as error:
        raise UsageError(
            f"the device {device!r} cannot be used here: choose auto or cpu, or cuda with a GPU."
        ) from error
    return chosen


def pick_dtype(dtype: str) -> torch.dtype:
    """The torch dtype of a name.

    Raises:
        UsageError: unknown name; the message lists those there are.
    """
    return DTYPES[choose("dtype", dtype, DTYPES)]
