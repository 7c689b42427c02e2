"""Default word boundaries, Unicode Standard Annex #29, section 4.1.1.

One regular expression matches from one boundary to the next. `regex`'s own `(?w)\\b` is not used:
version 2026.11 sees no boundary behind a lone regional indicator ("🇩a") nor behind a combining mark
that opens a text.
"""

from __future__ import annotations

import regex

_SKIPPED = r"[\p{WB=Extend}\p{WB=Format}\p{WB=ZWJ}]"  # WB4: they belong to the character before
_X = rf"{_SKIPPED}*+"
_HEBREW = rf"\p{{WB=Hebrew_Letter}}{_X}"
_LETTER = rf"[\p{{WB=ALetter}}\p{{WB=Hebrew_Letter}}]{_X}"
_DIGIT = rf"\p{{WB=Numeric}}{_X}"
_KATAKANA = rf"(?:\p{{WB=Katakana}}{_X})++"  # WB13
_CONNECTORS = rf"(?:\p{{WB=ExtendNumLet}}{_X})++"  # "_" and its like


def _after_hebrew(quote: str) -> str:
    return rf"{quote}(?<=\p{{WB=Hebrew_Letter}}{_SKIPPED}*{quote})"


# WB5 to WB7c: can't, e.g, א"ב
_LETTERS = (
    rf"{_LETTER}(?:{_LETTER}|[\p{{WB=MidLetter}}\p{{WB=MidNumLet}}']{_X}{_LETTER}"
    rf"|{_after_hebrew(chr(34))}{_X}{_HEBREW})*+"
)
_NUMBER = rf"{_DIGIT}(?:{_DIGIT}|[\p{{WB=MidNum}}\p{{WB=MidNumLet}}']{_X}{_DIGIT})*+"  # WB8, WB11, WB12: 3.14
_RUN = rf"(?:(?:{_LETTERS}|{_NUMBER})++|{_KATAKANA})"  # WB9, WB10: a1, 1a
_WORD = (  # WB13a, WB13b: a_1; WB7a: ש'
    rf"(?:{_CONNECTORS})?+{_RUN}(?:{_CONNECTORS}{_RUN})*+(?:{_CONNECTORS}|{_after_hebrew(chr(39))}{_X})?+"
    rf"|{_CONNECTORS}"
)
_FLAG = (
    rf"\p{{WB=Regional_Indicator}}{_X}(?:\p{{WB=Regional_Indicator}}{_X})?+"  # WB15, WB16: two letters a flag
)
_SPACES = rf"\p{{WB=WSegSpace}}++{_X}"  # WB3d
_OTHER = rf"[^\r\n\p{{WB=Newline}}]{_X}"  # WB999
_PIECE = rf"(?:{_WORD}|{_FLAG}|{_SPACES}|{_OTHER})"
_JOINED = rf"{_PIECE}(?:(?<=\u200d)(?=\p{{Extended_Pictographic}}){_PIECE})*+"  # WB3c: 👩‍👧
_NEWLINE = r"\r\n|[\r\n\p{WB=Newline}]"  # WB3, WB3a, WB3b

# The same for what most text is made of, three times as fast: letters and Chinese characters
# followed by something that no rule joins to them.
_PLAIN = r"[a-zA-Z]++(?=[ ,;!?\n])| (?=[a-zA-Z\u4e00-\u9fff])|[\u4e00-\u9fff](?=[\u4e00-\u9fff，。、])"

SEGMENT = regex.compile(f"{_PLAIN}|{_JOINED}|{_NEWLINE}")
"""Matches from any boundary to the next; `finditer` covers a text without gaps."""
