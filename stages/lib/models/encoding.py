"""From a problem and the steps of a solution to token ids, in one way for training, sampling and scoring.

A step is a line or a paragraph (prompts.py). Prompt and steps are tokenised separately and their ids concatenated; a
joined string is never tokenised. So the position of each step's last token is known, and a separator never merges with
its neighbour: the fix that moved a published process reward model from 56.1 to 60.3 F1 (QwenLM/ProcessBench, PR 12).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from jinja2.exceptions import TemplateError

from stages.lib.core.errors import UserError
from stages.lib.core.records import Problem
from stages.lib.models.calculator import Calculator
from stages.lib.models.prompts import PLAIN_TEMPLATE, Prompt, Shot
from stages.lib.models.stops import StopCriteria

PROMPT_FILE = "prompt.json"
TEMPLATE_DATE = "26 Jul 2024"  # Llama 3's default: some templates write today's date, but prompts must not change daily


class Encoded(NamedTuple):
    """ids: prompt, steps, and the end token if the solution is finished. step_ends: index of each step's last token."""

    ids: list[int]
    prompt_length: int
    step_ends: list[int]


class Encoder:
    """A tokenizer and the prompt in which it presents problems.

    ends: further tokens at which sampling stops, from a model's generation config. `end_id` is the token at the end of a
    finished solution: what the chat template writes after the assistant's turn, else the end of sequence. Raises UserError
    for a chat prompt without a template in the tokenizer, and for a prompt that the template refuses.
    """

    def __init__(self, tokenizer: Any, prompt: Prompt | None = None, ends: Sequence[int] = ()):
        self.tokenizer, self.prompt = tokenizer, prompt or Prompt()
        added = [str(token) for token in tokenizer.added_tokens_decoder.values() if token.special]
        self._special_tokens = {*tokenizer.all_special_tokens, *added}
        self._lead_ids = find_lead_ids(tokenizer)
        self.end_id: int = self._find_end_id()
        self.stops = StopCriteria(tokenizer, {tokenizer.eos_token_id, self.end_id, *ends}, self.prompt.stop_texts)
        self.calculator = Calculator(tokenizer, self.encode_texts) if self.prompt.calculator else None
        # A problem's samples are encoded one after another, and a call of the tokenizer takes a third of a millisecond.
        self._cached_prompt = lru_cache(maxsize=16)(self._encode_prompt)

    @classmethod
    def load(cls, path: Path, prompt: Path | Prompt | None = None) -> Encoder:
        """The encoder of a model folder. prompt: or its prompt.json; by default the folder's, else the plain prompt."""
        from stages.lib.models import loading  # it imports torch; what imports this module stays light

        if prompt is None and (file := Path(path) / PROMPT_FILE).is_file():
            prompt = file
        loaded = Prompt.read(prompt) if isinstance(prompt, Path) else prompt
        return cls(loading.load_tokenizer(path), loaded, _read_end_ids(Path(path)))

    def save(self, folder: Path) -> None:
        """Write the prompt beside a model, without its examples: verifiers read questions alone."""
        self.prompt.drop_examples().write(folder / PROMPT_FILE)

    def prompt_ids(self, problem: Problem | str, shots: bool = False) -> list[int]:
        """Ids up to where a solution begins. problem: a string is used as the question. shots: prepend the examples.

        Only the tokenizer or the template adds special tokens: their names in a question are text.
        """
        question = problem if isinstance(problem, str) else self.prompt.format_question(problem)
        return list(self._cached_prompt(question, shots))

    def encode_talk(self, texts: Sequence[str]) -> list[int]:
        """Ids of a talk in the chat template up to where the next answer begins. texts: turns of user and assistant in
        alternation, the last one of the user."""
        shots = [Shot(question=a, solution=b) for a, b in zip(texts[:-1:2], texts[1::2], strict=True)]
        return self._encode_chat(texts[-1], shots)

    def encode(
        self,
        problem: Problem | str,
        steps: Sequence[str],
        finished: bool = True,
        limit: int | None = None,
        shots: bool = False,
    ) -> Encoded:
        """Encode a solution.

        finished: append the end token (a sample that was cut off has none). Raises ValueError for more than `limit` tokens:
        nothing is truncated silently, because errors are at the end of a solution.
        """
        ids = self.prompt_ids(problem, shots)
        prompt_length, step_ends = len(ids), []
        for step_ids in self.encode_texts([step + self.prompt.step_separator for step in steps]):  # one call: faster
            ids += step_ids
            step_ends.append(len(ids) - 1)
        if finished:
            ids = [*ids, self.end_id]
        if limit is not None and len(ids) > limit:
            raise ValueError(f"{len(ids)} tokens, but the limit is {limit}")
        return Encoded(ids, prompt_length, step_ends)

    def encode_texts(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of each text as a continuation of other text; names of special tokens in it are text."""
        options = self._special_token_options("".join(texts))
        return encode_continuations(self.tokenizer, texts, self._lead_ids, **options)

    def decode_solution(self, ids: Sequence[int]) -> str:
        """The text of a solution's tokens, without the token or text that ended it."""
        ids = ids[:-1] if ids and ids[-1] in self.stops.token_ids else ids
        return self.prompt.truncate_at_stop(self.decode_text(ids))

    def decode_text(self, ids: Sequence[int]) -> str:
        """The text of tokens that continue other text."""
        options = {"skip_special_tokens": True, "clean_up_tokenization_spaces": False}
        text = self.tokenizer.decode([*self._lead_ids, *ids], **options)
        return text.removeprefix(self.tokenizer.decode(self._lead_ids, **options)) if self._lead_ids else text

    def _encode_prompt(self, question: str, shots: bool) -> list[int]:
        examples = self.prompt.select_examples(question) if shots else []
        if self.prompt.style == "chat":
            return self._encode_chat(question, examples)
        shots_text = "".join(PLAIN_TEMPLATE.format(question=shot.question) + f"{shot.solution}\n" for shot in examples)
        text = shots_text + PLAIN_TEMPLATE.format(question=question)
        ids = self.tokenizer(text, add_special_tokens=True, **self._special_token_options(text))["input_ids"]
        if ids and ids[-1] == self.tokenizer.eos_token_id:  # some tokenizers append the end token
            ids = ids[:-1]
        return ids

    def _encode_chat(self, question: str, examples: Sequence[Shot]) -> list[int]:
        turns = [{"role": "system", "content": self.prompt.system}] if self.prompt.system else []
        for shot in examples:
            turns += [{"role": "user", "content": shot.question}, {"role": "assistant", "content": shot.solution}]
        turns.append({"role": "user", "content": question})
        return self._apply_template(turns, add_generation_prompt=True, tokenize=True, sanitize_control_tokens=True)

    def _apply_template(self, turns: list[dict[str, str]], tokenize: bool = False, **options: Any) -> Any:
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
        except (TemplateError, TypeError) as error:  # TypeError: prompt.template sets a variable that is set here
            raise UserError(f"generator.prompt: the model's chat template refuses this prompt ({error})") from None

    def _special_token_options(self, text: str) -> dict[str, bool]:
        """The tokenizer's options for a text with names of special tokens in it."""
        return {"split_special_tokens": True} if any(name in text for name in self._special_tokens) else {}

    def _find_end_id(self) -> int:
        if self.prompt.style == "plain":
            return self.tokenizer.eos_token_id
        turns = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "\ue000"}]
        after = self._apply_template(turns).rpartition("\ue000")[2]
        special = {self.tokenizer.eos_token_id, *self.tokenizer.all_special_ids, *self.tokenizer.added_tokens_decoder}
        ids = self.tokenizer(after, add_special_tokens=False)["input_ids"]
        return next((token for token in ids if token in special), self.tokenizer.eos_token_id)


