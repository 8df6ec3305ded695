"""From a problem and a solution's steps to token ids, in the one way that training, sampling and scoring share.

A step is a line or a paragraph (lib/models/loading/prompts.py). Prompt and steps are tokenised apart and their ids
concatenated; a joined string is never tokenised again. So the last token of a step stands at a known place, and a
separator never merges with its neighbour: the fix that moved one published process reward model from 56.1 to 60.3 F1
(QwenLM/ProcessBench, pull request 12).
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from stages.lib.core.errors import UserError
from stages.lib.models.prompts import PLAIN_TEMPLATE, Prompt
from stages.lib.models.stops import StopCriteria

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from stages.lib.core.records import Problem

PROMPT_FILE = "prompt.json"
TEMPLATE_DATE = (
    "26 Jul 2024"  # Llama 3's own default: some templates write today's date, and a prompt must be the same tomorrow
)


class Encoded(NamedTuple):
    """ids: prompt, steps, and the end token if the solution is finished. step_ends: place of each step's last token."""

    ids: list[int]
    prompt_length: int
    step_ends: list[int]


class Encoder:
    """A tokenizer and the prompt in which it meets problems.

    ends: further tokens that end a solution when one is drawn, as a model's generation config names them. `end` is the one
    that a finished solution carries: what the chat template writes after the assistant's turn, else the end of sequence.
    Raises UserError for a chat prompt without a template in the tokenizer, and when asked for a prompt that the template
    refuses.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, prompt: Prompt | None = None, ends: Sequence[int] = ()):
        self.tokenizer, self.prompt = tokenizer, prompt or Prompt()
        added = [str(token) for token in tokenizer.added_tokens_decoder.values() if token.special]
        self._special_tokens = {*tokenizer.all_special_tokens, *added}
        self._lead_ids = find_lead_ids(tokenizer)
        self.end_id: int = self._find_end_id()
        self.stops = StopCriteria(tokenizer, {tokenizer.eos_token_id, self.end_id, *ends}, self.prompt.stop_texts)
        # The samples of a problem come one after another, and a call of the tokenizer takes a third of a millisecond.
        self._cached_prompt = lru_cache(maxsize=16)(self._encode_prompt)

    @classmethod
    def load(cls, path: Path, prompt: Path | None = None) -> Encoder:
        """Of the model saved in a folder. prompt: a prompt.json; without, the one in the folder, else the plain prompt."""
        from stages.lib.models import loading

        file = prompt or Path(path) / PROMPT_FILE
        found = Prompt.read(file) if prompt or file.is_file() else None
        return cls(loading.load_tokenizer(path), found, _read_end_ids(Path(path)))

    def save(self, folder: Path) -> None:
        """The prompt without its examples, beside a model that reads questions alone."""
        self.prompt.drop_examples().write(folder / PROMPT_FILE)

    def prompt_ids(self, problem: Problem | str, shots: bool = False) -> list[int]:
        """Ids up to where a solution begins. A text stands for a question as it is. shots: with the examples before it.

        Special tokens come from the tokenizer or the template alone: their names in a question are text.
        """
        question = problem if isinstance(problem, str) else self.prompt.format_question(problem)
        return list(self._cached_prompt(question, shots))

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
        pieces = [
            step + self.prompt.step_separator for step in steps
        ]  # each by itself, in one call: a call costs as much
        for piece in self.encode_texts(pieces):
            ids = ids + piece
            step_ends.append(len(ids) - 1)
        if finished:
            ids = [*ids, self.end_id]
        if limit is not None and len(ids) > limit:
            raise ValueError(f"{len(ids)} tokens, but the limit is {limit}")
        return Encoded(ids, prompt_length, step_ends)

    def encode_texts(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of texts that go on after others; names of special tokens in them are text."""
        options = self._special_token_options("".join(texts))
        return encode_continuations(self.tokenizer, texts, self._lead_ids, **options)

    def decode_solution(self, ids: Sequence[int]) -> str:
        """The text of a solution's tokens, up to what ended it."""
        return self.prompt.truncate_at_stop(
            self.decode_text(ids[:-1] if ids and ids[-1] in self.stops.token_ids else ids)
        )

    def decode_text(self, ids: Sequence[int]) -> str:
        """The text of tokens that go on after others."""
        options = {"skip_special_tokens": True, "clean_up_tokenization_spaces": False}
        text = self.tokenizer.decode([*self._lead_ids, *ids], **options)
        return text.removeprefix(self.tokenizer.decode(self._lead_ids, **options)) if self._lead_ids else text

    def _encode_prompt(self, question: str, shots: bool) -> list[int]:
        examples = self.prompt.select_examples(question) if shots else []
        if self.prompt.style == "chat":
            return self._encode_chat(question, examples)
        worked = "".join(f"{PLAIN_TEMPLATE.format(question=each.question)}{each.solution}\n" for each in examples)
        text = worked + PLAIN_TEMPLATE.format(question=question)
        ids = self.tokenizer(text, add_special_tokens=True, **self._special_token_options(text))["input_ids"]
        if ids and ids[-1] == self.tokenizer.eos_token_id:  # some tokenizers close what they are given
            ids = ids[:-1]
        return ids

    def _encode_chat(self, question: str, examples: Sequence[Any]) -> list[int]:
        turns = [{"role": "system", "content": self.prompt.system}] if self.prompt.system else []
        for each in examples:
            turns += [{"role": "user", "content": each.question}, {"role": "assistant", "content": each.solution}]
        turns.append({"role": "user", "content": question})
        return self._apply_template(turns, add_generation_prompt=True, tokenize=True, sanitize_control_tokens=True)

    def _apply_template(self, turns: list[dict[str, str]], tokenize: bool = False, **options: Any) -> Any:
        from jinja2.exceptions import TemplateError

        template = self.tokenizer.chat_template
        if not template:
            raise UserError("generator.prompt.style: chat, but the model's tokenizer has no chat template; set plain")
        if "strftime_now" in template:
            template = "{% macro strftime_now(form) %}" + TEMPLATE_DATE + "{% endmacro %}" + template
        options |= {"date_string": TEMPLATE_DATE, **self.prompt.template}
        try:
            return self.tokenizer.apply_chat_template(
                turns, chat_template=template, tokenize=tokenize, return_dict=False, **options
            )
        except (TemplateError, TypeError) as error:  # a variable of prompt.template may be one that is set here
            raise UserError(f"generator.prompt: the model's chat template refuses this prompt ({error})") from None

    def _special_token_options(self, text: str) -> dict[str, bool]:
        """What the tokenizer must be told where names of special tokens stand in a text."""
        return {"split_special_tokens": True} if any(name in text for name in self._special_tokens) else {}

    def _find_end_id(self) -> int:
        if self.prompt.style == "plain":
            return self.tokenizer.eos_token_id
        turns = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "\ue000"}]
        after = self._apply_template(turns).rpartition("\ue000")[2]
        special = {self.tokenizer.eos_token_id, *self.tokenizer.all_special_ids, *self.tokenizer.added_tokens_decoder}
        ids = self.tokenizer(after, add_special_tokens=False)["input_ids"]
        return next((token for token in ids if token in special), self.tokenizer.eos_token_id)


