"""`layerwise show`: the vectors of one text, layer by layer, on the screen."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from layerwise.cli import options
from layerwise.cli.console import console
from layerwise.reports.wording import counted, without_nan

if TYPE_CHECKING:
    from layerwise.types import HiddenStates


def command(
    text: Annotated[str, typer.Argument(help="The text, or '-' to read it from stdin.")],
    pair: Annotated[
        str | None, typer.Option("--pair", help="A second text, for models that take pairs.")
    ] = None,
    pairs: options.PairsOption = "joint",
    model: options.ModelOption = "minilm",
    revision: options.RevisionOption = None,
    layers: options.LayersOption = "all",
    unit: options.UnitOption = "token",
    words: Annotated[str, typer.Option(help="What a word is: tokenizer, whitespace, unicode.")] = "tokenizer",
    pooling: options.PoolingOption = None,
    mix: options.MixOption = "none",
    mix_weights: options.MixWeightsOption = None,
    dtype: options.DtypeOption = "float32",
    device: options.DeviceOption = "auto",
    allow_pickle: options.AllowPickleOption = False,
    as_json: options.JsonOption = False,
) -> None:
    """Print the vectors of one text at every layer."""
    from layerwise.errors import UsageError
    from layerwise.models.encoder import Encoder

    weights = options.mix_weights(mix_weights)
    encoder = Encoder.from_pretrained(
        model, revision=revision, dtype=dtype, device=device, allow_pickle=allow_pickle
    )
    if text == "-" and sys.stdin is None:
        raise UsageError("'-' was given, and stdin is closed: pipe the text in, or give it.")
    source = sys.stdin.read().removeprefix("\ufeff").rstrip("\n") if text == "-" else text
    states = encoder.encode(
        [source if pair is None else (source, pair)],
        layers,
        unit,
        words=words,
        pooling=pooling,
        mix=mix,
        mix_weights=weights,
        pairs=pairs,
    )[0]
    if as_json:
        typer.echo(json.dumps(without_nan(_document(states, encoder.describe())), ensure_ascii=False))
    else:
        _print(states, unit)


def _document(states: HiddenStates, model: dict[str, object]) -> dict[str, object]:
    return {
        "text": states.text,
        "text_pair": states.text_pair,
        "model": {key: model[key] for key in ("model", "revision", "weights_sha256", "engine", "dtype")},
        "layers": list(states.layers),
        "num_tokens": states.num_tokens,
        "num_windows": states.num_windows,
        "units": states.to_list(),
    }


def _print(states: HiddenStates, unit: str) -> None:
    import numpy as np
    from rich.table import Table
    from rich.text import Text

    out = console()
    layers, units, size = states.hidden_states.shape
    out.print(f"{counted(layers, 'layer')} × {counted(units, unit)} × {size} dimensions")
    if not units:
        out.print("The text has no units: it is empty, or all white space.")
        return
    table = Table(box=None, pad_edge=False)
    for name, justify in (("layer", "right"), (unit, "left"), ("characters", "right"), ("norm", "right")):
        table.add_column(name, justify=justify, no_wrap=True)  # type: ignore[arg-type]
    table.add_column("vector", no_wrap=True)
    with np.printoptions(precision=3, threshold=6, edgeitems=3, suppress=True, sign=" ", floatmode="fixed"):
        for index, layer in enumerate(states.layers):
            for row, one in enumerate(states.units):
                vector = states.hidden_states[index, row]
                shown = str(vector) if one.embedded else "not embedded: no token stands for it"
                table.add_row(
                    str(layer) if row == 0 else "",
                    Text(one.surface if len(one.surface) <= 30 else one.surface[:27] + "…"),
                    f"{one.start}–{one.end}",
                    f"{np.linalg.norm(vector):.2f}" if one.embedded else "",
                    Text(shown),
                    end_section=row == units - 1,
                )
    out.print(table)
