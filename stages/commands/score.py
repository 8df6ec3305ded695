"""`python -m stages score POOL.jsonl --verifier DIR`: score a pool of one's own with any verifier."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stages.commands.best_of_n import parse_scales
from stages.commands.processbench import (
    BATCH_SIZE,
    BatchOption,
    DeviceOption,
    DtypeOption,
    RevisionOption,
    TagOption,
)
from stages.lib.core.errors import UserError

if TYPE_CHECKING:
    from stages.lib.core.records import Score
    from stages.lib.verifiers.published_models import PublicPRM
    from stages.lib.verifiers.registry import TrainedVerifier

Row = dict[str, Any]
WINDOW = 32  # problems that are scored together, and that a killed run loses at most


def score(
    pool: Annotated[Path, typer.Argument(help="JSONL as best-of-n reads it; rows have `question`, samples `text`.")],
    verifier: Annotated[
        str, typer.Option("--verifier", "--model", help="Folder of a verifier, or with --revision a hub repository.")
    ] = "data/prm/model",
    out: Annotated[Path | None, typer.Option(help="The new file; default: POOL.scored.jsonl beside POOL.")] = None,
    name: Annotated[str | None, typer.Option(help="Name of the score; default: that of the verifier.")] = None,
    revision: RevisionOption = None,
    form: Annotated[
        str, typer.Option(help="assay (trained here), classes, words, separator, reward (lib/verifiers).")
    ] = "assay",
    tag: TagOption = None,
    dtype: DtypeOption = "auto",
    device: DeviceOption = "auto",
    batch: BatchOption = BATCH_SIZE,
    scale: Annotated[
        list[str] | None, typer.Option(help="SCORE=probability, log-probability or logit, of scores that are there.")
    ] = None,
) -> None:
    """Score every solution of a pool with a verifier, trained here or published; best-of-n and report read the result.

    A score is the probability that the solution is right. A process verifier adds the scores of the steps. The pool is
    checked before anything is scored; a killed run continues where it was.
    """
    from stages.lib.core import files
    from stages.lib.reports import pools
    from stages.lib.run.progress import Progress
    from stages.lib.verifiers import registry

    out = out or pool.with_name(f"{pool.stem}.scored.jsonl")
    files.check_output("--out", out, inputs=[pool])
    if out.exists():
        raise UserError(f"--out {out}: exists already; name a new file")
    scales = parse_scales(scale or [])
    pools.read(pool, scales)
    rows = read_rows(pool)
    judge = registry.load_any(verifier, revision, form, tag, dtype, device, batch)
    name = name or judge.name
    check_name(name, rows[0], pool)
    settings = [name, form, tag, str(judge.model.dtype), revision or registry.compute_fingerprint(Path(verifier))]
    unfinished = find_unfinished(pool, settings)
    scored = resume(unfinished, rows)
    progress = Progress("score")
    with progress.report(), open(unfinished, "ab") as file:
        for row in progress.track(score_rows(judge, rows[scored:], name, scales), len(rows) - scored, "problems"):
            file.write(encode_row(row))
            file.flush()
    with files.atomic_write(out) as temporary:
        temporary.write_bytes(unfinished.read_bytes())
    unfinished.unlink()
    count = sum(len(row["samples"]) for row in rows)
    print(f"{out}: score {name!r} of {count} solutions of {len(rows)} problems")
    print(f"next: python -m stages best-of-n {out} --out DIR, or report --pool {out} --out PAGE.html")


def read_rows(pool: Path) -> list[Row]:
    """The rows of a pool that `pools.read` accepts. Raises UserError for one without question or texts."""
    from stages.lib.core.records import iter_jsonl

    rows = []
    for number, row in iter_jsonl(pool):
        if not row.get("question", "").strip():
            raise UserError(f"{pool}:{number}: question is missing; a verifier reads it before the solutions")
        for index, sample in enumerate(row["samples"]):
            if "text" not in sample:
                raise UserError(f"{pool}:{number}: sample {index}: text is missing; a verifier reads the solution")
        rows.append(row)
    return rows


def check_name(name: str, row: Row, pool: Path) -> None:
    """Raises UserError for a name that a score of the pool has, or that is none."""
    if not name.strip() or not name.isprintable():
        raise UserError(f"--name {name!r}: must be one line of printable characters")
    if name in row["samples"][0].get("scores", {}):
        raise UserError(f"{pool}: has a score {name!r} already; give the new one another --name")


def find_unfinished(pool: Path, settings: Sequence[str | None]) -> Path:
    """Where the rows scored so far are kept: by the pool's bytes and by what the scores depend on."""
    import hashlib
    import json

    from stages.lib.core import files

    key = hashlib.sha256(json.dumps([files.sha256(pool), settings]).encode()).hexdigest()[:16]
    path = Path(f".checkpoints/score-{key}.jsonl")
    path.parent.mkdir(exist_ok=True)
    return path


