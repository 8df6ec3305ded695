"""Gold solutions as a language model learns them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stages.lib.encoding import encode, without_annotations
from stages.lib.packing import Example

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from stages.lib.records import Problem


def example(tokenizer: PreTrainedTokenizerBase, problem: Problem) -> Example:
    """The loss falls on every token of the solution, not on the prompt. Raises ValueError for a problem without steps."""
    if not problem.steps:
        raise ValueError(f"{problem.id}: no gold steps")
    found = encode(tokenizer, problem.prompt(), [without_annotations(step.text) for step in problem.steps])
    solution = len(found.ids) - found.prompt_length
    return Example(found.ids, [0.0] * found.prompt_length + [1.0] * solution)
