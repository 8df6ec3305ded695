"""What the rounds found and taught, as files: slices.jsonl, plan.json, train.jsonl, history.csv."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stages.generators.adaptation.arms import ARMS, Lesson
from stages.lib.adaptation import confirmation, proposal
from stages.lib.core import files
from stages.lib.training.fine_tuning import join_histories


def write(
    folder: Path,
    slices: Sequence[Mapping[str, Any]],
    rounds: Sequence[Mapping[str, Any]],
    lessons: Sequence[Mapping[str, Lesson]],
    originals: Mapping[str, str],
    histories: Mapping[str, str],
) -> None:
    """slices: rows of `describe_slices`. rounds: what is said of each in results.json. lessons: of each that trained.
    originals: id -> question of a problem before a paraphraser reworded it."""
    rows = [{key: value for key, value in row.items() if key != "terms"} for row in slices]
    files.write_text(folder / "slices.jsonl", format_rows(rows))
    plans = {
        each["round"]: {key: each[key] for key in ("plan", "overlaps", "levels")} for each in rounds if "plan" in each
    }
    files.write_json(folder / "plan.json", plans)
    files.write_text(folder / "train.jsonl", format_rows(list_taught(lessons, originals)))
    columns = {name.replace("-", "_"): text for name, text in histories.items()} or {f"{arm}_1": "" for arm in ARMS}
    files.write_text(folder / "history.csv", join_histories(columns))


def list_taught(lessons: Sequence[Mapping[str, Lesson]], originals: Mapping[str, str]) -> list[dict[str, Any]]:
    """Every problem that an arm learned in a round, with these arms, and with its original question if it was reworded."""
    taught: dict[tuple[int, str], dict[str, Any]] = {}
    for number, own in enumerate(lessons, 1):
        for arm, lesson in own.items():
            for problem in {problem.id: problem for problem in lesson.problems}.values():
                fields = problem.model_dump(exclude_none=True)
                if problem.id in originals:
                    fields["original"] = originals[problem.id]
                taught.setdefault((number, problem.id), {"round": number, "arms": [], **fields})["arms"].append(arm)
    return [taught[key] for key in sorted(taught)]


def format_rows(rows: Sequence[Mapping[str, Any]]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def describe_slices(
    number: int, candidates: Sequence[proposal.Candidate], confirmed: Sequence[confirmation.Confirmation]
) -> list[dict[str, Any]]:
    """The rows of slices.jsonl: every slice that was tested, the weakest first."""
    by_slice = {each.slice: each for each in confirmed}
    rows = []
    for each in candidates:
        fresh = by_slice.get(each.slice)
        row: dict[str, Any] = {
            "round": number,
            "slice": each.slice.name,
            "terms": each.slice.terms,
            "n": each.problems,
            "acc": each.accuracy,
            "rest": each.rest,
            "gap_probe": each.gap,
            "p": each.p,
            "q": each.q,
            "proposed": fresh is not None,
            "confirmed": fresh is not None and fresh.is_confirmed,
        }
        if fresh is not None:
            row |= {
                "n_confirm": fresh.problems,
                "acc_confirm": fresh.accuracy,
                "gap_confirm": fresh.gap,
                "ci": [fresh.low, fresh.high],
                "p_confirm": fresh.p,
                "p_holm": fresh.p_holm,
                "parent": fresh.implied.name if fresh.implied else None,
            }
        rows.append(row)
    return rows


def describe_lesson(lesson: Lesson) -> dict[str, Any]:
    kinds = [item.kind for item in lesson.new]
    return {
        "new": len(lesson.new),
        "replay": len(lesson.replay),
        "tokens": lesson.tokens,
        "kinds": {kind: kinds.count(kind) for kind in sorted(set(kinds))},
    }
