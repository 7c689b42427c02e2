"""Weights that no loss depends on: they ask for no gradient, and several processes wait for none."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest
import torch
from transformers import AutoModel

from layerwise.models.heads import new_head
from layerwise.models.layered import LayeredModel
from layerwise.models.load import quiet
from layerwise.train.unreached import leave_out_unreached
from layerwise.types import Layer
from tests.tiny import one_thread  # noqa: F401
from tests.train.learning import write_jsonl
from tests.train.test_families import SIZES, rows, save_tiny

UNREACHED = {
    "roberta": {"pooler.dense.weight", "pooler.dense.bias"},
    "modernbert": {"final_norm.weight"},
    "roformer": {"encoder.embed_positions.weight"},
}
"""Of a mix: a head that reads the last block's own output passes the norm behind it by."""


HEADS = ("mix", "first", "sequence", "question")


@pytest.mark.parametrize(
    ("family", "head"),
    [one for one in product(SIZES, HEADS) if one != ("esm", "question")],  # transformers has no such head
)
def test_all_that_asks_for_a_gradient_gets_one(family: str, head: str, tmp_path: Path) -> None:
    with quiet():
        encoder = AutoModel.from_pretrained(save_tiny(tmp_path, family), attn_implementation="eager")
    model: torch.nn.Module
    if head in ("mix", "first"):
        layers: tuple[Layer, ...] = (0, 1, 2) if head == "mix" else (1,)
        model = LayeredModel(encoder, layers, 2, pooled=False)
    else:
        model = new_head(encoder, head, ("a", "b"))
    ids = torch.arange(10, 19).view(1, -1)
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}

    def loss() -> torch.Tensor:
        return sum(
            one.float().clamp(min=-9).sum() for name, one in model(**inputs).items() if "logits" in name
        )  # type: ignore[no-any-return]

    leave_out_unreached(model.eval(), loss())
    model.train()
    loss().backward()
    for name, weight in model.named_parameters():
        assert (weight.grad is not None) == weight.requires_grad, name
    if head == "mix" and family in UNREACHED:
        assert {name for name, one in encoder.named_parameters() if not one.requires_grad} == UNREACHED[
            family
        ]
    if head == "first" and family not in ("albert", "mobilebert"):
        assert (
            sum(one.numel() for one in encoder.parameters() if not one.requires_grad) > 4000
        )  # the second block


@pytest.mark.parametrize(
    ("family", "task", "more"),
    [("esm", "similarity", []), ("modernbert", "classify", ["--mix", "scalar"])],
)
def test_two_processes_wait_for_no_gradient_in_vain(
    family: str, task: str, more: list[str], tmp_path: Path
) -> None:
    model = save_tiny(tmp_path / "base", family)
    pairs = [
        {"sentence1": f"a dog {n}", "sentence2": "fox " * (n % 4 + 1), "score": n % 5} for n in range(24)
    ]
    data = write_jsonl(tmp_path / "data.jsonl", pairs if task == "similarity" else rows("classify"))
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "layerwise"]
    command += ["finetune", task, str(data), "-m", model, *more, "--steps", "3", "--batch-size", "4"]
    command += ["--device", "cpu", "--precision", "fp32", "-o", str(tmp_path / "out")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    run = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-2000:]
    assert (tmp_path / "out" / "layerwise_task.json").exists()
