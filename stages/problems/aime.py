"""Stage aime: competition problems with integer answers from 0 to 999, each proven by two solvers.

Writes data/aime/{train,dev,test,unseen}.jsonl and report.json. The families (lib/procedural/competition) are split: those
named `unseen` are never trained or chosen on, those named `train_only` never tested, the rest are in train, dev and test
with different parameters. An item whose solvers disagree stops the stage. Items that say the same, whatever the words, are
kept once, in the split that is tested rather than trained on; an answer that would be too frequent in its family makes
room for another; a family with too few different items is a remark. The report proves the firewall and states what
guessing would be worth. A model may put a sentence in front of each item (`writer`; off by default), kept only where it
provably changes nothing.

    python -m stages.problems.aime
"""

from __future__ import annotations

import sys
from collections import Counter
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

SPLITS = ("test", "unseen", "dev", "train")  # of two equal items the one in the earlier split stays
MAX_ANSWER_SHARE = 0.02  # of a family's items may have one answer
MAX_CANDIDATES_PER_ITEM = 4  # drawn for every item wanted, at most


class Sizes(params.Params):
    """Items of each family in a split."""

    train: int = Field(ge=0)
    dev: int = Field(ge=0)
    test: int = Field(ge=0)
    unseen: int = Field(ge=0)


class WriterParams(params.Params):
    """Who writes a sentence in front of each item. none: nobody; openai: any compatible server; hf: a model folder."""

    kind: Literal["none", "openai", "hf"]  # none, an OpenAI-compatible server, or a local model folder
    settings: dict[str, Any] = {}  # of the model: lib/chat


class Params(params.Params):
    per_family: Sizes  # problems of each family in a split
    unseen_families: list[str]  # families that are only tested
    train_only_families: list[str]  # families that are only trained on
    levels: list[Annotated[int, Field(ge=1, le=3)]] = Field(min_length=1)  # difficulties, of 1 to 3
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
        """The families of a split, in the order of the library."""
        held = {"unseen": set(competition.FAMILIES) - set(self.unseen_families), "train": set(self.unseen_families)}
        without = held.get(split, {*self.unseen_families, *self.train_only_families})
        return [name for name in competition.FAMILIES if name not in without]


def fingerprint(problem: Problem) -> str:
    program = problem.program.params
    return competition.fingerprint(program["family"], program["params"])


def build_items(section: Params, seed: int) -> tuple[list[Problem], Counter[str]]:
    """All items, and why candidates were left out. Raises UserError where the solvers of a family disagree."""
    problems: list[Problem] = []
    dropped: Counter[str] = Counter()
    sizes = section.per_family.model_dump()
    for name in competition.FAMILIES:
        splits = [split for split in SPLITS if name in section.list_families(split)]
        most = max(1, int(MAX_ANSWER_SHARE * sum(sizes[split] for split in splits)))
        said: set[str] = set()
        answers: Counter[str] = Counter()
        for split in splits:
            kept = 0
            for number in range(MAX_CANDIDATES_PER_ITEM * sizes[split]):
                if kept == sizes[split]:
                    break
                level = section.levels[number % len(section.levels)]
                item = competition.generate_item(name, level, seed, f"competition/{split}/{name}-{number:05d}", split)
                if isinstance(item, str):
                    raise UserError(f"{item}; the family is at fault, nothing was written")
                if fingerprint(item) in said:
                    dropped["says the same as another item"] += 1
                elif answers[item.answer] == most:
                    dropped["its answer is too frequent in the family"] += 1
                else:
                    said.add(fingerprint(item))
                    answers[item.answer] += 1
                    problems.append(item)
                    kept += 1
    return problems, dropped


def describe_shortages(problems: list[Problem], section: Params) -> list[str]:
    """Sentences about families that have fewer different items than are wanted."""
    found = Counter((problem.program.params["family"], problem.split) for problem in problems)
    wanted = section.per_family.model_dump()
    return [
        f"family {name} gives {found[name, split]} different items for {split}, {wanted[split]} are wanted"
        for split in SPLITS
        for name in section.list_families(split)
        if found[name, split] < wanted[split]
    ]


def add_intros(problems: list[Problem], chat: Chat, seed: int) -> tuple[list[Problem], Counter[str]]:
    """The items, each with the model's sentence in front where it provably changes nothing, and why others have none."""
    refused: Counter[str] = Counter()
    kept = []
    asks = [(competition.intros.build_prompt(p.question), f"aime {seed} {p.id}") for p in problems]
    for problem, reply in zip(problems, chat.ask_many(asks), strict=True):
        sentence = competition.intros.parse_reply(reply) if isinstance(reply, str) else None
        if sentence is None:
            made: Problem | str = "no answer" if not isinstance(reply, str) else "not one marked sentence"
        else:
            made = competition.add_intro(problem, sentence)
        if isinstance(made, str):
            refused[made] += 1
        kept.append(problem if isinstance(made, str) else made)
    return kept, refused


