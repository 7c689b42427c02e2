"""What the commands for training print at their end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from layerwise.cli.console import console, print_table
from layerwise.cli.progress import clock, size
from layerwise.reports.wording import counted

if TYPE_CHECKING:
    from layerwise.reports.training import EvaluationReport, FinetuneReport, PretrainReport, PruneReport

SHOWN = 12
"""Classes that are named."""

_PER_CENT = ("bleu", "chrf")
_NAMES = {
    "accuracy": "accuracy",
    "macro_f1": "macro-F1",
    "f1": "F1",
    "precision": "precision",
    "recall": "recall",
    "exact_match": "exact match",
    "has_answer_f1": "F1, has answer",
    "no_answer_f1": "F1, no answer",
    "spearman": "Spearman",
    "pearson": "Pearson",
    "bleu": "BLEU",
    "chrf": "chrF",
    "perplexity": "perplexity",
    "masked_accuracy": "masked accuracy",
    "nsp_accuracy": "NSP accuracy",
    "cosine": "cosine to before",
}


def score_name(name: str) -> str:
    """How people write a score's name."""
    if name in _NAMES:
        return _NAMES[name]
    known = next((one for one in sorted(_NAMES, key=len, reverse=True) if name.startswith(f"{one}_")), None)
    return name if known is None else f"{_NAMES[known]}, {name.removeprefix(f'{known}_')}"


def shown_score(name: str, value: float) -> str:
    """BLEU and chrF as they come, from 0 to 100; others with three places."""
    if value != value:
        return "–"
    return f"{value:.1f}" if name in _PER_CENT or abs(value) > 1 else f"{value:.3f}"


def print_finetuned(report: FinetuneReport) -> None:
    """Head, scores of the development part, what they are to be compared with, notes."""
    out = console()
    out.print(
        f"{report.task} with {report.head} of {report.model}: {report.examples:,} examples, "
        f"{report.dev_examples:,} to choose the weights by; learning rate {report.lr:g}, {report.precision}"
    )
    if report.classes:
        shown = ", ".join(report.classes[:SHOWN]) + (", …" if len(report.classes) > SHOWN else "")
        out.print(f"{counted(len(report.classes), 'class', 'classes')}: {shown}")
    out.print()
    _print_scores(report.scores, report.metric, report.majority, ("before training", report.untrained))
    out.print()
    speed = f", {report.tokens_per_second:,.0f} tokens/s, {report.padding:.1%} padding"
    out.print(
        f"Written to {report.output}: the weights of step {report.best_step} of {report.steps}, "
        f"{report.epochs:.3g} epochs; "
        f"{clock(report.seconds)}{speed if report.tokens_per_second else ''}.",
        style="bold",
    )
    if report.shares:
        shares = zip(report.layers, report.shares, strict=True)
        out.print("Shares in the scalar mix: " + ", ".join(f"{k}: {share:.2f}" for k, share in shares) + ".")
    for note in report.notes:
        out.print(f"Note: {note}", style="dim")


def print_evaluated(report: EvaluationReport) -> None:
    """Scores, and the majority beside them."""
    out = console()
    what = "masked tokens" if report.task == "pretraining" else "examples"
    out.print(f"{report.task} with {report.model}: {report.examples:,} {what}; {report.seconds:.1f} s")
    out.print()
    _print_scores(report.scores, report.metric, report.majority)
    for note in report.notes:
        out.print(f"Note: {note}", style="dim")


def print_pretrained(report: PretrainReport) -> None:
    """The model, and the scores of held-out documents source by source."""
    out = console()
    out.print(
        f"{report.parameters:,} weights, {report.vocabulary:,} pieces; {report.documents:,} documents with "
        f"{report.tokens:,} tokens, gone through {report.passes:.2f} times; {report.precision}"
    )
    out.print()
    parts = [
        name.removeprefix("masked_accuracy_") for name in report.scores if name.startswith("masked_accuracy_")
    ]
    shown = ("masked_accuracy", "perplexity", "nsp_accuracy")
    rows = [[part, *(shown_score(name, report.scores[f"{name}_{part}"]) for name in shown)] for part in parts]
    if rows:
        print_table(out, ["held out", *(score_name(name) for name in shown)], rows)
        out.print()
    out.print(
        f"Written to {report.output}: {report.steps:,} steps; {clock(report.seconds)}, "
        f"{report.tokens_per_second:,.0f} tokens/s.",
        style="bold",
    )


def print_pruned(report: PruneReport) -> None:
    """Size, speed and quality, a row before and one after."""
    out = console()
    rows = []
    for one in report.rows:
        speed = "–" if one.tokens_per_second is None else f"{one.tokens_per_second:,.0f}"
        score = [shown_score(report.metric, one.scores[report.metric])] if report.metric else []
        rows.append([one.name, f"{one.parameters:,}", f"{one.nonzero:,}", size(one.bytes), speed, *score])
    heads = [
        "",
        "weights",
        "not 0",
        "on the disk",
        "tokens/s",
        *([score_name(report.metric)] if report.metric else []),
    ]
    print_table(out, heads, rows)
    out.print()
    gone = sum(map(len, report.heads.values()))
    heads_note = f", {counted(gone, 'head')} removed" if gone else ""
    out.print(f"Written to {report.output}: {counted(report.blocks, 'block')}{heads_note}.", style="bold")
    for note in report.notes:
        out.print(f"Note: {note}", style="dim")


def _print_scores(
    scores: Mapping[str, float], metric: str, majority: float | None, other: tuple[str, float] | None = None
) -> None:
    heads = ["score", "", *([other[0]] if other else []), *(["majority"] if majority is not None else [])]
    rows = []
    for name, value in scores.items():
        row = [score_name(name), shown_score(name, value)]
        if name == metric:
            row += [shown_score(name, other[1])] if other else []
            row += [shown_score(name, majority)] if majority is not None else []
        rows.append(row)
    print_table(console(), heads, rows, ["bold" if name == metric else "" for name in scores])
