"""Short ways to write a source and to read it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from layerwise.text.sources import SourceOptions, Sources
from layerwise.types import TextRecord

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """`write(name, content)`: a file in a fresh folder; strings are written as UTF-8."""

    def write(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


def read(*sources: str | Path, **options: Any) -> list[TextRecord]:
    """All records of the sources."""
    return list(Sources(sources, SourceOptions(**options)).records())


def texts(*sources: str | Path, **options: Any) -> list[str]:
    """All texts of the sources."""
    return [record.text for record in read(*sources, **options)]


def surfaces(record: TextRecord) -> list[str]:
    """The words of a record as they stand in its text."""
    assert record.words is not None
    return [record.text[start:end] for start, end in record.words]
