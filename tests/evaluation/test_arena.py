"""Stage arena: players, battles and judges whose worth is known; then the whole stage on tiny models."""

import csv
import json
import re
import shutil
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from stages.evaluation.arena import __main__ as stage
from stages.evaluation.arena import players, tournament
from stages.evaluation.arena.players import Entry
from stages.lib.arena import templates
from stages.lib.core import records
from stages.lib.core.errors import UserError
from tests.helpers import chat_server, tiny_models

PROBLEMS = [tiny_models.make_problem(i, "test").model_copy(update={"id": f"sums/test/{i}"}) for i in range(40)]
SKILL = {"poor": 8, "fair": 16, "good": 32}  # right on so many of 40


def make_entries(score):
    """player -> problem id -> entry. score: (is right, number of a problem) -> what the verifier says."""
    entries = {}
    for place, (player, skill) in enumerate(SKILL.items()):
        own = {}
        for i, problem in enumerate(PROBLEMS):
            right = (i * 7) % 40 < skill
            sample = tiny_models.make_sample(problem, place, right, "stop").model_copy(
                update={"text": f"{player} {i}", "correct": right, "tokens": 5 + (i * (place + 1)) % 4}
            )
            own[problem.id] = Entry(sample, {"orm": score(right, i)})
        entries[player] = own
    return entries


def play(judge, score=lambda right, i: float(right), name="orm"):
    entries = make_entries(score)
    pairs = tournament.draw_pairs(PROBLEMS, entries, 3, 1)
    rates = tournament.compute_solve_rates(entries)
    return pairs, tournament.evaluate(pairs, tournament.ask(name, judge, pairs), rates, 1, 100)


def test_a_perfect_judge_ranks_as_the_truth_does():
    pairs, outcome = play(tournament.make_score_judge("orm", 0.1))
    assert len(pairs) == 120 and outcome.figures["accuracy"] == 1.0 == outcome.figures["kappa"]
    assert outcome.figures["consistency"] == 1.0 and outcome.figures["invalid"] == 0.0
    assert outcome.spearman == 1.0 and [row["player"] for row in outcome.ranking.rows] == ["good", "fair", "poor"]
    _, truth = play(tournament.judge_truth)
    assert truth.figures["accuracy"] == 1.0 and truth.ranking.rows == outcome.ranking.rows
    assert truth.ranking.rows[0]["solve_rate"] == 0.8


def test_a_judge_that_is_always_wrong():
    _, outcome = play(tournament.make_score_judge("orm", 0.1), lambda right, i: 1.0 - right)
    assert outcome.figures["accuracy"] == 0.0 and outcome.spearman == -1.0


def test_a_judge_of_noise_and_a_coin():
    _, noise = play(tournament.make_score_judge("orm", 2.0))
    assert noise.figures["accuracy"] == 0.5 and noise.spearman is None, "all ties"
    _, coin = play(tournament.make_random_judge(1))
    assert 0.35 < coin.figures["accuracy"] < 0.65 and 0.3 < coin.figures["consistency"] < 0.7
    assert 0.4 < coin.figures["first"] < 0.6


def test_a_judge_of_length_and_one_that_takes_the_first():
    _, longer = play(tournament.judge_length)
    assert longer.figures["length"] == 1.0 and longer.figures["consistency"] == 1.0
    _, first = play(lambda pair, is_swapped: 1)
    assert first.figures["first"] == 1.0 and first.figures["consistency"] == 0.0 and first.spearman is None
    assert {row["ties"] for row in first.ranking.rows} == {80}
    _, mute = play(lambda pair, is_swapped: None)
    assert mute.figures["invalid"] == 1.0 and not mute.ranking.rows and mute.figures["accuracy"] is None


