"""Stage arena: players meet in pairs, judges say who is better, and the truth says what the judges are worth.

players   models that draw one solution at a temperature (the base; the generator; what preference and honesty made of it;
          any folder, such as an epoch of the generator), and policies that choose from the first solutions of
          data/samples: the first, the majority's, the best under a verifier
judges    verifiers, which read each solution alone (the margin of a tie is chosen on dev); a chat model that is shown both
          solutions in both orders, if `agent` names one; and three that need no model: the truth, a coin, length

Reads data/{base,generator,preference}/model, data/honesty/models, data/generator/prompt.json, data/{orm,prm,genrm}/model,
samples and scores of dev, test and ood with their problems. Writes data/arena/{verdicts.parquet, ratings.csv, ratings.png,
judges.json, report.md, metrics.json}: Bradley-Terry ratings of the players under every judge (lib/arena/ratings.py), and of
every judge its agreement with the truth, its habits, and Spearman's correlation of its ratings with the true solve rates.

Only here are both known: an arena of people or of models has no truth to audit its judges by. Sources: Zheng et al. 2023
(arXiv 2306.05685, judges and their biases), Chiang et al. 2024 (2403.04132, ratings).

    python -m stages.evaluation.arena
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, model_validator

from stages.evaluation.arena.players import VERSION, Drawn, Policy
from stages.lib.chat.agent_params import GREEDY, AgentParams
from stages.lib.core import records, seeds
from stages.lib.core.params import Params as Section
from stages.lib.core.records import Problem, Sample, Score
from stages.lib.datasets import eval_sets
from stages.lib.grading.draws import grade_draws
from stages.lib.run.execution import StageRun, run_stage

if TYPE_CHECKING:
    from pathlib import Path

    from stages.evaluation.arena.players import Entry
    from stages.evaluation.arena.tournament import Pair
    from stages.lib.chat import Chat
    from stages.lib.inference.sampling import Engine
    from stages.lib.models.encoding import Encoder
    from stages.lib.models.prompts import Prompt
    from stages.lib.verifiers.base import Verifier

SETS = ("test", "ood")


class Params(Section):
    problems: dict[Literal["test", "ood"], Annotated[int, Field(ge=1)]] = Field(min_length=1)  # of each set
    pool: int = Field(ge=1)  # solutions of a problem that the policies choose from
    policies: list[Policy]  # players that choose from the pool
    drawn: dict[str, Drawn]  # players that draw a solution of their own, by name
    judges: list[Literal["orm", "prm", "genrm"]]  # verifiers that judge
    battles_per_problem: int = Field(ge=1)  # pairs of players that meet on a problem
    rounds: int = Field(ge=100, le=100_000)  # bootstrap resamples of the problems
    max_new_tokens: int = Field(ge=1)  # tokens of a drawn solution at most
    max_rows: int = Field(ge=16)  # solutions drawn at a time; changes none of them
    dtype: Literal["float32", "bfloat16"]  # number format of the weights
    agent: AgentParams  # a chat model that judges, too; rules: none
    template: str = Field(
        pattern=r"\.ya?ml$"
    )  # what it is asked: the YAML file of a pairwise template, which dvc.yaml names

    @model_validator(mode="after")
    def _check_players(self) -> Params:
        for name in self.drawn:
            if not name or not name.replace("_", "").isalnum() or name in self.policies:
                raise ValueError(f"drawn {name!r}: a name has letters, digits and _, and is none of the policies")
        if len(self.drawn) + len(set(self.policies)) < 2:
            raise ValueError("policies and drawn must name two players at least")
        for names in (self.policies, self.judges):
            if len(set(names)) < len(names):
                raise ValueError(f"policies and judges must differ, not {', '.join(names)}")
        if missing := [x for x in self.policies if x.startswith("best_") and x[5:] not in self.judges]:
            raise ValueError(f"policies: {missing[0]} chooses by a verifier that is none of the judges")
        return self


def load_engine(params: Params, prompt: Prompt, path: Path, device: Any) -> tuple[Engine, Encoder]:
    from stages.lib.inference import engines
    from stages.lib.models.encoding import Encoder

    engine = engines.make_engine("native", path, params.max_rows, params.dtype, device)
    return engine, Encoder.load(path, prompt)


def draw_solutions(
    params: Params, seed: int, name: str, index: int, generator: tuple[Engine, Encoder], problems: list[Problem]
) -> Iterator[list[Sample]]:
    """One solution of each problem by the player `name`, whose samples have this index."""
    from stages.lib.inference.sampling import GREEDY, Distribution
    from stages.lib.models import encoding

    (engine, encoder), limit, temperature = generator, params.max_new_tokens, params.drawn[name].temperature
    prompts = encoding.encode_prompts(encoder, problems, limit, engine.context_length, "arena")
    keys = [[seeds.key(seed, "arena", VERSION, problem.id, name)] for problem in problems]
    distribution = Distribution(temperature) if temperature else GREEDY
    stream = engine.stream(prompts, keys, distribution, limit, encoder.stops, encoder.calculator)
    for i, ((draw, text, answer, correct),) in grade_draws(stream, encoder, problems):
        numbers: Any = {"logprob": sum(draw.logprobs), "min_logprob": min(draw.logprobs), "tokens": len(draw.ids)}
        said: Any = {"text": text, "answer": answer, "correct": correct, "finish": draw.finish}
        yield [Sample(problem_id=problems[i].id, index=index, **said, **numbers)]


def load_verifier(params: Params, path: Path, device: Any) -> Verifier:
    from stages.lib.verifiers import registry

    return registry.load(path, params.dtype).to(device)


def score_solutions(verifier: Verifier, pools: list[tuple[Problem, list[Sample]]]) -> Iterator[list[Score]]:
    """The scores of each problem's solutions; one that was cut off scores 0, and nothing reads it."""
    finished = [(problem, [sample for sample in samples if sample.finish == "stop"]) for problem, samples in pools]
    samples_of = {problem.id: samples for problem, samples in pools}
    for problem, some in finished:
        if not some:
            yield [verifier.make_score(sample, 0.0, 0) for sample in samples_of[problem.id]]
    for scores in verifier.score_many([pool for pool in finished if pool[1]]):
        by_index = {score.index: score for score in scores}
        yield [by_index.get(x.index) or verifier.make_score(x, 0.0, 0) for x in samples_of[scores[0].problem_id]]


