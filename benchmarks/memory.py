"""Does memory grow with the corpus?

    python benchmarks/memory.py

Extracts all layers of 10,000 and of 100,000 texts with the embedded model, each in a process of its own, and
compares peak resident memory. Writes `results/memory_…md`.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from texts import mixed_length
from timing import table, write_results

COUNTS = (10_000, 100_000)

CHILD = """
import json, resource, sys
import layerwise
encoder = layerwise.Encoder.from_pretrained("minilm", dtype=sys.argv[3])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
summary = layerwise.extract(sys.argv[1], sys.argv[2], encoder=encoder, unit="text")
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps([before / 1024, after / 1024, summary.tokens, summary.seconds, summary.bytes / 2**20]))
"""


def measure(root: Path, count: int, dtype: str) -> list[float]:
    source, out = root / f"{count}.txt", root / f"{count}.lance"
    source.write_text("\n".join(mixed_length(count)) + "\n", encoding="utf-8")
    command = [sys.executable, "-c", CHILD, str(source), str(out), dtype]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    numbers: list[float] = json.loads(run.stdout)
    return numbers


def main() -> None:
    rows, peaks = [], []
    with tempfile.TemporaryDirectory(prefix="layerwise-bench-") as folder:
        for count in COUNTS:
            loaded, peak, tokens, seconds, size = measure(Path(folder), count, "bfloat16")
            peaks.append(peak)
            rows.append(
                [
                    f"{count:,}",
                    f"{tokens:,}",
                    f"{loaded:,.0f}",
                    f"{peak:,.0f}",
                    f"{size:,.0f}",
                    f"{seconds:,.0f}",
                ]
            )
    head = ["texts", "tokens", "MiB, model loaded", "MiB, peak", "MiB, store", "seconds"]
    growth = peaks[1] / peaks[0] - 1
    body = (
        "Embedded model, bfloat16, all 7 layers, one row a text.\n\n"
        + table(head, rows)
        + f"\n\nTen times the texts: {growth:+.1%} peak memory (target: within 10 %, "
        + ("met" if growth <= 0.10 else "missed")
        + ")."
    )
    write_results("memory", "cpu", body, ["layerwise", "pylance"])


if __name__ == "__main__":
    main()