def test_pairs_do_not_depend_on_the_order_of_problems():
    entries = make_entries(lambda right, i: 0.5)
    pairs, other = (tournament.draw_pairs(some, entries, 2, 1) for some in (PROBLEMS, PROBLEMS[::-1]))
    assert {(x.problem.id, x.a, x.b) for x in pairs} == {(x.problem.id, x.a, x.b) for x in other} and len(pairs) == 80
    fewer = tournament.draw_pairs(PROBLEMS, entries, 1, 1)
    assert {(x.problem.id, x.a, x.b) for x in fewer} < {(x.problem.id, x.a, x.b) for x in pairs}
    assert 0.3 < sum(x.a < x.b for x in pairs) / 80 < 0.7, "nobody is always shown first"


def test_one_solution_of_two_players_is_not_asked():
    entries = make_entries(lambda right, i: float(right))
    entries["twin"] = entries["good"]
    pairs = tournament.draw_pairs(PROBLEMS, entries, 6, 1)
    said = tournament.ask("orm", tournament.make_score_judge("orm", 0.1), pairs)
    assert tournament.count_identical(pairs) == 40 and len(said) == 2 * (len(pairs) - 40)
    outcome = tournament.evaluate(pairs, said, tournament.compute_solve_rates(entries), 1, 100)
    ratings = {row["player"]: row["rating"] for row in outcome.ranking.rows}
    assert ratings["twin"] == pytest.approx(ratings["good"]) and outcome.figures["pairs"] == 200


def test_policies():
    problem = PROBLEMS[0]
    samples = [tiny_models.make_sample(problem, i, False, "stop") for i in range(4)]
    answers = ["7", "8", "8.0", None]
    pool = [
        Entry(sample.model_copy(update={"answer": answer}), {"orm": score})
        for sample, answer, score in zip(samples, answers, (0.1, 0.2, 0.9, 0.9), strict=True)
    ]
    chosen = {name: players.choose(name, problem, pool).sample.index for name in ("sampled", "majority", "best_orm")}
    assert chosen == {"sampled": 0, "majority": 1, "best_orm": 2}
    assert players.choose("majority", problem, pool[3:]) == pool[3]


def test_the_margin_is_chosen_on_dev():
    assert tournament.choose_margin([], "orm") == 0.0
    entries = make_entries(lambda right, i: float(right) + 0.01 * (i % 3))
    dev = [[own[problem.id] for own in entries.values()] for problem in PROBLEMS]
    assert tournament.choose_margin(dev, "orm") < 0.5


def test_a_verdict_is_a_number():
    at = {"problem_id": "p", "judge": "j", "first": "a", "second": "b"}
    for value in (True, 3, "1", 1.0):  # PandaLM's files have booleans
        with pytest.raises(ValueError, match="verdict"):
            records.Verdict(**at, verdict=value)


def test_verdicts_come_back_from_their_file(tmp_path):
    at = {"problem_id": "p", "judge": "j", "first": "a"}
    rows = [records.Verdict(**at, second=x, verdict=v, raw=r) for x, v, r in (("c", None, "?"), ("b", 2, None))]
    records.write_verdicts(tmp_path / "v.parquet", rows)
    assert records.read_verdicts(tmp_path / "v.parquet") == rows[::-1]
    with pytest.raises(ValueError, match="two rows with the key"):
        records.write_verdicts(tmp_path / "v.parquet", [rows[0]] * 2)


SETTINGS = {
    "problems": {"test": 6, "ood": 1},
    "pool": 3,
    "policies": ["sampled", "majority", "best_orm"],
    "drawn": {"greedy": {"model": "generator", "temperature": 0.0}, "base": {"model": "base", "temperature": 1.0}},
    "judges": ["orm"],
    "battles_per_problem": 10,
    "rounds": 100,
    "max_new_tokens": 8,
    "max_rows": 16,
    "dtype": "float32",
    "agent": {"kind": "rules"},
    "template": str(templates.FOLDER / "battle.yaml"),
}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"policies": ["best_prm"]}, "chooses by a verifier that is none of the judges"),
        ({"policies": [], "drawn": {}}, "two players at least"),
        ({"judges": ["orm", "orm"]}, "must differ"),
        ({"drawn": {"sampled": {"model": "base", "temperature": 1.0}}}, "none of the policies"),
        ({"problems": {"aime": 3}}, "test"),
        ({"drawn": {"a": {"model": "orm", "temperature": 1.0}}}, "r_tuning"),
        ({"drawn": {"a": {"model": "epoch_2", "temperature": 1.0}}}, "the path of a model folder, such as ./epoch_2"),
        ({"template": "battle"}, "template"),
    ],
)
def test_settings_that_mean_nothing(change, reason):
    with pytest.raises(ValueError, match=reason):
        stage.Params(**SETTINGS | change)


