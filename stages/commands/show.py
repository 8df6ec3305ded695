"""`python -m stages show PROBLEM_ID`: one problem on the terminal, its solutions with step scores, and who wins."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stages.commands.best_of_n import parse_scales
from stages.lib.core.errors import UserError

if TYPE_CHECKING:
    from stages.lib.core.records import Problem
    from stages.lib.run.execution import StageRun

LOW, HIGH = 0.3, 0.7  # a step's score below is red, above green


def show(
    problem_id: Annotated[str, typer.Argument(help="Such as gradeschool/test/00010, of any scored set.")],
    verifier: Annotated[str | None, typer.Option(help="Whose step scores; default: prm, else the first.")] = None,
    most: Annotated[int, typer.Option(min=1, help="How many of its different solutions.")] = 8,
    pool: Annotated[Path | None, typer.Option(help="A JSONL file as best-of-n reads it, instead of this run.")] = None,
    scale: Annotated[
        list[str] | None, typer.Option(help="SCORE=probability, log-probability or logit, of --pool.")
    ] = None,
) -> None:
    """Show a problem: its answers with their votes, whom each method elects, and the solutions with a score at each step.

    The first wrong step is marked where a program knows the truth. Solutions with the best scores come first.
    """
    if scale and not pool:
        raise UserError("--scale: is of --pool; the scores of this run are known")
    problem, scores = describe_pool(pool, problem_id, scale) if pool else describe_run(Path.cwd(), problem_id)
    names = [score["id"] for score in scores]
    with_steps = [score["id"] for score in scores if score["steps"]]
    if verifier is not None and verifier not in names:
        raise UserError(f"--verifier {verifier}: there are {', '.join(names) or 'no scores'}")
    chosen = verifier or next(iter(x for x in ("prm", *with_steps, *names) if x in names), None)
    print_problem(problem)
    print_elections(problem, scores)
    print_solutions(problem, scores, chosen, most)


Described = tuple[dict[str, Any], list[dict[str, Any]]]  # a problem as the report's browser has it, and its scores


def describe_run(root: Path, problem_id: str) -> Described:
    """A problem of this run. Raises UserError for an id that no scored set has; it names near ones."""
    from stages.evaluation import report
    from stages.lib.core import records
    from stages.lib.datasets import eval_sets
    from stages.lib.models.prompts import Prompt
    from stages.lib.page import solutions
    from stages.lib.reports import pools
    from stages.lib.run.execution import StageRun

    run: StageRun[Any] = StageRun("show", None, 0, root, "", 0, 1)
    name, problem = find_problem(run, problem_id)
    samples = records.read_samples(run.input_path("samples", f"{name}.parquet"))
    samples = sorted((x for x in samples if x.problem_id == problem_id), key=lambda sample: sample.index)
    scores = records.read_scores(run.input_path("scores", f"{name}.parquet"))
    scores = [x for x in scores if x.problem_id == problem_id]
    (found,) = pools.from_records([problem], samples, scores)
    described = solutions.describe_scores(
        found, read_powers(root), sorted({x.verifier for x in scores if x.step_scores})
    )
    split = Prompt.read(run.input_path("generator", "prompt.json")).split_steps
    judgements = report.group_judgements(scores)
    own = report.describe_problem(problem, samples, judgements, split, found, described)
    return own | {"set": eval_sets.get_group_name(problem)}, described


def find_problem(run: StageRun[Any], problem_id: str) -> tuple[str, Problem]:
    """(the name of its set, the problem)."""
    from stages.lib.datasets import eval_sets

    ids: list[str] = []
    for name in eval_sets.SCORED:
        for problem in eval_sets.load_problems(run, name):
            if problem.id == problem_id:
                return name, problem
            ids.append(problem.id)
    raise UserError(explain_unknown(problem_id, ids, f"the sets {', '.join(eval_sets.SCORED)}"))


def explain_unknown(problem_id: str, ids: Sequence[str], place: str) -> str:
    """The sentence about an id that is not there, with up to three near ones: first those with equal numbers."""
    import difflib
    import re

    def normalize(text: str) -> str:
        return re.sub(r"(?<!\d)0+(?=\d)", "", text)

    near = [known for known in ids if normalize(known) == normalize(problem_id)]
    near += [known for known in ids if problem_id in known][:3] or difflib.get_close_matches(problem_id, ids, n=3)
    near = list(dict.fromkeys(near))[:3]
    hint = f"do you mean {' or '.join(near)}?" if near else f"the first is {ids[0]}" if ids else "there are none"
    return f"show {problem_id}: no such problem in {place}; {hint}"


def read_powers(root: Path) -> dict[str, float]:
    """The powers of the weighted votes that stage best_of_n chose on dev; {} before it ran."""
    try:
        metrics = json.loads((root / "data/best_of_n/results.json").read_text("utf-8"))
        return {name: setting["power"] for name, setting in metrics["chosen_on_dev"].items()}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def describe_pool(path: Path, problem_id: str, scale: list[str] | None) -> Described:
    """A problem of a JSONL file."""
    from stages.lib.core import records
    from stages.lib.page import pool_page, solutions
    from stages.lib.reports import pools

    found = {pool.problem_id: pool for pool in pools.read(path, parse_scales(scale or []))}
    if problem_id not in found:
        raise UserError(explain_unknown(problem_id, list(found), str(path)))
    rows = {row["problem_id"]: row for _, row in records.iter_jsonl(path)}
    with_steps = pool_page.list_step_scores([rows[problem_id]])
    scores = solutions.describe_scores(found[problem_id], {}, with_steps)
    return pool_page.describe_row(rows[problem_id], found[problem_id], scores) | {"set": path.name}, scores


def print_problem(problem: Mapping[str, Any]) -> None:
    from stages.lib.display import terminal

    terminal.print_notes([f"{problem['id']} ({problem['set']})", "", *problem["question"].splitlines(), ""], 0)
    if problem.get("gold"):
        terminal.print_notes(["Worked solution:", *(f"  {step}" for step in problem["gold"])], 4)
    terminal.print_notes([f"Right answer: {problem['answer']}", ""])


def print_elections(problem: Mapping[str, Any], scores: Sequence[Mapping[str, Any]]) -> None:
    """The answers with their votes, and the answers that each method elects."""
    from stages.lib.display import terminal

    groups, votes = problem["groups"], f"votes of {problem['n']}"
    rows = [[group["answer"], str(group["votes"]), format_right(group["right"])] for group in groups]
    if rest := problem["n"] - sum(group["votes"] for group in groups):
        rows.append(["(no answer)", str(rest), format_right(0)])
    terminal.print_table(["answer", votes, ""], rows, [votes], "Answers")

    def describe(method: str, places: Sequence[int], right: float) -> list[str]:
        return [method, list_answers(groups, places), format_right(right)]

    majority = problem["majority"]
    rows = [describe("majority", majority["winners"], majority["right"])]
    for score, election in zip(scores, problem["elections"], strict=True):
        label, power, best = score["label"], score["power"], election["best"]
        title = f"{label} weighted" + (f", to the power {power:g}" if power != 1 else "")
        rows.append(describe(title, election["winners"], election["right"]))
        places = sorted({row["group"] for row in problem["solutions"] if {*row["i"]} & {*best["winners"]}})
        rows.append(describe(f"{label} best-of-N", places, best["right"]))
    terminal.print_table(["method", "elects", ""], rows, title="Who wins")


def list_answers(groups: Sequence[Mapping[str, Any]], places: Sequence[int]) -> str:
    """The answers at these places; several are tied."""
    return " or ".join(groups[place]["answer"] for place in places if place >= 0) or "nothing"


def format_right(share: float) -> str:
    """share: the probability that it is right, between 0 and 1 where a tie decides."""
    return "right" if share == 1 else f"right with {100 * share:.0f} %" if share else "wrong"


def print_solutions(
    problem: Mapping[str, Any], scores: Sequence[Mapping[str, Any]], chosen: str | None, most: int
) -> None:
    """The solutions, the highest score of `chosen` first: their scores, then each step behind its own."""
    from stages.lib.display import terminal

    names, rows = [score["id"] for score in scores], problem["solutions"]
    place = str(names.index(chosen)) if chosen else ""
    if chosen:
        rows = sorted(rows, key=lambda row: -row["scores"][int(place)])
    for row in rows[:most]:
        copies = f" ({len(row['i'])} times)" if len(row["i"]) > 1 else ""
        answer = "no answer" if row["group"] < 0 else problem["groups"][row["group"]]["answer"]
        unfinished = "" if row.get("finished", 1) else ", cut off"
        terminal.print_notes([f"Solution {row['i'][0]}{copies}: {answer}, {format_right(row['right'])}{unfinished}"])
        terminal.print_notes([", ".join(f"{name} {x:.3g}" for name, x in zip(names, row["scores"], strict=True))])
        values = row.get("step_scores", {}).get(place, [])
        steps = [*row["steps"], *(["(end)"] if len(values) == len(row["steps"]) + 1 else [])]
        for i, step in enumerate(steps):
            mark = "  <- first wrong step" if i == row.get("first_error") else ""
            terminal.print_step(values[i] if i < len(values) else None, f"{step}{mark}", LOW, HIGH)
        print()
    if len(rows) > most:
        print(f"{len(rows) - most} more solutions; --most {len(rows)} shows all")
