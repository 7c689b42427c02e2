"""Draws the pictures of the READMEs from a real run: `python docs/images/draw.py`.

The commands of `make demo` run on `examples/` in a temporary folder; what they print is kept as SVG. `scores.svg`
is the first figure of a report on the labelled examples.
"""

from __future__ import annotations

import io
import os
import tempfile
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text
from typer.testing import CliRunner

HERE = Path(__file__).resolve().parent
EXAMPLES = HERE.parents[1] / "examples"

EXTRACT = "layerwise extract prose_en.txt prose_zh.txt -o prose.lance --unit word"
PICTURES = {
    "neighbours": ["layerwise neighbours prose.lance bank --layer 0,3,6 --count 6"],
    "inspect": ["layerwise inspect prose.lance"],
}

REPORT = "--label upos --min-count 2 -o pos.html --figures figures --figure-format svg"

WIDTH = 98
PAPER = TerminalTheme(
    (250, 250, 248),
    (36, 41, 47),
    [
        (36, 41, 47),
        (207, 34, 46),
        (17, 99, 41),
        (77, 45, 0),
        (9, 105, 218),
        (130, 80, 223),
        (27, 124, 131),
        (110, 119, 129),
    ],
)
FORMAT = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">
<style>
.{unique_id}-matrix {{
  font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace;
  font-size: {char_height}px;
  line-height: {line_height}px;
}}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal"><rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/></clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


def typed(command: str) -> str:
    """What `command` prints on a terminal of `WIDTH` columns, with its colours."""
    program, *arguments = command.split()
    assert program == "layerwise"
    from layerwise import cli
    from layerwise.cli import inspect, neighbours

    shown = Console(
        width=WIDTH,
        highlight=False,
        soft_wrap=True,
        force_terminal=True,
        color_system="standard",
        record=True,
        file=io.StringIO(),
    )
    for module in (inspect, neighbours):
        module.console = lambda: shown  # type: ignore[attr-defined]
    run = CliRunner().invoke(cli.app, arguments, env={"COLUMNS": str(WIDTH)})
    assert run.exit_code == 0, run.output
    return shown.export_text(styles=True) or run.stdout


def draw(name: str, commands: list[str]) -> None:
    picture = Console(width=WIDTH, highlight=False, record=True, file=io.StringIO())
    for number, command in enumerate(commands):
        picture.print(Text.assemble(("$ ", "bright_black"), (command, "bold")))
        picture.print(Text.from_ansi(typed(command).rstrip()))
        if number + 1 < len(commands):
            picture.print()
    svg = picture.export_svg(title="", theme=PAPER, code_format=FORMAT, unique_id=name)
    (HERE / f"{name}.svg").write_text(svg, encoding="utf-8")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        for text in EXAMPLES.glob("*.txt"):
            (Path(folder) / text.name).write_bytes(text.read_bytes())
        os.chdir(folder)
        typed(EXTRACT)
        for name, commands in PICTURES.items():
            draw(name, commands)
        treebank = EXAMPLES / "labelled" / "pos_en.conllu"
        typed(f"layerwise extract {treebank} -o pos.lance --unit word --keep upos")
        typed(f"layerwise report pos.lance {REPORT}")
        (HERE / "scores.svg").write_bytes(Path("figures/scores.svg").read_bytes())


if __name__ == "__main__":
    main()
