"""A run in its own process, to be killed: `python -m tests.store.writing_process OUT TEXTS`."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.store.making import chunks, writer


def main(path: str, texts: int) -> None:
    with writer(Path(path), resume=True, commit_bytes=1) as out:
        print("started", flush=True)
        for part in chunks(texts, each=5, first=out.committed_texts):
            out.append(part)
        out.finish()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
