"""Exact match and F1 of answers, as SQuAD defines them (Rajpurkar et al. 2016, §6.1; 2018 for questions without one).

The official script compares words after lower case, without punctuation and the articles a, an, the. Chinese is
written without spaces: there each character is a word, as in the script of CMRC 2018 (Cui et al. 2019) and MLQA
(Lewis et al. 2020). For text without Chinese characters the numbers are the official script's.
"""

from __future__ import annotations

import string
import unicodedata
from collections import Counter
from collections.abc import Sequence

import regex

_ARTICLES = regex.compile(r"\b(a|an|the)\b")
_HAN = regex.compile(r"(\p{Han})")
_ASCII = set(string.punctuation)


def answer_words(text: str) -> list[str]:
    """The words of an answer that are compared."""
    text = text.lower()
    han = _HAN.search(text) is not None
    if han:  # and with it what stands for ASCII's punctuation there: ，。《》
        text = "".join(one for one in text if not unicodedata.category(one).startswith("P"))
    text = "".join(one for one in text if one not in _ASCII)
    text = _ARTICLES.sub(" ", text)
    return (_HAN.sub(r" \1 ", text) if han else text).split()


def exact_match(found: str, answer: str) -> float:
    """1.0 if the words are the same, else 0.0."""
    return float(answer_words(found) == answer_words(answer))


def answer_f1(found: str, answer: str) -> float:
    """F1 of the words, as bags; where one has none, 1.0 if neither has."""
    said, given = answer_words(found), answer_words(answer)
    if not said or not given:
        return float(said == given)
    common = sum((Counter(said) & Counter(given)).values())
    if not common:
        return 0.0
    precision, recall = common / len(said), common / len(given)
    return 2 * precision * recall / (precision + recall)


def squad_scores(found: Sequence[str], answers: Sequence[Sequence[str]]) -> dict[str, float]:
    """Means over the questions of the best match with any of their answers; no answer is the empty one.

    Args:
        found: one a question, empty for "no answer".
        answers: those given for each question; none for a question without an answer.
    """
    pairs = [
        (said, [one for one in given if answer_words(one)] or [""])  # as the script of SQuAD 2.0 does
        for said, given in zip(found, answers, strict=True)
    ]
    exact = [max(exact_match(said, one) for one in given) for said, given in pairs]
    f1 = [max(answer_f1(said, one) for one in given) for said, given in pairs]
    scores = {"exact_match": _mean(exact), "f1": _mean(f1)}
    without = [number for number, given in enumerate(answers) if not given]
    if without and len(without) < len(answers):
        having = [number for number, given in enumerate(answers) if given]
        scores["has_answer_f1"] = _mean([f1[number] for number in having])
        scores["no_answer_f1"] = _mean([f1[number] for number in without])
    return scores


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
