"""Going on with a store: is it the same run, and what did a killed one leave behind?"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from layerwise.errors import StoreError, StoreMismatchError
from layerwise.store.commits import Commit
from layerwise.store.folder import LEDGER
from layerwise.store.schema import FORMAT_VERSION, decode_document

MAY_DIFFER = ("versions", "engine", "attention", "device", "batch_tokens")
"""What a resumed run may do otherwise: it changes how rows are made, not which they are."""

_OWN = ("complete", "counts", "limit", "resumed_with")


def refuse_other_run(path: Path, stored: pa.Schema, asked: Mapping[str, Any], schema: pa.Schema) -> None:
    """Everything in the description of a run must agree, apart from `MAY_DIFFER`.

    Raises:
        StoreMismatchError: names each difference.
        StoreError: the store has a later format.
    """
    there = decode_document(stored, path)
    refuse_later_format(path, there)
    now = json.loads(json.dumps(asked))
    names = sorted((there.keys() | now.keys()) - set(MAY_DIFFER) - set(_OWN))
    differences = [
        difference for name in names for difference in _differences(name, there.get(name), now.get(name))
    ]
    if not differences and not stored.equals(schema):
        differences = [f"its columns are {_columns(stored)} there and {_columns(schema)} now"]
    if differences:
        raise StoreMismatchError(
            f"the store {path} was made by another run ({'; '.join(differences)}): "
            "give the same options to go on, choose another output, or pass --overwrite to start again."
        )


def refuse_later_format(path: Path, document: Mapping[str, Any]) -> None:
    """Raise a `StoreError` for a store written by a layerwise that knows more."""
    version = document.get("format_version")
    if not isinstance(version, int) or version > FORMAT_VERSION:
        raise StoreError(
            f"the store {path} has format version {version}, and this layerwise reads up to {FORMAT_VERSION}: "
            "update layerwise."
        )


def resumed_document(stored: Mapping[str, Any], asked: Mapping[str, Any]) -> dict[str, Any]:
    """The metadata of a store that gets more rows: not complete; what went otherwise is noted."""
    document = {key: value for key, value in stored.items() if key not in ("counts", "limit")}
    document["complete"] = False
    other = {key: asked[key] for key in MAY_DIFFER if key in asked and asked[key] != stored.get(key)}
    noted = list(stored.get("resumed_with", []))
    if other and other not in noted:
        document["resumed_with"] = [*noted, other]
    return document


def remove_leftovers(path: Path, in_manifest: Iterable[str], commits: Sequence[Commit]) -> None:
    """Delete what a killed run wrote and never committed."""
    keep = set(in_manifest)
    for file in (path / "data").glob("*"):
        if file.name not in keep and file.is_file():
            file.unlink()
    for file in (path / "_versions").glob(".tmp*"):  # a manifest that did not get its name
        file.unlink()
    known = {commit.file_name for commit in commits}
    for file in (path / LEDGER).glob("*.parquet*"):
        if file.name not in known:
            file.unlink()


def _differences(name: str, there: Any, now: Any) -> list[str]:
    """What differs in one entry, inside objects by the names of their keys."""
    if there == now:
        return []
    if isinstance(there, dict) and isinstance(now, dict):
        keys = sorted(there.keys() | now.keys())
        return [one for key in keys for one in _differences(f"{name}.{key}", there.get(key), now.get(key))]
    return [f"{name} is {_short(there)} there and {_short(now)} now"]


def _columns(schema: pa.Schema) -> str:
    return ", ".join(f"{field.name}: {field.type}" for field in schema)


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else text[:79] + "…"
