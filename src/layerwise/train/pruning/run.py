"""`prune`: a model made cheaper, with its size, speed and quality before and after."""

from __future__ import annotations

import copy
import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from layerwise.errors import UsageError
from layerwise.models.anatomy import blocks_of
from layerwise.models.load import config_of
from layerwise.models.locate import locate
from layerwise.models.removed_heads import (
    attention_of,
    refuse_fixed_heads,
    removed_heads,
    take_out_heads,
    zero_heads,
)
from layerwise.models.shipped import PRUNED
from layerwise.models.stored_dtype import dtype_of, stored_as
from layerwise.reports.training import Pruned, PruneReport
from layerwise.reports.wording import counted
from layerwise.shipping.target import whole_folder
from layerwise.text.locations import source_names
from layerwise.train.data import Skipped, whole_data
from layerwise.train.given import folder_of, name_of, plain
from layerwise.train.pruning.importance import head_importance, least_important, least_useful_blocks
from layerwise.train.pruning.int8 import PATH, quantise, require_graph, require_int8
from layerwise.train.pruning.magnitude import zero_smallest
from layerwise.train.run_folder import refuse_own_sources
from layerwise.train.settings import require_training
from layerwise.train.subject import EncoderSubject, Subject, subject_of
from layerwise.train.surroundings import own_surroundings
from layerwise.train.tasks.example import DataColumns

ROUNDS = 5
"""Passes over the data whose median is the speed."""

MOST_SECONDS = 20.0


@dataclass(frozen=True)
class PruneCuts:
    """What is taken away, in this order.

    Attributes:
        drop_layers: numbers of blocks, from 1.
        least_useful: so many blocks more, each time the one without which the loss on the data is lowest.
        heads: share of the attention heads, the least important on the data.
        magnitude: share of the weights of all linear layers in the blocks, the smallest (set to 0).
        int8: whether a graph in int8 is written beside.
    """

    drop_layers: tuple[int, ...] = ()
    least_useful: int = 0
    heads: float = 0.0
    magnitude: float = 0.0
    int8: bool = False

    def check(self, has_data: bool) -> None:
        """Refuse what cannot be.

        Raises:
            UsageError: nothing is to be done, a number is out of its range, or data is needed.
        """
        if self == PruneCuts():
            raise UsageError(
                "nothing to prune was named: expected --drop-layers, --least-useful, --heads, --magnitude or --int8."
            )
        if self.least_useful < 0:
            raise UsageError(f"--least-useful is {self.least_useful}: expected 1 or more blocks.")
        for name, share in (("heads", self.heads), ("magnitude", self.magnitude)):
            if not 0 <= share < 1:
                raise UsageError(f"--{name} is {share:g}: expected a share, 0 or more and less than 1.")
        if not has_data and (self.least_useful or self.heads or self.int8):
            raise UsageError(
                "--least-useful, --heads and --int8 are measured on data: name some with --data."
            )


@own_surroundings()
def prune(
    model: str | Path,
    output: str | Path,
    cuts: PruneCuts,
    *,
    data: str | Path | Sequence[str | Path] | None = None,
    columns: DataColumns | None = None,
    skip_bad: bool = False,
    overwrite: bool = False,
    revision: str | None = None,
    allow_pickle: bool = False,
    say: Callable[[str], None] | None = None,
) -> PruneReport:
    """Take blocks, heads or weights out of a model, and measure it before and after.

    Args:
        model: what `finetune` or `pretrain` wrote, a checkpoint with a head, or a bare encoder.
        data: examples with answers for a model with a task; texts for others.

    Raises:
        UsageError: nothing is to be done, or it does not fit; the folder is there.
        ModelError: the model cannot be loaded, or cannot be pruned so.
        SourceError: the data cannot be read.
    """
    require_training()
    given, cuts = source_names(() if data is None else data), plain(cuts, PruneCuts, "cuts")
    say = say or (lambda text: None)
    name, named = name_of(model), whole_data(plain(columns, DataColumns, "columns"))
    cuts.check(bool(given))
    if cuts.int8:
        require_int8()
    files = locate(name, revision, allow_pickle)
    target, skipped = folder_of(output), Skipped(skip_bad)
    refuse_own_sources(target, *given)
    torch.manual_seed(0)
    with whole_folder(target, files.folder, overwrite) as folder:
        subject = subject_of(files, given, named, skipped)
        if given and not subject.features:
            raise skipped.refuse_nothing()
        _refuse(subject, cuts)
        say("measuring the model as it is")
        before = _before(subject, files.folder)
        notes = [*skipped.note(), *subject.notes(), *_cut(subject, cuts, say)]
        if isinstance(subject, EncoderSubject):
            notes += [
                f"The head of {head} is not one that can be pruned, and is left out: the folder holds the encoder alone."
                for head in getattr(config_of(files), "architectures", None) or ()
                if not head.endswith("Model")
            ]
        heads = {str(block): numbers for block, numbers in removed_heads(subject.encoder.config).items()}
        with stored_as(subject.model, dtype_of(files)):
            subject.save(folder, {"from": name, "heads": heads, **_named(cuts)})
        if cuts.int8:
            notes += [
                "The graph in int8 is for onnxruntime (onnx/model_quantized.onnx); the weights beside it are whole."
            ]
        take_out_heads(subject.encoder)
        if cuts.int8:
            run = quantise(subject, folder)
        say("measuring the pruned model")
        after = [_measured("after", subject, folder)]
        if cuts.int8:
            after.append(_measured("after, int8", subject, folder, run))
        (folder / PRUNED).write_text(json.dumps(_named(cuts), indent=1) + "\n", "utf-8")
    return PruneReport(
        model=name,
        output=str(target),
        metric=subject.metric if given else "",
        rows=(before, *after),
        blocks=int(subject.encoder.config.num_hidden_layers),
        heads=heads,
        notes=tuple(notes),
    )


