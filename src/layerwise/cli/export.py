"""`layerwise export`: a store in another format, chosen by the ending."""

from __future__ import annotations

from typing import Annotated

import typer

from layerwise.cli import options


def command(
    store: Annotated[str, typer.Argument(metavar="OUT", help="A store.")],
    target: Annotated[
        str,
        typer.Argument(
            help="Ends in .npy (a file a layer), .safetensors, .h5, .zarr, .parquet, .csv or .jsonl."
        ),
    ],
    layers: options.LayersOption = "all",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a target that exists.")] = False,
) -> None:
    """Write a store in another format."""
    from layerwise.cli.progress import size
    from layerwise.store.export import export
    from layerwise.store.reader import open_store

    written = export(open_store(store), target, layers, overwrite=overwrite)
    for path in written:
        amount = sum(
            file.stat().st_size for file in ([path] if path.is_file() else path.rglob("*")) if file.is_file()
        )
        typer.echo(f"{path}  {size(amount)}")
