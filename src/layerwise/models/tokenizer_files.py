"""A tokenizer written so that whoever reads it alone feeds the model what layerwise feeds it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from layerwise.models.load import quiet

_OF_A_PLACE = ("is_local", "local_files_only", "name_or_path")
_OF_A_CALL = ("max_length", "stride", "truncation_strategy", "pad_to_multiple_of")
"""Settings of a tokenizer that say where it was loaded from, or how it was once called."""


def save_tokenizer(tokenizer: Any, folder: Path, takes_types: bool, max_length: int | None = None) -> None:
    """Write a tokenizer as transformers does, and say in its config what no class can know.

    That is which inputs the model takes (XLM would look token types up among its words, and the generic class of
    transformers leaves them out), and that texts are cut and padded at their end.

    Args:
        takes_types: whether token types are fed to the model. One that knows one type only has it by itself.
        max_length: the longest text it takes; None: as the tokenizer has it.

    Raises:
        OSError: a file cannot be written.
    """
    with quiet(), faults_of_files():
        tokenizer.save_pretrained(folder)
    path = folder / "tokenizer_config.json"
    config = json.loads(path.read_text("utf-8"))
    config |= {"padding_side": "right", "truncation_side": "right"}
    if max_length is not None:
        config["model_max_length"] = max_length
    for key in (*_OF_A_PLACE, *_OF_A_CALL):
        config.pop(key, None)
    names = config.get("model_input_names")
    if takes_types:
        config["model_input_names"] = names or ["input_ids", "token_type_ids", "attention_mask"]
    else:
        config["model_input_names"] = ["input_ids", "attention_mask"]
    path.write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", "utf-8")


@contextmanager
def faults_of_files() -> Iterator[None]:
    """An `OSError` for the bare `Exception` with which the tokenizers library says that a disk is full."""
    try:
        yield
    except Exception as error:
        if type(error) is not Exception:
            raise
        raise OSError(str(error)) from error
