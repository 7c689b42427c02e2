"""Classes by name: what Hugging Face's `datasets` writes into a Parquet file are numbers, and their names in its schema.

The schema's metadata has a key `huggingface` with the features as JSON (datasets, `Features.arrow_schema`); a feature
`ClassLabel` has `names`, alone or inside a list.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

Read = Callable[[Any], Any]


def readers(schema: Any) -> dict[str, Read]:
    """For each column of numbered classes what turns its values into names; -1, the mark of no class, into null."""
    found = {}
    for name, feature in _features(schema).items():
        names, listed = _names(feature)
        if names is not None and name in schema.names:
            found[name] = _of_list(names) if listed else _of_one(names)
    return found


def types(schema: Any) -> dict[str, Any]:
    """The Arrow types of these columns once they are names."""
    import pyarrow as pa

    columns = {name: _names(feature) for name, feature in _features(schema).items()}
    return {
        name: pa.list_(pa.string()) if listed else pa.string()
        for name, (names, listed) in columns.items()
        if names is not None and name in schema.names
    }


def _features(schema: Any) -> Mapping[str, Any]:
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
    except (KeyError, TypeError, ValueError):
        return {}
    return features if isinstance(features, Mapping) else {}


def _names(feature: Any) -> tuple[list[str] | None, bool]:
    """The names of a feature's classes, or None, and whether it is a list of them."""
    inner = feature[0] if isinstance(feature, list) and feature else feature
    if isinstance(inner, Mapping) and inner.get("_type") in ("Sequence", "List", "LargeList"):
        inner = inner.get("feature")
    listed = inner is not feature
    if not isinstance(inner, Mapping) or inner.get("_type") != "ClassLabel":
        return None, listed
    names = inner.get("names")
    return (list(map(str, names)), listed) if isinstance(names, list) and names else (None, listed)


def whole(number: Any) -> Any:
    """A number as it was: where a row of a table has none, those of the others became floats."""
    return int(number) if isinstance(number, float) and number.is_integer() else number


def _of_one(names: list[str]) -> Read:
    def read(value: Any) -> Any:
        value = whole(value)
        if isinstance(value, int) and value < len(names):
            return names[value] if value >= 0 else None
        return value if value is None or isinstance(value, str) else str(value)

    return read


def _of_list(names: list[str]) -> Read:
    one = _of_one(names)
    return lambda values: [one(value) for value in values] if isinstance(values, list) else values
