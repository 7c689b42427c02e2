"""Exact match and F1: the official script's numbers on its own kind of answers, characters in Chinese."""

from __future__ import annotations

import pytest

from layerwise.ops.squad import answer_f1, exact_match, is_unspaced, squad_scores


@pytest.mark.parametrize(
    ("found", "answer", "exact", "f1"),
    [
        ("The Norman Conquest", "norman conquest.", 1.0, 1.0),  # articles, capitals, punctuation
        ("in 1066", "1066", 0.0, 2 / 3),
        ("a cat sat", "the cat sat down", 0.0, 0.8),
        ("", "", 1.0, 1.0),
        ("the", "", 1.0, 1.0),  # nothing is left of an article
        ("Paris", "", 0.0, 0.0),
        ("Rome", "Paris", 0.0, 0.0),
        ("cat cat", "cat", 0.0, 2 / 3),  # bags, not sets
        ("a\u0301", "", 0.0, 0.0),  # as Python's own \\b has it, the letter is a word
    ],
)
def test_of_one_answer(found: str, answer: str, exact: float, f1: float) -> None:
    assert exact_match(found, answer) == exact
    assert answer_f1(found, answer) == pytest.approx(f1)


@pytest.mark.parametrize(
    ("found", "answer", "exact", "f1"),
    [
        ("北京大学", "北京", 0.0, 2 / 3),  # two of four characters
        ("《红楼梦》", "红楼梦", 1.0, 1.0),
        ("1998年，北京", "1998年北京", 1.0, 1.0),
        ("1984", "《1984》", 1.0, 1.0),  # also where an answer has no Chinese character
        ("a 北京", "北京", 0.0, 0.8),  # an article is a word there
    ],
)
def test_of_an_answer_in_a_chinese_context(found: str, answer: str, exact: float, f1: float) -> None:
    """As MLQA's script has it."""
    context = "奥威尔在北京大学读《1984》。"
    assert exact_match(found, answer, True) == exact
    assert answer_f1(found, answer, True) == pytest.approx(f1)
    assert squad_scores([found], [[answer]], [context]) == {"exact_match": exact, "f1": pytest.approx(f1)}


def test_which_contexts_are_written_without_spaces() -> None:
    assert (
        is_unspaced("北京大学在北京。") and is_unspaced("東京タワーはどこ") and is_unspaced("GPT 是一个模型")
    )
    assert (
        not is_unspaced("Beijing (北京) is the capital.") and not is_unspaced("1066") and not is_unspaced("")
    )


def test_the_best_of_several_answers_counts() -> None:
    assert squad_scores(["1066"], [["in 1066", "1066"]], [""]) == {"exact_match": 1.0, "f1": 1.0}


def test_questions_without_an_answer_are_told_apart() -> None:
    scores = squad_scores(["", "Rome", "Paris"], [[], [], ["Paris"]], [""] * 3)
    assert scores["exact_match"] == pytest.approx(2 / 3)
    assert scores["no_answer_f1"] == 0.5
    assert scores["has_answer_f1"] == 1.0


def test_a_given_answer_without_a_word_does_not_count() -> None:
    """As in the script of SQuAD 2.0."""
    assert squad_scores([""], [["the", "x"]], [""]) == {"exact_match": 0, "f1": 0}
    assert squad_scores([""], [["the"]], [""]) == {"exact_match": 1, "f1": 1}
