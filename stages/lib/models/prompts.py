r"""Prompts: how a question is presented to a language model, plain or in its chat template, with few-shot examples or not.

plain   `Question: ..`, `Answer:`, then the solution, which is cut where the model invents a next question
chat    the model's chat template around the question; the solution is the assistant's turn

`instruct` adds one sentence that asks for the answer in the form that the grader reads (a letter, `\boxed{}`, `####`, a
function). Examples (few-shot prompting, Brown et al. 2020, arXiv 2005.14165) are drawn by key, only from train or dev.
They help a model that was not trained on this form; a verifier reads questions without them.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from stages.lib.core import expressions, files
from stages.lib.core.errors import UserError
from stages.lib.core.params import Params
from stages.lib.core.records import Problem, explain_error

PLAIN_TEMPLATE = "Question: {question}\nAnswer:\n"
NEXT_QUESTION = "\nQuestion:"  # an invented next question of the plain form
BOXED_BENCHMARKS = ("math", "aime")  # benchmarks whose solutions mark a number with \boxed{}, not with ####


class PromptParams(Params):
    """The parameters of a prompt."""

    style: Literal["plain", "chat"] = "plain"  # the question as it is, or in the model's chat template
    instruct: bool = False  # ask for the form of the answer
    system: str | None = None  # of a chat
    shots: int = Field(default=0, ge=0)  # worked examples before the question
    steps: Literal["lines", "paragraphs"] = "lines"  # what a step of a solution is
    stop: list[Annotated[str, Field(min_length=1)]] = []  # texts at which a solution ends
    calculator: bool = False  # solutions have GSM8K's annotations; after `<<48/2=` the value is written for the model
    template: dict[str, Any] = {}  # further variables of a chat template, {enable_thinking: false} for instance


class Shot(Params):
    """A few-shot example."""

    question: str
    solution: str


class Prompt(PromptParams):
    """A generator's prompt with its examples, as prompt.json stores it. There is one example more than `shots`, because a
    problem that is itself an example is not shown before itself.

    marked: an answer counts only where the solution marks it. It is set where the model knows the form, by training on
    gold solutions, by examples or by the instruction: a solution that was cut off then has no answer, even if it
    ends in a number.
    """

    examples: list[Shot] = []
    marked: bool = False

    @property
    def step_separator(self) -> str:
        """The text after every step."""
        return "\n" if self.steps == "lines" else "\n\n"

    @property
    def stop_texts(self) -> list[str]:
        """Texts that end a solution, in addition to the model's end tokens."""
        return [*self.stop, *([NEXT_QUESTION] if self.style == "plain" else [])]

    def split_steps(self, text: str) -> list[str]:
        """The steps of a solution: its non-blank lines, or its paragraphs, which blank lines separate."""
        if self.steps == "lines":
            return [line for line in text.splitlines() if line.strip()]
        paragraphs = re.split(r"\n(?:[ \t]*\n)+", "\n" + text.replace("\r\n", "\n") + "\n")
        return [step for text in paragraphs if (step := re.sub(r"^\s*\n|\n\s*$", "", text)).strip()]

    def format_gold_step(self, text: str) -> str:
        """A published step as this generator's solutions have it: with calculator annotations or without."""
        return text if self.calculator else expressions.strip_annotations(text)

    def join_steps(self, steps: list[str]) -> str:
        return "".join(step + self.step_separator for step in steps)

    def format_question(self, problem: Problem) -> str:
        """The question with its options, whether N/A is allowed, and the instruction."""
        instruction = build_instruction(problem, self.steps) if self.instruct else ""
        return f"{problem.format_prompt()}\n{instruction}" if instruction else problem.format_prompt()

    def truncate_at_stop(self, text: str) -> str:
        """A solution up to the first stop text in it."""
        ends = [start for stop in self.stop_texts if (start := text.find(stop)) >= 0]
        if self.style == "plain" and text.startswith(NEXT_QUESTION.strip()):
            ends.append(0)
        return text[: min(ends)] if ends else text

    def select_examples(self, question: str) -> list[Shot]:
        """The examples to show before a question, without the question itself."""
        return [shot for shot in self.examples if shot.question != question][: self.shots]

    def drop_examples(self) -> Prompt:
        """The prompt without examples."""
        return self.model_copy(update={"examples": [], "shots": 0})

    def write(self, path: Path) -> None:
        # A prompt without the calculator keeps the bytes that it had before there was one.
        files.write_json(path, self.model_dump(exclude=None if self.calculator else {"calculator"}))

    @classmethod
    def read(cls, path: Path) -> Prompt:
        """Raises UserError for a file that is no prompt."""
        try:
            return cls.model_validate_json(path.read_text(encoding="utf-8"))
        except ValidationError as error:
            raise UserError(f"{path}: {explain_error(error)}") from None


def build_instruction(problem: Problem, steps: str = "lines") -> str:
    """One sentence that asks for the answer in the form that the grader reads; "" where the question does so (DyVal)."""
    if problem.benchmark == "dyval":
        return ""
    if problem.answer_type == "code":
        entry = (problem.tests or {}).get("entry_point")
        if entry:
            return f"Write the whole Python function `{entry}` in one ```python block."
        return "Write a Python program that reads standard input and writes standard output, in one ```python block."
    if problem.answer_type == "choice":
        end = "end with `The answer is X.`, where X is the letter of the right option"
    elif problem.answer_type == "boolean":
        end = "end with `The answer is True.` or `The answer is False.`"
    elif uses_boxed(problem):
        end = "put your final answer within \\boxed{}"
    else:
        end = "end with a line `#### ` and the answer"
    layout = "one step a line" if steps == "lines" else "with a blank line between steps"
    return f"Reason step by step, {layout}, and {end}."


def uses_boxed(problem: Problem) -> bool:
    return problem.answer_type == "latex" or problem.benchmark in BOXED_BENCHMARKS


def format_answer(problem: Problem) -> str:
    """The line that states a problem's answer in the form that the instruction asks for."""
    if problem.answer_type in ("choice", "boolean"):
        return f"The answer is {problem.answer}."
    return f"\\boxed{{{problem.answer}}}" if uses_boxed(problem) else f"#### {problem.answer}"


def format_options(problem: Problem) -> list[str]:
    """That line for each option of a multiple choice, in their order; none for other problems."""
    letters = [chr(ord("A") + i) for i in range(len(problem.choices or ()))]
    return [format_answer(problem.model_copy(update={"answer": letter})) for letter in letters]
