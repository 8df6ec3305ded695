"""Stage aime: competition problems with integer answers from 0 to 999, each proven by two solvers.

Writes data/aime/{train,dev,test,unseen}.jsonl and report.json. Families of problems (lib/procedural/competition) are
split: `unseen_families` are only tested (unseen.jsonl), `train_only_families` only trained on, and the rest are in train,
dev and test with different parameters. If the solvers of an item disagree, the stage stops. Of items that ask the same in
different words one is kept, in the split that is tested. An answer that is too frequent in its family is replaced; a
family with too few different items gives a warning. The report proves that the splits are disjoint and says how far
guessing gets. A model may write a sentence in front of each item (`writer`, off by default).

    python -m stages.problems.aime
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, model_validator

from stages.lib.core import files, params, records
from stages.lib.core.errors import UserError
from stages.lib.core.records import Problem
from stages.lib.datasets import contamination
from stages.lib.procedural import competition
from stages.lib.run.execution import StageRun, run_stage

if TYPE_CHECKING:
    from stages.lib.chat import Chat

# Of two equal items, the one in the earlier split stays: what is trained on does not depend on the tests.
SPLITS = ("train", "dev", "test", "unseen")
MAX_ANSWER_SHARE = 0.02  # share of a family's items that may have the same answer
MIN_ANSWER_COUNT = 2  # items of a family that may have the same answer, however few the family has
MAX_CANDIDATES_PER_ITEM = 4  # candidates generated for every requested item


class Sizes(params.Params):
    """Items of each family in a split."""

    train: int = Field(ge=0)
    dev: int = Field(ge=0)
    test: int = Field(ge=0)
    unseen: int = Field(ge=0)


class WriterParams(params.Params):
    """The model that writes sentences. none: no sentences; openai: any compatible server; hf: a model folder."""

    kind: Literal["none", "openai", "hf"]  # none, an OpenAI-compatible server, or a local model folder
    settings: dict[str, Any] = {}  # of the model: lib/chat


class Params(params.Params):
    per_family: Sizes  # problems of each family in a split
    unseen_families: list[str]  # families that are only tested
    train_only_families: list[str]  # families that are only trained on
    levels: list[Annotated[int, Field(ge=0, le=3)]] = Field(
        min_length=1
    )  # of 0 to 3; a family that has none is left out
    decontaminate_against: list[str]  # files of published problems that no item may repeat
    writer: WriterParams | None = None  # a model that writes a sentence in front of each item

    @model_validator(mode="after")
    def _check_families(self) -> Params:
        for name in (*self.unseen_families, *self.train_only_families):
            if name not in competition.FAMILIES:
                raise ValueError(f"{name!r} is no family; allowed: {', '.join(competition.FAMILIES)}")
        both = sorted(set(self.unseen_families) & set(self.train_only_families))
        if both:
            raise ValueError(f"{both[0]} is both unseen and train_only; a family can be one of them")
        return self

    def list_families(self, split: str) -> list[str]:
        """The families of a split that have one of the levels, in the order of the library."""
        families = [name for name in competition.FAMILIES if self.list_levels(name)]
        if split == "unseen":
            return [name for name in families if name in self.unseen_families]
        excluded = self.unseen_families if split == "train" else [*self.unseen_families, *self.train_only_families]
        return [name for name in families if name not in excluded]

    def list_levels(self, family: str) -> list[int]:
        """The levels that are wanted and that a family has."""
        return [level for level in self.levels if level in competition.FAMILIES[family].levels]


def fingerprint(problem: Problem) -> str:
    """Equal for items that ask the same in any phrasing."""
    program = competition.get_program(problem)
    return competition.fingerprint(program["family"], program["params"])


def build_items(section: Params, seed: int, test_seed: int) -> tuple[list[Problem], Counter[str]]:
    """(all items, counts of reasons why candidates were dropped). Raises UserError if the solvers of a family disagree."""
    problems: list[Problem] = []
    dropped: Counter[str] = Counter()
    sizes = section.per_family.model_dump()
    for name in competition.FAMILIES:
        splits = [split for split in SPLITS if name in section.list_families(split)]
        max_count = max(MIN_ANSWER_COUNT, int(MAX_ANSWER_SHARE * sum(sizes[split] for split in splits)))
        levels, fingerprints = section.list_levels(name), set[str]()
        answers: Counter[str] = Counter()
        for split in splits:
            kept, key = 0, test_seed if split in ("test", "unseen") else seed
            for number in range(MAX_CANDIDATES_PER_ITEM * sizes[split]):
                if kept == sizes[split]:
                    break
                level = levels[number % len(levels)]
                item = competition.generate_item(name, level, key, f"competition/{split}/{name}-{number:05d}", split)
                if isinstance(item, str):
                    raise UserError(f"{item}; the family is at fault, nothing was written")
                if fingerprint(item) in fingerprints:
                    dropped["says the same as another item"] += 1
                elif answers[item.answer] == max_count:
                    dropped["its answer is too frequent in the family"] += 1
                else:
                    fingerprints.add(fingerprint(item))
                    answers[item.answer] += 1
                    problems.append(item)
                    kept += 1
    return problems, dropped


def describe_shortages(problems: list[Problem], section: Params) -> list[str]:
    """One sentence for every family with fewer different items in a split than requested."""
    counts = Counter((competition.get_program(problem)["family"], problem.split) for problem in problems)
    sizes = section.per_family.model_dump()
    return [
        f"family {name} gives {counts[name, split]} different items for {split}, {sizes[split]} are wanted"
        for split in SPLITS
        for name in section.list_families(split)
        if counts[name, split] < sizes[split]
    ]


def add_intros(problems: list[Problem], chat: Chat, seed: int) -> tuple[list[Problem], Counter[str]]:
    """(the items, with the model's sentence in front where it is accepted; counts of reasons for refusals)."""
    refused: Counter[str] = Counter()
    results = []
    requests = [(competition.intros.build_prompt(p.question), f"aime {seed} {p.id}") for p in problems]
    for problem, reply in zip(problems, chat.ask_many(requests), strict=True):
        if not isinstance(reply, str):
            result = "no answer"
        elif sentence := competition.intros.parse_reply(reply):
            result = competition.add_intro(problem, sentence)
        else:
            result = "not one marked sentence"
        if isinstance(result, str):
            refused[result] += 1
        results.append(problem if isinstance(result, str) else result)
    return results, refused


def build_report(problems: list[Problem], section: Params) -> dict[str, Any]:
    """Overlap of the splits, accuracy of guessing, difficulty by level. Raises UserError if the splits overlap."""
    by_split = {split: [p for p in problems if p.split == split] for split in SPLITS}
    fingerprints = {split: {fingerprint(p) for p in items} for split, items in by_split.items()}
    families = {
        split: sorted({competition.get_program(p)["family"] for p in items}) for split, items in by_split.items()
    }
    shared = {f"{a}/{b}": len(fingerprints[a] & fingerprints[b]) for i, a in enumerate(SPLITS) for b in SPLITS[:i]}
    leaked = sorted(set(families["unseen"]) & {*families["train"], *families["dev"]})
    if any(shared.values()) or leaked:
        raise UserError(f"aime: the splits share items {shared} or unseen families {leaked}; nothing was written")
    by_family = _group_by(problems, "family")
    answers = [problem.answer for problem in problems]
    levels = {level: [p.difficulty or 0 for p in items] for level, items in _group_by(problems, "level").items()}
    return {
        "families": families,
        "firewall": {"items_shared": shared, "unseen_families_trained_on": leaked},
        "guessing": {
            "best_constant_answer": _largest_share(answers),
            "best_leading_digit": _largest_share([answer[0] for answer in answers]),
            "best_parity": _largest_share([int(answer) % 2 for answer in answers]),
            "largest_share_in_a_family": max(
                (_largest_share([p.answer for p in items]) for items in by_family.values()), default=0
            ),
        },
        "difficulty": {str(level): sum(values) / len(values) for level, values in sorted(levels.items())},
        "difficulty_of_families": {family: summarize_difficulty(items) for family, items in by_family.items()},
        "remarks": describe_shortages(problems, section),
        "published": check_published_overlap(problems, section.decontaminate_against),
    }


def _group_by(problems: list[Problem], key: str) -> dict[Any, list[Problem]]:
    """The problems by an entry of their program."""
    groups: dict[Any, list[Problem]] = {}
    for problem in problems:
        groups.setdefault(competition.get_program(problem)[key], []).append(problem)
    return groups


def _largest_share(values: Sequence[Hashable]) -> float:
    """The share of the most frequent value: the accuracy of always guessing it."""
    return max(Counter(values).values(), default=0) / max(1, len(values))


def summarize_difficulty(problems: list[Problem]) -> dict[str, dict[str, float]]:
    """By level: number of items, mean steps of the solution, mean decimal digits of the number of search candidates."""
    summary: dict[str, dict[str, float]] = {}
    for level, items in sorted(_group_by(problems, "level").items()):
        steps = sum(len(p.steps or ()) - 1 for p in items) / len(items)
        search = sum(p.difficulty or 0 for p in items) / len(items) - steps
        summary[str(level)] = {"items": len(items), "steps": round(steps, 2), "search_digits": round(search, 2)}
    return summary


def check_published_overlap(problems: list[Problem], paths: list[str]) -> dict[str, Any]:
    """The number of published problems compared with. Raises UserError if an item repeats one."""
    references = [text for path in paths for text in contamination.read_texts(Path(path))]
    texts = [problem.question for problem in problems]
    if paths:
        matches = contamination.find_shared_ngrams(texts, references)
        matches += [i for i, _ in contamination.find_similar(texts, references)]
        if matches:
            item = problems[matches[0]].id
            raise UserError(f"aime: {item} repeats a problem of {', '.join(paths)}; nothing was written")
    return {"compared_with": len(references), "repeated": 0}


def body(run: StageRun[Params]) -> dict[str, Any]:
    if not run.is_main:
        return {}
    problems, dropped = build_items(run.params, run.seed, run.test_seed)
    writer = run.params.writer
    sentences = {}
    if writer and writer.kind != "none":
        from stages.lib import chat

        model = chat.create(writer.kind, run.root / ".assay" / "chat", **writer.settings)
        problems, refused = add_intros(problems, model, run.seed)
        run.count(**{f"writer_{name}": amount for name, amount in model.usage.get_totals().items()})
        counts = {"kept": len(problems) - refused.total(), "refused": dict(sorted(refused.items()))}
        sentences = {"written_sentences": counts}
    report = build_report(problems, run.params) | {"dropped": dict(sorted(dropped.items()))} | sentences
    for remark in report["remarks"]:
        print(f"aime: warning: {remark}", file=sys.stderr)
    for split in SPLITS:
        records.write_problems(run.out_dir / f"{split}.jsonl", [p for p in problems if p.split == split])
    files.write_json(run.out_dir / "report.json", report)
    return {
        "problems": {split: sum(p.split == split for p in problems) for split in SPLITS},
        "families": len(competition.FAMILIES),
        "dropped": dropped.total(),
        "guessing": report["guessing"],
        "difficulty": report["difficulty"],
    }


def main() -> None:
    run_stage("aime", Params, body)


if __name__ == "__main__":
    main()
