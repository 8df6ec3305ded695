"""The rounds: what is probed, confirmed and learned in each, and the state that goes from one to the next."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from stages.generators.adaptation import arms, ledger, measures, rewording, streams, world
from stages.generators.adaptation.arms import ARMS, Lesson
from stages.generators.adaptation.measures import START
from stages.generators.adaptation.world import ATTRIBUTES, VERSION, Item, World
from stages.lib.adaptation import allocation, confirmation, proposal, slices
from stages.lib.adaptation.slices import Slice
from stages.lib.core import files, records, seeds
from stages.lib.core.errors import UserError
from stages.lib.core.records import Problem
from stages.lib.datasets import eval_sets, firewall
from stages.lib.models import loading
from stages.lib.models.encoding import Encoder
from stages.lib.training import fine_tuning, sft

if TYPE_CHECKING:
    from stages.generators.adaptation.__main__ import Params
    from stages.lib.run.execution import StageRun


class Study:
    """The rounds of one run. `stop` says why there is no further round; None: there is one."""

    def __init__(self, run: StageRun[Params]):
        self.run = run
        self.stop: str | None = None
        self.chat = run.params.paraphraser.create_chat(run.root) if run.is_main else None
        self.start = run.input_path("generator", "model")
        self.encoder = Encoder.load(self.start, run.input_path("generator", "prompt.json"))
        params, seed = run.params, run.seed
        self.old = [p for p in records.read_problems(run.input_path("selection", "train.jsonl")) if sft.get_steps(p)]
        parents = eval_sets.load_problems(run, "verifier")
        self.evaluation = {name: eval_sets.load_problems(run, name) for name in eval_sets.SCORED}
        held = [problem for part in self.evaluation.values() for problem in part]
        firewall.check_firewall([*self.old, *parents], held)
        self.dev = streams.select(self.evaluation["dev"], params.sizes.dev, seed, "dev")
        self.test = streams.select(self.evaluation["test"], params.sizes.test, seed, "test")
        self.ood = streams.select_ood(self.evaluation["ood"], params.sizes.ood, seed)
        seen = {world.normalise(problem) for problem in (*held, *self.old, *parents)}
        self.world = World(streams.split_parents(parents, params.rounds, seed), params.kinds, seed, seen)
        self.levels = dict.fromkeys(params.kinds, 0)
        self.streams: dict[str, list[Problem]] = {
            "dev": self.dev,
            "report": [*self.test, *self.ood],
            "old": self.old,  # replayed in what every arm learns
        }
        self.rounds: list[dict[str, Any]] = []
        self.rows: list[dict[str, Any]] = []  # of slices.jsonl
        self.lessons: list[dict[str, Lesson]] = []
        self.originals: dict[str, str] = {}  # of reworded problems, the questions that programs wrote
        self.histories: dict[str, str] = {}

    def measure(self, name: str, folder: Path, problems: Sequence[Problem], n: int) -> np.ndarray:
        return measures.measure(self.run, name, folder, self.encoder, problems, n)

    def get_model(self, arm: str, number: int) -> Path:
        """The folder of an arm's model after a round; 0: the generator."""
        return self.run.checkpoint_dir / "models" / f"{arm}-{number}" if number else self.start

    @property
    def finished(self) -> int:
        """Rounds that have trained."""
        return len(self.lessons)

    def run_round(self) -> None:
        """Probe, confirm and, where a slice is confirmed, train; sets `stop` where no further round begins."""
        number, params = len(self.rounds) + 1, self.run.params
        folder = self.get_model("targeted", number - 1)
        items, values = self.probe(number, folder)
        rows = [item.attributes for item in items]
        tested = slices.list_slices(rows, ATTRIBUTES, params.smallest_slice)
        masks = slices.make_masks(tested, rows)
        key = seeds.key(self.run.seed, "adaptation", VERSION, number, "permutations")
        candidates = proposal.list_candidates(tested, masks, values, key, params.permutations)
        settings = params.false_discovery, params.proposals, params.permutations
        proposed = proposal.propose(candidates, tested, masks, values, key, *settings)
        confirmed = self.confirm(number, folder, [each.slice for each in proposed])
        tests = ledger.describe_slices(number, candidates, confirmed)
        self.rows += tests
        weak = {each.slice: each.accuracy for each in confirmed if each.is_confirmed}
        accuracies = {kind: mean_of(values, [item.kind == kind for item in items]) for kind in self.levels}
        about = {
            "round": number,
            "probe": {"problems": len(items), "accuracy": float(values.mean()), "slices": len(tested)},
            "kinds": {
                kind: {
                    "level": level,
                    "form": params.kinds[kind][level],
                    "problems": sum(item.kind == kind for item in items),
                    "accuracy": accuracies[kind],
                }
                for kind, level in self.levels.items()
            },
            "proposed": [each.slice.name for each in proposed],
            "confirmed": [each.name for each in weak],
            "tests": [{key: row[key] for key in row if key != "terms"} for row in tests if row["proposed"]],
        }
        self.rounds.append(about)
        if not weak:
            self.stop = f"no slice was confirmed in round {number}"
            return
        probed, self.levels = self.levels, self.follow(accuracies)
        plans = arms.make_plans(weak, tested, list(self.levels), key)
        lessons = self.make_lessons(number, plans, probed)
        if lacking := [arm for arm, plan in plans.items() if plan and not lessons[arm].new]:
            self.stop = f"no new problem could be made for arm {lacking[0]} in round {number}"
            return
        if params.paraphraser.kind != "rules":
            lessons, about["rewording"] = self.reword(number, lessons)
        new = {item.problem.id: item.problem for lesson in lessons.values() for item in lesson.new}
        self.add_stream("train", number, list(new.values()))
        firewall.check_firewall(new.values(), [p for part in self.evaluation.values() for p in part])
        self.lessons.append(lessons)
        about["lessons"] = {arm: ledger.describe_lesson(lesson) for arm, lesson in lessons.items()}
        about["plan"] = {arm: {each.name: weight for each, weight in plan.items()} for arm, plan in plans.items()}
        about["overlaps"] = arms.list_overlaps(plans)
        about["levels"] = dict(self.levels)
        for arm in ARMS:
            self.train(arm, number)
        self.stop = self.find_reason_to_stop(about)

    def find_reason_to_stop(self, about: dict[str, Any]) -> str | None:
        """Why no round follows the one that has just trained; None: one follows. Only where one may, dev is asked."""
        number, params = about["round"], self.run.params
        if number == params.rounds:
            return f"{number} of {params.rounds} rounds are done"
        folders = {"start": self.start, "targeted": self.get_model("targeted", number)}
        values = {
            name: self.measure(f"dev-{name}-{number}", folder, self.dev, params.samples)
            for name, folder in folders.items()
        }
        about["dev"] = measures.compare_dev(self.dev, values["start"], values["targeted"], number, self.run.seed)
        if about["dev"]["loss"] <= params.retention_loss:
            return None
        return f"round {number} lost {measures.format_loss(about['dev'])} points on dev"

    def probe(self, number: int, folder: Path) -> tuple[list[Item], np.ndarray]:
        """Problems of every kind, sorted by id, with the share of right solutions of each."""
        supply, params = self.world.open(streams.name_stream("probe", number)), self.run.params
        items = sorted(supply.draw_world(self.levels, params.sizes.probe), key=lambda item: item.problem.id)
        if not items:
            raise UserError(
                "adaptation.kinds: no problem of data/selection/verifier.jsonl can be changed so, nor is one a DyVal task; "
                "name other operators, or a task such as arithmetic: [0, 1]"
            )
        self.add_stream("probe", number, [item.problem for item in items])
        return items, self.measure(f"probe-{number}", folder, [item.problem for item in items], params.samples)

    def confirm(self, number: int, folder: Path, proposed: Sequence[Slice]) -> list[confirmation.Confirmation]:
        """Tests of the proposed slices on fresh problems."""
        if not proposed:
            return []
        supply, count = self.world.open(streams.name_stream("confirm", number)), self.run.params.sizes.confirm
        drawn: list[tuple[Item, Slice | None]] = [(item, None) for item in supply.draw_world(self.levels, count)]
        base = [item for item, _ in drawn]
        for target in proposed:
            missing = max(0, count - sum(target.holds(item.attributes) for item in base))
            drawn += [(item, target) for item in supply.draw_slice(target, self.levels, missing)] if missing else []
        drawn.sort(key=lambda pair: pair[0].problem.id)
        problems = [item.problem for item, _ in drawn]
        self.add_stream("confirm", number, problems)
        values = self.measure(f"confirm-{number}", folder, problems, self.run.params.samples)
        key = seeds.key(self.run.seed, "adaptation", VERSION, number, "confirm")
        rows, targets = [item.attributes for item, _ in drawn], [target for _, target in drawn]
        units, params = [item.unit for item, _ in drawn], self.run.params
        return confirmation.confirm(
            proposed, rows, values, targets, units, key, params.significance, params.permutations
        )

    def follow(self, accuracies: Mapping[str, float | None]) -> dict[str, int]:
        """The level of every kind after a probe; that of a kind without problems stays."""
        ladders = self.run.params.kinds
        return {
            kind: level
            if (accuracy := accuracies[kind]) is None
            else allocation.adjust_level(level, accuracy, len(ladders[kind]) - 1)
            for kind, level in self.levels.items()
        }

    def make_lessons(self, number: int, plans: dict[str, arms.Plan], probed: dict[str, int]) -> dict[str, Lesson]:
        """What the arms learn."""
        params = self.run.params
        library = arms.Library(self.world, streams.name_stream("train", number), probed, self.levels)
        key = seeds.key(self.run.seed, "adaptation", VERSION, number, "replay")
        return arms.make_lessons(plans, library, self.old, self.count_tokens, params.sizes.train, params.replay, key)

    def reword(self, number: int, lessons: dict[str, Lesson]) -> tuple[dict[str, Lesson], dict[str, Any]]:
        """(lessons whose new problems have other words, the same in all arms; what results.json says of it). Old problems
        and all solutions stay, so arms still learn equally many tokens. The main process asks; what it was told is kept."""
        run, file = self.run, self.run.checkpoint_dir / f"rewording-{number}.json"
        new = {item.problem.id: item.problem for lesson in lessons.values() for item in lesson.new}
        if run.is_main and self.chat and not file.exists():
            asked = rewording.reword(
                list(new.values()),
                self.chat,
                self.world.seen,
                lambda done, total: run.track_progress(done, total, "rewording"),
            )
            files.write_json(file, asked._asdict())
        run.wait_for_processes()
        told = rewording.Rewording(**json.loads(file.read_text(encoding="utf-8")))
        self.originals |= {name: new[name].question for name in told.texts}
        self.world.seen.update(world.normalise(told.apply(problem)) for problem in new.values())
        changed = {
            arm: lesson._replace(new=[item._replace(problem=told.apply(item.problem)) for item in lesson.new])
            for arm, lesson in lessons.items()
        }
        return changed, told.describe()

    def count_tokens(self, problem: Problem) -> int:
        """Of the solution, on which the loss is."""
        return int(sum(sft.make_sft_example(self.encoder, problem).lm_weight))

    def add_stream(self, part: str, number: int, problems: list[Problem]) -> None:
        """Keep a stream. Raises UserError where it shares a problem, an origin or a question with another."""
        self.streams[streams.name_stream(part, number)] = problems
        streams.check_disjoint(self.streams)

    def train(self, arm: str, number: int) -> None:
        """Fine-tune and keep the model, unless a run that was killed has done so."""
        run, folder = self.run, self.get_model(arm, number)
        history = folder.with_suffix(".csv")
        if not (folder.exists() and history.exists()):
            is_new = run.params.train_from == "start"
            rounds = self.lessons if is_new else self.lessons[-1:]
            first = self.start if is_new else self.get_model(arm, number - 1)
            examples = [sft.make_sft_example(self.encoder, p) for each in rounds for p in each[arm].problems]
            model, text = fine_tuning.fine_tune(run, f"{arm}-{number}", first, examples)
            if run.is_main:
                loading.save(model, self.encoder.tokenizer, folder)
                files.write_text(history, text)
            run.wait_for_processes()
        self.histories[f"{arm}-{number}"] = history.read_text(encoding="utf-8")

    def evaluate(self) -> dict[str, Any]:
        """Open the report stream: every arm after every round, on the same problems."""
        params, ladders = self.run.params, self.run.params.kinds
        weak = [Slice(terms) for terms in dict.fromkeys(row["terms"] for row in self.rows if row["confirmed"])]
        test = [world.describe(problem, None) for problem in self.test]
        ood = [world.describe(problem, world.find_kind(problem, ladders)) for problem in self.ood]
        frame = measures.divide_report(self.test, self.ood, test, ood, weak, list(ladders))
        names = [START, *(f"{arm}-{number}" for number in range(1, self.finished + 1) for arm in ARMS)]
        values = {
            name: self.measure(
                f"report-{name}", self.get_model(*measures.split_name(name)), frame.problems, params.report_samples
            )
            for name in names
        }
        pairs = [
            (f"targeted-{number}", other)
            for number in range(1, self.finished + 1)
            for other in (*(f"{arm}-{number}" for arm in ARMS[1:]), START)
        ]
        return {
            "stop": self.stop,
            "rounds": self.rounds,
            "made": {"kept": self.world.made, "rejected": self.world.rejected},
            "streams": {
                name: {"problems": len(part), "digest": streams.digest(part)} for name, part in self.streams.items()
            },
            "models": {name: measures.summarize(frame, own) for name, own in values.items()},
            "comparisons": measures.compare(frame, values, pairs, self.run.seed),
            "kinds": measures.summarize_kinds(frame, values),
        }

    def write(self) -> None:
        """The model of the targeted arm, and what the rounds found and taught."""
        out = self.run.out_dir
        with files.atomic_write_dir(out / "model") as folder:
            shutil.copytree(self.get_model("targeted", self.finished), folder, dirs_exist_ok=True)
        if self.chat:
            self.run.count(**self.chat.usage.get_totals())  # of all rounds
        ledger.write(out, self.rows, self.rounds, self.lessons, self.originals, self.histories)


def mean_of(values: np.ndarray, mask: Sequence[bool]) -> float | None:
    chosen = values[np.array(mask, bool)]
    return float(chosen.mean()) if len(chosen) else None
