"""`layerwise best`: probe a store, and ship the layer that is best."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from layerwise.cli import options
from layerwise.cli import probe_options as asked
from layerwise.reports.wording import without_nan


def command(
    store: asked.StoreArgument,
    label: asked.LabelOption,
    ship: Annotated[
        str, typer.Option("--ship", help="The folder to write the model cut to the best layer into.")
    ],
    cheapest: Annotated[
        bool,
        typer.Option("--cheapest", help="Ship the lowest layer that cannot be told from the best."),
    ] = False,
    task: asked.TaskOption = "auto",
    layers: options.LayersOption = "all",
    pair: asked.PairOption = False,
    group: asked.GroupOption = None,
    split: asked.SplitOption = None,
    folds: asked.FoldsOption = None,
    min_count: asked.MinCountOption = None,
    skip_missing: asked.SkipMissingOption = False,
    missing_label: asked.MissingLabelOption = None,
    rows: asked.RowsOption = None,
    control: asked.ControlOption = True,
    codelength: asked.CodelengthOption = False,
    l2: asked.StrengthsOption = None,
    seed: options.SeedOption = 0,
    model: Annotated[
        str | None,
        typer.Option(
            "--model", "-m", help="The model, if it is not where the store says.", show_default="the store's"
        ),
    ] = None,
    normalize: Annotated[bool, typer.Option("--normalize", help="Scale vectors to length 1.")] = False,
    license: Annotated[str | None, typer.Option(help="Licence of the base model.")] = None,
    onnx: Annotated[bool, typer.Option("--onnx", help="Add onnx/model.onnx.")] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a folder that an earlier run wrote.")
    ] = False,
    as_json: options.JsonOption = False,
) -> None:
    """Probe every layer, take the best, and ship it with its probe: ready for `layerwise predict`."""
    from layerwise.cli.probe_table import print_report
    from layerwise.cli.progress import live_status
    from layerwise.cli.ship import shipment_line
    from layerwise.shipping.best import encoder_of, ship_layer, shippable
    from layerwise.shipping.target import refuse_there
    from layerwise.store.reader import open_store
    from layerwise.study.probing import probe

    opened = open_store(store)
    refuse_there(Path(ship), overwrite)
    encoder = encoder_of(opened.metadata, model)
    candidates = shippable(encoder, tuple(opened.select(layers)))
    with live_status("probing") as progress:
        found = probe(
            opened,
            label,
            task=task,
            layers=layers,
            pair=pair,
            group=group,
            split=split,
            folds=folds,
            min_count=min_count,
            skip_missing=skip_missing,
            missing_label=missing_label,
            rows=rows,
            control=control,
            codelength=codelength,
            strengths=asked.strengths(l2),
            seed=seed,
            candidates=candidates,
            progress=progress,
        )
    if not as_json:
        print_report(found.report)
    layer = found.report.enough if cheapest else found.report.best
    shipment = ship_layer(
        opened.metadata,
        encoder,
        ship,
        layer,
        probe=found.probes.get(layer),
        normalize=normalize,
        license=license,
        onnx=onnx,
        overwrite=overwrite,
    )
    if as_json:
        document = {"probe": found.report.to_dict(), "shipped": shipment.to_dict()}
        typer.echo(json.dumps(without_nan(document), ensure_ascii=False))
        return
    for note in shipment.notes:
        typer.echo(f"layerwise: note: {note}", err=True)
    typer.echo(shipment_line(shipment))
