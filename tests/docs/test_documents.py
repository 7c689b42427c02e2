"""The documents are part of the program: their code runs, their links lead somewhere, both READMEs agree.

Every Python and shell block of a document is run in order in an empty folder beside a copy of
`examples/`. A block that cannot be run there is preceded by `<!-- not run: reason -->`; such
blocks are reported as skipped tests with their reason (`pytest -rs tests/docs`).
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).resolve().parents[2]
CHINESE = "README.zh-CN.md"
DOCUMENTS = [
    "README.md",
    CHINESE,
    "CONTRIBUTING.md",
    "src/layerwise/store/FORMAT.md",
    *sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").glob("*.md")),
]
LINKING = [*DOCUMENTS, "examples/README.md", "examples/training/README.md"]
TRAINING = [
    f"docs/{page}.md"
    for page in ("training", "classify", "ner", "qa", "similarity", "seq2seq", "pretrain", "prune")
]
"""Their code is run by `test_training_pages`: a module is one worker's, and all pages are more than half of the tests."""
KINDS = {
    "python": "python",
    "py": "python",
    "bash": "shell",
    "sh": "shell",
    "shell": "shell",
    "console": "console",
}
SECONDS = 600

NOT_RUN = re.compile(r"<!--\s*not run\b:?\s*(?P<reason>.*?)\s*-->", re.DOTALL)
ATTRIBUTE = re.compile(r"""\b(?:href|src)\s*=\s*["']([^"']+)["']""")

DRIVER = """
import json, pathlib, subprocess, sys
names = {"__name__": "__main__"}
for kind, where, line, code in json.loads(pathlib.Path(sys.argv[1]).read_text("utf-8")):
    print(f"--- {where}:{line} ({kind})", file=sys.stderr, flush=True)
    if kind == "python":
        exec(compile("\\n" * line + code, where, "exec"), names)
        sys.stdout.flush()
    elif subprocess.run(["bash", "-euo", "pipefail", "-c", code], stdin=subprocess.DEVNULL).returncode:
        sys.exit(f"{where}:{line}: this shell block failed")
"""


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, the line of its fence (from 1), its code, why it is not run."""

    language: str
    line: int
    code: str
    not_run: str | None

    @property
    def kind(self) -> str | None:
        return KINDS.get(self.language)


def parse(document: str) -> list[Token]:
    path = ROOT / document
    assert path.is_file(), f"{document} is missing"
    return MarkdownIt("commonmark").enable("table").parse(path.read_text(encoding="utf-8"))


def blocks(document: str) -> list[Block]:
    tokens = parse(document)
    return [
        read_block(token, before)
        for before, token in zip([None, *tokens], tokens, strict=False)
        if fenced(token)
    ]


def fenced(token: Token) -> bool:
    return token.type == "fence"


def read_block(token: Token, before: Token | None) -> Block:
    comment = NOT_RUN.search(before.content) if before is not None and before.type == "html_block" else None
    language = token.info.split()[0].lower() if token.info.strip() else ""
    assert token.map is not None
    return Block(language, token.map[0] + 1, token.content, comment["reason"] if comment else None)


def shell_of(block: Block) -> str:
    """The commands of a shell block; in a console block those after `$ `, without what they print."""
    if block.kind == "shell":
        return block.code
    commands: list[str] = []
    for line in block.code.splitlines():
        if line.startswith("$ "):
            commands.append(line[2:])
        elif commands and commands[-1].endswith("\\"):
            commands[-1] += "\n" + line.removeprefix("> ")
    return "\n".join(commands)


def steps(document: str) -> list[tuple[str, str, int, str]]:
    """(kind, document, line, code) of every block to run."""
    return [
        (kind, document, block.line, block.code if kind == "python" else shell_of(block))
        for block in blocks(document)
        if block.not_run is None and block.kind is not None
        for kind in ["python" if block.kind == "python" else "shell"]
    ]


def environment() -> dict[str, str]:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    return {**os.environ, "PATH": path, "HF_HUB_OFFLINE": "1", "PYTHONUTF8": "1", "PYTHONWARNINGS": "default"}


def existing(documents: list[str]) -> list[str]:
    return [document for document in documents if (ROOT / document).is_file()]


def not_run() -> Iterator[tuple[str, Block]]:
    for document in existing(DOCUMENTS):
        yield from ((document, block) for block in blocks(document) if block.not_run is not None)


@pytest.mark.parametrize("document", [one for one in DOCUMENTS if one not in (CHINESE, *TRAINING)])
def test_code_runs(document: str, tmp_path: Path) -> None:
    """The Chinese README has the same code, see below."""
    run_code(document, tmp_path)


def run_code(document: str, tmp_path: Path) -> None:
    """Run the blocks of a document, in their order, in a folder of their own."""
    todo = steps(document)
    if not todo:
        return
    shutil.copytree(ROOT / "examples", tmp_path / "work" / "examples")
    (tmp_path / "steps.json").write_text(json.dumps(todo), encoding="utf-8")
    run = subprocess.run(
        [sys.executable, "-c", DRIVER, str(tmp_path / "steps.json")],
        cwd=tmp_path / "work",
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=SECONDS,
    )
    assert run.returncode == 0, f"{document}\n{run.stdout[-3000:]}\n{run.stderr[-6000:]}"


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_block_names_its_language(document: str) -> None:
    unnamed = [block.line for block in blocks(document) if not block.language]
    assert not unnamed, f"{document}: code blocks without a language at lines {unnamed}"


@pytest.mark.parametrize(
    ("document", "block"), [pytest.param(d, b, id=f"{d}:{b.line}") for d, b in not_run()] or [(None, None)]
)
def test_blocks_not_run_say_why(document: str | None, block: Block | None) -> None:
    if document is None or block is None:
        return
    assert block.not_run, f"{document}:{block.line}: write <!-- not run: reason -->"
    assert block.kind, (
        f"{document}:{block.line}: a block of {block.language!r} is never run, so it needs no reason"
    )
    pytest.skip(f"{document}:{block.line}: {block.not_run}")


@pytest.mark.parametrize("document", existing(DOCUMENTS))
def test_no_comment_stands_alone(document: str) -> None:
    """A `not run` comment that is not directly before a block would silently do nothing."""
    comments = sum(len(NOT_RUN.findall(token.content)) for token in parse(document) if not fenced(token))
    assert comments == sum(block.not_run is not None for block in blocks(document))


# Links


def inlines(tokens: list[Token]) -> Iterator[Token]:
    for token in tokens:
        yield token
        yield from inlines(token.children or [])


def links(document: str) -> list[str]:
    """Targets of all links and images, in order, those written in HTML too."""
    found: list[str] = []
    for token in inlines(parse(document)):
        if token.type in {"link_open", "image"}:
            found.append(str(token.attrGet("href") or token.attrGet("src") or ""))
        elif token.type in {"html_block", "html_inline"}:
            found += ATTRIBUTE.findall(token.content)
    return found


def headings(document: str) -> list[tuple[str, str]]:
    """(level, text) of all headings: ("h2", "Layers")."""
    tokens = parse(document)
    return [(t.tag, tokens[i + 1].content) for i, t in enumerate(tokens) if t.type == "heading_open"]


def anchor(heading: str) -> str:
    """The anchor that code hosts give a heading."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")


