"""`layerwise fit-projection`: a linear map to fewer dimensions, fitted on a layer of a store."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from layerwise.cli import options

if TYPE_CHECKING:
    from layerwise.reports.shipping import ProjectionFit


def command(
    store: Annotated[str, typer.Argument(metavar="STORE", help="A store of one layer or more.")],
    layer: Annotated[str, typer.Option("--layer", "-l", help="The layer of the store it is for.")],
    output: Annotated[str, typer.Option("--output", "-o", help="The file to write, such as p.safetensors.")],
    kind: Annotated[
        str, typer.Option(help="pca, or whiten: each new dimension scaled to variance 1.")
    ] = "pca",
    dim: Annotated[int, typer.Option(help="Size of the projected vectors.")] = 256,
    seed: Annotated[int, typer.Option(help="Of the sample that recall is measured on.")] = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file if it exists.")] = False,
    as_json: options.JsonOption = False,
) -> None:
    """Fit a linear map to fewer dimensions, for `extract --projection` and `ship --projection`."""
    from layerwise.store.reader import open_store
    from layerwise.study.fit_projection import fit_projection
    from layerwise.whole_file import refuse_existing, whole_file

    refuse_existing(output, overwrite)
    projection, fit = fit_projection(open_store(store), layer, kind, dim, seed)
    with whole_file(output, overwrite) as stream:
        stream.write(projection.to_bytes())
    fit = replace(fit, path=output)
    typer.echo(json.dumps(fit.to_dict(), ensure_ascii=False) if as_json else f"{output}: {fit_line(fit)}")


def fit_line(fit: ProjectionFit) -> str:
    """What was fitted, and what it keeps, in one line."""
    from layerwise.reports.wording import counted

    missing = f" ({fit.not_embedded:,} not embedded)" if fit.not_embedded else ""
    apart = "rows it was not fitted on" if fit.held_out else "rows it was fitted on, as there are few"
    kept = (
        f"recall@10 {fit.recall_at_10:.1%} (of {fit.sample:,} {apart})"
        if fit.recall_at_10 is not None
        else "too few rows to measure recall"
    )
    return (
        f"{fit.kind}, layer {fit.layer}, {fit.size} to {fit.dim} dimensions, fitted on "
        f"{counted(fit.rows, 'row')}{missing}; explains {fit.explained_variance:.1%} of the variance; {kept}"
    )
