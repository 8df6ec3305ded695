"""The generative verifier (GenRM, Zhang et al. 2024, arXiv 2408.15240): verification as next-token prediction.

direct  score = p(Yes) after the question `Verification: Is the answer correct (Yes/No)?`
cot     score = the mean of p(Yes) over K sampled rationales, each `Verification: Let's verify step by step.`, then every
        line derived again and marked, then the same question (averaged probabilities, not counted votes)

A rationale that does not end with the question and a verdict is missing: it counts neither for nor against. Where all K
are missing the direct p(Yes) stands in, and is counted. p(Yes) is read off the drawn verdict (a drawn `No` says 1 -
p(No)): no second pass, and exact up to the probability of saying neither.

The K rationales of a solution share its question and its text, read once, and share each other's beginnings as long as
they agree (lib/inference/native_engine.py). Solutions of a problem with equal text are judged once. Draw k is keyed by (seed,
stage, version, problem, text, k): batch, order, and number of processes change nothing.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

import torch

from stages.lib.core import files, seeds
from stages.lib.core.errors import UserError
from stages.lib.core.records import Problem, Record, Sample, Score
from stages.lib.inference import prefix_forward
from stages.lib.inference.native_engine import NativeEngine
from stages.lib.models import heads, loading
from stages.lib.models.encoding import Encoder, check_context_length
from stages.lib.models.objectives import LanguageModelingObjective
from stages.lib.verifiers import verdicts

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from stages.lib.inference.sampling import Draw

VERSION = 1  # part of every key: raise it when the way of drawing changes
MAX_KEPT_RATIONALES = 4  # rationales of a solution whose text is kept
MAX_RATIONALE_CHARS = 2000  # characters kept of each

Pool = tuple[Problem, Sequence[Sample]]
Mode = Literal["direct", "cot"]


class RationaleSampling(NamedTuple):
    """How rationales are drawn. seed and stage are parts of the keys; rows, the most drawn at a time, changes none."""

    votes: int = 4
    temperature: float = 0.7
    max_new_tokens: int = 320
    max_rows: int = 1024
    seed: int = 1
    stage: str = "scores"


class RationaleVerdicts(Record):
    """What was said of one sample. votes: p(Yes) of each rationale, None where it was missing; direct: p(Yes) with no
    rationale, where it was asked for; tokens: after the problem, the rationales' included; repeated: a copy of what was
    said of another sample with the same text."""

    problem_id: str
    index: int
    p_yes: list[float | None]
    direct_p_yes: float | None
    rationales: list[str]
    tokens: int
    is_duplicate: bool = False

    def score(self, votes: int | None = None, turn: int = 0) -> float:
        """Mean p(Yes) of so many of the rationales that are not missing, each turn of the next ones; the direct one where
        all are missing."""
        said = [vote for vote in self.p_yes if vote is not None]
        if votes is not None and votes < len(said):
            start = turn * votes % len(said)
            said = (said + said)[start : start + votes]
        if not said and self.direct_p_yes is None:
            raise ValueError(f"{self.problem_id} sample {self.index}: no rationale and no direct judgement")
        return sum(said) / len(said) if said else self.direct_p_yes


def encode_question(encoder: Encoder, problem: Problem, text: str, mode: Mode) -> tuple[list[int], slice]:
    """Problem, solution and the request to verify it, the prompt that training and scoring share; and where the solution
    stands in it."""
    asked = verdicts.VERDICT_QUESTION if mode == "direct" else verdicts.COT_PROMPT
    solved = encoder.encode(problem, encoder.prompt.split_steps(text), finished=False)
    ids = solved.ids + encoder.encode_texts([asked])[0]
    return ids, slice(solved.prompt_length, len(solved.ids))


class GenerativeVerifier:
    """A causal LM, asked in a mode. Score.score is p(Yes); Score.rationales the first texts, cut to a bound."""

    def __init__(self, name: str, model: PreTrainedModel, encoder: Encoder, sampling: RationaleSampling, mode: Mode):
        self.name, self.model, self.encoder, self.sampling, self.mode = name, model, encoder, sampling, mode
        self._verdict_ids = encoder.encode_texts([verdicts.format_verdict(right) for right in (True, False)])
        words = heads.get_first_tokens(encoder, verdicts.format_verdict(True), verdicts.format_verdict(False))
        self._verdict_head = heads.TokenLogitHead(model.get_output_embeddings(), *words, model.config)

    def make_objective(self) -> LanguageModelingObjective:
        """What `loop.train` trains: this model itself, on text alone."""
        return LanguageModelingObjective(self.model)

    def to(self, device: torch.device | str) -> GenerativeVerifier:
        self.model.to(device)
        return self

    @classmethod
    def load(cls, path: Path, sampling: RationaleSampling, dtype: str = "float32") -> GenerativeVerifier:
        """Asked in the mode that it was chosen for. Raises UserError for a folder without a generative verifier."""
        file = path / "verifier.json"
        facts = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
        if facts.get("kind") != "generative" or facts.get("mode") not in get_args(Mode):
            raise UserError(f"{path}: holds no generative verifier with its mode; run the stage genrm")
        return cls(facts["name"], loading.load_causal_lm(path, dtype), Encoder.load(path), sampling, facts["mode"])

    def save(self, path: Path) -> None:
        with files.atomic_write_dir(path) as folder:
            loading.write_files(self.model, self.encoder.tokenizer, folder)
            self.encoder.save(folder)
            files.write_json(folder / "verifier.json", {"name": self.name, "kind": "generative", "mode": self.mode})

    def score(self, problem: Problem, samples: Sequence[Sample]) -> list[Score]:
        """One Score for each sample, in their order."""
        return next(self.score_many([(problem, samples)]))

    def score_many(self, pools: Iterable[Pool]) -> Iterator[list[Score]]:
        """`score` of many problems with the sampler kept full; a problem's scores come when its last rationale has ended,
        so not in the order of the problems."""
        for judged in self.judge_many(pools):
            yield [
                Score(
                    problem_id=one.problem_id,
                    index=one.index,
                    verifier=self.name,
                    score=min(1.0, one.score()),
                    rationales=one.rationales or None,
                    tokens=one.tokens,
                )
                for one in judged
            ]

    def judge_many(self, pools: Iterable[Pool]) -> Iterator[list[RationaleVerdicts]]:
        """The judgements behind `score_many`. Raises UserError for a solution longer than the model can read."""
        pools = [(problem, list(samples)) for problem, samples in pools]
        texts = [list(dict.fromkeys(sample.text for sample in samples)) for _, samples in pools]
        work = [(p, text) for p, own in enumerate(texts) for text in own]
        found = (self._judge_direct if self.mode == "direct" else self._judge_cot)(pools, work)
        waiting, known = [len(own) for own in texts], [{} for _ in texts]
        yield from ([] for count in waiting if not count)
        for place, judged in found:
            p, text = work[place]
            known[p][text] = judged
            waiting[p] -= 1
            if not waiting[p]:
                yield self._broadcast(pools[p], known[p])
                known[p] = {}

    def _broadcast(self, pool: Pool, known: dict[str, RationaleVerdicts]) -> list[RationaleVerdicts]:
        """The judgement of each text, given to every sample that reads so."""
        seen, judged = set(), []
        for sample in pool[1]:
            change = {"index": sample.index, "repeated": sample.text in seen}
            judged.append(known[sample.text].model_copy(update=change))
            seen.add(sample.text)
        return judged

    def _encode_prompt(self, problem: Problem, text: str, mode: Mode, room: int) -> list[int]:
        ids, context = encode_question(self.encoder, problem, text, mode)[0], self.model.config.max_position_embeddings
        check_context_length(problem.id, ids, room, context)
        return ids

    def _judge_direct(self, pools: list[Pool], work: list[tuple[int, str]]) -> Iterator[tuple[int, RationaleVerdicts]]:
        for p, own in itertools.groupby(enumerate(work), key=lambda placed: placed[1][0]):
            places, texts = zip(*((place, text) for place, (_, text) in own), strict=True)
            for place, (yes, tokens) in zip(places, self._compute_p_yes(pools[p][0], texts), strict=True):
                yield (
                    place,
                    RationaleVerdicts(
                        problem_id=pools[p][0].id, index=0, p_yes=[], direct_p_yes=yes, rationales=[], tokens=tokens
                    ),
                )

    def _judge_cot(self, pools: list[Pool], work: list[tuple[int, str]]) -> Iterator[tuple[int, RationaleVerdicts]]:
        how = self.sampling
        prompts = [self._encode_prompt(pools[p][0], text, "cot", how.max_new_tokens) for p, text in work]
        keys = [
            [seeds.key(how.seed, how.stage, VERSION, pools[p][0].id, text, k) for k in range(how.votes)]
            for p, text in work
        ]
        engine = NativeEngine(self.model, how.max_rows)
        stream = engine.stream(prompts, keys, how.temperature, how.max_new_tokens, self.encoder.stops.token_ids)
        for place, draws in stream:
            problem, text = pools[work[place][0]][0], work[place][1]
            votes = [self.parse_verdict(draw) for draw in draws]
            missing = all(vote is None for vote in votes)
            direct = self._compute_p_yes(problem, [text])[0][0] if missing else None
            read = len(prompts[place]) - len(self.encoder.prompt_ids(problem))
            yield (
                place,
                RationaleVerdicts(
                    problem_id=problem.id,
                    index=0,
                    p_yes=votes,
                    direct_p_yes=direct,
                    rationales=[self._decode(draw.ids)[:MAX_RATIONALE_CHARS] for draw in draws[:MAX_KEPT_RATIONALES]],
                    tokens=read + sum(len(draw.ids) for draw in draws),
                ),
            )

    def parse_verdict(self, draw: Draw) -> float | None:
        """p(Yes) of a rationale by its last words; None where it was cut off or they are no verdict."""
        ids = draw.ids[:-1]
        if draw.finish != "stop":
            return None
        for verdict, right in zip(self._verdict_ids, (True, False), strict=True):
            start = len(ids) - len(verdict)
            if ids[start:] == verdict and self._decode(ids[:start]).endswith(verdicts.VERDICT_QUESTION):
                p = math.exp(draw.logprobs[start])
                return min(1.0, p if right else max(0.0, 1.0 - p))
        return None

    def _decode(self, ids: Sequence[int]) -> str:
        return self.encoder.decode_text(ids)

    @torch.inference_mode()
    def _compute_p_yes(self, problem: Problem, texts: Sequence[str]) -> list[tuple[float, int]]:
        """p(Yes) against p(No) right after the question on each solution, and how many tokens were read for it alone,
        after the problem, which is read once."""
        rows = [self._encode_prompt(problem, text, "direct", 0) for text in texts]
        start = len(self.encoder.prompt_ids(problem))
        found = [0.0] * len(rows)
        for part, hidden in prefix_forward.compute_hidden_states(
            self.model, rows[0][:start], [ids[start:] for ids in rows]
        ):
            last = torch.tensor([len(rows[i]) - start - 1 for i in part], device=hidden.device)
            odds = heads.compute_logits(
                self._verdict_head, hidden[torch.arange(len(part), device=hidden.device), last]
            ).double()
            for i, own in zip(part, odds.tolist(), strict=True):
                found[i] = sigmoid(own)
        return [(yes, len(ids) - start) for yes, ids in zip(found, rows, strict=True)]


def sigmoid(x: float) -> float:
    """1 / (1 + e^-x), for large |x| too."""
    return 1 / (1 + math.exp(-x)) if x > 0 else math.exp(x) / (1 + math.exp(x))
