"""Raw benchmark -> data/benchmarks/{train,verifier,dev,test}.jsonl.

Reads the procedural benchmark, files as published, or a pinned data set of the hub. Writes Problem records (`train` to
fine-tune the generator, `verifier` whose samples train the verifiers, `dev` to choose on, `test` to report) and
provenance.json, where every row read is accounted for: used, beyond the size asked for, or rejected with a reason.

    python -m stages.benchmarks
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from stages.benchmarks import (
    aime,
    bundled,
    codeforces,
    gpqa,
    gsm8k,
    hendrycks_math,
    hub,
    humaneval,
    mmlu,
    path,
    provenance,
    splits,
)
from stages.benchmarks.provenance import Place
from stages.benchmarks.rows import Reject, Table
from stages.lib import files, records
from stages.lib.execution import Execution, run
from stages.lib.params import Params as Section
from stages.lib.records import Problem, Source

ADAPTERS = {
    "gsm8k": gsm8k, "math": hendrycks_math, "aime": aime, "mmlu": mmlu, "gpqa": gpqa, "humaneval": humaneval,
    "codeforces": codeforces,
}  # fmt: skip

Rejects = dict[Place, str]
Share = Annotated[float, Field(ge=0, le=1)]
Paths = Annotated[list[str], BeforeValidator(lambda value: [value] if isinstance(value, str) else value)]


class Sizes(Section):
    """Problems of each split: exactly so many of `bundled`, at most so many otherwise; null keeps all."""

    train: int | None = Field(ge=0)
    verifier: int | None = Field(ge=0)
    dev: int | None = Field(ge=0)
    test: int | None = Field(ge=0)


class Shares(Section):
    """How the published train rows are shared out. `test` only where no test file is published."""

    train: Share = 0.0
    verifier: Share = 0.0
    dev: Share = 0.0
    test: Share = 0.0

    @model_validator(mode="after")
    def _whole(self) -> Shares:
        total = sum(self.model_dump().values())
        if abs(total - 1) > 1e-9:
            raise ValueError(f"must sum to 1 (train, verifier, dev, test), they sum to {total:.6g}")
        return self


class Bundled(Section):
    """Knobs of the procedural benchmark."""

    steps: Annotated[list[int], Field(min_length=2, max_length=2)]
    largest: int = Field(ge=20)
    inverse: float = Field(ge=0, le=1)


class Files(Section):
    """Published split -> file, folder, or a list of them."""

    train: Paths = []
    dev: Paths = []
    test: Paths = []


class HubSplits(Section):
    """Published split -> its name on the hub."""

    train: str | None = None
    dev: str | None = None
    test: str | None = None


class Hub(Section):
    repo: str = Field(pattern=r"^[\w.-]+/[\w.-]+$")
    config: str | None = None
    revision: str
    splits: HubSplits

    @model_validator(mode="after")
    def _pinned(self) -> Hub:
        if len(self.revision) != 40 or set(self.revision) - set("0123456789abcdef"):
            raise ValueError(
                f"revision must be a full commit id (40 hex digits), got {self.revision!r}, which can move; copy "
                f"it from https://huggingface.co/datasets/{self.repo}/commits/main"
            )
        return self


class Params(Section):
    name: Literal["gradeschool", "gsm8k", "math", "aime", "mmlu", "gpqa", "humaneval", "codeforces"]
    source: Literal["bundled", "path", "hub"]
    sizes: Sizes
    shares: Shares | None = None
    bundled: Bundled | None = None
    path: Files | None = None
    hub: Hub | None = None

    @model_validator(mode="after")
    def _agree(self) -> Params:
        if (self.name == "gradeschool") != (self.source == "bundled"):
            raise ValueError(f"name {self.name} can't have source {self.source}: gradeschool, and only it, is bundled")
        if getattr(self, self.source) is None:
            raise ValueError(f"source is {self.source}, so a key `{self.source}` must say what to read")
        if self.source == "bundled":
            if None in self.sizes.model_dump().values():
                raise ValueError("sizes must be numbers for source bundled, which has no end")
            return self
        given = self.published()
        if not given:
            raise ValueError(f"{self.source} names no split; give at least one of train, dev, test")
        if "train" in given and self.shares is None:
            raise ValueError("shares is missing: it says how the published train rows are shared out")
        if "test" in given and self.shares and self.shares.test:
            raise ValueError("shares.test must be 0 when a test split is given: the published test rows are the test")
        return self

    def published(self) -> dict[str, Any]:
        """Published split -> where it is, for the sources that read one."""
        chosen = self.path if self.source == "path" else self.hub.splits
        return {split: where for split, where in chosen.model_dump().items() if where}


def read(section: Params) -> list[Table]:
    """The published rows."""
    if section.source == "hub":
        return hub.tables(section.hub.repo, section.hub.config, section.hub.revision, section.published())
    adapter = ADAPTERS[section.name]
    return path.tables(section.published(), getattr(adapter, "HEADER", None))


def adapt(name: str, tables: Iterable[Table], seed: int) -> tuple[dict[str, Problem], dict[str, Place], Rejects]:
    """(id -> problem, id -> its row, rejected rows). Problem.split is still the published one: train, dev or test."""
    adapter = ADAPTERS[name]
    problems: dict[str, Problem] = {}
    places: dict[str, Place] = {}
    rejects: Rejects = {}
    for table in tables:
        source = Source(url=table.url, revision=table.revision, sha256=table.sha256)
        for row in table.rows:
            try:
                fields = adapter.problem(row, seed)
                item = f"{name}/{table.split}/{fields.pop('key', row.key)}"
                if item in problems:
                    raise Reject(f"id {item} stands already in {places[item][0]}:{places[item][1]}")
                given = {"benchmark": name, "split": table.split, "licence": adapter.LICENCE, "source": source}
                problems[item] = Problem.model_validate({"id": item} | given | fields)
                places[item] = (table.url, row.line)
            except Reject as reject:
                rejects[table.url, row.line] = str(reject)
            except ValidationError as error:
                rejects[table.url, row.line] = records.explain(error)
    return problems, places, rejects


def build(section: Params, seed: int) -> tuple[list[Problem], dict[str, Any]]:
    """(problems in their final splits, provenance)."""
    if section.source == "bundled":
        tables, rejects = [], {}
        problems = bundled.problems(section.sizes.model_dump(), seed, section.bundled.model_dump())
        if splits.separate(problems)[1]:
            raise AssertionError("the bundled splits are not apart")
    else:
        tables = read(section)
        published, places, rejects = adapt(section.name, tables, seed)
        apart, dropped = splits.separate(published.values())
        rejects |= {places[item]: reason for item, reason in dropped.items()}
        shared = splits.share_out(apart, section.shares.model_dump() if section.shares else {}, seed)
        problems = splits.limit(shared, section.sizes.model_dump(), seed)
    return problems, {
        "name": section.name,
        "source": section.source,
        "licences": sorted({problem.licence for problem in problems}),
        "files": provenance.account(tables, problems, rejects),
        "splits": {split: sum(problem.split == split for problem in problems) for split in splits.SPLITS},
        "twins": [[problem.id for problem in group] for group in splits.twins(problems)],
        "annotations": provenance.check_annotations(problems),
    }


def body(execution: Execution[Params]) -> dict[str, Any]:
    if not execution.is_main:
        return {}
    problems, account = build(execution.params, execution.seed)
    for split in splits.SPLITS:
        records.write_problems(execution.out / f"{split}.jsonl", [p for p in problems if p.split == split])
    files.write_json(execution.out / "provenance.json", account)
    rows = [entry["rows"] for entry in account["files"]]
    annotations = account["annotations"]
    return {
        "problems": account["splits"],
        "rows": {kind: sum(row[kind] for row in rows) for kind in ("in", "out", "rejected", "beyond_sizes")},
        "twins": len(account["twins"]),
        "annotations": {"checked": annotations["checked"], "faults": len(annotations["faults"])},
    }


def main() -> None:
    run("benchmarks", Params, body)


if __name__ == "__main__":
    main()
