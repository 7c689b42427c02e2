"""Probes that are trained: every layer, and what the layers are together, in one division or several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite

import numpy as np
from torch import Tensor

from layerwise.analysis.scores import confusion
from layerwise.ops.fitted_file import reading_of
from layerwise.ops.linear_probe import LinearProbe
from layerwise.reports.probing import Feature, ProbeReport, ScalarMix, Score
from layerwise.reports.verdict import METRIC_NAMES, shown
from layerwise.study.examples import telling_examples
from layerwise.study.folds import Fold, FoldFit, fit_on_all
from layerwise.study.labels import Labelled
from layerwise.study.mixtures import Mixtures, mean_mix
from layerwise.study.parts import divide, sizes
from layerwise.study.probe_run import Probed, ProbeRun
from layerwise.study.probe_table import ProbeTable

CONTROL = (
    "Each word type got one label at random, drawn as often as the real labels occur (Hewitt & Liang 2019); "
    "a probe that scores high on it remembers words."
)


def probe_trained(
    run: ProbeRun,
    found: Labelled,
    *,
    split: str | None,
    folds: int | None,
    strengths: Sequence[float],
    control: bool,
    codelength: bool,
) -> Probed:
    """Fit and score every feature; see `probe` for the arguments."""
    divisions, notes = divide(run.store, found, split, run.seed, folds)
    made = [Fold.of(run.store, found, parts, strengths, control, run.seed) for parts in divisions]
    if control and found.types is None:
        notes += ("There is no control task: it gives each word type a label, and the rows are texts.",)
    fits, mixes, reduced = _fit(run, made, codelength)
    table = ProbeTable(found, made, run.seed)
    for feature, own in fits.items():
        table.add(feature, own)
    best, several = table.best(run.candidates), len(run.candidates) > 1
    answers = table.answers_of_the_chosen(fits, run.candidates)
    against_last, against_enough, enough = table.compared(run.candidates, best, run.last)
    if several and len(made) > 1:
        anew = shown(table.chosen_anew(answers))
        notes += (
            f"The best layer was chosen on rows that other folds test, so its own score may flatter it: where each "
            f"fold chooses a layer on its development part alone, {METRIC_NAMES[made[0].task.leading]} is {anew}. "
            "Differences from the best layer allow for the choice.",
        )
    if faultless := table.faultless(best):
        notes += (faultless,)
    report = ProbeReport(
        **run.head(found, made[0].task.kind),
        folds=len(made),
        parts=sizes(found, divisions),
        table=tuple(table.rows.values()),
        majority=table.majority(),
        best=best,
        enough=enough,
        beyond_guessing=table.beyond_guessing(answers),
        best_against_last=against_last if best != run.last else None,
        best_against_enough=against_enough if best != enough else None,
        scalar_mix=mean_mix(mixes) if mixes else None,
        confusion=_confusion(table, best, len(found.classes)),
        examples=telling_examples(
            run.store,
            found.only(table.tested),
            table.predictions[best],
            table.predictions[run.last],
            run.seed,
        )
        if found.classes
        else (),
        control=CONTROL if control and found.types is not None else "",
        seconds=run.seconds,
        notes=(*found.notes, *run.notes, *notes, *reduced),
    )
    return Probed(report, {} if found.partners is not None else _probes(run, report, made, fits))


def _fit(
    run: ProbeRun, folds: Sequence[Fold], codelength: bool
) -> tuple[dict[Feature, list[FoldFit]], list[ScalarMix], tuple[str, ...]]:
    """Fit every feature in every fold; one layer is held at a time."""
    fits: dict[Feature, list[FoldFit]] = {}
    mixes: list[ScalarMix] = []
    notes: list[str] = []
    for number, fold in enumerate(folds, 1):
        where = f", fold {number} of {len(folds)}" if len(folds) > 1 else ""

        def add(feature: Feature, one: FoldFit) -> None:
            fits.setdefault(feature, []).append(one)

        mixtures = Mixtures(fold.rows, fold.task, run.layers) if len(run.layers) > 1 else None
        vectors: Tensor | None = None
        for layer in run.layers:
            run.progress(f"layer {layer}{where}")
            vectors = fold.rows.read(layer, vectors)
            if mixtures:
                mixtures.see(vectors)
            add(layer, fold.fit(fold.rows.features(vectors), codelength=codelength))
        del vectors
        if mixtures is None:
            continue
        run.progress(f"the layers together{where}")
        add("mean", fold.fit(mixtures.mean(), codelength=codelength))
        mixes.append(mixtures.learn())
        joined, note = mixtures.concat()
        add("concat", (fold.fit_components if note else fold.fit)(joined, codelength=codelength))
        del joined
        add("scalar", fold.fit(mixtures.scalar(), codelength=codelength))
        notes = notes or ([note] if note else [])
    return fits, mixes, tuple(notes)


def _confusion(table: ProbeTable, best: Feature, classes: int) -> tuple[tuple[int, ...], ...]:
    if not classes:
        return ()
    counts = confusion(table.labels, table.predictions[best], classes)
    return tuple(tuple(row) for row in counts.tolist())


def _shown(score: Score) -> float | list[float]:
    """For JSON: a score with its interval, if there are enough groups to have one."""
    if not isfinite(score.low + score.high):
        return score.value
    return [score.value, score.low, score.high]


def _probes(
    run: ProbeRun, report: ProbeReport, folds: Sequence[Fold], fits: Mapping[Feature, Sequence[FoldFit]]
) -> dict[Feature, LinearProbe]:
    """A probe a layer: of one division the one that was scored; of several one trained on all rows."""
    known = ("unit", "pooling", "words", "mix", "model", "revision", "weights_sha256", "num_hidden_layers")
    shared = {name: run.store.metadata.get(name) for name in (*known, "projection")}
    probes = {}
    for layer in run.layers:
        row, fit = report.row(layer), fits[layer][0]
        weight, bias = fit.weight, fit.bias
        if len(folds) > 1:
            assert row.l2 is not None
            rows = folds[0].rows
            weight, bias = fit_on_all(rows, rows.read(layer), folds[0].task, row.l2)
        bias = bias + np.float32(folds[0].rows.found.offset)
        document = {
            **shared,
            **reading_of(run.store.metadata),
            "label": run.label,
            "task": report.task,
            "layer": layer,
            "l2": row.l2,
            "scores": {name: _shown(score) for name, score in row.scores.items() if isfinite(score.value)},
            "folds": report.folds,
            "parts": {part.name: part.rows for part in report.parts},
            "seed": run.seed,
            "versions": dict(report.versions),
        }
        probes[layer] = LinearProbe(np.ascontiguousarray(weight), bias, tuple(report.classes), document)
    return probes
