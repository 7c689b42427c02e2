"""Tables as CSV files."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from layerwise.errors import LayerwiseError


def write_csv(rows: Sequence[Mapping[str, Any]], path: str) -> None:
    """Write rows with the same keys; nothing for None and NaN.

    Raises:
        LayerwiseError: the file cannot be written.
    """
    try:
        with Path(path).open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            for row in rows:
                writer.writerow(
                    {key: "" if value is None or value != value else value for key, value in row.items()}
                )
    except OSError as error:
        raise LayerwiseError(f"the table cannot be written to {path}: {error.strerror}.") from error
