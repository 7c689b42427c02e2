"""Runs the command line inside the test process: importing torch anew takes seconds."""

from __future__ import annotations

import contextlib
import io
import shlex
import sys
from dataclasses import dataclass
from unittest import mock

from layerwise.cli import main


@dataclass(frozen=True)
class Outcome:
    status: int
    out: str
    err: str


def run(command: str) -> Outcome:
    """`run("show hello")` is `layerwise show hello`; any exception but an exit is a failed test."""
    out, err = io.StringIO(), io.StringIO()
    with (
        mock.patch.object(sys, "argv", ["layerwise", *shlex.split(command)]),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            main()
            status = 0
        except SystemExit as exit:
            status = int(exit.code or 0)
    return Outcome(status, out.getvalue(), err.getvalue())
