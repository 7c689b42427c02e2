"""The command line: one file per command; parse, call one library function, print.

Data goes to stdout, progress and messages to stderr. Exit status: 0 success, 1 failure, 2 misuse.
"""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

import typer

from layerwise.cli import (
    best,
    compare,
    evaluate,
    export,
    extract,
    finetune,
    fit_projection,
    inspect,
    models,
    neighbours,
    plot,
    predict,
    pretrain,
    probe,
    prune,
    report,
    ship,
    show,
)
from layerwise.cli.ending import (
    Commands,
    drop_output,
    escape_output,
    output_is_full,
    reader_is_gone,
)
from layerwise.errors import InterruptedRunError, LayerwiseError
from layerwise.interruption import another_process_failed, not_the_first_process
from layerwise.version import __version__

app = typer.Typer(
    name="layerwise",
    cls=Commands,
    help="Every layer of every encoder: extract it, understand it, ship the best one.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"layerwise {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version."
    ),
) -> None:
    """Every layer of every encoder: extract it, understand it, ship the best one."""


for command in (
    show,
    extract,
    inspect,
    export,
    neighbours,
    probe,
    report,
    best,
    compare,
    plot,
    fit_projection,
    ship,
    pretrain,
    finetune,
    evaluate,
    predict,
    prune,
    models,
):
    app.command(command.__name__.rpartition(".")[2].replace("_", "-"))(command.command)


def main() -> None:
    """Run the command line; every expected failure is one sentence on stderr."""
    try:
        Path.cwd()
    except OSError as error:
        _fail(f"the current folder cannot be entered ({error.strerror}): change into another.", 1)
    try:
        escape_output()
        app()
    except LayerwiseError as error:
        if isinstance(error, InterruptedRunError) and not_the_first_process():
            sys.exit(error.exit_code)  # the first one says it
        _fail(str(error), error.exit_code)
    except KeyboardInterrupt:
        _fail("interrupted.", 1)
    except SystemExit as stop:
        if not reader_is_gone(stop):
            raise
        drop_output()
        sys.exit(0)
    except Exception as error:
        if os.environ.get("LAYERWISE_DEBUG"):
            raise
        if isinstance(error, OSError) and output_is_full(error):
            drop_output()
            _fail(f"stdout cannot be written ({error.strerror}): make room, or send it elsewhere.", 1)
        if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
            _fail(f"the name {str(error.filename)[:60]}… is too long for this disk: choose a shorter one.", 2)
        if another_process_failed(error):
            _fail("stopped, since another process of this run has failed.", 1)
        said = " ".join(str(error).split()) or "no message"
        _fail(
            f"unexpected {type(error).__name__}: {said[:300]} (this is a defect of layerwise, please report it; "
            "LAYERWISE_DEBUG=1 shows where it happened).",
            1,
        )


def _fail(message: str, status: int) -> None:
    sys.stderr.write(f"layerwise: {message}\n")
    sys.exit(status)
