"""How the program ends when stopped from outside: Ctrl-C, a reader that went away, a full disk."""

from __future__ import annotations

import codecs
import contextlib
import errno
import io
import json
import os
import sys
from typing import Any

from typer.core import TyperGroup

from layerwise.errors import InterruptedRunError

_ESCAPED = "layerwise.escaped"
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


class Commands(TyperGroup):
    """The commands; Ctrl-C is an error like others, where typer would exit with 130 and no word."""

    def invoke(self, ctx: Any) -> Any:
        """Run one, to the last byte of its output."""
        try:
            found = super().invoke(ctx)
            if sys.stdout is not None:
                sys.stdout.flush()  # what goes wrong here is still told, at the exit of Python it is not
        except KeyboardInterrupt:
            raise InterruptedRunError("interrupted.") from None
        return found


def reader_is_gone(stop: SystemExit) -> bool:
    """Whether it is the reader of a pipe, such as `head`, that has had enough: typer and rich exit with 1."""
    return isinstance(stop.__context__, BrokenPipeError)


def output_is_full(error: OSError) -> bool:
    """Whether stdout is on a full disk: an error of a file that was opened by name has its name."""
    return error.errno in _FULL and error.filename is None


def drop_output() -> None:
    """Let go of what is still to be written: at its exit, Python would try once more, and complain."""
    with contextlib.suppress(OSError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def escape_output() -> None:
    r"""Print a character that stdout's encoding has not as `\u4e2d`, which JSON takes for the character."""
    codecs.register_error(_ESCAPED, _escaped)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors=_ESCAPED)


def _escaped(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    return json.dumps(error.object[error.start : error.end])[1:-1], error.end
