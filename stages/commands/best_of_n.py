"""`python -m stages best-of-n POOL.jsonl --out DIR`: evaluate a pool that this project did not make."""

from pathlib import Path
from typing import Annotated

import typer


def best_of_n(
    pool: Annotated[Path, typer.Argument(help='JSONL: {"problem_id", "gold", "answer_type"?, "samples": [{"answer" or '
                                              '"text", "correct"? (needed for code), "scores": {name: number}}]}')],
    out: Annotated[Path, typer.Option(help="folder for metrics.json, table.md, curve.csv, curve.png")],
    power: Annotated[float, typer.Option(min=0, help="weight of a vote = score ** power")] = 1.0,
    top_share: Annotated[float, typer.Option(min=0, max=1, help="share of k that a top vote keeps")] = 0.25,
    draws: Annotated[int, typer.Option(min=2, help="random subsets where there is no closed form")] = 200,
    resamples: Annotated[int, typer.Option(min=100, help="bootstrap resamples of the problems")] = 2000,
    seed: Annotated[int, typer.Option(help="for subsets and resamples")] = 42,
) -> None:  # fmt: skip
    """Accuracy of every selection method at every k up to N, with intervals, from one pool of solutions."""
    from stages.lib import charts, curves, files, pools, standings

    read = pools.read(pool)
    choices = {name: curves.Choice(power, top_share) for name in read[0].scores}
    found = curves.evaluate(read, choices, draws, seed)
    results = curves.intervals(found, seed, resamples)
    rows = standings.rows(results, standings.against("majority", found, seed), standings.order(found))
    title = f"{pool.stem}: {len(read)} problems, N = {max(results['majority'])}"
    notes = standings.notes(choices, curves.scales(read), standings.turning(found, found, seed))
    sizes = {len(each.classes) for each in read}
    if len(sizes) > 1:
        notes += f"- Problems have {min(sizes)} to {max(sizes)} samples; curves end at {min(sizes)}.\n"
    if choices:
        notes += "- k* was found on these same problems, so the fall from it is an overestimate.\n"
    files.write_json(out / "metrics.json", results)
    files.write_text(out / "table.md", f"{title}\n\n{charts.markdown(standings.HEADER, rows)}\n{notes}")
    charts.csv(out / "curve.csv", results)
    charts.draw(out / "curve.png", results, standings.lines(results), title)
    charts.show(title, standings.HEADER, rows)
    print(notes)