@pytest.fixture
def root(tmp_path):
    from stages.generators.base.tokenizer import build_tokenizer
    from stages.lib.models import loading
    from stages.lib.models.encoding import Encoder
    from stages.lib.models.prompts import Prompt
    from stages.lib.verifiers.outcome import OutcomeVerifier

    tokenizer = build_tokenizer()
    base = tiny_models.make_model("qwen2", len(tokenizer), seed=2)
    for name in ("base", "generator"):
        loading.save(base, tokenizer, tmp_path / f"data/{name}/model")
    Prompt().write(tmp_path / "data/generator/prompt.json")
    orm = OutcomeVerifier("orm", base, Encoder(tokenizer), "bce")
    orm.init_head_from_tokens("Right", "Wrong")
    orm.save(tmp_path / "data/orm/model")
    for split in ("dev", "test", "ood"):
        some = [x.model_copy(update={"id": f"sums/{split}/{i}"}) for i, x in enumerate(PROBLEMS[:6])]
        pool = [tiny_models.make_sample(x, i, (i + j) % 3 == 0, "stop") for j, x in enumerate(some) for i in range(4)]
        rows = [
            records.Score(problem_id=x.problem_id, index=x.index, verifier="orm", score=0.2 + 0.6 * bool(x.correct))
            for x in pool
        ]
        records.write_samples(tmp_path / f"data/samples/{split}.parquet", pool)
        records.write_scores(tmp_path / f"data/scores/{split}.parquet", rows)
        folder = "ood/test.jsonl" if split == "ood" else f"benchmarks/{split}.jsonl"
        records.write_problems(tmp_path / "data" / folder, some)
    return tmp_path


def run(root, **changes):
    return stage.body(tiny_models.make_run(root, "arena", stage.Params(**SETTINGS | changes)))


def test_the_whole_stage(root):
    metrics = run(root)
    out = root / "data/arena"
    rows = list(csv.DictReader((out / "ratings.csv").open()))
    assert {row["set"] for row in rows} == {"test", "ood"} and {row["judge"] for row in rows} == {
        *("truth", "orm", "length", "random")
    }
    assert {row["player"] for row in rows} == {"sampled", "majority", "best_orm", "greedy", "base"}
    figures = json.loads((out / "judges.json").read_text())
    assert figures["test"]["truth"]["accuracy"] == 1.0 and figures["test"]["orm"]["margin"] >= 0
    verdicts = records.read_verdicts(out / "verdicts.parquet")
    assert {verdict.judge for verdict in verdicts} == {"truth", "orm", "length", "random"}
    assert "Judges in distribution" in (out / "report.md").read_text() and (out / "ratings.png").stat().st_size > 5000
    assert {*metrics["accuracy"]} == {"test", "ood"} and metrics["battles"] > 0
    before = {path.name: path.read_bytes() for path in out.iterdir() if path.is_file()}
    (root / ".checkpoints").rename(root / "before")
    run(root)
    assert {path.name: path.read_bytes() for path in out.iterdir() if path.is_file()} == before


