"""Every error a user can meet.

::

    LayerwiseError                      exit 1: the run failed
    ├── SourceError                     the text cannot be read
    │   ├── SourceEncodingError         ... because it is not UTF-8
    │   └── ColumnError                 ... because a column is not there
    ├── TextTooLongError                a text exceeds the model and `long_text="error"`
    ├── ModelError                      the model cannot be used
    │   ├── ModelNotFoundError          ... because no such model was found
    │   └── UnsafeWeightsError          ... because its weights are pickled or not the expected ones
    ├── DeviceMemoryError               a batch does not fit on the device
    ├── NumericError                    NaN or overflow: such values never enter a store
    ├── StoreError                      the store cannot be used
    │   ├── NotAStoreError              ... because it is something else
    │   ├── StoreMismatchError          ... because it belongs to another run
    │   ├── StoreCorruptError           ... because its bytes are not those written
    │   └── StoreFullError              ... because the disk is full
    ├── LabelError                      labels cannot be probed: too few, missing, or all the same
    ├── MissingExtraError               an optional library is not installed (also an ImportError)
    ├── InterruptedRunError             Ctrl-C or SIGTERM: what is committed stays
    └── UsageError                      exit 2: the call was wrong (also a ValueError)
        └── LayerSelectionError         ... in its choice of layers

A message is one sentence that says what was given, what was expected and what to do.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from types import ModuleType


class LayerwiseError(Exception):
    """Root of all errors raised on purpose; `exit_code` is what the command line exits with."""

    exit_code = 1


class SourceError(LayerwiseError):
    """A source of texts cannot be read."""


class SourceEncodingError(SourceError):
    """A source is not valid UTF-8; the message names file, line and byte."""


class ColumnError(SourceError):
    """A column that was asked for is not in the source; the message lists those that are.

    Attributes:
        column: its name, where one is missing.
    """

    def __init__(self, message: str, column: str | None = None) -> None:
        super().__init__(message)
        self.column = column


class TextTooLongError(LayerwiseError):
    """A text has more tokens than the model takes and `long_text="error"` was chosen."""


class ModelError(LayerwiseError):
    """A model cannot be loaded or run."""


class DeviceMemoryError(LayerwiseError):
    """A batch does not fit on the device."""


class ModelNotFoundError(ModelError):
    """No model of this name was found; the message lists the places that were tried."""


class UnsafeWeightsError(ModelError):
    """Weights are pickled (and pickles run code) or do not have the expected checksum."""


class NumericError(LayerwiseError):
    """A hidden state is NaN, or overflows the number format it would be stored in."""


class StoreError(LayerwiseError):
    """A store cannot be read or written."""


class NotAStoreError(StoreError):
    """The path exists and is not a layerwise store."""


class StoreMismatchError(StoreError):
    """The store was made by another run; the message names what differs."""


class StoreCorruptError(StoreError):
    """The store's bytes are not those that were written."""


class StoreFullError(StoreError):
    """The disk is full; everything committed before stays valid."""


class MissingExtraError(LayerwiseError, ImportError):
    """An optional library is needed; the message is the exact `pip install` that brings it."""


class InterruptedRunError(LayerwiseError):
    """The user stopped the run; the message says what is committed and how to go on."""


class LabelError(LayerwiseError):
    """Labels cannot be probed: too few, missing, or all the same; or no part to test on is left."""


class UsageError(LayerwiseError, ValueError):
    """The call itself was wrong."""

    exit_code = 2


class LayerSelectionError(UsageError):
    """The layers asked for do not exist, repeat, or cannot be read as a selection."""


def choose(kind: str, given: str, valid: Iterable[str]) -> str:
    """Return `given` if it is one of `valid`; otherwise raise a `UsageError` that lists them."""
    names = list(valid)
    if given not in names:
        raise UsageError(f"unknown {kind} {given!r}: choose one of {', '.join(names)}.")
    return given


def require(module: str, requirement: str, purpose: str) -> ModuleType:
    """Import an optional `module`, the one gate for every extra.

    Args:
        requirement: what pip installs; where one package is not enough, several with spaces between.

    Raises:
        MissingExtraError: it is not installed; the message holds the `pip install` command.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        packages = " ".join(f'"{package}"' for package in requirement.split())
        fault = (
            "is not installed" if isinstance(error, ModuleNotFoundError) else f"cannot be imported ({error})"
        )
        raise MissingExtraError(
            f"{purpose} needs the Python package {module!r}, which {fault}; run: pip install {packages}"
        ) from error
