"""What a probe says, in sentences: which layer to take and how sure that is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from layerwise.reports.probing import Difference, Feature, ProbeReport, Score

METRIC_NAMES: Mapping[str, str] = {
    "macro_f1": "macro-F1",
    "accuracy": "accuracy",
    "spearman": "Spearman",
    "pearson": "Pearson",
    "r2": "R²",
}

SMALLEST_P = 0.002
"""What a thousand resamples can tell."""

PUT_TOGETHER: Mapping[Feature, str] = {"mean": "mean", "concat": "concatenation", "scalar": "scalar mix"}


def name_of(feature: Feature) -> str:
    """`layer 7`, `the final layer`, `scalar mix`."""
    if isinstance(feature, int):
        return f"layer {feature}"
    return PUT_TOGETHER.get(feature, f"layer {feature!r}")


def shown(value: float, metric: str = "") -> str:
    """A score in points of 100, R² as it is; NaN as a dash."""
    if value != value:
        return "–"
    text = f"{value:.3f}" if metric == "r2" else f"{100 * value:.1f}"
    return text.removeprefix("-") if float(text) == 0 else text


def spread(score: Score, metric: str = "") -> str:
    """`83.1 (81.0 to 85.2)`."""
    known = score.low == score.low
    between = f" ({shown(score.low, metric)} to {shown(score.high, metric)})" if known else ""
    return shown(score.value, metric) + between


def verdict(report: ProbeReport) -> tuple[str, ...]:
    """Which layer to take, against the last one, and the cheapest that is as good; a sentence each."""
    metric = METRIC_NAMES[report.metrics[0]]
    best = report.row(report.best).scores[report.metrics[0]]
    chosen = "on the test pairs" if len(report.parts) == 1 else "on the development part"
    chosen += "s" if report.folds > 1 else ""
    said = [f"{name_of(report.best).capitalize()} is best {chosen}: {metric} {spread(best)}."]
    if report.beyond_guessing.low <= 0:
        said.append(_guessing(report))
    if report.best_against_last is not None:
        said.append(_against(report.best_against_last, metric, _last(report)))
    elif report.best == report.last and len(report.table) > 1:
        said.append(f"It is the {_last(report)} layer.")
    if report.best_against_enough is not None:
        said.append(
            f"{name_of(report.enough).capitalize()} cannot be told from it on this test part: the difference is "
            f"{_size(report.best_against_enough)}{_cheaper(report)}."
        )
    return tuple(said)


def _guessing(report: ProbeReport) -> str:
    """That the best layer may know nothing of the label, so that no other sentence means much."""
    name = "Cohen's κ" if report.task == "classification" else METRIC_NAMES["spearman"]
    score, anew = report.beyond_guessing, ", a layer chosen anew in each fold" if report.folds > 1 else ""
    return (
        f"It may be guessing ({name} {shown(score.value)}, 95 % {shown(score.low)} to {shown(score.high)}{anew}): this "
        "test part does not show that it carries the label."
    )


def _last(report: ProbeReport) -> str:
    """`last`, or `last probed` where the model has layers above it."""
    number = report.metadata.get("num_hidden_layers")
    return "last" if report.last in (number, "final") else "last probed"


def _against(difference: Difference, metric: str, last: str) -> str:
    last = f"the {last} ({name_of(difference.second)})"
    if difference.value != difference.value:
        return f"{last.capitalize()} has no score."
    sure = difference.low > 0 or difference.high < 0
    way, size = "ahead of", difference
    if difference.value < 0:
        way = "behind"
        size = replace(difference, value=-difference.value, low=-difference.high, high=-difference.low)
    if size.low != size.low:
        return (
            f"It is {way} {last} by {shown(size.value)} points of {metric}; whether by chance cannot be said."
        )
    return f"It is {way} {last} by {_size(size)} points of {metric}{'' if sure else ', which may be chance'}."


def _size(difference: Difference) -> str:
    p = f"p ≤ {SMALLEST_P}" if difference.p < SMALLEST_P else f"p = {difference.p:.3f}"
    return f"{shown(difference.value)} (95 % {shown(difference.low)} to {shown(difference.high)}, {p})"


def _cheaper(report: ProbeReport) -> str:
    blocks = report.metadata.get("num_hidden_layers")
    if not isinstance(report.enough, int) or not isinstance(report.best, int) or not blocks:
        return ""
    return f"; it needs {report.enough} of {blocks} blocks, not {report.best}"


def rows_of(report: ProbeReport) -> list[dict[str, Any]]:
    """The table as flat rows, for CSV and data frames: a row a feature, and the majority baseline."""
    rows = []
    for row in report.table:
        flat: dict[str, Any] = {"feature": row.feature}
        for name, score in row.scores.items():
            flat |= {name: score.value, f"{name}_low": score.low, f"{name}_high": score.high}
        others = ("development", "l2", "control", "selectivity", "code_length", "compression")
        rows.append(flat | {name: getattr(row, name) for name in others})
    if report.majority:
        empty = dict.fromkeys(rows[0])
        rows.append(empty | {"feature": "majority", **report.majority})
    return rows