@pytest.mark.parametrize("document", LINKING)
def test_relative_links_lead_somewhere(document: str) -> None:
    broken = [link for link in links(document) if not leads_somewhere(document, link)]
    assert not broken, f"{document}: {broken}"


def leads_somewhere(document: str, link: str) -> bool:
    if re.match(r"[a-z][a-z0-9+.-]*:", link):
        return True
    path, _, fragment = unquote(link).partition("#")
    target = (ROOT / document).parent / path if path else ROOT / document
    if not target.exists() or not target.resolve().is_relative_to(ROOT):
        return False
    if not fragment or target.suffix != ".md":
        return True
    return fragment in {anchor(text) for _, text in headings(target.resolve().relative_to(ROOT).as_posix())}


@pytest.mark.parametrize("page", [d for d in DOCUMENTS if d.startswith("docs/") and d != "docs/README.md"])
def test_the_index_lists_every_page(page: str) -> None:
    assert page.removeprefix("docs/") in links("docs/README.md")


# The two READMEs

TRANSLATIONS = ("README.md", CHINESE)


def comparable(link: str) -> str:
    """A link as both languages share it: anchors are translated, and each README links the other."""
    path, hash_sign, _ = link.partition("#")
    return ("README" if path in TRANSLATIONS else path) + hash_sign


def test_readmes_have_the_same_headings() -> None:
    english, chinese = ([level for level, _ in headings(document)] for document in TRANSLATIONS)
    assert english == chinese


def test_readmes_have_the_same_code() -> None:
    english, chinese = ([(b.language, b.code) for b in blocks(document)] for document in TRANSLATIONS)
    assert english == chinese


def test_readmes_have_the_same_links() -> None:
    english, chinese = ([comparable(link) for link in links(document)] for document in TRANSLATIONS)
    assert english == chinese
