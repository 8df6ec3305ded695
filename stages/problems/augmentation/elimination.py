"""Which evolved problems fail: the four rules of Evol-Instruct (Xu et al. 2023, arXiv 2304.12244, "elimination
evolving"), which the released code leaves out.

1. The child has no information gain over its parent: a judge says that they ask the same.
2. The solver refuses: its reply is an apology and short.
3. The reply is only punctuation and stop words.
4. The child copies words of the prompt that asked for it.

And what needs no judge: the child has the words of its parent, a solution with it, or not a problem's length.
"""

from __future__ import annotations

import re

from stages.lib.grading.answer_markers import find_marked_answers
from stages.problems.augmentation import similarity

MAX_REFUSAL_WORDS = 80
MIN_WORDS, MAX_WORDS = 5, 300
MIN_SIMILARITY = 0.2  # ROUGE-L of a parent and a child that goes on from it
LEAKED = (
    *("given prompt", "rewritten prompt", "given problem", "rewritten problem", "new problem", "original problem"),
    *("rewrite", "the problem above", "<<<", ">>>"),
)
_REFUSAL = re.compile(
    r"\b(?:sorry|apologi[sz]e|as an ai|i(?: am|['’]m) (?:unable|not able)|i (?:cannot|can['’]t|won['’]t|will not)\b)",
    re.I,
)
_STOP_WORDS = re.compile(
    "a|an|and|are|as|at|be|but|by|can|could|did|do|does|for|from|had|has|have|he|her|his|i|if|in|into|is|it|its|me|my|no|not|of"
    "|on|or|our|she|should|so|such|than|that|the|their|them|then|there|these|they|this|to|too|was|we|were|what|when|where|which"
    "|who|why|will|with|would|yes|you|your|ok|okay|sure"
)
_LEAK = re.compile("|".join(rf"(?<!\w){re.escape(words)}(?!\w)" for words in LEAKED), re.I)


def explain_bad_child(parent: str, child: str, is_related: bool = True) -> str | None:
    """Why a text is no evolution of its parent, whatever it says; None if it may be one. is_related: it must share
    words with its parent."""
    words = len(child.split())
    if is_refusal(child) and not any(map(str.isdigit, child)):  # a story may have an apology in it
        return "the writer refuses"
    if words < MIN_WORDS or words > MAX_WORDS:
        return "too short" if words < MIN_WORDS else "too long"
    if (leak := _LEAK.search(child)) and leak[0].lower() not in parent.lower():
        return "repeats words of the prompt"
    if find_marked_answers(child):
        return "gives an answer away"
    if child.count("?") > max(1, parent.count("?")):
        return "asks several questions"
    overlap = similarity.compute_rouge_l(parent, child)
    if overlap == 1:  # one word can be a condition (`twice`), so less is for the judge
        return "equals its parent"
    return "unrelated to its parent" if is_related and overlap < MIN_SIMILARITY else None


def explain_empty_response(response: str) -> str | None:
    """Why a response shows that the problem cannot be answered (rules 2 and 3); None if it does not."""
    if is_refusal(response):
        return "the solver refuses"
    return "the response is only punctuation and stop words" if is_empty(response) else None


def is_refusal(text: str) -> bool:
    """An apology in fewer than 80 words, and no calculation."""
    return bool(_REFUSAL.search(text)) and len(text.split()) < MAX_REFUSAL_WORDS and "=" not in text


def is_empty(text: str) -> bool:
    """Only punctuation and stop words; a number is neither."""
    return all(_STOP_WORDS.fullmatch(word) for word in similarity.split_words(text))