def resume(unfinished: Path, rows: Sequence[Row]) -> int:
    """How many rows an earlier run scored; a line that a kill cut off is removed."""
    import json
    import os

    if not unfinished.exists():
        return 0
    lines = unfinished.read_bytes().split(b"\n")[:-1]
    os.truncate(unfinished, sum(len(line) + 1 for line in lines))
    ids = [json.loads(line)["problem_id"] for line in lines]
    if ids != [row["problem_id"] for row in rows[: len(ids)]]:
        raise UserError(f"{unfinished}: is not of this pool; remove it")
    return len(ids)


def encode_row(row: Row) -> bytes:
    import json

    return json.dumps(row, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"


def score_rows(
    verifier: TrainedVerifier | PublicPRM, rows: Sequence[Row], name: str, scales: Mapping[str, str]
) -> Iterator[Row]:
    """The rows with the score `name` of every sample, in their order; 0 for a solution longer than the model reads.

    scales: of scores whose rows do not state it."""
    import torch

    from stages.lib.verifiers.base import make_pool
    from stages.lib.verifiers.published_models import PublicPRM
    from stages.lib.verifiers.registry import count_tokens

    context, too_long = verifier.model.config.max_position_embeddings, 0
    for start in range(0, len(rows), WINDOW):
        window, pools = rows[start : start + WINDOW], []
        for row in window:
            texts = [sample["text"] for sample in row["samples"]]
            problem, samples = make_pool(row["problem_id"], row["question"], texts, row.get("answer_type", "latex"))
            if not isinstance(verifier, PublicPRM):  # those look themselves
                samples = [sample for sample in samples if count_tokens(verifier, problem, sample) <= context]
            too_long += len(texts) - len(samples)
            pools += [(problem, samples)] if samples else []
        try:
            scores = {(x.problem_id, x.index): x for some in verifier.score_many(pools) for x in some}
        except torch.OutOfMemoryError:
            raise UserError(
                "score: the accelerator has too little memory; lower --batch, or --dtype bfloat16"
            ) from None
        for row in window:
            by_sample = [scores.get((row["problem_id"], index)) for index in range(len(row["samples"]))]
            yield add_scores(row, by_sample, name, scales)
    if too_long:
        print(f"score: {too_long} solutions are longer than the model reads; their score is 0", file=sys.stderr)


def add_scores(row: Row, scores: Sequence[Score | None], name: str, scales: Mapping[str, str]) -> Row:
    """The row with one more score for each sample. None: the solution could not be read."""
    samples = []
    for sample, score in zip(row["samples"], scores, strict=True):
        added = {"scores": {**sample.get("scores", {}), name: score.score if score else 0.0}}
        if score and score.step_scores:
            added["step_scores"] = {**sample.get("step_scores", {}), name: score.step_scores}
        samples.append(sample | added)
    return row | {"scales": {**scales, **row.get("scales", {}), name: "probability"}, "samples": samples}
