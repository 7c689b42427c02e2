"""Exact match and F1 of answers, as SQuAD defines them (Rajpurkar et al. 2016, §6.1; 2018 for questions without one).

The official script compares words after lower case, without punctuation and the articles a, an, the. Chinese is
written without spaces: in contexts that are, each character is a word, all punctuation goes and no article, as the
script of MLQA does it for Chinese (Lewis et al. 2020); Japanese is treated alike. The F1 of CMRC 2018 (Cui et al.
2019) is of the longest common part instead, and differs. Of other contexts the numbers are the official script's.
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

import regex

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_UNSPACED = regex.compile(r"([\p{Han}\p{Hiragana}\p{Katakana}])")
_LETTER = regex.compile(r"\p{L}")
_ASCII = set(string.punctuation)


@lru_cache(maxsize=8)  # many questions are about one context
def is_unspaced(text: str) -> bool:
    """Whether a text is written without spaces: half of its letters at least are Chinese or Japanese."""
    return 0 < len(_LETTER.findall(text)) <= 2 * len(_UNSPACED.findall(text))


def answer_words(text: str, unspaced: bool = False) -> list[str]:
    """The words of an answer that are compared.

    Args:
        unspaced: whether it is from a context that is written without spaces.
    """
    text = text.lower()
    if unspaced:
        text = "".join(one for one in text if not unicodedata.category(one).startswith("P"))
    text = "".join(one for one in text if one not in _ASCII)
    return (_UNSPACED.sub(r" \1 ", text) if unspaced else _ARTICLES.sub(" ", text)).split()


def exact_match(found: str, answer: str, unspaced: bool = False) -> float:
    """1.0 if the words are the same, else 0.0."""
    return float(answer_words(found, unspaced) == answer_words(answer, unspaced))


def answer_f1(found: str, answer: str, unspaced: bool = False) -> float:
    """F1 of the words, as bags; where one has none, 1.0 if neither has."""
    said, given = answer_words(found, unspaced), answer_words(answer, unspaced)
    if not said or not given:
        return float(said == given)
    common = sum((Counter(said) & Counter(given)).values())
    if not common:
        return 0.0
    precision, recall = common / len(said), common / len(given)
    return 2 * precision * recall / (precision + recall)


def squad_scores(
    found: Sequence[str], answers: Sequence[Sequence[str]], contexts: Sequence[str]
) -> dict[str, float]:
    """Means over the questions of the best match with any of their answers; no answer is the empty one.

    Args:
        found: one a question, empty for "no answer".
        answers: those given for each question; none for a question without an answer.
        contexts: what each question is about.
    """
    exact, f1 = [], []
    for said, given, context in zip(found, answers, contexts, strict=True):
        unspaced = is_unspaced(context)
        # Answers without a word do not count, as in the script of SQuAD 2.0.
        said_to = [one for one in given if answer_words(one, unspaced)] or [""]
        exact.append(max(exact_match(said, one, unspaced) for one in said_to))
        f1.append(max(answer_f1(said, one, unspaced) for one in said_to))
    scores = {"exact_match": _mean(exact), "f1": _mean(f1)}
    without = [number for number, given in enumerate(answers) if not given]
    if without and len(without) < len(answers):
        having = [number for number, given in enumerate(answers) if given]
        scores["has_answer_f1"] = _mean([f1[number] for number in having])
        scores["no_answer_f1"] = _mean([f1[number] for number in without])
    return scores


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
