"""`SEGMENT` against Unicode's own cases for UAX #29, and `unicode_words` on cases by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
import regex

from layerwise.ops.alignment import unicode_words
from layerwise.ops.word_boundaries import _JOINED, _NEWLINE, SEGMENT

CASES = [
    case
    for line in (Path(__file__).parent / "WordBreakTest-15.0.0.txt").read_text("utf-8").splitlines()
    if (case := line.partition("#")[0].strip())
]

# U+2701 was Extended_Pictographic up to Unicode 15 and is not in newer versions, which `regex`
# follows: WB3c no longer joins it to a ZWJ before it. The cases are 15.0's, so these two are left out.
OUTDATED = [case for case in CASES if "2701" in case]


def read_case(case: str) -> tuple[str, list[int]]:
    """Text and boundaries of `÷ 0061 × 0308 ÷`; ÷ is a boundary, × is none."""
    signs, codes = case.split()[::2], case.split()[1::2]
    boundaries = [position for position, sign in enumerate(signs) if sign == "÷"]
    return "".join(chr(int(code, 16)) for code in codes), boundaries


def found_boundaries(text: str) -> list[int]:
    return [0, *(match.end() for match in SEGMENT.finditer(text))]


def words(text: str) -> list[str]:
    return [text[start:end] for start, end in unicode_words(text)]


def test_all_cases_of_unicode_are_there() -> None:
    assert len(CASES) == 1823


def test_two_cases_are_outdated() -> None:
    assert OUTDATED == ["÷ 2701 × 200D × 2701 ÷", "÷ 0061 × 200D × 2701 ÷"]


def test_boundaries_are_those_of_unicode() -> None:
    wrong = {
        case: found
        for case in CASES
        if case not in OUTDATED
        for text, expected in [read_case(case)]
        if (found := found_boundaries(text)) != expected
    }
    assert not wrong


def test_boundaries_stay_where_they_are_within_a_longer_text() -> None:
    """A line feed on both sides is always a boundary (WB3a, WB3b), so nothing reaches across."""
    for case in CASES:
        text, expected = read_case(case)
        if case in OUTDATED or text.startswith("\n") or text.endswith("\r"):
            continue
        inside = [0, *(position + 1 for position in expected), len(text) + 2]
        assert found_boundaries(f"\n{text}\n") == inside, case


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" ", []),
        (" \t\n\r\n\u00a0\u3000\u2028\x1f", []),
        ("don't stop", ["don't", "stop"]),
        ("can’t", ["can’t"]),
        ("'quoted'", ["'", "quoted", "'"]),
        ("3.14", ["3.14"]),
        ("1,000.5 or 3. And", ["1,000.5", "or", "3", ".", "And"]),
        ("a_b", ["a_b"]),
        ("__init__ x_1", ["__init__", "x_1"]),
        ("A4 3D", ["A4", "3D"]),
        ("e.g. U.S.A.", ["e.g", ".", "U.S.A", "."]),
        ("end.Next", ["end.Next"]),
        ("well-known", ["well", "-", "known"]),
        ("wait...", ["wait", ".", ".", "."]),
        ("naïve café", ["naïve", "café"]),
        ("nai\u0308ve cafe\u0301", ["nai\u0308ve", "cafe\u0301"]),
    ],
)
def test_latin_words_and_numbers(text: str, expected: list[str]) -> None:
    assert words(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("汉字", ["汉", "字"]),
        ("这本书。", ["这", "本", "书", "。"]),
        ("𠮷野家", ["𠮷", "野", "家"]),
        ("カタカナ", ["カタカナ"]),
        ("コーヒー", ["コーヒー"]),
        ("ひらがな", ["ひ", "ら", "が", "な"]),
        ("東京タワーで", ["東", "京", "タワー", "で"]),
        ("한국어 문장", ["한국어", "문장"]),
        ("用BERT模型", ["用", "BERT", "模", "型"]),
        ("汉\u3000字", ["汉", "字"]),
    ],
)
def test_each_han_and_hiragana_is_a_word_and_katakana_runs_are_one(text: str, expected: list[str]) -> None:
    assert words(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("שלום עולם", ["שלום", "עולם"]),
        ('צה"ל', ['צה"ל']),
        ('"שלום"', ['"', "שלום", '"']),
        ("ג'ירפה", ["ג'ירפה"]),
        ("רח' א", ["רח'", "א"]),
        ('a"b', ["a", '"', "b"]),
        ("כָּתַב", ["כָּתַב"]),
        ("كِتَاب جديد", ["كِتَاب", "جديد"]),
    ],
)
def test_hebrew_keeps_its_quotes_and_marks_stay_with_their_letters(text: str, expected: list[str]) -> None:
    assert words(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("🇩🇪🇫🇷", ["🇩🇪", "🇫🇷"]),
        ("🇩🇪🇫", ["🇩🇪", "🇫"]),
        ("🇩a", ["🇩", "a"]),
        ("👩\u200d👩\u200d👧\u200d👦!", ["👩\u200d👩\u200d👧\u200d👦", "!"]),
        ("👩👧", ["👩", "👧"]),
        ("👍🏽👍", ["👍🏽", "👍"]),
        ("❤\ufe0f\u200d🔥", ["❤\ufe0f\u200d🔥"]),
        ("1\ufe0f\u20e3", ["1\ufe0f\u20e3"]),
        ("ok👍ok", ["ok", "👍", "ok"]),
    ],
)
def test_flags_and_joined_emoji_are_one_word(text: str, expected: list[str]) -> None:
    assert words(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\u00a0b", ["a", "b"]),
        ("a\tb\t\tc", ["a", "b", "c"]),
        ("a\r\nb", ["a", "b"]),
        ("a\u2028b\x85c\x1cd", ["a", "b", "c", "d"]),
        ("a \u0301b", ["a", "\u0301", "b"]),
        ("a\u00a0\u0301", ["a", "\u0301"]),
        ("\u0301", ["\u0301"]),
        ("\u0301a", ["\u0301", "a"]),
        ("\n\u0301a", ["\u0301", "a"]),
        ("a\u200bb", ["a", "\u200b", "b"]),
        ("a\u00adb", ["a\u00adb"]),
        ("a\x00b", ["a", "\x00", "b"]),
    ],
)
def test_white_space_belongs_to_no_word_and_a_mark_after_it_is_one(text: str, expected: list[str]) -> None:
    assert words(text) == expected


def test_the_fast_path_for_plain_text_changes_nothing() -> None:
    """Letters and Chinese characters have an alternative of their own, first in `SEGMENT`."""
    joiners = [
        "",
        " ",
        ",",
        "'",
        "’",
        ".",
        "_",
        "1",
        "\u0301",
        "\u200d",
        "\ufe0f",
        "\n",
        "\u3000",
        "，",
        "カ",
    ]
    every_rule = regex.compile(f"{_JOINED}|{_NEWLINE}")
    for first in ("a", "Za", "汉", " ", "  ", "é"):
        for joiner in joiners:
            for last in ("b", "字", " ", "\u0301", "", "👧", "'s"):
                text = first + joiner + last
                assert found_boundaries(text) == [0, *(match.end() for match in every_rule.finditer(text))], (
                    text
                )
