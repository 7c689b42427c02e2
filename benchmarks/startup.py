"""How long until something happens: `layerwise --help`, `import layerwise`, and loading the embedded model.

    python benchmarks/startup.py

Medians of fresh processes. Writes `results/startup_…md`.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from statistics import median

from timing import table, write_results

LAYERWISE = str(Path(sys.executable).with_name("layerwise"))
IMPORT = "import time; began = time.perf_counter(); import layerwise; print(time.perf_counter() - began)"
LOAD = 'import layerwise; layerwise.Encoder.from_pretrained("minilm").encode("I love this book.")'


def wall(command: list[str], repeats: int) -> float:
    seconds = []
    for _ in range(repeats):
        began = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        seconds.append(time.perf_counter() - began)
    return median(seconds)


def import_seconds(repeats: int) -> float:
    """Time of the import itself, without starting Python."""
    runs = [
        subprocess.run([sys.executable, "-c", IMPORT], check=True, capture_output=True)
        for _ in range(repeats)
    ]
    return median(float(run.stdout) for run in runs)


def main() -> None:
    rows = [
        ["`layerwise --help`", f"{wall([LAYERWISE, '--help'], 9):.2f}", "< 0.4"],
        ["`layerwise extract --help`", f"{wall([LAYERWISE, 'extract', '--help'], 9):.2f}", "< 0.4"],
        ["`import layerwise`", f"{import_seconds(9):.3f}", "< 0.15"],
        ["load the embedded model and encode a sentence", f"{wall([sys.executable, '-c', LOAD], 5):.1f}", ""],
        [
            "`python -c 'import transformers, torch'`",
            f"{wall([sys.executable, '-c', 'import transformers, torch'], 5):.1f}",
            "",
        ],
    ]
    write_results("startup", "cpu", table(["", "seconds", "target"], rows), ["layerwise"])


if __name__ == "__main__":
    main()
