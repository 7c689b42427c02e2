"""What 16-bit precision costs: cosine to float32 at every token and layer of the embedded model.

    python benchmarks/precision.py

Runs the forward pass in bfloat16 over the example texts, and stores float32 vectors as float16.
Writes `results/precision_…md`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from timing import table, write_results

from layerwise import Encoder
from layerwise.types import HiddenStates

EXAMPLES = Path(__file__).parent.parent / "examples"


def states_of(texts: list[str], dtype: str) -> list[HiddenStates]:
    return Encoder.from_pretrained("minilm", device="cpu", dtype=dtype).encode(texts)


def cosines(ours: list[np.ndarray], reference: list[np.ndarray]) -> np.ndarray:
    """(layers, tokens)"""
    a, b = np.concatenate(ours, 1).astype(np.float64), np.concatenate(reference, 1).astype(np.float64)
    norms = np.linalg.norm(a, axis=2) * np.linalg.norm(b, axis=2)
    return np.asarray((a * b).sum(2) / norms)


def main() -> None:
    names = ("prose_en.txt", "prose_zh.txt")
    texts = [
        line for name in names for line in (EXAMPLES / name).read_text("utf-8").splitlines() if line.strip()
    ]
    exact = [states.hidden_states for states in states_of(texts, "float32")]
    half = [states.astype(np.float16) for states in exact]
    brain = [states.hidden_states for states in states_of(texts, "bfloat16")]
    forward, stored = cosines(brain, exact), cosines(half, exact)
    rows = [
        [
            layer,
            f"{forward[layer].min():.6f}",
            f"{np.median(forward[layer]):.6f}",
            f"{stored[layer].min():.7f}",
        ]
        for layer in range(len(forward))
    ]
    head = ["layer", "bfloat16 forward: worst token", "median token", "float16 store: worst token"]
    worst = forward.min()
    body = (
        f"{forward.shape[1]:,} tokens of {len(texts)} English and Chinese texts, cosine to float32.\n\n"
        + table(head, rows)
        + f"\n\nWorst of all in bfloat16: {worst:.6f} (target ≥ 0.9995: {'met' if worst >= 0.9995 else 'missed'})."
    )
    write_results("precision", "cpu", body, ["layerwise"])


if __name__ == "__main__":
    main()