def body(run: StageRun[Params]) -> dict[str, Any]:
    from stages.evaluation.arena import players
    from stages.lib.arena import templates
    from stages.lib.core.errors import UserError
    from stages.lib.run import distributed

    if run.params.agent.kind != "rules" and not templates.load(str(run.root / run.params.template)).pairwise:
        raise UserError(
            f"arena.template: {run.params.template} is not pairwise; stages/lib/arena/templates/battle.yaml is"
        )
    state = distributed.init_processes(run)
    problems = {
        name: players.select_problems(eval_sets.load_problems(run, name), n, run.seed)
        for name, n in run.params.problems.items()
    }
    everything = [problem for name in SETS for problem in problems.get(name, ())]
    if not everything:
        raise UserError("arena.problems: the sets hold no problem to play on")
    for player in run.params.drawn.values():
        players.find_model(run, player.model)  # before any draws
    _draw_all(run, everything, state.device)
    state.wait_for_everyone()
    pools = _gather_drawn(run, everything)
    for judge in run.params.judges if run.params.drawn else ():
        path = run.input_path(judge, "model")
        with distributed.open_workers(run, path, partial(load_verifier, run.params), state.device) as workers:
            distributed.make_records(run, workers, judge, pools, score_solutions, Score, lambda pool: pool[0].id)
    state.wait_for_everyone()
    return _play(run, problems, pools) if run.is_main else {}


def _draw_all(run: StageRun[Params], problems: list[Problem], device: Any) -> None:
    """Every drawn player's solutions, kept under its name."""
    from stages.evaluation.arena import players
    from stages.lib.models.prompts import Prompt
    from stages.lib.run import distributed

    prompt = Prompt.read(run.input_path("generator", "prompt.json"))
    names = list(run.params.drawn)
    for model in dict.fromkeys(player.model for player in run.params.drawn.values()):
        load = partial(load_engine, run.params, prompt)
        with distributed.open_workers(run, players.find_model(run, model), load, device) as workers:
            for index, name in enumerate(names):
                if run.params.drawn[name].model == model:
                    draw = partial(draw_solutions, run.params, run.seed, name, index)
                    part = f"draws-{name}"
                    distributed.make_records(run, workers, part, problems, draw, Sample, lambda problem: problem.id)


def _gather_drawn(run: StageRun[Params], problems: list[Problem]) -> list[tuple[Problem, list[Sample]]]:
    """Each problem with its solutions by the drawn players, in their order."""
    from stages.lib.run import distributed

    ids = [problem.id for problem in problems]
    rows = [x for name in run.params.drawn for x in distributed.gather_records(run, f"draws-{name}", ids, Sample)]
    groups = records.group_by_problem(sorted(rows, key=lambda sample: sample.index))
    return [(problem, groups.get(problem.id, [])) for problem in problems]


def _collect_entries(
    run: StageRun[Params], name: str, problems: Sequence[Problem], drawn: Mapping[str, Sequence[Entry]]
) -> dict[str, dict[str, Entry]]:
    """player -> problem id -> entry, for one set. drawn: problem id -> the drawn players' entries, in their order."""
    from stages.evaluation.arena import players

    pools = _load_pools(run, name, {problem.id for problem in problems}) if run.params.policies else {}
    entries = {
        policy: {problem.id: players.choose(policy, problem, pools[problem.id]) for problem in problems}
        for policy in run.params.policies
    }
    for index, player in enumerate(run.params.drawn):
        entries[player] = {problem.id: drawn[problem.id][index] for problem in problems}
    return entries


