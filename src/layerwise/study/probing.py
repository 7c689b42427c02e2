"""`probe`: which layer of a store carries a label, how sure that is, and beside what."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from layerwise.analysis.probe import STRENGTHS
from layerwise.errors import UsageError
from layerwise.store.reader import Store, open_store
from layerwise.study.labels import read_labels
from layerwise.study.probe_run import Probed, ProbeRun, Progress
from layerwise.study.similarity import probe_similarity
from layerwise.study.trained import probe_trained

BOUNDS = (1e-6, 1e6)
"""The weakest and the strongest L2."""


def probe(
    store: Store | str | Path,
    label: str,
    *,
    task: str = "auto",
    layers: str | int | Sequence[int | str] = "all",
    group: str | None = None,
    split: str | None = None,
    folds: int | None = None,
    pair: bool = False,
    min_count: int | None = None,
    skip_missing: bool = False,
    missing_label: str | None = None,
    rows: int | None = None,
    control: bool = True,
    codelength: bool = False,
    strengths: Sequence[float] | None = None,
    seed: int = 0,
    candidates: Sequence[int | str] | None = None,
    progress: Progress = lambda doing: None,
) -> Probed:
    """Probe every layer of a store for a label, and beside them their mean, concatenation and learned mix.

    Multinomial logistic regression (ridge regression for numbers) on standardised vectors. Its L2
    strength and the best layer are chosen on the development part; all scores are of the test part,
    with 95 % intervals from a bootstrap over groups.

    Args:
        store: of texts, words or tokens; or its path.
        label: a kept column.
        task: `"classification"`, `"regression"`, or `"auto"`: what the labels look like.
        layers: which of the store's layers.
        group: a kept column; rows with equal values are never torn apart. Default: the text.
        split: a kept column that says train, dev and test.
        folds: without `split`: 1 draws 60, 20 and 20 % of the groups; 5 does so five times, so that each
            row is tested once. By default 5 if there are fewer than 2,000 groups.
        pair: compare the two texts of a pair (a store made with `pairs="separate"`): for numbers the
            cosine of their vectors, without any training; for classes a probe on |u − v| and u ∘ v.
        min_count: leave out rows of classes with fewer; by default a class with one row is an error.
        skip_missing: leave out rows without a label.
        missing_label: a value that stands for no label, such as `"-1"`; its rows are left out.
        rows: probe a sample of at most so many rows, in whole groups. A layer of all rows is held in
            memory twice, as float32.
        control: also probe a control task (Hewitt & Liang 2019), where rows are words or tokens.
        codelength: also compute the online code length (Voita & Titov 2020); classification only.
        strengths: L2 strengths to choose from; 1e-5, 1e-4 … 100 by default.
        seed: of split, bootstrap, control task and examples.
        candidates: the layers that may be chosen as the best, by default all; the others are in the table only.
        progress: called with what is being done.

    Raises:
        UsageError: a column or an option that is not there or does not fit.
        LabelError: labels that are missing, constant or of one example; no part to train or test on.
    """
    store = store if isinstance(store, Store) else open_store(store)
    strengths = STRENGTHS if strengths is None else tuple(strengths)
    _check(strengths, seed, min_count)
    if rows is not None and rows < 1:
        raise UsageError(f"{rows} rows were asked for: expected at least 1.")
    chosen = sorted(store.select(layers), key=lambda one: (isinstance(one, str), one))  # `final` is the last
    able = [one for one in chosen if candidates is None or one in candidates]
    if not able:
        raise UsageError(f"none of the layers {layers!r} may be chosen: expected one of {candidates}.")
    run = ProbeRun(store, label, chosen, able, seed, progress)
    found = read_labels(
        store,
        label,
        task=task,
        group=group,
        pair=pair,
        min_count=min_count,
        skip_missing=skip_missing,
        missing_label=missing_label,
    )
    if rows is not None:
        found = found.sample(rows, seed)
        if not len(found):
            raise UsageError(f"no group of rows (text) is as small as {rows} rows: pass more --rows.")
    if codelength and not found.classes:
        raise UsageError("a code length is of classes, and the labels are numbers: leave --codelength out.")
    if pair and not found.classes:
        return probe_similarity(run, found, split)
    return probe_trained(
        run,
        found,
        split=split,
        folds=folds,
        strengths=strengths,
        control=control,
        codelength=codelength,
    )


def _check(strengths: Sequence[float], seed: int, min_count: int | None) -> None:
    weakest, strongest = BOUNDS
    if not strengths or not all(weakest <= one <= strongest for one in strengths):
        raise UsageError(
            f"the L2 strengths are {tuple(strengths)}: expected numbers from {weakest:g} to {strongest:g}, between which "
            "float32 can tell probes apart."
        )
    if min_count is not None and min_count < 2:
        raise UsageError(f"--min-count is {min_count}: a class needs at least 2 examples to be probed.")
    if seed < 0:
        raise UsageError(f"the seed is {seed}: expected a whole number from 0 on.")
