"""What a folder that layerwise wrote says about itself: `layerwise.json` of `ship`, `layerwise_task.json` of `finetune`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from layerwise.errors import ModelError
from layerwise.types import POOLINGS, Layer
from layerwise.whole_file import local_path

NAME = "layerwise.json"
PRUNED = "layerwise_pruning.json"
"""What `layerwise prune` writes in its place."""

TRAINED = "layerwise_task.json"
"""What `layerwise finetune` writes."""

FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True)
class Shipped:
    """The settings under which a shipped folder gives the vectors it was shipped for.

    Attributes:
        layer: the layer, in the numbers of the shipped model: its last, or `"final"`.
        pooling: how the tokens of a text become one vector.
        normalize: whether sentence-transformers scales the vectors to length 1.
        document: the whole file, with what it was cut from.
    """

    layer: Layer
    pooling: str
    normalize: bool
    document: Mapping[str, Any]


def is_shipped(folder: str | Path) -> bool:
    """Whether `layerwise ship` wrote a folder; one that is not there was written by nobody."""
    return (local_path(folder) / NAME).is_file()


def read_shipped(folder: Path) -> Shipped | None:
    """Read a folder's settings; None where `ship` did not write it.

    Raises:
        ModelError: the file is there and is not what `ship` writes.
    """
    path = folder / NAME
    if not path.is_file():
        return None
    try:
        document = json.loads(path.read_text("utf-8"))
        version, layer = document["format_version"], document["layer"]
        pooling, normalize = document["pooling"], document["normalize"]
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"{path} cannot be read ({error}): expected what `layerwise ship` wrote; ship again."
        ) from error
    if version != FORMAT_VERSION or pooling not in POOLINGS["text"]:
        raise ModelError(
            f"{path} has format version {version!r} and pooling {pooling!r}: this layerwise knows version "
            f"{FORMAT_VERSION} and the poolings {', '.join(POOLINGS['text'])}; update it, or ship again."
        )
    return Shipped(layer, pooling, bool(normalize), document)


def pooling_of(folder: Path) -> str:
    """How the tokens of a text become the vector that a folder is for; `mean` where it is for none.

    Raises:
        ModelError: see `read_shipped`.
    """
    shipped = read_shipped(folder)
    if shipped is not None:
        return shipped.pooling
    try:
        pooling = json.loads((folder / TRAINED).read_text("utf-8"))["pooling"]
    except (OSError, ValueError, KeyError, TypeError):
        return "mean"
    return pooling if pooling in POOLINGS["text"] else "mean"
