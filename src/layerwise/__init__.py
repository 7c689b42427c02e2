"""Every layer of every encoder: extract it, understand it, ship the best one.

The public names are loaded when first used, so `import layerwise` brings in neither torch nor
transformers.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from layerwise.version import __version__

if TYPE_CHECKING:
    from layerwise.errors import LayerwiseError, UsageError
    from layerwise.extraction.run import extract
    from layerwise.models.encoder import Encoder
    from layerwise.shipping.ship import ship
    from layerwise.store.reader import Store
    from layerwise.store.reader import open_store as open
    from layerwise.study.probing import probe
    from layerwise.types import HiddenStates, LayerSelection, TextRecord, Unit

_HOME = {
    "Encoder": ("layerwise.models.encoder", "Encoder"),
    "HiddenStates": ("layerwise.types", "HiddenStates"),
    "LayerSelection": ("layerwise.types", "LayerSelection"),
    "LayerwiseError": ("layerwise.errors", "LayerwiseError"),
    "Store": ("layerwise.store.reader", "Store"),
    "TextRecord": ("layerwise.types", "TextRecord"),
    "Unit": ("layerwise.types", "Unit"),
    "UsageError": ("layerwise.errors", "UsageError"),
    "extract": ("layerwise.extraction.run", "extract"),
    "open": ("layerwise.store.reader", "open_store"),
    "probe": ("layerwise.study.probing", "probe"),
    "ship": ("layerwise.shipping.ship", "ship"),
}

__all__ = [
    "Encoder",
    "HiddenStates",
    "LayerSelection",
    "LayerwiseError",
    "Store",
    "TextRecord",
    "Unit",
    "UsageError",
    "__version__",
    "extract",
    "open",
    "probe",
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
    return sorted(__all__)
