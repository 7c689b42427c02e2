"""What can be said of a run's source and its options before there is a model."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from layerwise.errors import UsageError, choose
from layerwise.text.sources import SourceOptions, Sources

PAIR_COLUMNS = ("sentence1", "sentence2")
"""Where GLUE and sentence-transformers have the texts of a pair."""

STORE_DTYPES = ("float32", "float16")


def find_sources(
    source: str | Path | Sequence[str | Path],
    *,
    words: str | None = None,
    pairs: str = "joint",
    store_dtype: str = "float32",
    text_column: str | None = None,
    pair_column: str | None = None,
    id_column: str | None = None,
    words_column: str | None = None,
    keep: Sequence[str] = (),
    format: str | None = None,
    limit: int | None = None,
) -> Sources:
    """The sources that options of `extract` point to; nothing is read yet.

    Raises:
        UsageError: an option that does not exist or does not fit.
        SourceError: a source does not exist or has an unknown ending.
    """
    choose("store-dtype", store_dtype, STORE_DTYPES)
    if getattr(source, "ndim", None) is not None:
        raise UsageError(
            f"the source was given as {type(source).__name__}: expected files, folders, globs or URLs; write it to a "
            "file (to_parquet), or take Encoder.stream for texts in memory."
        )
    keep = (keep,) if isinstance(keep, str) else tuple(keep)
    if limit is not None and not 1 <= limit <= sys.maxsize:
        raise UsageError(f"the limit is {limit}: expected a number of texts, 1 or more.")
    if words_column is not None and words not in (None, "given"):
        raise UsageError(
            f"words in the column {words_column!r} are given, and words={words!r} would leave them out: choose one."
        )
    if pairs == "separate" and text_column is None and pair_column is None:
        text_column, pair_column = PAIR_COLUMNS
    if pairs == "separate" and pair_column is None:
        raise UsageError(
            f"pairs='separate' encodes two texts apart, and only {text_column!r} was named: name the column of the "
            "second with --pair-column, or leave both names out where they are sentence1 and sentence2."
        )
    return Sources(source, SourceOptions(text_column, pair_column, id_column, words_column, keep, format))


def read_first(sources: Sources) -> None:
    """Read the first text, so that a wrong column is told before a model is loaded.

    Not of stdin, whose first text would be lost, nor of URLs, which would be fetched twice.

    Raises:
        SourceError, ColumnError: as `Sources.records`.
    """
    if any(file.is_stdin or "://" in file.address for file in sources.files):
        return
    for _ in sources.records():
        break
