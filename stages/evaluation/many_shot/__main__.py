"""Stage many_shot: what a model learns from many examples in its prompt, beside what can be learned from them.

worlds      numeric functions, drawn anew for each episode: linear classification (labels true, exchanged or random),
            modular maps and parities. A small model is trained here on episodes, so that learning in context is real;
            beside it stand nearest neighbours, least squares and the Bayes rule on the same shots
benchmark   problems of test after 0, 1, 2, 4 .. problems of the verifiers' split, in the arms gold, reinforced,
            unsupervised and answers (stages/evaluation/many_shot/benchmark.py)

Shots are nested, drawn `sets` times and, once, shown in `orders` orders that differ. A prompt that does not fit is an
error, never cut.
Reads data/benchmarks/{verifier,test}.jsonl, data/generator/prompt.json, data/samples/verifier.parquet, the folder `model`.
Writes data/many_shot/{rows.parquet, results.json, report.md, curves.png, metrics.json}. An `agent`, any OpenAI-compatible
server or local chat model, answers in place of both models; its own right solutions then make the reinforced arm.

Source: Agarwal et al. 2024, Many-Shot In-Context Learning (arXiv 2404.11018).

    python -m stages.evaluation.many_shot
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from stages.evaluation.many_shot.answering import Row
from stages.evaluation.many_shot.benchmark import WORLD, Arm
from stages.evaluation.many_shot.episode_model import EpisodeTraining
from stages.evaluation.many_shot.worlds import World
from stages.lib.chat.agent_params import GREEDY, AgentParams
from stages.lib.core.params import Params as Section
from stages.lib.run.execution import StageRun, run_stage

if TYPE_CHECKING:
    from stages.evaluation.many_shot.answering import ChatReader, FolderReader, Read
    from stages.evaluation.many_shot.episodes import Episode, Group
    from stages.lib.core.records import Problem
    from stages.lib.models.prompts import Prompt

GENERATOR = Path("data/generator/model")  # whose solutions data/samples holds
GROUPS_AT_A_TIME = 64  # prompts of so many groups are answered before their rows are kept


class NumericParams(Section):
    worlds: dict[str, World]  # by name
    model: Literal["episodes", "folder"]  # episodes: trained here; folder: `model`, as it is
    training: list[EpisodeTraining]  # of model: episodes, one model for each kind of world
    functions: int = Field(ge=2)  # of each world, drawn by key
    queries: int = Field(ge=1)  # of each function
    max_shots: int = Field(ge=1)  # K doubles up to it
    order_shots: int = Field(ge=2)  # the K at which orders are compared
    max_new_tokens: int = Field(ge=1)  # of an answer

    @model_validator(mode="after")
    def _check(self) -> NumericParams:
        kinds = [each.kind for each in self.training]
        missing = {world.kind for world in self.worlds.values()} - {*kinds}
        if self.model == "episodes" and missing:
            raise ValueError(
                f"training: no model learns {min(missing)}, which a world needs; add it, or set model: folder"
            )
        if len(kinds) != len(set(kinds)):
            raise ValueError("training: a kind comes twice")
        return self


class Params(Section):
    arms: list[Arm]  # of the benchmark; the first is the one whose orders are compared; []: numeric worlds alone
    pool: int = Field(ge=2)  # problems of verifier that shots are drawn from
    queries: int = Field(ge=1)  # problems of test
    max_shots: int | None = Field(ge=1)  # K doubles up to it; null: while every prompt fits the context of `model`
    examples: int = Field(ge=0)  # answered examples at the end of an unsupervised prompt
    order_shots: int = Field(ge=2)  # the K at which orders are compared, where it is at most max_shots
    sets: int = Field(ge=1)  # sets of shots, in the benchmark and for every function
    orders: int = Field(ge=0)  # orders of the first set
    model: str = Field(min_length=1)  # the folder that answers
    max_new_tokens: int = Field(ge=1)  # of an answer
    max_rows: int = Field(ge=16)  # prompts answered at a time; changes no answer
    dtype: Literal["float32", "bfloat16"]  # number format of the weights
    agent: AgentParams  # openai or hf: a chat that answers in place of the models
    turns: bool  # of an agent: every shot is a turn of user and one of assistant, instead of all in one user message
    numeric: NumericParams  # worlds of functions

    @model_validator(mode="after")
    def _check(self) -> Params:
        if len(self.arms) != len(set(self.arms)):
            raise ValueError("arms must differ")
        if "reinforced" in self.arms and self.agent.kind == "rules" and Path(self.model) != GENERATOR:
            raise ValueError(
                f"arms: reinforced shows solutions of {GENERATOR}, which are not those of model: {self.model}; leave "
                "reinforced out, or name a chat as agent, which is asked for its own"
            )
        if self.max_shots is None and self.agent.kind != "rules":
            raise ValueError(
                "max_shots: null is for a model folder, which says how long its context is; an agent does not"
            )
        if self.turns and self.agent.kind == "rules":
            raise ValueError("turns: true is for an agent, but agent.kind is rules; name one, or set false")
        if WORLD in self.numeric.worlds:
            raise ValueError(
                f"numeric.worlds: {WORLD} is the name of the benchmark's problems; name the world otherwise"
            )
        if not self.arms and not self.numeric.worlds:
            raise ValueError("arms and numeric.worlds are both empty, so there is nothing to do")
        return self


def body(run: StageRun[Params]) -> dict[str, Any]:
    from stages.evaluation.many_shot import answering, report, results
    from stages.lib.run import distributed

    state = distributed.init_processes(run)
    trained = {}
    if run.params.numeric.worlds and run.params.agent.kind == "rules" and run.params.numeric.model == "episodes":
        trained = train_models(run)
    if not run.is_main:
        return {}
    chat = run.params.agent.create_chat(run.root, **GREEDY)
    rows = answer_worlds(run, chat, {kind: model[:2] for kind, model in trained.items()}, state.device)
    facts: dict[str, Any] = {"training": {kind: model[2] for kind, model in trained.items()}}
    if run.params.arms:
        found, facts["benchmark"] = answer_benchmark(run, chat, state.device)
        rows += found
    answering.check_not_cut(rows)
    if chat:
        run.count(**chat.usage.get_totals())
        facts["requests"] = chat.summarize() | {"counted": answering.counts_tokens(rows)}
    figures = results.compute(rows, run.params, run.seed) | facts
    report.write(run.out_dir, rows, figures, run.params)
    return results.select_headline(figures)


def train_models(run: StageRun[Params]) -> dict[str, tuple[Any, Any, dict[str, float]]]:
    """kind of world -> (model, tokenizer, facts of its training)."""
    from stages.evaluation.many_shot import episode_model
    from stages.lib.models import loading

    trained = {}
    for settings in run.params.numeric.training:
        model, tokenizer, history = episode_model.train(run, settings)
        facts = {"loss": episode_model.get_last_loss(history), "steps": len(history)}
        trained[settings.kind] = model, tokenizer, facts | {"weights": loading.count_parameters(model)}
    return trained


def keep_rows(
    run: StageRun[Params],
    name: str,
    groups: Sequence[Group],
    reader: FolderReader | ChatReader,
    read: Read,
    get_oracles: Any = None,
) -> list[Row]:
    """The rows of all groups. Those that a folder answered in a run that was killed are read, not asked again. A chat keeps
    its own answers, and counts what they cost only when it is asked, so it is asked for all."""
    from stages.evaluation.many_shot import answering
    from stages.lib.run import distributed

    def answer(_: None, missing: list[Group]) -> Iterator[list[Row]]:
        for first in range(0, len(missing), GROUPS_AT_A_TIME):
            part = missing[first : first + GROUPS_AT_A_TIME]
            for group, replies in zip(part, reader.ask(part), strict=True):
                known: dict[str, Any] = {"oracles": get_oracles(group)} if get_oracles and not group.order_seed else {}
                if isinstance(reader, answering.FolderReader) and not group.order_seed:
                    known["gold_nll"] = reader.measure_nll(group)
                yield answering.make_rows(group, replies, read, **known)

    if isinstance(reader, answering.ChatReader):
        parts = run.track_progress(answer(None, list(groups)), len(groups), name)
        return [row for part in parts for row in part]
    run = replace(run, world_size=1)  # the others have trained and ended
    workers: Any = distributed.LocalWorkers(lambda: None)
    distributed.make_records(run, workers, name, list(groups), answer, Row, lambda group: group.id)
    return distributed.gather_records(run, name, [group.id for group in groups], Row)


def answer_worlds(run: StageRun[Params], chat: Any, trained: dict[str, tuple[Any, Any]], device: Any) -> list[Row]:
    from stages.evaluation.many_shot import answering, episodes, oracles, worlds
    from stages.lib.models.prompts import Prompt

    numeric, rows = run.params.numeric, []
    for name, world in numeric.worlds.items():
        pool = max(2 ** (numeric.max_shots.bit_length() - 1), numeric.order_shots)
        groups: list[Group] = []
        for number in range(numeric.functions):
            # As many points as several sets need to differ.
            episode = worlds.make_episode(world, name, number, 2 * pool, numeric.queries, run.seed)
            limits = (run.params.sets, run.params.orders, numeric.order_shots)
            groups += episodes.plan_groups(episode, numeric.max_shots, *limits, run.seed)
        reader = make_reader(run, chat, device, Prompt(stop=["\n"]), numeric.max_new_tokens, trained.get(world.kind))

        def read(
            group: Group, query: Any, reply: answering.Reply, kind: worlds.Kind = world.kind
        ) -> tuple[str | None, bool]:
            form = group.episode.form
            shown = [episodes.write_opening(form, shot) for shot in group.shots]
            text = episodes.remove_echo(reply.text, episodes.write_opening(form, query), shown)
            answer = worlds.read_answer(kind, text, reply.is_finished or not reply.text.endswith(text))
            return answer, answer == query.gold

        def get_oracles(group: Group, world: worlds.World) -> list[list[str]]:
            answers = oracles.predict(world, group.shots, group.episode.queries)
            queries = group.episode.queries
            return [[name for name, own in answers.items() if own[i] == x.gold] for i, x in enumerate(queries)]

        rows += keep_rows(run, f"world-{name}", groups, reader, read, partial(get_oracles, world=world))
    return rows


def answer_benchmark(run: StageRun[Params], chat: Any, device: Any) -> tuple[list[Row], dict[str, Any]]:
    """The rows of all arms, and what is to be said of their shots."""
    from stages.evaluation.many_shot import answering, benchmark, episodes
    from stages.lib.core import records
    from stages.lib.grading import grader
    from stages.lib.models.prompts import Prompt

    params = run.params
    prompt = Prompt.read(run.input_path("generator", "prompt.json"))
    sets = {name: records.read_problems(run.input_path("benchmarks", f"{name}.jsonl")) for name in ("verifier", "test")}
    pool = benchmark.select(sets["verifier"], params.pool, run.seed, "shot")
    queries = benchmark.select(sets["test"], params.queries, run.seed, "query")
    reader = make_reader(run, chat, device, prompt, params.max_new_tokens, None)
    own = {}
    if "reinforced" in params.arms:
        own = ask_own(run, reader, pool, prompt) if chat else choose_generated(run, pool)
    episode = benchmark.make_episode(pool, queries, params.arms, own, prompt, params.examples)
    problems = {problem.id: problem for problem in queries}

    def read(group: Group, query: Any, reply: Any) -> tuple[str | None, bool]:
        opened = [shot.question for shot in group.shots]
        text = episodes.remove_echo(reply.text, query.question, opened) if reply.is_finished else None
        grade = grader.grade(problems[query.id], [text], prompt.marked)[0]
        return grade.answer, grade.correct

    limits = (params.max_shots or params.pool, params.sets, params.orders, params.order_shots)
    groups = episodes.plan_groups(episode, *limits, run.seed)
    if params.max_shots is None and isinstance(reader, answering.FolderReader):
        groups = reader.drop_long(groups)
    rows = keep_rows(run, WORLD, groups, reader, read)
    return rows, {"leaks": episode.leaks, "shots": {arm: len(items) for arm, items in episode.pools.items()}}


def choose_generated(run: StageRun[Params], pool: Sequence[Problem]) -> dict[str, str]:
    """The generator's own right solutions, as stage samples drew them."""
    from stages.evaluation.many_shot import benchmark
    from stages.lib.core import records

    names = {problem.id for problem in pool}
    samples = records.read_samples(run.input_path("samples", "verifier.parquet"))
    return benchmark.choose_own(records.group_by_problem([x for x in samples if x.problem_id in names]), run.seed)


