"""Options that the commands for training share, and what they print while it runs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from layerwise.cli.progress import clock
from layerwise.interruption import not_the_first_process

if TYPE_CHECKING:
    from layerwise.reports.training import TrainingProgress

DataArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="DATA...",
        help="Examples: jsonl, csv, tsv, parquet, conll, conllu; for qa also .json as SQuAD is published.",
    ),
]
TextColumnOption = Annotated[
    str | None, typer.Option(help="Column with the text (qa: the question; seq2seq: the source).")
]
PairColumnOption = Annotated[
    str | None, typer.Option(help="Column with the second text (qa: the context; seq2seq: the target).")
]
LabelOption = Annotated[
    str | None,
    typer.Option(
        "--label",
        help="Column with what is to be learned: class, tags or entities, answers, score.",
        show_default="label; qa: answers; similarity: score",
    ),
]
WordsColumnOption = Annotated[str | None, typer.Option(help="ner: column with a list of words.")]
SkipBadOption = Annotated[
    bool, typer.Option("--skip-bad", help="Leave out rows that cannot be used, and count them.")
]
PrecisionOption = Annotated[
    str, typer.Option(help="fp32, bf16, fp16 (CUDA); auto: bf16 where the device computes it.")
]
WarmupOption = Annotated[
    float,
    typer.Option(help="Share of the steps in which the learning rate rises (below 1), or their number."),
]
AccumulateOption = Annotated[
    int, typer.Option(help="Parts in which each device takes its share of a step, for less memory.")
]
LogEveryOption = Annotated[int, typer.Option(help="Steps between two lines of log.jsonl.")]
ResumeOption = Annotated[
    bool, typer.Option("--resume", help="Go on from the last whole checkpoint of the same run.")
]
TrainingDeviceOption = Annotated[str, typer.Option(help="auto, cpu, cuda.")]


@contextmanager
def live_training() -> Iterator[Callable[[TrainingProgress], None]]:
    """A line that is redrawn in a terminal; elsewhere (a log file) a line for each tenth of the steps, and one for each
    kind of work before them."""
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    console = Console(stderr=True)
    if not_the_first_process():
        yield lambda progress: None
        return
    if console.is_terminal:
        with Live(console=console, refresh_per_second=4, transient=True) as live:
            yield lambda progress: live.update(Text(describe(progress), no_wrap=True, overflow="ellipsis"))
        return

    kinds = set()

    def plain(progress: TrainingProgress) -> None:
        tenth, kind = max(1, progress.steps // 10), progress.doing.partition(" ")[0]
        if progress.step % tenth == 0 and not (kind and kind in kinds):
            kinds.add(kind)
            typer.echo(f"layerwise: {describe(progress)}", err=True)

    yield plain


def leave_to_the_first(command: str) -> None:
    """End all processes but the first: this command does its work once.

    Raises:
        typer.Exit: this is not the first.
    """
    if not_the_first_process():
        say(f"{command} runs in one process; process {os.environ['RANK']} leaves it to process 0.")
        raise typer.Exit


def say(text: str) -> None:
    """What is being prepared, on stderr."""
    typer.echo(f"layerwise: {text}", err=True)


def describe(progress: TrainingProgress) -> str:
    """One line, as `step 120 of 600 · loss 0.4312 · macro_f1 0.873 · 5,310 tokens/s · 1:10 left`."""
    if progress.doing:
        return progress.doing
    parts = [f"step {progress.step:,} of {progress.steps:,}"]
    if progress.loss is not None:
        parts.append(f"loss {progress.loss:.4f}")
    for name, value in list(progress.scores.items())[:1]:
        parts.append(f"{name} {value:.3f}")
    if progress.tokens:
        parts.append(f"{progress.tokens_per_second:,.0f} tokens/s")
    if progress.seconds_left is not None:
        parts.append(f"{clock(progress.seconds_left)} left")
    return " · ".join(parts)
