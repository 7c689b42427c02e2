"""Every layer of every encoder: extract it, understand it, ship the best one.

The public names are loaded when first used, so `import layerwise` brings in neither torch nor
transformers.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from layerwise import errors as errors
from layerwise.version import __version__

if TYPE_CHECKING:
    from layerwise.errors import LayerwiseError, UsageError
    from layerwise.extraction.run import extract
    from layerwise.models.encoder import Encoder
    from layerwise.shipping.ship import ship
    from layerwise.store.reader import Store, open_store
    from layerwise.study.probing import probe
    from layerwise.train.choices import FinetuneChoices
    from layerwise.train.evaluate import evaluate
    from layerwise.train.finetune import finetune
    from layerwise.train.predict import predict
    from layerwise.train.pretraining.run import pretrain
    from layerwise.train.pretraining.shape import PretrainShape
    from layerwise.train.pruning.run import PruneCuts, prune
    from layerwise.train.settings import TrainingSettings
    from layerwise.train.tasks.example import DataColumns
    from layerwise.types import HiddenStates, LayerSelection, TextRecord, Unit

    open = open_store

_HOME = {
    "DataColumns": ("layerwise.train.tasks.example", "DataColumns"),
    "Encoder": ("layerwise.models.encoder", "Encoder"),
    "FinetuneChoices": ("layerwise.train.choices", "FinetuneChoices"),
    "HiddenStates": ("layerwise.types", "HiddenStates"),
    "LayerSelection": ("layerwise.types", "LayerSelection"),
    "LayerwiseError": ("layerwise.errors", "LayerwiseError"),
    "PretrainShape": ("layerwise.train.pretraining.shape", "PretrainShape"),
    "PruneCuts": ("layerwise.train.pruning.run", "PruneCuts"),
    "Store": ("layerwise.store.reader", "Store"),
    "TextRecord": ("layerwise.types", "TextRecord"),
    "TrainingSettings": ("layerwise.train.settings", "TrainingSettings"),
    "Unit": ("layerwise.types", "Unit"),
    "UsageError": ("layerwise.errors", "UsageError"),
    "evaluate": ("layerwise.train.evaluate", "evaluate"),
    "extract": ("layerwise.extraction.run", "extract"),
    "finetune": ("layerwise.train.finetune", "finetune"),
    "open": ("layerwise.store.reader", "open_store"),
    "predict": ("layerwise.train.predict", "predict"),
    "pretrain": ("layerwise.train.pretraining.run", "pretrain"),
    "probe": ("layerwise.study.probing", "probe"),
    "prune": ("layerwise.train.pruning.run", "prune"),
    "ship": ("layerwise.shipping.ship", "ship"),
}

# Without `open`: `from layerwise import *` is not to replace Python's own.
__all__ = [
    "DataColumns",
    "Encoder",
    "FinetuneChoices",
    "HiddenStates",
    "LayerSelection",
    "LayerwiseError",
    "PretrainShape",
    "PruneCuts",
    "Store",
    "TextRecord",
    "TrainingSettings",
    "Unit",
    "UsageError",
    "__version__",
    "evaluate",
    "extract",
    "finetune",
    "predict",
    "pretrain",
    "probe",
    "prune",
    "ship",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'layerwise' has no attribute {name!r}")
    module, attribute = _HOME[name]
    value = getattr(importlib.import_module(module), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "open"])