def build_report(problems: list[Problem], section: Params) -> dict[str, Any]:
    """The firewall, what guessing is worth, and difficulty by level. Raises UserError where the firewall does not hold."""
    by_split = {split: [p for p in problems if p.split == split] for split in SPLITS}
    said = {split: {fingerprint(p) for p in own} for split, own in by_split.items()}
    families = {split: sorted({p.program.params["family"] for p in own}) for split, own in by_split.items()}
    shared = {f"{a}/{b}": len(said[a] & said[b]) for i, a in enumerate(SPLITS) for b in SPLITS[:i]}
    leaked = sorted(set(families["unseen"]) & {*families["train"], *families["dev"]})
    if any(shared.values()) or leaked:
        raise UserError(f"aime: the splits share items {shared} or unseen families {leaked}; nothing was written")
    by_family: dict[str, list[Problem]] = {}
    for problem in problems:
        by_family.setdefault(problem.program.params["family"], []).append(problem)
    shares = [max(Counter(p.answer for p in own).values()) / len(own) for own in by_family.values()]
    every = Counter(problem.answer for problem in problems)
    total = max(1, len(problems))
    levels = {
        level: [p.difficulty for p in problems if p.program.params["level"] == level] for level in competition.LEVELS
    }
    return {
        "families": families,
        "firewall": {"items_shared": shared, "unseen_families_trained_on": leaked},
        "guessing": {
            "best_constant_answer": max(every.values(), default=0) / total,
            "best_leading_digit": max(Counter(a[0] for a in every.elements()).values(), default=0) / total,
            "best_parity": max(Counter(int(a) % 2 for a in every.elements()).values(), default=0) / total,
            "largest_share_in_a_family": max(shares, default=0),
        },
        "difficulty": {str(level): sum(own) / len(own) for level, own in levels.items() if own},
        "difficulty_of_families": {family: summarize_difficulty(own) for family, own in by_family.items()},
        "remarks": describe_shortages(problems, section),
        "published": check_published_overlap(problems, section.decontaminate_against),
    }


def summarize_difficulty(problems: list[Problem]) -> dict[str, dict[str, float]]:
    """Of each level: items, mean steps of the worked solution, mean decimal digits of the search without insight."""
    found: dict[str, dict[str, float]] = {}
    for level in sorted({p.program.params["level"] for p in problems}):
        own = [p for p in problems if p.program.params["level"] == level]
        steps = sum(len(p.steps) - 1 for p in own) / len(own)
        search = sum(p.difficulty for p in own) / len(own) - steps
        found[str(level)] = {"items": len(own), "steps": round(steps, 2), "search_digits": round(search, 2)}
    return found


def check_published_overlap(problems: list[Problem], paths: list[str]) -> dict[str, Any]:
    """Items that repeat published problems. Raises UserError if there is one."""
    references = [text for path in paths for text in contamination.read_texts(Path(path))]
    texts = [problem.question for problem in problems]
    found = (
        contamination.find_shared_ngrams(texts, references)
        + [i for i, _ in contamination.find_similar(texts, references)]
        if paths
        else []
    )
    if found:
        raise UserError(f"aime: {problems[found[0]].id} repeats a problem of {', '.join(paths)}; nothing was written")
    return {"compared_with": len(references), "repeated": 0}


def body(execution: StageRun[Params]) -> dict[str, Any]:
    if not execution.is_main:
        return {}
    problems, dropped = build_items(execution.params, execution.seed)
    writer = execution.params.writer
    written = {}
    if writer and writer.kind != "none":
        from stages.lib import chat

        model = chat.create(writer.kind, execution.root / ".assay" / "chat", **writer.settings)
        problems, refused = add_intros(problems, model, execution.seed)
        execution.count(**{f"writer_{name}": amount for name, amount in model.usage.get_totals().items()})
        written = {
            "written_sentences": {"kept": len(problems) - refused.total(), "refused": dict(sorted(refused.items()))}
        }
    account = build_report(problems, execution.params) | {"dropped": dict(sorted(dropped.items()))} | written
    for remark in account["remarks"]:
        print(f"aime: warning: {remark}", file=sys.stderr)
    for split in SPLITS:
        records.write_problems(execution.out_dir / f"{split}.jsonl", [p for p in problems if p.split == split])
    files.write_json(execution.out_dir / "report.json", account)
    return {
        "problems": {split: sum(p.split == split for p in problems) for split in SPLITS},
        "families": len(competition.FAMILIES),
        "dropped": dropped.total(),
        "guessing": account["guessing"],
        "difficulty": account["difficulty"],
    }


def main() -> None:
    run_stage("aime", Params, body)


if __name__ == "__main__":
    main()
