"""The report of a probe as one HTML page that opens from the disk: no script, nothing loaded."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined

from layerwise.reports.comparison import Comparison
from layerwise.reports.probing import Example, FeatureScore, ProbeReport, Score
from layerwise.reports.signals import MEANING, SIGNALS, SignalsReport
from layerwise.reports.verdict import METRIC_NAMES, PUT_TOGETHER, name_of, shown, verdict
from layerwise.reports.wording import NOTHING_MIXED, counted


@dataclass(frozen=True, slots=True)
class Cell:
    """A number, and the interval beside it."""

    value: str
    range: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the table of scores; `kind` is a class of the style sheet."""

    kind: str
    cells: tuple[Cell, ...]


def page(
    report: ProbeReport,
    figures: Mapping[str, str],
    comparison: Comparison | None,
    signals: SignalsReport | None,
    command: str,
) -> str:
    """The page; `figures` are SVG by the names that the template knows."""
    template = files("layerwise.study").joinpath("report.html.jinja").read_text("utf-8")
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=False, keep_trailing_newline=True
    )
    return environment.from_string(template).render(
        title=f"Which layer of {report.model} carries {report.label}?",
        what=_what(report),
        report=report,
        verdict=verdict(report),
        figures={name: figures.get(name, "") for name in ("scores", "control", "shares", "confusion", "cka")},
        captions={"scores": _caption(report)},
        table={"heads": _heads(report), "rows": _rows(report), "note": _table_note(report)},
        mix_weights=_mix_weights(report),
        nothing_mixed=NOTHING_MIXED if report.scalar_mix is not None and report.scalar_mix.even else "",
        best_name=name_of(report.best),
        last_name=name_of(report.last),
        examples=[_example(example) for example in report.examples],
        comparison_rows="" if comparison is None else f"{comparison.rows:,}",
        signals=None if signals is None else _geometry(signals),
        run=_run(report),
        command=command,
    )


def _what(report: ProbeReport) -> str:
    kind = {
        "classification": f"{counted(len(report.classes), 'class', 'classes')}",
        "regression": "numbers",
        "similarity": "similarity of two texts, by cosine",
    }[report.task]
    parts = "; ".join(
        f"{part.name} {part.rows:,} in {counted(part.groups, 'group')}" for part in report.parts
    )
    folds = f"; {report.folds} folds" if report.folds > 1 else ""
    return f"{kind}, {report.unit} vectors of {report.store}. Rows: {parts}{folds}."


def _caption(report: ProbeReport) -> str:
    metric = METRIC_NAMES[report.metrics[0]]
    return (
        f"{metric} on the test part, with 95 % intervals from a bootstrap over groups (texts). "
        "Intervals that overlap can still differ: the comparison above is paired."
    )


_EXTRA = ("control", "selectivity", "code_length", "compression", "l2")
_HEADS = {
    "control": "control",
    "selectivity": "selectivity",
    "code_length": "code length",
    "compression": "compression",
    "l2": "L2",
}


def _there(report: ProbeReport) -> list[str]:
    return [name for name in _EXTRA if any(getattr(row, name) is not None for row in report.table)]


def _heads(report: ProbeReport) -> list[str]:
    metrics = [METRIC_NAMES[metric] for metric in report.metrics]
    return ["layer", *metrics, *(_HEADS[name] for name in _there(report))]


def _rows(report: ProbeReport) -> list[Row]:
    rows = []
    for row in report.table:
        name = PUT_TOGETHER.get(row.feature, str(row.feature))
        cells = [Cell(name), *(_score(row.scores[metric], metric) for metric in report.metrics)]
        cells += [Cell(_extra(row, extra)) for extra in _there(report)]
        kind = "best" if row.feature == report.best else "apart" if row.feature == "mean" else "row"
        rows.append(Row(kind, tuple(cells)))
    if report.majority:
        scores = [Cell(shown(report.majority[metric], metric)) for metric in report.metrics]
        rows.append(Row("base", (Cell("majority"), *scores, *(Cell("") for _ in _there(report)))))
    return rows


def _score(score: Score, metric: str) -> Cell:
    known = score.low == score.low
    between = f"{shown(score.low, metric)} to {shown(score.high, metric)}" if known else ""
    return Cell(shown(score.value, metric), between)


def _extra(row: FeatureScore, name: str) -> str:
    value = getattr(row, name)
    if value is None:
        return "–"
    if name == "l2":
        return f"{value:g}"
    if name == "code_length":
        return f"{value / 1000:,.1f} kbit"
    return f"{value:.2f}" if name == "compression" else shown(value)


def _table_note(report: ProbeReport) -> str:
    said = ["Scores are in points of 100, R² is as it is."]
    if any(row.l2 is not None for row in report.table):
        said.append("L2 is the strength that the development part chose.")
    if report.task == "classification":
        said.append("Majority answers the most frequent class of the training part.")
    return " ".join(said)


def _mix_weights(report: ProbeReport) -> str:
    mix = report.scalar_mix
    if mix is None:
        return ""
    return json.dumps({"weights": [round(one, 4) for one in mix.weights], "gamma": round(mix.gamma, 4)})


def _example(example: Example) -> dict[str, str]:
    """The context in three parts, so that the unit can be marked."""
    end = example.start + len(example.surface)
    parts = {"before": slice(example.start), "unit": slice(example.start, end), "after": slice(end, None)}
    pieces = {name: example.context[part] for name, part in parts.items()}
    return pieces | {"label": example.label, "last": example.last}


def _geometry(signals: SignalsReport) -> dict[str, Any]:
    rows = [
        [str(one.layer), *(_number(getattr(one, name), digits) for name, (_, digits) in SIGNALS.items())]
        for one in signals.layers
    ]
    return {
        "heads": ["layer", *(head for head, _ in SIGNALS.values())],
        "rows": rows,
        "meaning": [(head, MEANING[name]) for name, (head, _) in SIGNALS.items()],
        "notes": signals.notes,
    }


def _number(value: float, digits: int) -> str:
    return "–" if value != value else f"{value:.{digits}f}"


def _run(report: ProbeReport) -> list[tuple[str, str]]:
    document = report.metadata
    known = (
        "model",
        "revision",
        "architecture",
        "weights_sha256",
        "unit",
        "words",
        "pooling",
        "dtype",
        "store_dtype",
    )
    rows = [(name.replace("_", " "), str(document[name])) for name in known if document.get(name) is not None]
    rows += [("seed", str(report.seed)), ("seconds", f"{report.seconds:.1f}")]
    made = document.get("versions") or {}
    rows += [("versions, probe", ", ".join(f"{name} {version}" for name, version in report.versions.items()))]
    rows += (
        [("versions, store", ", ".join(f"{name} {version}" for name, version in made.items()))]
        if made
        else []
    )
    return rows