def find_lead_ids(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Ids of a line break, behind which a text is tokenised as one that goes on, by SentencePiece tokenizers: they put a
    space in front of whatever they are given, and take it away from what they decode. [] for all others."""
    ids = tokenizer("\n", add_special_tokens=False)["input_ids"]
    return ids if ids and str(tokenizer.convert_ids_to_tokens(ids)[0]).startswith("▁") else []


def encode_continuations(
    tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], lead_ids: Sequence[int], **options: bool
) -> list[list[int]]:
    """Ids of texts that go on after others. lead_ids: of `find_lead_ids`. options: further ones of the tokenizer."""
    if not texts:
        return []
    if not lead_ids:
        return tokenizer(list(texts), add_special_tokens=False, **options)["input_ids"]
    start = len(lead_ids)
    rows = tokenizer([f"\n{text}" for text in texts], add_special_tokens=False, **options)["input_ids"]
    whole = all(ids[:start] == lead_ids for ids in rows)  # or the break has merged with what follows it
    return [ids[start:] for ids in rows] if whole else encode_continuations(tokenizer, texts, [], **options)


def encode_prompts(
    encoder: Encoder, problems: Sequence[Problem], room: int, context: int, section: str
) -> list[list[int]]:
    """The prompts of problems, examples included. Raises UserError where a prompt and `room` new tokens do not fit."""
    prompts = [encoder.prompt_ids(problem, shots=True) for problem in problems]
    for problem, prompt in zip(problems, prompts, strict=True):
        if len(prompt) + room > context:
            raise UserError(
                f"{problem.id}: {len(prompt)} tokens of prompt and {section}.max_new_tokens={room} exceed the {context} "
                f"tokens of the model; lower max_new_tokens, generator.prompt.shots or benchmarks.max_question_chars"
            )
    return prompts


def _read_end_ids(path: Path) -> list[int]:
    """The end tokens that a model's generation config, or else its config, names."""
    for name in ("generation_config.json", "config.json"):
        if (path / name).is_file():
            found = json.loads((path / name).read_text(encoding="utf-8")).get("eos_token_id")
            if found is not None:
                return found if isinstance(found, list) else [found]
    return []


def strip_annotations(text: str) -> str:
    """A gold step as models read it: GSM8K's calculator annotations `<<48/2=24>>` taken out."""
    return re.sub(r"<<[^<>]*>>", "", text)


def split_steps(text: str) -> list[str]:
    """The lines of a solution that are not blank: its steps, where a step is a line."""
    return Prompt().split_steps(text)
