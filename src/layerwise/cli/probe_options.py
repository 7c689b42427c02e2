"""Options of the commands that probe: `probe`, `report`, `best`."""

from __future__ import annotations

from typing import Annotated

import typer

StoreArgument = Annotated[str, typer.Argument(metavar="STORE", help="A store that kept the labels (--keep).")]
LabelOption = Annotated[str, typer.Option("--label", help="Kept column with the labels, or numbers.")]
TaskOption = Annotated[
    str,
    typer.Option(
        help="classification, regression; auto: numbers are a quantity if some are not whole or more than "
        "twenty differ."
    ),
]
PairOption = Annotated[
    bool,
    typer.Option("--pair", help="Compare the two texts of a pair (a store made with --pairs separate)."),
]
GroupOption = Annotated[
    str | None,
    typer.Option(help="Kept column: rows with equal values stay in one part.", show_default="the text"),
]
SplitOption = Annotated[
    str | None, typer.Option(help="Kept column that says train, dev, test.", show_default="drawn")
]
FoldsOption = Annotated[
    int | None,
    typer.Option(
        help="1: draw 60, 20, 20 % of the texts; 5: five times, so that each is tested once.",
        show_default="5 below 2,000 texts",
    ),
]
MinCountOption = Annotated[int | None, typer.Option(help="Leave out rows of classes with fewer examples.")]
SkipMissingOption = Annotated[bool, typer.Option("--skip-missing", help="Leave out rows without a label.")]
MissingLabelOption = Annotated[
    str | None, typer.Option(help="A value that stands for no label, such as -1: such rows are left out.")
]
RowsOption = Annotated[
    int | None, typer.Option(help="Probe a sample of at most so many rows.", show_default="all")
]
ControlOption = Annotated[
    bool, typer.Option("--control/--no-control", help="Probe a control task too (words and tokens).")
]
CodelengthOption = Annotated[bool, typer.Option("--codelength", help="Add the online code length.")]
StrengthsOption = Annotated[
    str | None,
    typer.Option(help="L2 strengths to choose from, comma separated.", show_default="1e-5 to 100 by tens"),
]


def strengths(given: str | None) -> tuple[float, ...] | None:
    """Read `--l2`.

    Raises:
        UsageError: something in it is no number.
    """
    if given is None:
        return None
    from layerwise.errors import UsageError

    try:
        return tuple(float(one) for one in given.split(","))
    except ValueError:
        raise UsageError(f"the L2 strengths are {given!r}: expected numbers with commas between.") from None
