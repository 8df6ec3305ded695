"""Stage benchmarks: published problems as records, in four splits without shared questions.

Reads the procedural benchmark, published files, or a pinned data set of the Hugging Face hub. Writes
data/benchmarks/{train,verifier,dev,test}.jsonl (`train` to fine-tune the generator, `verifier` to sample solutions that
train the verifiers, `dev` to choose on, `test` to report) and provenance.json, which accounts for every row: used, beyond
the requested size, or rejected with a reason. A file without a usable row stops the stage. Warnings on standard error
name files with many rejects and splits that are empty.

    python -m stages.problems.benchmarks
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError, field_validator, model_validator

from stages.lib.core import files, records
from stages.lib.core.params import Params as Section
from stages.lib.core.records import Problem, Source
from stages.lib.datasets import near_duplicates
from stages.lib.grading import code_tests
from stages.lib.procedural.gradeschool.wording import NAMES
from stages.lib.run.execution import StageRun, run_stage
from stages.problems.benchmarks import (
    aime,
    bundled,
    codeforces,
    gpqa,
    gsm8k,
    hendrycks_math,
    hub,
    humaneval,
    mmlu,
    options,
    path,
    provenance,
    splits,
)
from stages.problems.benchmarks.provenance import RowLocation
from stages.problems.benchmarks.rows import Reject, Row, Table, get_optional

ADAPTERS = {
    "gsm8k": gsm8k,
    "math": hendrycks_math,
    "aime": aime,
    "mmlu": mmlu,
    "gpqa": gpqa,
    "humaneval": humaneval,
    "codeforces": codeforces,
}

MAX_STEPS = len(NAMES) - 2  # every quantity belongs to a person, and two quantities may be given
RejectReasons = dict[RowLocation, str]
Share = Annotated[float, Field(ge=0, le=1)]
Paths = Annotated[
    list[str],
    BeforeValidator(lambda value: [value] if isinstance(value, str) else value, json_schema_input_type=str | list[str]),
]


class Sizes(Section):
    """Problems of each split: an exact number for `bundled`, an upper limit otherwise; null keeps all."""

    train: int | None = Field(ge=0)
    verifier: int | None = Field(ge=0)
    dev: int | None = Field(ge=0)
    test: int | None = Field(ge=0)


class Shares(Section):
    """Shares of the splits in the published train rows (or in the test rows, if no train rows are published)."""

    train: Share = 0.0
    verifier: Share = 0.0
    dev: Share = 0.0
    test: Share = 0.0

    @model_validator(mode="after")
    def _check_sum(self) -> Shares:
        total = sum(self.model_dump().values())
        if abs(total - 1) > 1e-9:
            raise ValueError(f"must sum to 1 (train, verifier, dev, test), they sum to {total:.6g}")
        return self


class BundledParams(Section):
    """Difficulty of the procedural benchmark."""

    steps: Annotated[list[Annotated[int, Field(ge=1, le=MAX_STEPS)]], Field(min_length=2, max_length=2)]  # relations
    max_value: int = Field(ge=20)  # bound on every number in a problem
    inverse_share: float = Field(ge=0, le=1)  # share of relations that are stated in reverse

    @field_validator("steps")
    @classmethod
    def _check_range(cls, steps: list[int]) -> list[int]:
        if steps[0] > steps[1]:
            raise ValueError(f"must be [fewest, most], {steps[0]} is more than {steps[1]}")
        return steps


class PathParams(Section):
    """Published split -> file, folder, or list of them."""

    train: Paths = []
    dev: Paths = []
    test: Paths = []


class HubSplitNames(Section):
    """Published split -> its name on the hub."""

    train: str | None = None
    dev: str | None = None
    test: str | None = None


class HubParams(Section):
    repo: str = Field(pattern=r"^[\w.-]+/[\w.-]+$")  # owner/name of the data set
    config: str | None = None  # its configuration
    revision: str  # full commit id
    splits: HubSplitNames  # published split -> its name there

    @model_validator(mode="after")
    def _check_revision(self) -> HubParams:
        if len(self.revision) != 40 or set(self.revision) - set("0123456789abcdef"):
            raise ValueError(
                f"revision must be a full commit id (40 hex digits), got {self.revision!r}, which can move; copy "
                f"it from https://huggingface.co/datasets/{self.repo}/commits/main"
            )
        return self


class Params(Section):
    name: Literal["gradeschool", "gsm8k", "math", "aime", "mmlu", "gpqa", "humaneval", "codeforces"]  # the benchmark
    source: Literal["bundled", "path", "hub"]  # procedural (bundled), files (path) or the Hugging Face hub (hub)
    sizes: Sizes  # problems of each split, at most
    shares: Shares | None = None  # shares of the published rows that go to each split
    bundled: BundledParams | None = None  # of source: bundled
    path: PathParams | None = None  # of source: path
    hub: HubParams | None = None  # of source: hub
    licence: str | None = None  # of the rows, where it is not the published one; null: as the rows or files say
    max_question_chars: int | None = Field(default=None, gt=0)  # of a question with its options; null: any length
    shuffle_options: bool | None = None  # true: shuffle the options (GPQA's always are)

    @model_validator(mode="after")
    def _check_consistent(self) -> Params:
        if (self.name == "gradeschool") != (self.source == "bundled"):
            raise ValueError(f"name {self.name} can't have source {self.source}: gradeschool, and only it, is bundled")
        if getattr(self, self.source) is None:
            raise ValueError(f"source is {self.source}, so a key `{self.source}` must say what to read")
        if self.source == "bundled":
            if None in self.sizes.model_dump().values():
                raise ValueError("sizes must be numbers for source bundled, which has no end")
            return self
        published = self.list_published()
        if not published:
            raise ValueError(f"{self.source} names no split; give at least one of train, dev, test")
        if "train" in published and self.shares is None:
            raise ValueError("shares is missing: it says how the published train rows are shared out")
        if self.shares and self.shares.test and {"train", "test"} <= set(published):
            raise ValueError(
                "shares.test must be 0 when train and test are given: the published test rows are the test"
            )
        if self.shares and set(published) == {"dev"}:
            raise ValueError("shares has nothing to share out: published dev rows stay dev; give train or test")
        return self

    def get_shared_split(self) -> str:
        """The published split that the shares divide."""
        return "train" if "train" in self.list_published() else "test"

    def expects_rows(self, split: str) -> bool:
        """Whether the parameters assign rows to a split."""
        if self.source == "bundled" or (self.shares and getattr(self.shares, split)):
            return True
        return split in self.list_published() and not (self.shares and split == self.get_shared_split())

    def list_published(self) -> dict[str, Any]:
        """Published split -> its files, or its name on the hub; {} for source bundled."""
        names = {"path": self.path, "hub": self.hub and self.hub.splits}.get(self.source)
        return {split: name for split, name in names.model_dump().items() if name} if names else {}


def read_tables(params: Params) -> list[Table]:
    """The published rows."""
    if params.source == "hub" and params.hub:
        return hub.load_tables(params.hub.repo, params.hub.config, params.hub.revision, params.list_published())
    return path.load_tables(params.list_published(), getattr(ADAPTERS[params.name], "HEADER", None))


def adapt_rows(
    name: str, tables: Iterable[Table], seed: int, licence: str | None = None
) -> tuple[dict[str, Problem], dict[str, RowLocation], RejectReasons]:
    """(id -> problem, id -> location of its row, rejected rows). Problem.split is the published one: train, dev or test.

    If two files use one id for different questions, the second id gets the name of its file. Raises UserError for a file
    without a usable row.
    """
    problems: dict[str, Problem] = {}
    locations: dict[str, RowLocation] = {}
    rejects: RejectReasons = {}
    for table in tables:
        for row in table.rows:
            location = table.url, row.line
            try:
                problem = _adapt_row(name, table, row, seed, licence, problems)
                if problem.id in problems:
                    raise Reject(f"id {problem.id} stands already in {':'.join(map(str, locations[problem.id]))}")
                problems[problem.id], locations[problem.id] = problem, location
            except Reject as reject:
                rejects[location] = str(reject)
            except ValidationError as error:
                rejects[location] = records.explain_error(error)
        provenance.require_usable_rows(table, rejects)
    return problems, locations, rejects


def _adapt_row(
    name: str, table: Table, row: Row, seed: int, licence: str | None, problems: Mapping[str, Problem]
) -> Problem:
    adapter = ADAPTERS[name]
    fields = adapter.parse_row(row, seed)
    key = fields.pop("key", row.key)
    licence = licence or get_optional(row, "licence", "license") or table.licence or fields.get("licence")
    fields |= {"benchmark": name, "split": table.split, "licence": str(licence or adapter.LICENCE)}
    fields["source"] = Source(url=table.url, revision=table.revision, sha256=table.sha256)
    problem = Problem.model_validate({"id": f"{name}/{table.split}/{key}"} | fields)
    if problem.answer_type == "code" and (reason := code_tests.explain_ungradable(problem)):
        raise Reject(reason)
    other, (label, slash, _) = problems.get(problem.id), row.key.rpartition("/")
    if other and slash and splits.normalize_question(other) != splits.normalize_question(problem):
        return problem.model_copy(update={"id": f"{name}/{table.split}/{label}/{key}"})
    return problem


def _build_published(
    params: Params, seed: int, test_seed: int
) -> tuple[list[Problem], list[Table], RejectReasons, dict[str, Any]]:
    """(problems in their final splits, tables, rejected rows, further entries of provenance.json)."""
    tables = read_tables(params)
    published, locations, rejects = adapt_rows(params.name, tables, seed, params.licence)
    unique, duplicates = splits.drop_cross_split_duplicates(published.values())
    shares = params.shares.model_dump() if params.shares else {}
    problems = splits.assign_splits(unique, params.get_shared_split(), shares, seed)
    tests = [problem for problem in problems if problem.split == "test"]
    near = near_duplicates.find([problem for problem in problems if problem.split != "test"], tests)
    rejects |= {locations[item]: reason for item, reason in (duplicates | near).items()}
    account: dict[str, Any] = {"near_duplicates": near}
    problems = [problem for problem in problems if problem.id not in near]
    if limit := params.max_question_chars:
        short = [problem for problem in problems if len(problem.format_prompt()) <= limit]
        if len(short) < len(problems):
            account["longest"] = {"characters": limit, "left_out": len(problems) - len(short)}
        problems = short
    if shares:
        account["shares"] = {"of": f"the published {params.get_shared_split()} rows", **shares}
    return splits.limit_sizes(problems, params.sizes.model_dump(), seed, test_seed), tables, rejects, account


def build_problems(params: Params, seed: int, test_seed: int) -> tuple[list[Problem], dict[str, Any]]:
    """(problems in their final splits, content of provenance.json). Only the problems of the test depend on test_seed."""
    if params.source == "bundled" and params.bundled:
        problems = bundled.generate_problems(params.sizes.model_dump(), seed, test_seed, params.bundled.model_dump())
        tables, rejects, account = [], {}, {"near_duplicates": {}}
        if splits.drop_cross_split_duplicates(problems)[1]:
            raise AssertionError("the bundled splits are not apart")
    else:
        problems, tables, rejects, account = _build_published(params, seed, test_seed)
    groups = splits.group_duplicates(problems)
    if params.shuffle_options:
        problems, account["options"] = options.shuffle_options(problems, seed)
    return problems, account | {
        "name": params.name,
        "source": params.source,
        "licences": sorted({problem.licence for problem in problems}),
        "files": provenance.account_for_rows(tables, problems, rejects),
        "splits": {split: sum(problem.split == split for problem in problems) for split in splits.SPLITS},
        "twins": [[problem.id for problem in group] for group in groups],
        "annotations": provenance.check_annotations(problems),
    }


def body(run: StageRun[Params]) -> dict[str, Any]:
    if not run.is_main:
        return {}
    problems, account = build_problems(run.params, run.seed, run.test_seed)
    sizes = run.params.sizes.model_dump()
    requested = [split for split, size in sizes.items() if size != 0 and run.params.expects_rows(split)]
    for warning in provenance.find_warnings(account):
        print(f"benchmarks: warning: {warning}", file=sys.stderr)
    provenance.require_problems(account, requested)
    for split in splits.SPLITS:
        records.write_problems(run.out_dir / f"{split}.jsonl", [p for p in problems if p.split == split])
    files.write_json(run.out_dir / "provenance.json", account)
    rows = [entry["rows"] for entry in account["files"]]
    annotations = account["annotations"]
    return {
        "problems": account["splits"],
        "rows": {kind: sum(row[kind] for row in rows) for kind in ("in", "out", "rejected", "beyond_sizes")},
        "twins": len(account["twins"]),
        "near_duplicates": len(account["near_duplicates"]),
        "annotations": {"checked": annotations["checked"], "faults": len(annotations["faults"])},
    }


def main() -> None:
    run_stage("benchmarks", Params, body)


if __name__ == "__main__":
    main()
