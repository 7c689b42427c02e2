"""Pictures of a store: its rows per layer, its norms, a word's path through the layers."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from layerwise.analysis.label_codes import is_quantity, missing
from layerwise.analysis.pca import pca
from layerwise.errors import StoreError, UsageError, choose, require
from layerwise.plots import clouds, curves
from layerwise.plots.names import short, short_model
from layerwise.store.layer_column import Vectors
from layerwise.store.reader import Name, Store
from layerwise.study.context import in_context
from layerwise.study.labels import require_column
from layerwise.study.samples import Rows, read_layer, sample_rows

if TYPE_CHECKING:
    from matplotlib.figure import Figure

METHODS = ("pca", "umap")
ROWS = 2_000
FEWEST = 3
OCCURRENCES = 8
Selection = str | int | Sequence[int | str] | None
Progress = Callable[[str], None]


def draw_layers(
    store: Store,
    *,
    label: str | None = None,
    method: str = "pca",
    layers: Selection = "all",
    rows: int = ROWS,
    seed: int = 0,
    progress: Progress = lambda doing: None,
) -> Figure:
    """A scatter a layer of a seeded sample of rows, coloured by a kept column.

    Args:
        progress: called with what is being done, before each layer: UMAP takes its time.

    Raises:
        UsageError: the method is unknown, or no such label was kept. StoreError: fewer than three rows.
    """
    choose("method", method, METHODS)
    columns = store.select(layers)
    chosen = _embedded(store, columns, rows, seed)
    colours = {} if label is None else _colours(store, label, chosen)
    points, named = [], []
    for number, column in enumerate(columns.values(), start=1):
        progress(f"{'PCA' if method == 'pca' else 'UMAP'}, layer {number} of {len(columns)}")
        placed, axes = _place(read_layer(store, column, chosen), method, seed)
        points.append(placed)
        named.append(axes)
    how = "PCA of each layer by itself" if method == "pca" else "UMAP (cosine) of each layer by itself"
    title = f"{_model(store)}: {len(chosen):,} of {store.num_rows:,} {store.unit}s, {how}"
    titles = [f"layer {name}" if isinstance(name, int) else str(name) for name in columns]
    return clouds.small_multiples(points, titles, title=title, axes_named=named, **colours)


def draw_norms(store: Store, *, layers: Selection = "all", rows: int = ROWS, seed: int = 0) -> Figure:
    """Mean and quantiles of the rows' norms per layer, of a seeded sample."""
    columns = store.select(layers)
    chosen = _embedded(store, columns, rows, seed)
    found = np.array(
        [
            np.linalg.norm(np.asarray(read_layer(store, column, chosen), np.float64), axis=1)
            for column in columns.values()
        ]
    )
    edges = np.quantile(found, [0.05, 0.25, 0.75, 0.95], axis=1)
    bands = {"5 to 95 %": (edges[0], edges[3]), "25 to 75 %": (edges[1], edges[2])}
    title = f"{_model(store)}: norms of {len(chosen):,} {store.unit}s"
    return curves.norms(list(columns), found.mean(1).tolist(), bands, title=title)


def draw_word(
    store: Store, word: str, *, layers: Selection = "all", rows: int = ROWS, seed: int = 0
) -> Figure:
    """The path of up to eight occurrences of a word through the layers.

    Layers differ in mean and scale, and a joint PCA would show only that: so each layer is first
    centred on the mean of a sample of all its rows and divided by their root mean square norm. Then one
    PCA is fitted to the word's occurrences at all layers. Layers of different widths are refused.

    Raises:
        UsageError: units are texts, the word is not there, or there are fewer than two layers.
    """
    columns = store.select(layers)
    if store.unit == "text":
        raise UsageError(
            f"{store.path} holds texts: a word's path needs a store made with --unit word or token."
        )
    if len(columns) < 2:
        raise UsageError("a path through the layers needs at least 2 layers: choose more with --layers.")
    places = _occurrences(store, word, columns, seed)
    chosen = _embedded(store, columns, rows, seed)
    scaled = []
    for column in columns.values():
        sample = np.asarray(read_layer(store, column, chosen), np.float64)
        middle = sample.mean(0)
        scale = float(np.sqrt(((sample - middle) ** 2).sum(1).mean())) or 1.0
        scaled.append((np.asarray(read_layer(store, column, places), np.float64) - middle) / scale)
    placed, shares = pca(np.concatenate(scaled))
    paths = placed.reshape(len(columns), len(places), 2).transpose(1, 0, 2)
    title = f"{short(word)!r} through the layers of {_model(store)} (each layer centred and scaled)"
    contexts = [in_context(store, int(row)).context for row in places]
    return clouds.path(paths, list(columns), contexts, title=title, axes_named=_axes(shares))


