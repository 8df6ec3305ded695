"""From a problem and a solution's steps to token ids, in the one way that training, sampling and scoring share.

A step is a line or a paragraph (stages/lib/prompts.py). Prompt and steps are tokenised apart and their ids concatenated; a
joined string is never tokenised again. So the last token of a step stands at a known place, and a separator never merges
with its neighbour: the fix that moved one published process reward model from 56.1 to 60.3 F1 (QwenLM/ProcessBench, pull
request 12).
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from stages.lib.errors import UserError
from stages.lib.prompts import PLAIN, Prompt
from stages.lib.stops import Stops

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from stages.lib.records import Problem
    from stages.lib.sampling import Draw

FILE = "prompt.json"


class Encoded(NamedTuple):
    """ids: prompt, steps, and the end token if the solution is finished. step_ends: place of each step's last token."""

    ids: list[int]
    prompt_length: int
    step_ends: list[int]


class Encoder:
    """A tokenizer and the prompt in which it meets problems.

    ends: further tokens that end a solution when one is drawn, as a model's generation config names them. `end` is the one
    that a finished solution carries: what the chat template writes after the assistant's turn, else the end of sequence.
    Raises UserError for a chat prompt without a template in the tokenizer, or with one that refuses the system text.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, prompt: Prompt | None = None, ends: Sequence[int] = ()):
        self.tokenizer, self.prompt = tokenizer, prompt or Prompt()
        self._special = sorted(set(tokenizer.all_special_tokens), key=len, reverse=True)
        self.end: int = self._end()
        self.stops = Stops(tokenizer, {tokenizer.eos_token_id, self.end, *ends}, self.prompt.stops)
        # The samples of a problem come one after another, and a call of the tokenizer takes a third of a millisecond.
        self._prompts = lru_cache(maxsize=16)(self._prompt)

    @classmethod
    def load(cls, path: Path, prompt: Path | None = None) -> Encoder:
        """Of the model saved in a folder. prompt: a prompt.json; without, the one in the folder, else the plain prompt."""
        from stages.lib import models

        file = prompt or Path(path) / FILE
        found = Prompt.read(file) if prompt or file.is_file() else None
        return cls(models.load_tokenizer(path), found, _ends(Path(path)))

    def save(self, folder: Path) -> None:
        """The prompt without its examples, beside a model that reads questions alone."""
        self.prompt.alone().write(folder / FILE)

    def prompt_ids(self, problem: Problem | str, shots: bool = False) -> list[int]:
        """Ids up to where a solution begins. A text stands for a question as it is. shots: with the examples before it.

        Special tokens come from the tokenizer or the template alone: their names in a question are text.
        """
        question = problem if isinstance(problem, str) else self.prompt.ask(problem)
        return list(self._prompts(question, shots))

    def encode(
        self,
        problem: Problem | str,
        steps: Sequence[str],
        finished: bool = True,
        limit: int | None = None,
        shots: bool = False,
    ) -> Encoded:
        """Encode a solution.

        finished: the end token follows (a sample that was cut off has none). Raises ValueError when `limit` tokens are not
        enough: nothing is ever cut silently, since what is cut is the end, where the errors are.
        """
        ids = self.prompt_ids(problem, shots)
        prompt_length, step_ends = len(ids), []
        pieces = [step + self.prompt.separator for step in steps]  # each by itself, in one call: a call costs as much
        for piece in self.texts(pieces):
            ids = ids + piece
            step_ends.append(len(ids) - 1)
        if finished:
            ids = [*ids, self.end]
        if limit is not None and len(ids) > limit:
            raise ValueError(f"{len(ids)} tokens, but the limit is {limit}")
        return Encoded(ids, prompt_length, step_ends)

    def texts(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of texts that go on after others; names of special tokens in them are text."""
        if not texts:
            return []
        plain = {} if not self._named("".join(texts)) else {"split_special_tokens": True}
        return self.tokenizer(list(texts), add_special_tokens=False, **plain)["input_ids"]

    def decode(self, draw: Draw) -> str:
        """The text of a draw, up to what ended it."""
        ids = draw.ids[:-1] if draw.ids and draw.ids[-1] in self.stops.ids else draw.ids
        text = self.tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return self.prompt.cut(text)

    def _prompt(self, question: str, shots: bool) -> list[int]:
        examples = self.prompt.examples if shots else []
        if self.prompt.style == "chat":
            return self._chat(question, examples)
        worked = "".join(f"{PLAIN.format(question=each.question)}{each.solution}\n" for each in examples)
        text = worked + PLAIN.format(question=question)
        plain = {} if not self._named(text) else {"split_special_tokens": True}
        ids = self.tokenizer(text, add_special_tokens=True, **plain)["input_ids"]
        if ids and ids[-1] == self.tokenizer.eos_token_id:  # some tokenizers close what they are given
            ids = ids[:-1]
        return ids

    def _chat(self, question: str, examples: Sequence[Any]) -> list[int]:
        turns = [{"role": "system", "content": self.prompt.system}] if self.prompt.system else []
        for each in examples:
            turns += [{"role": "user", "content": each.question}, {"role": "assistant", "content": each.solution}]
        turns.append({"role": "user", "content": question})
        # Names of special tokens in a question must not become tokens: what stands for them is put in afterwards.
        hidden = {name: f"\ue000{place}\ue001" for place, name in enumerate(self._named(question))}
        if not hidden:
            return self._render(turns, add_generation_prompt=True, tokenize=True)
        for name, sign in hidden.items():
            question = question.replace(name, sign)
        text = self._render([*turns[:-1], {"role": "user", "content": question}], add_generation_prompt=True)
        ids: list[int] = []
        for piece in re.split("(\ue000\\d+\ue001)", text):
            name = next((name for name, sign in hidden.items() if sign == piece), None)
            ids += self.tokenizer(
                name or piece, add_special_tokens=False, **({"split_special_tokens": True} if name else {})
            )["input_ids"]
        return ids

    def _render(self, turns: list[dict[str, str]], tokenize: bool = False, **options: Any) -> Any:
        from jinja2.exceptions import TemplateError

        if not self.tokenizer.chat_template:
            raise UserError("generator.prompt.style: chat, but the model's tokenizer has no chat template; set plain")
        try:
            return self.tokenizer.apply_chat_template(turns, tokenize=tokenize, return_dict=False, **options)
        except TemplateError as error:
            raise UserError(f"generator.prompt: the model's chat template refuses this prompt ({error})") from None

    def _named(self, text: str) -> list[str]:
        """Names of special tokens that stand in a text, the longest first."""
        return [name for name in self._special if name in text]

    def _end(self) -> int:
        if self.prompt.style == "plain":
            return self.tokenizer.eos_token_id
        turns = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "\ue000"}]
        after = self._render(turns).rpartition("\ue000")[2]
        special = {self.tokenizer.eos_token_id, *self.tokenizer.all_special_ids, *self.tokenizer.added_tokens_decoder}
        ids = self.tokenizer(after, add_special_tokens=False)["input_ids"]
        return next((token for token in ids if token in special), self.tokenizer.eos_token_id)


def _ends(path: Path) -> list[int]:
    """The end tokens that a model's generation config, or else its config, names."""
    for name in ("generation_config.json", "config.json"):
        if (path / name).is_file():
            found = json.loads((path / name).read_text(encoding="utf-8")).get("eos_token_id")
            if found is not None:
                return found if isinstance(found, list) else [found]
    return []


def without_annotations(text: str) -> str:
    """A gold step as models read it: GSM8K's calculator annotations `<<48/2=24>>` taken out."""
    return re.sub(r"<<[^<>]*>>", "", text)


def steps_of(text: str) -> list[str]:
    """The lines of a solution that are not blank: its steps, where a step is a line."""
    return Prompt().split(text)