def ask_own(run: StageRun[Params], reader: Any, pool: Sequence[Problem], prompt: Prompt) -> dict[str, str]:
    """The chat's own right solutions, one asked a question, without shots."""
    from stages.evaluation.many_shot import benchmark, episodes
    from stages.lib.grading import grader

    episode: Episode = benchmark.make_episode(pool, pool, [], {}, prompt, 0)
    group = episodes.Group(episode, "gold", 0, 0, 0, [])
    own = {}
    for problem, reply in zip(pool, reader.ask([group])[0], strict=True):
        if reply.is_finished and grader.grade(problem, [reply.text], prompt.marked)[0].correct:
            own[problem.id] = reply.text
    return own


def make_reader(
    run: StageRun[Params], chat: Any, device: Any, prompt: Prompt, max_new_tokens: int, trained: tuple[Any, Any] | None
) -> FolderReader | ChatReader:
    """Who answers: the chat if there is one, the model that was trained here, else the folder."""
    from stages.evaluation.many_shot import answering
    from stages.lib.inference import engines, native_engine
    from stages.lib.models.encoding import Encoder

    if chat:
        return answering.ChatReader(chat, run.seed, run.name, run.params.turns)
    if trained:
        model, tokenizer = trained
        engine: Any = native_engine.NativeEngine(model.to(device), run.params.max_rows)
        return answering.FolderReader(Encoder(tokenizer, prompt), engine, max_new_tokens, f"{run.name}.numeric", True)
    folder = run.root / Path(run.params.model)
    engine = engines.make_engine("native", folder, run.params.max_rows, run.params.dtype, device)
    return answering.FolderReader(Encoder.load(folder, prompt), engine, max_new_tokens, run.name)


def main() -> None:
    run_stage("many_shot", Params, body)


if __name__ == "__main__":
    main()
