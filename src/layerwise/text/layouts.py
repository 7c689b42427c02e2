"""What a source looks like from its first lines, where its ending says something else.

Sets of labelled words are published as `train.txt` and `dev.tsv`. A text a line would read each word
with its labels as a text, and nobody would see it; so such a source is refused until its format is
named, which also overrules this guess.
"""

from __future__ import annotations

import re

from layerwise.errors import SourceError
from layerwise.text.columns import SourceOptions
from layerwise.text.conll_layout import COMMENT, TAG
from layerwise.text.stream import Stream

LINES = 50
"""Lines that are looked at, blank ones and comments left out."""

WHAT = {
    "conll": "words and labels in columns, as CoNLL-2003 has them",
    "conllu": "CoNLL-U",
    "tsv": "a table with tabs",
}


def refuse_other_layout(stream: Stream, options: SourceOptions, read_as: str) -> None:
    """Refuse a source that looks like another format than the one it would be read as.

    Raises:
        SourceError: it does, and no format was named.
    """
    if options.format is not None:
        return
    found = layout_of(stream.head())
    if found is None or found == read_as or (found == "tsv" and read_as != "txt"):
        return
    columns = " (and --text-column with the name or number of the text's column)" if found == "tsv" else ""
    otherwise = "each line is a text" if read_as == "txt" else "it is one"
    raise SourceError(
        f"{stream.name} looks like {WHAT[found]}: pass --format {found}{columns} to read it so, or "
        f"--format {read_as} if {otherwise}."
    )


def layout_of(head: bytes) -> str | None:
    """`"conll"`, `"conllu"` or `"tsv"` if the first lines say so, else None."""
    lines = head.decode("utf-8", "replace").removeprefix("\ufeff").split("\n")[:-1]  # the last may be cut off
    bare = [line.rstrip("\r") for line in lines]
    rows = [line for line in bare if line.strip() and not line.startswith("# ") and not COMMENT.match(line)]
    rows = rows[:LINES]
    if not rows:
        return None
    if rows[0].startswith("-DOCSTART-"):
        return "conll"
    if re.match(r"1(-\d+)?\t", rows[0]) and rows[0].count("\t") == 9:
        return "conllu"
    fields = [row.split("\t") if "\t" in row else row.split(" ") for row in rows]
    alike = len(rows) > 1 and len({len(row) for row in fields}) == 1 and len(fields[0]) > 1
    words = alike and not any(re.search(r"\s", row[0].strip()) for row in fields)
    tags = {row[-1] for row in fields}
    tabs = all("\t" in row for row in rows)
    single = not any(re.search(r"\s", part.strip()) for row in fields for part in row)
    filled = [number for number, line in enumerate(bare) if line.strip()]
    between = bare[filled[0] : filled[-1]]
    blank = not all(line.strip() for line in between)  # as between sentences, not between rows of a table
    labels = all(map(TAG.fullmatch, tags)) or {"B", "O"} <= tags <= set("BIOESLUMW")
    if words and (labels or (tabs and single and blank)):
        return "conll"
    return "tsv" if alike and tabs else None
