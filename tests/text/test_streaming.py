"""Memory does not grow with the source, and reading loads nothing that is not needed."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from collections.abc import Callable

import pytest

from layerwise.text.sources import Sources
from tests.text.conftest import Write

ROWS: dict[str, Callable[[int], str]] = {
    "a.txt": lambda n: f"text number {n}\n",
    "a.jsonl": lambda n: f'{{"text": "text number {n}"}}\n',
    "a.csv": lambda n: f'"text number {n}",x\n' if n else "text,label\n",
    "a.tsv": lambda n: f"text number {n}\tx\n" if n else "text\tlabel\n",
    "a.conllu": lambda n: f"# text = number{n}\n1\tnumber{n}\t_\t_\t_\t_\t0\t_\t_\t_\n\n",
    "a.bio": lambda n: f"number{n} O\n\n",
}


@pytest.mark.parametrize("name", ROWS)
def test_memory_does_not_grow(write: Write, name: str) -> None:
    def peak(rows: int) -> int:
        sources = Sources(write(name, "".join(ROWS[name](row) for row in range(rows))))
        tracemalloc.start()
        for _ in sources.records():
            pass
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return used

    peak(10)  # imports
    assert peak(40_000) < 1.3 * peak(10_000)


def test_the_room_loads_no_heavy_library() -> None:
    heavy = "{'torch', 'transformers', 'pyarrow', 'fsspec', 'lance'}"
    code = f"import sys, layerwise.text.sources, layerwise.text.batching; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
