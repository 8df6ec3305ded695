"""Which written tasks are refused unread: the filters of Self-Instruct (Wang et al. 2023, arXiv 2212.10560, 2.2, and
the authors' code), each a reason that is counted. Similarity to what is kept is in `similarity.py`.

The case of letters is never changed: Self-Instruct's code calls `capitalize`, which makes `Ann` and `X` small letters.
"""

from __future__ import annotations

import re
import string

from stages.lib.grading.answer_markers import find_marked_answers

MIN_WORDS, MAX_WORDS = 4, 150
# What a model that reads and writes text cannot see or do.
KEYWORDS = (
    *("image", "images", "graph", "graphs", "picture", "pictures", "file", "files", "map", "maps", "draw", "plot"),
    "go to",
)
# Answers that put a question into one of few classes. One guessed of two is right half of the time, so that solutions
# agree says nothing (in the paper such tasks are written answer first, which a task without its answer cannot be).
CLASSES = ("yes", "no", "true", "false", "positive", "negative", "neutral")
_CLASS = re.compile(rf"\W*(?:(?:yes|no)\b\s*(?:[,.;:!]|$)|(?:{'|'.join(CLASSES)})\W*$)", re.IGNORECASE)
_KEYWORD = re.compile(rf"\b(?:{'|'.join(KEYWORDS)})\b", re.IGNORECASE)
_PROGRAM = re.compile(r"write a program\b", re.IGNORECASE)


def normalise(text: str) -> str:
    """The text with single blanks."""
    return " ".join(text.split())


def is_class(answer: str) -> bool:
    """Whether an answer only says yes or no, or names one of a few classes."""
    return _CLASS.match(answer) is not None


def explain_unfit(text: str) -> str | None:
    """Why a task is refused, None if it is not."""
    words = len(text.split())
    if words < MIN_WORDS:
        return "too short"
    if words > MAX_WORDS:
        return "too long"
    if _KEYWORD.search(text):
        return "needs more than text"
    if _PROGRAM.match(text):
        return "asks for a program"  # models tack it on to other tasks
    if find_marked_answers(text):
        return "gives an answer away"
    if text.count("?") > 1:
        return "asks several questions"
    if text[0] in string.punctuation:
        return "starts with punctuation"
    if not text[0].isascii():
        return "starts with another script"
    return None
