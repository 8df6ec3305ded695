"""From a problem and a solution's lines to token ids, in the one way that training, sampling and scoring share.

A step is one line. Prompt and steps are tokenised apart and their ids concatenated; a joined string is never tokenised
again. So the last token of a step stands at a known place, and a separator never merges with its neighbour: the fix that
moved one published process reward model from 56.1 to 60.3 F1 (QwenLM/ProcessBench, pull request 12).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

PROMPT = "Question: {question}\nAnswer:\n"


class Encoded(NamedTuple):
    """ids: prompt, steps, and the end token if the solution is finished. step_ends: place of each step's last token."""

    ids: list[int]
    prompt_length: int
    step_ends: list[int]


def prompt_ids(tokenizer: PreTrainedTokenizerBase, question: str) -> list[int]:
    """Ids of PROMPT around a question; special tokens only as the tokenizer itself puts them in front."""
    return list(_prompt_ids(tokenizer, question))


@lru_cache(maxsize=16)
def _prompt_ids(tokenizer: PreTrainedTokenizerBase, question: str) -> list[int]:
    """The samples of a problem come one after another, and a call of the tokenizer takes a third of a millisecond."""
    ids = tokenizer(PROMPT.format(question=question), add_special_tokens=True)["input_ids"]
    if (
        ids and ids[-1] == tokenizer.eos_token_id
    ):  # some tokenizers close what they are given; the answer is still to come
        ids = ids[:-1]
    return ids


def encode(
    tokenizer: PreTrainedTokenizerBase,
    question: str,
    steps: Sequence[str],
    finished: bool = True,
    limit: int | None = None,
) -> Encoded:
    """Encode a solution. `question` is Problem.prompt().

    finished: the end token follows (a sample that was cut off has none). Raises ValueError when `limit` tokens are not
    enough: nothing is ever cut silently, since what is cut is the end, where the errors are.
    """
    ids = prompt_ids(tokenizer, question)
    prompt_length, step_ends = len(ids), []
    lines = [step + "\n" for step in steps]  # each by itself, in one call: a call costs as much as its lines
    for line in tokenizer(lines, add_special_tokens=False)["input_ids"] if lines else ():
        ids = ids + line
        step_ends.append(len(ids) - 1)
    if finished:
        ids = [*ids, tokenizer.eos_token_id]
    if limit is not None and len(ids) > limit:
        raise ValueError(f"{len(ids)} tokens, but the limit is {limit}")
    return Encoded(ids, prompt_length, step_ends)


def steps_of(text: str) -> list[str]:
    """The steps of a solution: its lines that are not blank."""
    return [line for line in text.splitlines() if line.strip()]


def without_annotations(text: str) -> str:
    """A gold step as models read it: GSM8K's calculator annotations `<<48/2=24>>` taken out."""
    return re.sub(r"<<[^<>]*>>", "", text)