def _refuse(subject: Subject, cuts: PruneCuts) -> None:
    """Refuse what this model cannot lose, before anything is measured."""
    if cuts.drop_layers or cuts.least_useful:
        subject.require_droppable()
    if cuts.heads:
        attention_of(subject.encoder, 1)
        refuse_fixed_heads(subject.encoder)
    if cuts.int8:
        require_graph(subject)


def _cut(subject: Subject, cuts: PruneCuts, say: Callable[[str], None]) -> list[str]:
    notes: list[str] = []
    if cuts.drop_layers:
        subject.drop(cuts.drop_layers)
    if cuts.least_useful:
        number = len(blocks_of(subject.encoder))
        if cuts.least_useful >= number:
            raise UsageError(
                f"--least-useful is {cuts.least_useful} of {number} blocks: one at least has to stay."
            )
        dropped = least_useful_blocks(subject, cuts.least_useful, say)
        numbered = " (numbered after --drop-layers)" if cuts.drop_layers else ""
        blocks = f"block{'s' * (len(dropped) > 1)} {', '.join(map(str, dropped))}"
        notes.append(f"Least useful on the data, and dropped: {blocks}{numbered}.")
    if cuts.heads:
        importance, before = head_importance(subject, say), removed_heads(subject.encoder.config)
        gone = least_important(importance, cuts.heads, before)
        there = sum(map(len, importance)) - sum(map(len, before.values()))
        number, wanted = sum(map(len, gone.values())), round(cuts.heads * there)
        if not wanted:
            raise UsageError(
                f"--heads is {cuts.heads:g} of {there} heads, which is none: expected a share of one at least, "
                f"{1 / there:.2g}."
            )
        if number < wanted:
            notes.append(
                f"{number} of {there} heads {'is' if number == 1 else 'are'} removed, fewer than {cuts.heads:.0%}: one "
                "stays in each block."
            )
        if gone:
            zero_heads(subject.encoder, gone)
            notes.append(
                f"{counted(number, 'head is', 'heads are')} removed: layerwise takes them out when it loads the folder; "
                "elsewhere they are zeros, which give the same numbers at the old speed."
            )
    if cuts.magnitude:
        zero_smallest(subject.encoder, cuts.magnitude)
        notes.append(
            "Weights that are set to 0 make a model neither smaller on the disk nor faster by themselves: they compress, "
            "and they show how much it can lose."
        )
    return notes


def _before(subject: Subject, folder: Path) -> Pruned:
    """The model as it is run: where heads were removed before, without them."""
    whole = subject.model, subject.encoder
    if removed_heads(subject.encoder.config):
        subject.model, subject.encoder = copy.deepcopy(whole)  # one copy: the encoder is a part of the model
        take_out_heads(subject.encoder)
    try:
        return _measured("before", subject, folder)
    finally:
        subject.model, subject.encoder = whole


def _measured(name: str, subject: Subject, folder: Path, run: Any = None) -> Pruned:
    size = (folder / PATH).stat().st_size if run is not None else _weights_size(folder)
    weights = list(subject.model.parameters())
    found = Pruned(
        name,
        parameters=sum(one.numel() for one in weights),
        nonzero=sum(int(torch.count_nonzero(one)) for one in weights),
        bytes=size,
        tokens_per_second=None,
        scores={},
    )
    if not subject.features:
        return found
    return Pruned(
        found.name, found.parameters, found.nonzero, found.bytes, _speed(subject, run), subject.scores(run)
    )


def _speed(subject: Subject, run: Any) -> float:
    """Tokens a second, the median of some passes over the data."""
    batches = list(subject.batches())
    seconds = []
    with torch.inference_mode():
        for number in range(ROUNDS + 1):  # the first one warms up
            began = time.perf_counter()
            for batch in batches:
                if run is None:
                    subject.forward(dict(batch))
                else:
                    run(
                        **{
                            name: value
                            for name, value in batch.items()
                            if name not in ("labels", "pool_mask")
                        }
                    )
            if number or time.perf_counter() - began > MOST_SECONDS:
                seconds.append(time.perf_counter() - began)
            if sum(seconds) > MOST_SECONDS:
                break
    return subject.tokens / statistics.median(seconds)


def _weights_size(folder: Path) -> int:
    whole = sorted(folder.glob("*.safetensors")) or sorted(folder.glob("pytorch_model*.bin"))
    return sum(path.stat().st_size for path in whole)


def _named(cuts: PruneCuts) -> dict[str, Any]:
    return {
        "drop_layers": list(cuts.drop_layers),
        "least_useful": cuts.least_useful,
        "heads_share": cuts.heads,
        "magnitude": cuts.magnitude,
        "int8": cuts.int8,
    }
