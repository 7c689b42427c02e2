"""The report as one page: whole, self-contained, and read by a real browser."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from layerwise.cli.probe_table import print_report
from layerwise.errors import UsageError
from layerwise.store.reader import Store
from layerwise.study.report import Report, draw, refuse_other_ending, report
from layerwise.study.report_page import page
from tests.study.labelled import text_store, word_store

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return word_store(tmp_path_factory.mktemp("words") / "words.lance")


@pytest.fixture(scope="module")
def made(words: Store) -> Report:
    return report(words, "tag", command="layerwise report words.lance --label tag")


class Page(HTMLParser):
    """Ids, addresses and tags of a page, and the text of its cells."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.addresses: list[str] = []
        self.tags: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            if name == "id" and value:
                self.ids.append(value)
            if name in ("src", "href", "xlink:href", "data") and value:
                self.addresses.append(value)


def test_nothing_is_loaded_from_anywhere(made: Report) -> None:
    found = Page(made.html)
    assert all(address.startswith(("#", "data:")) for address in found.addresses)
    assert not found.tags & {"script", "link", "iframe", "object", "img"}
    assert not re.search(r"@import|url\((?!#|['\"]?data:)", made.html)


def test_every_id_is_its_own_and_every_reference_finds_one(made: Report) -> None:
    found = Page(made.html)
    assert len(found.ids) == len(set(found.ids))
    wanted = {address[1:] for address in found.addresses if address.startswith("#")}
    wanted |= set(re.findall(r"url\(#([^)]+)\)", made.html))
    assert wanted <= set(found.ids)


def test_the_page_says_what_the_report_says(made: Report) -> None:
    text = re.sub(r"<[^>]+>", " ", made.html)
    best = made.probed.report.row(made.probed.report.best).scores["accuracy"]
    for said in (
        "Layer 1 is best on the development part",
        f"{100 * best.value:.1f}",
        "Control task",
        "Scalar mix",
        "How alike the layers are",
        "Geometry",
        "layerwise report words.lance --label tag",
        "seed",
    ):
        assert said in text


def test_equal_shares_are_a_sentence_and_no_figure(made: Report, capsys: pytest.CaptureFixture[str]) -> None:
    mix = made.probed.report.scalar_mix
    assert mix is not None
    even = replace(mix, shares=tuple(1 / len(mix.shares) for _ in mix.shares))
    found = replace(made.probed.report, scalar_mix=even)
    said = "No mix of the layers predicted held-out rows better than their mean, so all shares are equal."
    assert "shares" in draw(made.probed.report) and "shares" not in draw(found)
    for one, there in ((made.probed.report, False), (found, True)):
        assert (said in page(one, {}, None, None, "")) == there
        print_report(one)
        out = capsys.readouterr().out
        assert (said in out) == there and ("Shares in the scalar mix" in out) != there


def test_a_long_command_is_not_cut_on_paper(made: Report) -> None:
    paper = made.html[made.html.index("@media print") :]
    assert re.search(r"pre \{[^}]*white-space: pre-wrap; overflow-wrap: anywhere", paper)


def test_names_are_text_and_no_markup(tmp_path: Path) -> None:
    label = ["<b>a</b>", "x & y"] * 75
    made = report(text_store(tmp_path / "t.lance", **{"<i>": label}), "<i>")
    assert "<b>a</b>" not in made.html and "&lt;b&gt;a&lt;/b&gt;" in made.html
    assert "<i>" not in made.html


def test_numbers_have_no_confusion_and_texts_no_control(tmp_path: Path) -> None:
    made = report(text_store(tmp_path / "t.lance"), "number")
    assert set(draw(made.probed.report, made.comparison)) == {"scores", "shares", "cka"}
    assert "confuses" not in made.html and "Control task" not in made.html


def test_chinese_stays_text_for_the_browser(tmp_path: Path) -> None:
    made = report(text_store(tmp_path / "t.lance", label=["名词", "动词"] * 75), "label")
    assert "名词" in made.html and "U+540D" not in made.html


def test_figures_are_written_on_request(made: Report, tmp_path: Path) -> None:
    paths = made.save_figures(tmp_path / "figures", "svg")
    assert [path.name for path in paths] == [
        "scores.svg",
        "control.svg",
        "shares.svg",
        "confusion.svg",
        "cka.svg",
    ]
    assert all(path.read_text("utf-8").startswith("<?xml") for path in paths)


def test_a_page_needs_the_ending_of_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"expected \.html"):
        refuse_other_ending(str(tmp_path / "report.pdf"))
    with pytest.raises(UsageError, match="there is no folder"):
        refuse_other_ending(str(tmp_path / "nowhere" / "report.html"))


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
def test_a_browser_shows_it_without_an_error(made: Report, tmp_path: Path) -> None:
    """Debian's chromium lays the page out: tables filled, figures with a size, nothing wider than the page."""
    assert CHROMIUM is not None
    probe = (
        "<script>addEventListener('load',()=>{document.title=JSON.stringify({"
        "rows:document.querySelectorAll('#scores tbody tr').length,"
        "figures:[...document.querySelectorAll('figure svg')].map(s=>Math.round(s.getBoundingClientRect().width)),"
        "wide:document.documentElement.scrollWidth>innerWidth})})</script>"
    )
    path = tmp_path / "report.html"
    path.write_text(made.html.replace("</body>", f"{probe}</body>"), "utf-8")
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    run = subprocess.run(
        [
            *command,
            f"--user-data-dir={tmp_path / 'profile'}",
            "--window-size=900,1200",
            "--dump-dom",
            path.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    title = re.search(r"<title>(.*?)</title>", run.stdout)
    assert title is not None and '"rows":7' in title[1] and '"wide":false' in title[1]
    widths = [int(width) for width in re.findall(r"\d+", title[1].split("figures")[1].split("]")[0])]
    assert len(widths) == 5 and min(widths) > 200