def _model(store: Store) -> str:
    return short_model(str(store.metadata.get("model")))


def _embedded(store: Store, columns: dict[Name, str], rows: int, seed: int) -> Rows:
    chosen = sample_rows(store.num_rows, rows, seed)
    if len(chosen):
        first = read_layer(store, next(iter(columns.values())), chosen)
        chosen = chosen[~np.isnan(first).any(axis=1)]
    if len(chosen) < FEWEST:
        raise StoreError(
            f"{store.path} gives {len(chosen)} embedded rows to draw: expected at least {FEWEST}."
        )
    return chosen


def _place(vectors: Vectors, method: str, seed: int) -> tuple[npt.NDArray[np.float64], tuple[str, str]]:
    """Where rows are drawn, and what the axes are called; nothing for a constant layer."""
    placed, shares = pca(vectors)
    if np.isnan(shares).any():
        return np.zeros((0, 2)), ("", "")
    return (placed, _axes(shares)) if method == "pca" else (_umap(vectors, seed), ("", ""))


def _axes(shares: npt.NDArray[np.float64]) -> tuple[str, str]:
    first, second = (f"PC{n + 1}, {100 * share:.0f} % of variance" for n, share in enumerate(shares))
    return first, second


def _umap(vectors: Vectors, seed: int) -> npt.NDArray[np.float64]:
    with warnings.catch_warnings():  # of numba and scikit-learn, about themselves
        warnings.simplefilter("ignore")
        umap: Any = require("umap", "umap-learn>=0.5.9", "--method umap")
        near = min(15, len(vectors) - 1)
        init = "spectral" if len(vectors) > 20 else "random"
        made = umap.UMAP(n_neighbors=near, metric="cosine", random_state=seed, n_jobs=1, init=init)
        return np.asarray(made.fit_transform(np.asarray(vectors, np.float32)), np.float64)


def _colours(store: Store, label: str, rows: Rows) -> dict[str, Any]:
    """What `small_multiples` takes to colour rows by a column: numbers are what a probe takes for numbers."""
    require_column(store, label)
    values = np.empty(len(rows), object)
    values[:] = store.take(rows.tolist(), [label]).column(0).to_pylist()
    without = missing(values)
    if is_quantity(values[~without]):
        numbers = np.full(len(rows), np.nan)
        numbers[~without] = values[~without].astype(float)
        return {"label": label, "numbers": numbers}
    names = ["none" if none else str(value) for value, none in zip(values, without, strict=True)]
    classes = [name for name, _ in sorted(Counter(names).items(), key=lambda each: (-each[1], each[0]))]
    classes = classes[: clouds.MOST_CLASSES]
    number = {name: place for place, name in enumerate(classes)}
    return {
        "label": label,
        "classes": classes,
        "class_of": np.array([number.get(name, -1) for name in names]),
    }


def _occurrences(store: Store, word: str, columns: dict[Name, str], seed: int) -> Rows:
    surfaces = store.to_table(["unit"]).column(0).to_pylist()
    found = np.array(
        [row for row, unit in enumerate(surfaces) if unit.casefold() == word.casefold()], np.int64
    )
    if not len(found):
        raise UsageError(
            f"{word!r} is not a {store.unit} of {store.path}: see `layerwise neighbours` for similar ones."
        )
    places = found[sample_rows(len(found), OCCURRENCES, seed)]
    there = ~np.isnan(read_layer(store, next(iter(columns.values())), places)).any(axis=1)
    if not there.any():
        raise UsageError(f"{word!r} got no token from this model, so it has no path.")
    return places[there]
