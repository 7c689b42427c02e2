"""`pretrain.py` on a GPU: packed against padded, in float32, bfloat16 and float16.

    python benchmarks/gpu_pretrain.py

Before it measures, it makes sure that the packed model in float32 gives the logits that it gives on the CPU.
"""

from __future__ import annotations

import torch
from pretrain import CPU, SHAPES, main, make_batches

from layerwise.models.load import quiet
from layerwise.models.packed_pretraining import BertForPreTraining
from layerwise.train.pretraining.batches import packed_batch

PAIRS = 256
TOLERANCE = 1e-3
"""Of logits of random weights, whose size is about 1; float32 products may be rounded to TF32."""


def check() -> None:
    """Compare CUDA with the CPU."""
    shape = next(iter(SHAPES.values()))
    [batch, *_], _ = make_batches(shape, 8)
    torch.manual_seed(0)
    with quiet():
        model = BertForPreTraining.new(shape.config(shape.vocab_size, 0)).eval()
    inputs = packed_batch(batch)
    del inputs["labels"]
    with torch.no_grad():
        expected = model(**inputs)["prediction_logits"]
        found = model.to("cuda")(**{name: value.to("cuda") for name, value in inputs.items()})
    worst = float((found["prediction_logits"].to(CPU) - expected).abs().max())
    print(f"CUDA differs from the CPU by {worst:.1e}")
    assert worst < TOLERANCE


if __name__ == "__main__":
    check()
    main(torch.device("cuda"), PAIRS)