def find_lead_ids(tokenizer: Any) -> list[int]:
    """Ids of a line break for SentencePiece tokenizers, [] for others. SentencePiece prepends a space to what it encodes
    and strips it from what it decodes; after a line break, a text is tokenised as a continuation."""
    ids = tokenizer("\n", add_special_tokens=False)["input_ids"]
    return ids if ids and str(tokenizer.convert_ids_to_tokens(ids)[0]).startswith("▁") else []


def encode_continuations(
    tokenizer: Any, texts: Sequence[str], lead_ids: Sequence[int], **options: bool
) -> list[list[int]]:
    """Ids of each text as a continuation of other text. lead_ids: of `find_lead_ids`. options: of the tokenizer."""
    if not texts:
        return []
    if not lead_ids:
        return tokenizer(list(texts), add_special_tokens=False, **options)["input_ids"]
    start = len(lead_ids)
    rows = tokenizer([f"\n{text}" for text in texts], add_special_tokens=False, **options)["input_ids"]
    is_whole = all(ids[:start] == lead_ids for ids in rows)  # else the line break has merged with what follows it
    return [ids[start:] for ids in rows] if is_whole else encode_continuations(tokenizer, texts, [], **options)


def check_context_length(
    name: str,
    prompt: Sequence[int],
    max_new_tokens: int,
    context_length: int,
    key: str = "max_new_tokens",
    remedy: str = "lower max_new_tokens",
) -> None:
    """Raises UserError where a prompt and its new tokens exceed the model's context.

    name: whose prompt it is. key: the parameter that sets max_new_tokens. remedy: what the user can do.
    """
    if len(prompt) + max_new_tokens > context_length:
        raise UserError(
            f"{name}: {len(prompt)} tokens of prompt and {key}={max_new_tokens} exceed the {context_length} tokens of the "
            f"model; {remedy}"
        )


def encode_prompts(
    encoder: Encoder, problems: Sequence[Problem], max_new_tokens: int, context_length: int, section: str
) -> list[list[int]]:
    """The prompts of problems, with the examples. Raises UserError where one is too long for the model's context.

    section: that of params.yaml which sets max_new_tokens.
    """
    key = f"{section}.max_new_tokens"
    remedy = "lower max_new_tokens, generator.prompt.shots or benchmarks.max_question_chars"
    prompts = [encoder.prompt_ids(problem, shots=True) for problem in problems]
    for problem, prompt in zip(problems, prompts, strict=True):
        check_context_length(problem.id, prompt, max_new_tokens, context_length, key, remedy)
    return prompts


def _read_end_ids(path: Path) -> list[int]:
    """The end tokens in a model's generation config, or else in its config."""
    for name in ("generation_config.json", "config.json"):
        if (path / name).is_file():
            ids = json.loads((path / name).read_text(encoding="utf-8")).get("eos_token_id")
            if ids is not None:
                return ids if isinstance(ids, list) else [ids]
    return []


def split_steps(text: str) -> list[str]:
    """The non-blank lines of a solution, which are its steps where a step is a line."""
    return Prompt().split_steps(text)
