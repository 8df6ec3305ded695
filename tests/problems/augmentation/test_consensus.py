"""Answers on which sampled solutions agree, and what eliminates a text."""

import pytest

from stages.problems.augmentation import elimination
from stages.problems.augmentation.consensus import Consensus, find_consensus

QUESTION = "Ann has 5 apples and gets 3 more. How many has she?"
RIGHT, OTHER = "<<<5 + 3 = 8\n#### 8>>>", "<<<5 * 3 = 15\n#### 15>>>"


def test_an_answer_is_taken_if_enough_solutions_give_it():
    found = find_consensus(QUESTION, [OTHER, RIGHT, RIGHT], 0.6)
    assert isinstance(found, Consensus) and (found.answer, found.answer_type) == ("8", "number")
    assert found.share == pytest.approx(2 / 3)
    assert [(step.text, step.value) for step in found.steps] == [("5 + 3 = 8", None), ("#### 8", "8")]


def test_answers_are_compared_as_numbers_and_not_as_strings():
    replies = [f"<<<500 * 2 = 1000\n#### {text}>>>" for text in ("1,000", "$1000", "1000.0")]
    found = find_consensus("It costs 500 each. What do 2 cost?", replies, 1.0)
    assert isinstance(found, Consensus) and found.answer == "1000"


@pytest.mark.parametrize(
    ("replies", "reason"),
    [
        ([RIGHT, OTHER, None], "sampled answers disagree"),
        ([RIGHT, OTHER], "sampled answers disagree"),
        ([RIGHT[:-3]] * 3, "no solution gives an answer to its end"),  # cut off; 8 may be the first digit of 80
        (["<<<5 + 3 = 8\nSo it is 8.>>>"] * 3, "no solution gives an answer to its end"),
        (["<<<5 + 3 = 8\n#### N/A>>>"] * 3, "no solution gives an answer to its end"),
        (["I'm sorry, but I cannot do that."] * 3, "the solver refuses"),
        (["That is eight."] * 3, "no solution gives an answer to its end"),
        (["So, and then?!"] * 3, "the response is only punctuation and stop words"),
        ([None] * 3, "the response is only punctuation and stop words"),
        (["<<<5 + 3 = 9\n#### 9>>>"] * 3, "an equation does not hold"),
        (["<<<#### 42>>>"] * 3, "no equation leads to the answer"),
    ],
)
def test_reasons_for_no_answer(replies, reason):
    assert find_consensus(QUESTION, replies, 0.5) == reason


def test_an_answer_in_words_is_text():
    found = find_consensus("What does the opposite of hot mean?", ["<<<It is cold.\n#### Cold.>>>"] * 2, 0.6)
    assert isinstance(found, Consensus) and found.answer_type == "text"


def test_thinking_is_not_read():
    thinking = "<think>maybe <<<5 * 3 = 15\n#### 15>>></think>\n" + RIGHT
    found = find_consensus(QUESTION, [thinking], 1.0)
    assert isinstance(found, Consensus) and found.answer == "8"


@pytest.mark.parametrize(
    ("child", "reason"),
    [
        ("Ann has 5 apples and gets 3 more. She eats 2. How many has she?", None),
        (QUESTION, "equals its parent"),
        ("ann has 5 apples, and gets 3 more! How many has she", "equals its parent"),
        ("How many?", "too short"),
        ("Ann has 5 apples and gets 3 more. She eats 2. How many has she? #### 6", "gives an answer away"),
        ("I'm sorry, but I can't help with that.", "the writer refuses"),
        ("Rewritten prompt: Ann has 5 apples and gets 3 more. She eats 2. How many?", "repeats words of the prompt"),
        ("The weather was fine in Paris when 7 trains left town.", "unrelated to its parent"),
        ("Ann has 5 apples and gets 3 more. How many has she? And how many has Ben?", "asks several questions"),
        ("word " * 301, "too long"),
    ],
)
def test_what_is_no_evolution(child, reason):
    assert elimination.explain_bad_child(QUESTION, child) == reason


def test_an_apology_in_a_story_is_no_refusal():
    child = "Ann has 5 apples and gets 3 more. Ben says sorry and takes 2. How many has she?"
    assert elimination.explain_bad_child(QUESTION, child) is None


def test_words_of_the_parent_are_no_leak():
    parent = "Sam has to rewrite 5 letters and then 3 more. How many does he rewrite?"
    child = "Sam has to rewrite 5 letters and then 3 more, twice. How many does he rewrite?"
    assert elimination.explain_bad_child(parent, child) is None
