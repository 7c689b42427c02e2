"""Where spaces stand again between words that a tokenizer cut at punctuation."""

import pytest
import regex

from layerwise.ops.spacing import Spacing


def cut(text: str) -> list[tuple[int, int]]:
    """Words as BERT's pre-tokenizer cuts them: at white space, marks and Chinese characters."""
    return [found.span() for found in regex.finditer(r"\p{Han}|[\p{P}\p{S}]|[^\s\p{Han}\p{P}\p{S}]+", text)]


ENGLISH = [
    "On 2024-05-03, at 10:30, twenty-one of 12,345 came.",
    'He isn\'t "here" (yet); 3.5 % said: "well, no!"',
    "Version 2.1 costs £3.50; see (a), (b) and (c).",
]
FRENCH = ["C'est l'été à Paris : « oui » !", "Qu'est-ce ? — Rien ; 3,5 € ou 2,1 €."]
CHINESE = ["今天是2024年5月3日，气温3.5度。", "他说：“好！”iPhone 15 很贵（真的）。"]


@pytest.mark.parametrize("texts", [ENGLISH, FRENCH, CHINESE], ids=["en", "fr", "zh"])
def test_texts_come_back_as_they_were(texts: list[str]) -> None:
    spacing = Spacing.learn([(text, cut(text)) for text in texts])
    kept = Spacing.read(spacing.document())
    for text in texts:
        assert kept.join([text[start:end] for start, end in cut(text)]) == text


def test_the_majority_decides_and_the_word_before_counts() -> None:
    texts = ["at 5 : 30", "at 5:30", "at 6:30", "on a : 7"]
    spacing = Spacing.learn([(text, cut(text)) for text in texts])
    assert spacing.join(["9", ":", "15"]) == "9:15"
    assert spacing.join(["b", ":", "15"]) == "b : 15"


def test_new_words_of_known_kinds() -> None:
    spacing = Spacing.learn([(text, cut(text)) for text in ENGLISH])
    words = ["ninety", "-", "nine", "of", "99", ",", "100", "on", "1999", "-", "12", "-", "31", "."]
    assert spacing.join(words) == "ninety-nine of 99,100 on 1999-12-31."


def test_without_anything_learned_chinese_has_no_spaces_and_marks_stand_at_words() -> None:
    assert Spacing().join(["今", "天", "2024", "年", "，", "好", "。"]) == "今天2024年，好。"
    assert Spacing().join(["he", "said", ",", "(", "no", ")", "."]) == "he said, (no)."
    assert Spacing().join(['"', "no", '"', "?"]) == '"no"?'


def test_nothing_and_one_word() -> None:
    assert Spacing().join([]) == ""
    assert Spacing().join(["one"]) == "one"
    assert Spacing.learn([("", []), ("a", [(0, 1)])]).document() == []