def _load_pools(run: StageRun[Params], name: str, ids: set[str] | None = None) -> dict[str, list[Entry]]:
    """problem id -> its first solutions with the judges' scores. Raises UserError for a sample without a score."""
    from stages.evaluation.arena import players
    from stages.lib.core.errors import UserError

    scores = players.group_scores(records.read_scores(run.input_path("scores", f"{name}.parquet")))
    samples = records.read_samples(run.input_path("samples", f"{name}.parquet"))
    kept = [x for x in samples if x.index < run.params.pool and (ids is None or x.problem_id in ids)]
    for sample in kept:
        if missing := {*run.params.judges} - scores.get((sample.problem_id, sample.index), {}).keys():
            raise UserError(
                f"arena.judges: data/scores/{name}.parquet has no scores of {min(missing)}; name it in scores.verifiers "
                "and run `dvc repro scores`"
            )
    return {key: players.collect_pool(some, scores) for key, some in records.group_by_problem(kept).items()}


def _play(
    run: StageRun[Params], problems: Mapping[str, list[Problem]], drawn: list[tuple[Problem, list[Sample]]]
) -> dict[str, Any]:
    """All battles of all sets under all judges, and the files."""
    from stages.evaluation.arena import players, summary, tournament
    from stages.lib.run import distributed

    ids = [problem.id for problem, _ in drawn]
    judged = run.params.judges if run.params.drawn else []
    scores = [x for judge in judged for x in distributed.gather_records(run, judge, ids, Score)]
    by_sample = players.group_scores(scores)
    own = {problem.id: players.collect_pool(samples, by_sample) for problem, samples in drawn}
    dev = list(_load_pools(run, "dev").values())
    margins = {judge: tournament.choose_margin(dev, judge) for judge in run.params.judges}
    makers: dict[str, tournament.Judge] = {
        tournament.TRUTH: tournament.judge_truth,
        **{judge: tournament.make_score_judge(judge, margins[judge]) for judge in run.params.judges},
        tournament.LENGTH: tournament.judge_length,
        tournament.RANDOM: tournament.make_random_judge(run.seed),
    }
    outcomes: dict[str, dict[str, tournament.Outcome]] = {}
    verdicts, identical = [], {}
    chat = run.params.agent.create_chat(run.root, **GREEDY)
    for name, some in problems.items():
        entries = _collect_entries(run, name, some, own)
        pairs = tournament.draw_pairs(some, entries, run.params.battles_per_problem, run.seed)
        rates = tournament.compute_solve_rates(entries)
        identical[name] = tournament.count_identical(pairs)
        said = {judge: tournament.ask(judge, maker, pairs) for judge, maker in makers.items()}
        if chat:
            said["agent"] = ask_agent(run, chat, pairs)
        outcomes[name] = {
            judge: tournament.evaluate(pairs, said[judge], rates, run.seed, run.params.rounds)
            for judge in run.track_progress(said, len(said), f"ratings-{name}")
        }
        verdicts += [verdict for rows in said.values() for verdict in rows]
    records.write_verdicts(run.out_dir / "verdicts.parquet", verdicts)
    if chat:
        run.count(**chat.usage.get_totals())
    return summary.write(run.out_dir, outcomes, margins, identical, chat.summarize() if chat else None)


def ask_agent(run: StageRun[Params], chat: Chat, pairs: Sequence[Pair]) -> list[records.Verdict]:
    """A chat model's verdicts in both orders, in the order of `tournament.ask`."""
    from stages.lib.arena import templates

    asked = [pair for pair in pairs if not pair.is_identical]
    rows = [
        {"question": x.problem.format_prompt(), "first": x.first.sample.text, "second": x.second.sample.text}
        for x in asked
    ]
    template, key = templates.load(str(run.root / run.params.template)), f"arena {VERSION} {run.seed}"
    forward, backward, raw = templates.judge_pairs(
        template, rows, chat, key, lambda items, n: run.track_progress(items, n, "agent")
    )
    verdicts = []
    for i, x in enumerate(asked):
        at: Any = {"problem_id": x.problem.id, "judge": "agent"}
        verdicts.append(records.Verdict(**at, first=x.a, second=x.b, verdict=forward[i], raw=raw[i]))
        swapped: Any = {"verdict": backward[i], "raw": raw[len(asked) + i]}
        verdicts.append(records.Verdict(**at, first=x.b, second=x.a, **swapped))
    return verdicts


def main() -> None:
    run_stage("arena", Params, body)


if __name__ == "__main__":
    main()
