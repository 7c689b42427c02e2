"""`layerwise ship`: one layer of a model as a folder that other programs load."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from layerwise.cli import options
from layerwise.errors import UsageError

if TYPE_CHECKING:
    from layerwise.models.encoder import Encoder
    from layerwise.ops.projection import Projection
    from layerwise.reports.shipping import Shipment


def command(
    model: Annotated[
        str, typer.Argument(help="'minilm', 'bilingual', a model folder, or a name on the Hub.")
    ],
    layer: Annotated[str, typer.Option("--layer", "-l", help="The layer to ship: 1..N, -1.., or 'final'.")],
    output: Annotated[str, typer.Option("--output", "-o", help="The folder to write.")],
    pooling: Annotated[
        str | None,
        typer.Option(
            help="How tokens become a text: mean, max (special tokens included, as sentence-transformers does), "
            "cls, last_with_special.",
            show_default="the probe's or the projection's, else mean",
        ),
    ] = None,
    projection: Annotated[
        str | None,
        typer.Option(
            help="A file of `layerwise fit-projection`: vectors get its size. Or, with --fit-on, its kind and size: "
            "pca:256, whiten:128."
        ),
    ] = None,
    fit_on: Annotated[
        str | None, typer.Option("--fit-on", metavar="STORE", help="The store to fit such a projection on.")
    ] = None,
    probe: Annotated[
        str | None,
        typer.Option(help="A file of `layerwise probe --save`, to go along for `layerwise predict`."),
    ] = None,
    normalize: Annotated[bool, typer.Option(help="Scale vectors to length 1.")] = False,
    license: Annotated[
        str | None,
        typer.Option(
            help="Licence of the base model, such as apache-2.0.", show_default="as its README.md says"
        ),
    ] = None,
    onnx: Annotated[
        bool, typer.Option("--onnx", help="Add onnx/model.onnx, compared with the model.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a folder that an earlier `ship` wrote.")
    ] = False,
    revision: options.RevisionOption = None,
    allow_pickle: options.AllowPickleOption = False,
    as_json: options.JsonOption = False,
) -> None:
    """Ship one layer as a model of its own, for sentence-transformers and others."""
    from layerwise.shipping.ship import ship

    if fit_on is not None and projection is None:
        raise UsageError("--fit-on was given without --projection: name its kind and size, such as pca:256.")
    size = None if projection is None else _kind_and_dim(projection, fit_on)
    chosen: str | Encoder = model
    fitted: str | Projection | None = projection
    if size is not None and fit_on is not None:
        chosen = _encoder(model, output, overwrite, revision, allow_pickle)
        fitted = _fit(chosen, fit_on, layer, *size)
    shipment = ship(
        chosen,
        output,
        layer=layer,
        pooling=pooling,
        projection=fitted,
        probe=probe,
        normalize=normalize,
        license=license,
        onnx=onnx,
        overwrite=overwrite,
        revision=revision,
        allow_pickle=allow_pickle,
    )
    for note in shipment.notes:
        typer.echo(f"layerwise: note: {note}", err=True)
    typer.echo(json.dumps(shipment.to_dict(), ensure_ascii=False) if as_json else shipment_line(shipment))


def _kind_and_dim(given: str, store: str | None) -> tuple[str, int] | None:
    """What `pca:256` says; None of a file."""
    kind, dim = given.partition(":")[::2]
    if not dim.isdecimal():
        if store is not None:
            raise UsageError(
                f"--fit-on fits a projection, and --projection is {given!r}: expected its kind and size, such as "
                "pca:256, or leave --fit-on out if that is a file."
            )
        return None
    if store is None:
        raise UsageError(
            f"--projection {given} has to be fitted on vectors: name a store with --fit-on, or a file of "
            "`layerwise fit-projection`."
        )
    return kind, int(dim)


def _encoder(model: str, output: str, overwrite: bool, revision: str | None, allow_pickle: bool) -> Encoder:
    """The model, once it is clear that the folder may be written: a store is not read for nothing."""
    from pathlib import Path

    from layerwise.models.encoder import Encoder
    from layerwise.shipping.target import refuse_there

    refuse_there(Path(output), overwrite)
    return Encoder.from_pretrained(model, revision=revision, device="cpu", allow_pickle=allow_pickle)


def _fit(encoder: Encoder, store: str, layer: str, kind: str, dim: int) -> Projection:
    """A projection fitted on a store now, if it is one of this model."""
    from layerwise.cli.fit_projection import fit_line
    from layerwise.models.fitted import refuse_other_store
    from layerwise.store.reader import open_store
    from layerwise.study.fit_projection import fit_projection

    opened = open_store(store)
    refuse_other_store(opened.metadata, encoder)
    projection, fit = fit_projection(opened, layer, kind, dim)
    typer.echo(f"layerwise: note: {fit_line(fit)}", err=True)
    return projection


def shipment_line(shipment: Shipment) -> str:
    """What was shipped, in one line."""
    from layerwise.cli.progress import size

    kept, number = shipment.blocks, shipment.num_hidden_layers
    saved = f", {(number - kept) / number:.0%} less compute" if kept < number else ""
    extra = "".join(f" + {name}" for name in (shipment.probe, shipment.onnx) if name)
    scaled = ", scaled to length 1" if shipment.normalize else ""
    return (
        f"{shipment.path}: layer {shipment.layer} of {shipment.model}, {kept} of {number} blocks{saved}; "
        f"{shipment.pooling}, {shipment.size} dimensions{scaled}; {size(shipment.bytes)}{extra}; "
        f"differs from the layer by {shipment.error:.1e}; licence {shipment.license}"
    )
