"""Does memory grow with the corpus?

    python benchmarks/memory.py

Extracts 10,000 and 100,000 texts with the embedded model, each in a process of its own, and compares peak
resident memory: all layers pooled to texts, and the last layer word by word. Writes `results/memory_…md`.
"""

from __future__ import annotations

import json
import shutil
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
encoder = layerwise.Encoder.from_pretrained("minilm", device="cpu", dtype="bfloat16")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
unit, layers = sys.argv[3:]
summary = layerwise.extract(sys.argv[1], sys.argv[2], encoder=encoder, unit=unit, layers=layers)
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps([before / 1024, after / 1024, summary.tokens, summary.seconds, summary.bytes / 2**20]))
"""


def measure(root: Path, count: int, unit: str, layers: str) -> list[float]:
    source = root / f"{count}.txt"
    source.write_text("\n".join(mixed_length(count)) + "\n", encoding="utf-8")
    out = root / f"{count}-{unit}.lance"
    command = [sys.executable, "-c", CHILD, str(source), str(out), unit, layers]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    shutil.rmtree(out)
    numbers: list[float] = json.loads(run.stdout)
    return numbers


def main() -> None:
    rows, verdicts = [], []
    with tempfile.TemporaryDirectory(prefix="layerwise-bench-") as folder:
        for unit, layers in (("text", "all"), ("word", "-1")):
            peaks = []
            for count in COUNTS:
                loaded, peak, tokens, seconds, size = measure(Path(folder), count, unit, layers)
                peaks.append(peak)
                numbers = [f"{number:,.0f}" for number in (tokens, loaded, peak, size, seconds)]
                rows.append([f"{unit}, {layers}", f"{count:,}", *numbers])
            growth = peaks[1] / peaks[0] - 1
            verdicts.append(f"{unit} {growth:+.1%}, {'met' if growth <= 0.10 else 'missed'}")
    head = ["unit, layers", "texts", "tokens", "MiB, model loaded", "MiB, peak", "MiB, store", "seconds"]
    body = (
        "Embedded model, bfloat16.\n\n"
        + table(head, rows)
        + f"\n\nTen times the texts (target: peak memory within 10 %): {'; '.join(verdicts)}."
    )
    write_results("memory", "cpu", body, ["layerwise", "pylance"])


if __name__ == "__main__":
    main()
