"""What training says while it runs and when it is done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class TrainingProgress:
    """How far training has come.

    Attributes:
        step, steps: optimiser steps done, and in all.
        loss: mean since the last line of the log; None before the first.
        tokens: real tokens seen since this run began, over all devices.
        seconds: since this run began.
        first_step: the step it began at: above 0 if it was resumed.
        scores: the last evaluation's, by name.
        doing: what is done before and between the steps, as `evaluating 2,048 of 4,999`; empty: training. `step` and
            `steps` say nothing then.
    """

    step: int
    steps: int
    loss: float | None
    tokens: int
    seconds: float
    first_step: int = 0
    scores: Mapping[str, float] = field(default_factory=dict)
    doing: str = ""

    @property
    def tokens_per_second(self) -> float:
        return self.tokens / self.seconds if self.seconds else 0.0

    @property
    def seconds_left(self) -> float | None:
        """By the speed so far; None before the first step."""
        done = self.step - self.first_step
        return None if done <= 0 else self.seconds * (self.steps - self.step) / done


@dataclass(frozen=True, slots=True)
class FinetuneReport:
    """What `finetune` did.

    Attributes:
        task, model, output: as asked for.
        head: whose head it is and what it reads, in words.
        examples, dev_examples: how many were trained and evaluated on.
        metric: the score that chose the weights.
        scores: of the weights that were kept, on the dev part.
        untrained: `metric` of the head before training, on the dev part.
        majority: `metric` of always giving the most frequent answer; None where that means nothing.
        best_step, steps: the step whose weights were kept, and how many were done.
        epochs, lr: passes over the data, and the highest learning rate.
        layers, shares: the layers in the mix and their shares; empty without a mix.
        padding: share of the training tokens that was padding.
        classes: what is told apart: classes, kinds of entities, labels of words; empty where it is none of these.
        notes: what a user should know.
    """

    task: str
    model: str
    output: str
    head: str
    examples: int
    dev_examples: int
    metric: str
    scores: Mapping[str, float]
    untrained: float
    majority: float | None
    best_step: int
    steps: int
    epochs: float
    lr: float
    precision: str
    seconds: float
    tokens_per_second: float
    padding: float
    classes: tuple[str, ...] = ()
    layers: tuple[int | str, ...] = ()
    shares: tuple[float, ...] = ()
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class EvaluationReport:
    """What `evaluate` found.

    Attributes:
        task: what the model was trained for.
        examples: how many the scores are of.
        metric: the task's main score.
        scores: by name.
        majority: `metric` of always giving the most frequent answer; None where that means nothing.
        notes: what a user should know.
    """

    task: str
    model: str
    examples: int
    metric: str
    scores: Mapping[str, float]
    majority: float | None
    seconds: float
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class PretrainReport:
    """What `pretrain` did.

    Attributes:
        output: the folder with the model.
        model: the one that training went on from; None: random weights.
        parameters: weights of the model, tied ones once.
        vocabulary: pieces of its vocabulary.
        documents, tokens: of the corpus.
        steps: optimiser steps.
        trained_tokens: tokens seen, over all devices.
        passes: how often the corpus was gone through.
        scores: of held-out documents, by source: `masked_accuracy_en`, `nsp_accuracy_en`, `perplexity_en`, ….
        notes: what a user should know.
    """

    output: str
    model: str | None
    parameters: int
    vocabulary: int
    documents: int
    tokens: int
    steps: int
    trained_tokens: int
    passes: float
    scores: Mapping[str, float]
    precision: str
    seconds: float
    tokens_per_second: float
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Pruned:
    """A model before or after pruning.

    Attributes:
        name: which of them.
        parameters, nonzero: its weights, and those that are not 0.
        bytes: of the weights on the disk.
        tokens_per_second: on the data; None without data.
        scores: on the data, by name.
    """

    name: str
    parameters: int
    nonzero: int
    bytes: int
    tokens_per_second: float | None
    scores: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class PruneReport:
    """What `prune` did.

    Attributes:
        metric: the score that is printed; empty without data.
        rows: the model before and after.
        blocks: how many it has now.
        heads: numbers of removed heads (from 0) by block (from 1).
        notes: what a user should know.
    """

    model: str
    output: str
    metric: str
    rows: tuple[Pruned, ...]
    blocks: int
    heads: Mapping[str, list[int]]
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)
