"""Raw benchmark -> data/benchmarks/{train,verifier,dev,test}.jsonl.

Reads the procedural benchmark, files as published, or a pinned data set of the hub. Writes Problem records (`train` to
fine-tune the generator, `verifier` whose samples train the verifiers, `dev` to choose on, `test` to report) and
provenance.json, where every row read is accounted for: used, beyond the size asked for, or rejected with a reason. A
file without a usable row stops the stage; many rejects, and a split that ends empty, are said on standard error.

    python -m stages.problems.benchmarks
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
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
from stages.problems.benchmarks.rows import Reject, Table, get_optional

ADAPTERS = {
    "gsm8k": gsm8k,
    "math": hendrycks_math,
    "aime": aime,
    "mmlu": mmlu,
    "gpqa": gpqa,
    "humaneval": humaneval,
    "codeforces": codeforces,
}

MAX_STEPS = len(NAMES) - 2  # every quantity has an owner, and two of them may be given
RejectReasons = dict[RowLocation, str]
Share = Annotated[float, Field(ge=0, le=1)]
Paths = Annotated[list[str], BeforeValidator(lambda value: [value] if isinstance(value, str) else value)]


class Sizes(Section):
    """Problems of each split: exactly so many of `bundled`, at most so many otherwise; null keeps all."""

    train: int | None = Field(ge=0)
    verifier: int | None = Field(ge=0)
    dev: int | None = Field(ge=0)
    test: int | None = Field(ge=0)


class Shares(Section):
    """How the published train rows are shared out, or the test rows where no train rows are published."""

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
    """Knobs of the procedural benchmark."""

    steps: Annotated[list[Annotated[int, Field(ge=1, le=MAX_STEPS)]], Field(min_length=2, max_length=2)]  # relations
    max_value: int = Field(ge=20)  # bound on every number in a problem
    inverse_share: float = Field(ge=0, le=1)  # share of relations that are told in reverse

    @field_validator("steps")
    @classmethod
    def _check_range(cls, steps: list[int]) -> list[int]:
        if steps[0] > steps[1]:
            raise ValueError(f"must be [fewest, most], {steps[0]} is more than {steps[1]}")
        return steps


class PathParams(Section):
    """Published split -> file, folder, or a list of them."""

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
    max_question_chars: int | None = Field(
        default=None, gt=0
    )  # characters of a question with its options; null: any length
    shuffle_options: bool | None = None  # true: draw the order of options anew (GPQA's always is)

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
        given = self.list_published()
        if not given:
            raise ValueError(f"{self.source} names no split; give at least one of train, dev, test")
        if "train" in given and self.shares is None:
            raise ValueError("shares is missing: it says how the published train rows are shared out")
        if "train" in given and "test" in given and self.shares.test:
            raise ValueError(
                "shares.test must be 0 when train and test are given: the published test rows are the test"
            )
        if self.shares and set(given) == {"dev"}:
            raise ValueError("shares has nothing to share out: published dev rows stay dev; give train or test")
        return self

    def get_shared_split(self) -> str:
        """The published split whose rows the shares are of."""
        return "train" if "train" in self.list_published() else "test"

    def expects_rows(self, split: str) -> bool:
        """Whether the parameters say what should go to a split."""
        if self.source == "bundled" or (self.shares and getattr(self.shares, split)):
            return True
        return split in self.list_published() and not (self.shares and split == self.get_shared_split())

    def list_published(self) -> dict[str, Any]:
        """Published split -> where it is, for the sources that read one."""
        chosen = self.path if self.source == "path" else self.hub.splits
        return {split: where for split, where in chosen.model_dump().items() if where}


def read_tables(section: Params) -> list[Table]:
    """The published rows."""
    if section.source == "hub":
        return hub.load_tables(section.hub.repo, section.hub.config, section.hub.revision, section.list_published())
    adapter = ADAPTERS[section.name]
    return path.load_tables(section.list_published(), getattr(adapter, "HEADER", None))


def adapt_rows(
    name: str, tables: Iterable[Table], seed: int, licence: str | None = None
) -> tuple[dict[str, Problem], dict[str, RowLocation], RejectReasons]:
    """(id -> problem, id -> its row, rejected rows). Problem.split is still the published one: train, dev or test.

    An id that another file has used for another question is told apart by its file. Raises UserError for a file that
    has no usable row.
    """
    adapter = ADAPTERS[name]
    problems: dict[str, Problem] = {}
    places: dict[str, RowLocation] = {}
    rejects: RejectReasons = {}
    for table in tables:
        source = Source(url=table.url, revision=table.revision, sha256=table.sha256)
        for row in table.rows:
            try:
                fields = adapter.parse_row(row, seed)
                key = fields.pop("key", row.key)
                stated = licence or get_optional(row, "licence", "license") or table.licence or fields.get("licence")
                fields["licence"] = str(stated or adapter.LICENCE)
                given = {"benchmark": name, "split": table.split, "source": source}
                made = Problem.model_validate({"id": f"{name}/{table.split}/{key}"} | given | fields)
                if made.answer_type == "code" and (reason := code_tests.explain_ungradable(made)):
                    raise Reject(reason)
                known = problems.get(made.id)
                if known and splits.normalize_question(known) != splits.normalize_question(made) and "/" in row.key:
                    label = row.key.rpartition("/")[0]
                    made = made.model_copy(update={"id": f"{name}/{table.split}/{label}/{key}"})
                if made.id in problems:
                    raise Reject(f"id {made.id} stands already in {places[made.id][0]}:{places[made.id][1]}")
                problems[made.id], places[made.id] = made, (table.url, row.line)
            except Reject as reject:
                rejects[table.url, row.line] = str(reject)
            except ValidationError as error:
                rejects[table.url, row.line] = records.explain_error(error)
        provenance.require_usable_rows(table, rejects)
    return problems, places, rejects


def build_problems(section: Params, seed: int) -> tuple[list[Problem], dict[str, Any]]:
    """(problems in their final splits, provenance)."""
    tables, rejects, near, more = [], {}, {}, {}
    if section.source == "bundled":
        problems = bundled.generate_problems(section.sizes.model_dump(), seed, section.bundled.model_dump())
        if splits.drop_cross_split_duplicates(problems)[1]:
            raise AssertionError("the bundled splits are not apart")
    else:
        tables = read_tables(section)
        published, places, rejects = adapt_rows(section.name, tables, seed, section.licence)
        apart, twins = splits.drop_cross_split_duplicates(published.values())
        shared = splits.assign_splits(
            apart, section.get_shared_split(), section.shares.model_dump() if section.shares else {}, seed
        )
        tests = [problem for problem in shared if problem.split == "test"]
        near = near_duplicates.find([problem for problem in shared if problem.split != "test"], tests)
        rejects |= {places[item]: reason for item, reason in (twins | near).items()}
        kept = [problem for problem in shared if problem.id not in near]
        short = [
            problem
            for problem in kept
            if section.max_question_chars is None or len(problem.format_prompt()) <= section.max_question_chars
        ]
        if len(short) < len(kept):
            more["longest"] = {"characters": section.max_question_chars, "left_out": len(kept) - len(short)}
        problems = splits.limit_sizes(short, section.sizes.model_dump(), seed)
        if section.shares:
            more["shares"] = {"of": f"the published {section.get_shared_split()} rows", **section.shares.model_dump()}
    groups = splits.group_duplicates(problems)
    if section.shuffle_options:
        problems, more["options"] = options.shuffle_options(problems, seed)
    return problems, more | {
        "name": section.name,
        "source": section.source,
        "licences": sorted({problem.licence for problem in problems}),
        "files": provenance.account_for_rows(tables, problems, rejects),
        "splits": {split: sum(problem.split == split for problem in problems) for split in splits.SPLITS},
        "twins": [[problem.id for problem in group] for group in groups],
        "near_duplicates": near,
        "annotations": provenance.check_annotations(problems),
    }


def body(execution: StageRun[Params]) -> dict[str, Any]:
    if not execution.is_main:
        return {}
    section = execution.params
    problems, account = build_problems(section, execution.seed)
    asked = [split for split, size in section.sizes.model_dump().items() if size != 0 and section.expects_rows(split)]
    for line in provenance.find_warnings(account, asked):
        print(f"benchmarks: warning: {line}", file=sys.stderr)
    for split in splits.SPLITS:
        records.write_problems(execution.out_dir / f"{split}.jsonl", [p for p in problems if p.split == split])
    files.write_json(execution.out_dir / "provenance.json", account)
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