def test_models_that_preference_and_honesty_made_are_players(root):
    for name, model in (("preference", "model"), ("honesty", "models/r_tuning"), ("honesty", "models/certain")):
        shutil.copytree(root / "data/generator/model", root / "data" / name / model)
    models = ("generator", "preference", "r_tuning", "certain")
    drawn = {model: {"model": model, "temperature": 0.0} for model in models}
    run(root, drawn=drawn, policies=[], problems={"test": 3})
    rows = [row for row in csv.DictReader((root / "data/arena/ratings.csv").open()) if row["judge"] == "truth"]
    assert {row["player"] for row in rows} == {*models} and {float(row["ties"]) for row in rows} == {9.0}
    assert len({(row["rating"], row["solve_rate"]) for row in rows}) == 1, "one and the same model"
    deps = YAML(typ="safe").load(Path("dvc.yaml").read_text())["stages"]["arena"]["deps"]
    folders = {"/".join(("data", *parts)) for parts in players.MODELS.values()}
    assert all(any(x.startswith(dep) for dep in deps if dep.startswith("data/")) for x in folders)
    assert "${arena.template}" in deps


def test_epochs_of_the_generator_and_any_other_folder_are_players(root):
    shutil.copytree(root / "data/generator/model", root / "snapshots/epoch_1")
    folders = {"first": "snapshots/epoch_1", "same": str(root / "snapshots/epoch_1"), "last": "generator"}
    drawn = {name: {"model": model, "temperature": 0.0} for name, model in folders.items()}
    run(root, drawn=drawn, policies=[], problems={"test": 3})
    rows = [row for row in csv.DictReader((root / "data/arena/ratings.csv").open()) if row["judge"] == "truth"]
    assert {row["player"] for row in rows} == {*folders} and len({row["solve_rate"] for row in rows}) == 1
    for model, reason in (
        ("snapshots/epoch_2", "arena.drawn: snapshots/epoch_2: not a folder"),
        ("data/orm", "data/orm"),
    ):
        with pytest.raises(UserError, match=reason):
            run(root, drawn={"absent": {"model": model, "temperature": 0.0}})


def test_a_chat_model_judges_in_both_orders(root):
    with chat_server.serve("It is better.\nFirst") as server:
        agent = {"kind": "openai", "settings": {"model": "m", "base_url": server.url, "key_env": None}}
        run(root, agent=agent, problems={"test": 3})
        count = len(server.requests)
        run(root, agent=agent, problems={"test": 3})
        assert len(server.requests) == count > 0, "answers are cached"
        assert re.search(r"\[First solution\]", server.requests[0]["messages"][-1]["content"])
    assert {(body["temperature"], body["max_tokens"]) for body in server.requests} == {(0.0, 1500)}
    report = (root / "data/arena/report.md").read_text()
    assert "temperature 0 for 1,500 tokens" in report
    assert f"Chat model: {count} requests, {10 * count:,} tokens read, of which the server had 0 cached" in report
    figures = json.loads((root / "data/arena/judges.json").read_text())["test"]["agent"]
    assert figures["first"] == 1.0 and figures["consistency"] == 0.0 and figures["agreement"] is not None
    said = [x for x in records.read_verdicts(root / "data/arena/verdicts.parquet") if x.judge == "agent"]
    assert {x.verdict for x in said} == {1} and said[0].raw == "It is better.\nFirst"


def test_what_the_user_has_to_mend(root):
    with pytest.raises(UserError, match="fact.yaml is not pairwise"):
        run(root, agent={"kind": "hf"}, template=str(templates.FOLDER / "fact.yaml"))
    with pytest.raises(UserError, match="absent.yaml'?: not found"):
        run(root, agent={"kind": "hf"}, template="absent.yaml")
    drawn = {"taught": {"model": "preference", "temperature": 0.0}}
    with pytest.raises(UserError, match="data/preference/model: not found; run `dvc repro preference`"):
        run(root, drawn=drawn)
    records.write_scores(root / "data/scores/test.parquet", [])
    with pytest.raises(UserError, match="data/scores/test.parquet has no scores of orm"):
        run(root)
