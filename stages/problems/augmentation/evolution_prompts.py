"""The prompts of method evolve: ways to change a problem, and the judge's question. In our own words.

In depth and in breadth: Evol-Instruct (Xu et al. 2023, arXiv 2304.12244, 3.2). Downward, too: WizardMath (Luo et al.
2023, arXiv 2308.09583, 3.1), so that easy problems are not lost. What is asked for is written between <<< and >>>.
"""

from __future__ import annotations

from typing import Literal

Change = Literal["constrain", "deepen", "concretise", "lengthen", "broaden", "simplify", "ease"]
UPWARD: tuple[Change, ...] = ("constrain", "deepen", "concretise", "lengthen")
DOWNWARD: tuple[Change, ...] = ("simplify", "ease")
ANEW: tuple[Change, ...] = ("broaden", "ease")  # the child need not share a sentence with its parent

_TASKS: dict[str, str] = {
    "constrain": "Add one condition or fact that has to be used, and that changes how the problem is solved.",
    "deepen": "Ask for something that lies further on: what is asked for now becomes a step on the way to it.",
    "concretise": "Replace something general in it by something specific that has to be reckoned with.",
    "lengthen": "Change it so that the solution needs at least one more step of reasoning.",
    "broaden": "Write another problem of the same field and of similar length and difficulty, about something less common.",
    "simplify": "Write an easier version of it: leave out one condition, so that the solution needs a step less.",
    "ease": "Write a problem about the same things that is clearly easier.",
}
_RULES = (
    "The problem must be complete in itself, have exactly one answer that follows from what it says, and make sense in the "
    "world it tells of. Write no solution and no comment."
)
_LENGTH = " Use about 10 to 20 words more than now."
JUDGE = (
    "Compare two problems. They are the same if they state the same conditions and ask for the same thing, so that who can "
    "solve the one has nothing new to do in the other; other words or names alone make no difference.\n\n"
    "First:\n{first}\n\nSecond:\n{second}\n\n"
    "Write one word between <<< and >>>: same or different."
)


def format_change(change: Change, question: str) -> str:
    """What the writer is asked."""
    length = _LENGTH if change in UPWARD else ""
    return (
        f"Here is a problem.\n\n{question}\n\n{_TASKS[change]} {_RULES}{length}\n"
        "Write the problem that results between <<< and >>>."
    )


def format_judgement(parent: str, child: str) -> str:
    """What the judge is asked."""
    return JUDGE.format(first=parent, second=child)


def read_verdict(content: str | None) -> bool | None:
    """Whether the judge sees a difference; None if it gave no verdict. content: what stood between <<< and >>>."""
    return {"same": False, "different": True}.get((content or "").strip(" .\"'").lower())
