"""Options that several commands share, each said once. Choices are checked by the library."""

from __future__ import annotations

from typing import Annotated

import typer

ModelOption = Annotated[
    str,
    typer.Option(
        "--model",
        "-m",
        help="'minilm' or 'bilingual' (embedded), a model folder, or a name on the Hugging Face Hub.",
    ),
]
RevisionOption = Annotated[str | None, typer.Option(help="Branch, tag or commit of a Hub model.")]
LayersOption = Annotated[
    str,
    typer.Option(
        "--layers", "-l", help="'all', or numbers and slices over 0..N: '0,6,-1', '-4:', '::2', 'final'."
    ),
]
UnitOption = Annotated[str, typer.Option("--unit", "-u", help="What one row stands for: text, word, token.")]
PoolingOption = Annotated[
    str | None,
    typer.Option(
        help="How tokens become a unit. Words: mean, first, last, max; texts: mean, max, cls, last_token, and "
        "mean_with_special, max_with_special, last_with_special.",
        show_default="mean",
    ),
]
MixOption = Annotated[
    str, typer.Option(help="How layers become one vector: none, mean, sum, concat, scalar.")
]
MixWeightsOption = Annotated[
    str | None,
    typer.Option(help='For --mix scalar: a JSON file {"weights": \\[one a layer], "gamma": number}.'),
]
DtypeOption = Annotated[str, typer.Option(help="Precision of the forward pass: float32, bfloat16, float16.")]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")]
AllowPickleOption = Annotated[
    bool,
    typer.Option("--allow-pickle", help="Load pickled weights if there are no others (they can run code)."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="JSON for programs instead of a table for people.")]
MaxLengthOption = Annotated[
    int | None,
    typer.Option(help="Most tokens of one window, special tokens included.", show_default="the model's"),
]
StrideOption = Annotated[
    int | None,
    typer.Option(
        help="Tokens by which the windows of a long text overlap.", show_default="a quarter, at most 64"
    ),
]
LongTextOption = Annotated[str, typer.Option(help="A text longer than a window: window, truncate, error.")]
PairsOption = Annotated[
    str,
    typer.Option(
        help="How the texts of a pair are encoded: joint (in one sequence), separate (each on its own)."
    ),
]
FormatOption = Annotated[
    str | None,
    typer.Option(
        help="How to read SOURCE, whatever its ending: txt, jsonl, csv, tsv, parquet, conllu, conll.",
        show_default="by its ending",
    ),
]
LimitOption = Annotated[int | None, typer.Option(help="Take only the first texts.")]
BatchTokensOption = Annotated[
    int | None,
    typer.Option(help="Most tokens of one forward pass.", show_default="2048 on CPU, 32768 on CUDA"),
]

SeedOption = Annotated[int, typer.Option(help="Of everything drawn at random.")]
CsvOption = Annotated[str | None, typer.Option(help="Also write the table to this CSV file.")]


def mix_weights(path: str | None) -> tuple[list[float], float] | None:
    """Read the file of `--mix-weights`.

    Raises:
        UsageError: it is not such a file.
    """
    if path is None:
        return None
    import json
    from pathlib import Path

    from layerwise.errors import UsageError

    try:
        given = json.loads(Path(path).read_text("utf-8"))
        return [float(weight) for weight in given["weights"]], float(given["gamma"])
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        said = f"there is no {error}" if isinstance(error, KeyError) else error
        raise UsageError(
            f"the mix weights in {path} cannot be read ({said}): expected JSON like "
            '{"weights": [0.1, 0.2], "gamma": 1.0}.'
        ) from error
