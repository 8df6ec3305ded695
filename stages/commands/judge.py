"""`python -m stages judge ROWS.jsonl --template NAME`: let a model grade texts by a template, or measure their overlap."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stages.lib.core.errors import UserError

if TYPE_CHECKING:
    from stages.lib.chat import Chat


def judge(
    file: Annotated[
        Path, typer.Argument(help="JSONL; a row has the template's fields (overlap: answer and reference).")
    ],
    out: Annotated[Path, typer.Option(help="File for the rows with their grades.")],
    template: Annotated[
        str, typer.Option(help="fact, closed_question, rubric, battle, a YAML file, or overlap: ROUGE, BLEU and chrF.")
    ],
    model: Annotated[
        str | None, typer.Option(help="Name of the server's model, or a model folder without --url.")
    ] = None,
    url: Annotated[str | None, typer.Option(help="Address of an OpenAI-compatible server, ending in /v1.")] = None,
    key_env: Annotated[str | None, typer.Option(help="Environment variable with the server's key.")] = None,
    max_tokens: Annotated[int, typer.Option(min=1, help="Tokens of an answer at most.")] = 1000,
    repeats: Annotated[int, typer.Option(min=1, max=100, help="Times that a pairwise template is asked.")] = 1,
) -> None:
    """Add a grade to every row; print mean, share of answers that could not be read, which have no grade, and the cost.

    A pairwise template is asked in both orders: a row gets `verdict`, and a tie where the orders disagree. With --repeats
    the first time counts, and `stability` says how often a verdict is the most frequent one of its pair.
    """
    from stages.lib.core import files
    from stages.lib.core.records import iter_jsonl

    files.check_output("--out", out, inputs=[file])
    if template != "overlap" and model is None:
        raise UserError("--model: missing; name the server's model, or a folder (only the template overlap needs none)")
    numbered = list(iter_jsonl(file))
    if not numbered:
        raise UserError(f"{file}: no rows to grade")
    rows = [row for _, row in numbered]
    if template == "overlap":
        check_fields(file, numbered, ["answer", "reference"])
        graded, summary = measure_overlap(rows)
    else:
        from stages.lib.arena import templates
        from stages.lib.chat import describe_cost

        chosen = templates.load(template)
        check_fields(file, numbered, chosen.fields)
        chat = create_chat(str(model), url, key_env, max_tokens)
        graded, summary = grade_rows(chosen, rows, chat, repeats)
        summary += "\n" + describe_cost(str(model), chat.summarize())
    files.write_text(out, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in graded))
    print(summary, file=sys.stderr)


def check_fields(file: Path, rows: list[tuple[int, dict[str, Any]]], fields: list[str]) -> None:
    """Raises UserError `file:line: reason` for a row that lacks a field."""
    for number, row in rows:
        for field in fields:
            if not isinstance(row.get(field), str | int | float):
                raise UserError(f"{file}:{number}: `{field}` must be a text, got {row.get(field)!r:.60}")


def create_chat(model: str, url: str | None, key_env: str | None, max_tokens: int) -> Chat:
    from stages.lib import chat

    cache = Path(".assay/chat")
    if url is None:
        return chat.create("hf", cache, model=model, max_tokens=max_tokens)
    settings = {"model": model, "base_url": url, "key_env": key_env, "max_tokens": max_tokens}
    return chat.create("openai", cache, temperature=0.0, **settings)


def grade_rows(template: Any, rows: list[dict[str, Any]], chat: Chat, repeats: int) -> tuple[list[dict[str, Any]], str]:
    """(rows with their grades, one sentence)."""
    from stages.lib.arena import judges, templates

    if not template.pairwise:
        grades = templates.grade(template, rows, chat, "judge")
        scores = [grade.score for grade in grades if grade.score is not None]
        mean = f"mean score {sum(scores) / len(scores):.3f}" if scores else "no score"
        graded = [
            {**row, "choice": x.choice, "score": x.score, "raw": x.raw} for row, x in zip(rows, grades, strict=True)
        ]
        return graded, f"{len(rows)} rows: {mean}, {len(rows) - len(scores)} answers could not be read"
    asked = [templates.judge_pairs(template, rows, chat, f"judge {i}" if i else "judge") for i in range(repeats)]
    forward, backward, raw = asked[0]
    final = [judges.merge_orders(*both) for both in zip(forward, backward, strict=True)]
    lengths = [judges.compare_scores(len(str(row["first"])), len(str(row["second"]))) for row in rows]
    habits = judges.measure_habits(forward, backward, lengths)
    if repeats > 1:
        habits["stability"] = judges.measure_stability([first + second for first, second, _ in asked])
    said = ", ".join(f"{name} {value:.1%}" for name, value in habits.items() if value is not None)
    graded = [
        {**row, "verdict": final[i], "orders": [forward[i], backward[i]], "raw": [raw[i], raw[len(rows) + i]]}
        for i, row in enumerate(rows)
    ]
    counts = ", ".join(f"{name} {final.count(value)}" for name, value in (("first", 1), ("second", 2), ("tie", 0)))
    return graded, f"{len(rows)} pairs: {counts}, no verdict {final.count(None)}; {said}"


def measure_overlap(rows: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], str]:
    from stages.lib.arena import text_overlap

    texts, references = ([str(row[key]) for row in rows] for key in ("answer", "reference"))
    graded = [
        {**row, **text_overlap.compare(text, reference)}
        for row, text, reference in zip(rows, texts, references, strict=True)
    ]
    totals = text_overlap.summarize(texts, references)
    return graded, f"{len(rows)} rows: " + ", ".join(f"{name} {value:.3f}" for name, value in totals.items())
