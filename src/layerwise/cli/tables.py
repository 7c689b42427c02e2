"""Tables as CSV files."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

from layerwise.whole_file import whole_file


def write_csv(rows: Sequence[Mapping[str, Any]], path: str) -> None:
    """Write rows with the same keys; nothing for None and NaN.

    Raises:
        UsageError: there is no such folder, or it is one. LayerwiseError: the file cannot be written.
    """
    table = io.StringIO(newline="")
    writer = csv.DictWriter(table, list(rows[0]))
    writer.writeheader()
    for row in rows:
        writer.writerow({key: "" if value is None or value != value else value for key, value in row.items()})
    with whole_file(path) as stream:
        stream.write(table.getvalue().encode())
