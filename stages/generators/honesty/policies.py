"""The policies and their figures: on items like those that taught refusing, at equal coverage, and on other kinds."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from stages.generators.honesty import replies, selective
from stages.generators.honesty.items import IN_DOMAIN, SETS, VERSION, Item, select_problems
from stages.generators.honesty.knowledge import make_target
from stages.generators.honesty.selective import Outcomes
from stages.lib.core import files, records, seeds
from stages.lib.core.problem_ids import get_root
from stages.lib.core.records import Sample
from stages.lib.datasets import eval_sets
from stages.lib.metrics import intervals
from stages.lib.run.execution import StageRun

if TYPE_CHECKING:
    from stages.generators.honesty.__main__ import Params
    from stages.generators.honesty.teaching import Learned

TUNED = ("r_tuning", "certain", "shuffled")  # the last with `shuffled: true` alone
POLICIES = ("vanilla", "prompt", "verifier", *TUNED)  # of a chat the first two
TRIVIAL = ("always_refuse", "never_refuse")  # what no policy may fall behind, in every table
ASKED = "~asked"  # ends the id of a problem that is asked with the sentence that N/A is allowed


class Policy(NamedTuple):
    """samples: its reply to each item. outcomes: what became of them. sure: (items,) the probability that it gives to its
    being right. writes: it has replies of its own."""

    samples: list[Sample]
    outcomes: Outcomes
    sure: np.ndarray
    writes: bool = True


def measure(run: StageRun[Params], items: Sequence[Item], learned: Learned, device: Any) -> dict[str, Policy]:
    """Every policy's replies to the items."""
    found: dict[str, Policy] = {}
    start, models, encoder = learned.start, learned.models, learned.encoder
    vanilla, asked = draw_start(run, items, start, encoder)
    for name, samples in (("vanilla", vanilla), ("prompt", asked)):
        confidence = np.array([replies.mean_probability(sample) for sample in samples])
        found[name] = Policy(samples, replies.make_outcomes(items, samples, confidence), confidence)
    found["verifier"] = silence(run, items, vanilla, device)
    for arm, model in models.items():
        samples = replies.draw(run, f"replies-{arm}", model, encoder, [item.problem for item in items])
        refusal = replies.measure_refusals(run, f"refusals-{arm}", model, encoder, items)
        confidence = [replies.mix_confidence(sample, p) for sample, p in zip(samples, refusal, strict=True)]
        outcomes = replies.make_outcomes(items, samples, confidence)
        found[arm] = Policy(samples, outcomes, 1.0 - np.asarray(refusal))
    run.count(tokens=sum(s.tokens for policy in found.values() if policy.writes for s in policy.samples))
    return found


def draw_start(
    run: StageRun[Params], items: Sequence[Item], start: Any, encoder: Any
) -> tuple[list[Sample], list[Sample]]:
    """The generator's replies as it is, and where every prompt says that N/A is allowed. What stage samples has drawn is
    not drawn again."""
    known = {sample.problem_id: sample for name in ("test", "ood") for sample in read_first(run, name)}
    problems = [item.problem for item in items]
    missing = [problem for problem in problems if problem.id not in known]
    asked = [
        replies.allow_abstention(problem).model_copy(update={"id": problem.id + ASKED})
        for problem in problems
        if not problem.abstain
    ]
    new = replies.draw(run, "replies-start", start, encoder, [*missing, *asked])
    known |= {sample.problem_id: sample for sample in new}
    vanilla = [known[problem.id] for problem in problems]
    return vanilla, [known.get(problem.id + ASKED, known[problem.id]) for problem in problems]


def cut(sample: Sample, max_new_tokens: int) -> Sample:
    """A sample of stage samples as this stage would have drawn it: one that is longer than its limit has no answer."""
    if sample.tokens <= max_new_tokens:
        return sample
    return sample.model_copy(update={"finish": "length", "answer": None, "correct": False})


def read_samples(run: StageRun[Params], name: str) -> list[Sample]:
    """What stage samples has drawn for a set, within this stage's limit of tokens."""
    samples = records.read_samples(run.input_path("samples", f"{name}.parquet"))
    return [cut(sample, run.params.max_new_tokens) for sample in samples]


def read_first(run: StageRun[Params], name: str) -> list[Sample]:
    """The first sample of each problem of a set."""
    return [sample for sample in read_samples(run, name) if sample.index == 0]


def silence(run: StageRun[Params], items: Sequence[Item], samples: Sequence[Sample], device: Any) -> Policy:
    """The generator's own replies, refused where the verifier's score is below the threshold that was best on dev."""
    params = run.params
    first = {sample.problem_id: sample for sample in read_first(run, "dev")}
    dev = [problem for problem in eval_sets.load_problems(run, "dev") if problem.id in first]
    chosen = select_problems(dev, params.evaluate.dev, run.seed, "dev")
    pairs = [(problem, first[problem.id]) for problem in chosen]
    pairs += [(item.problem, sample) for item, sample in zip(items, samples, strict=True)]
    scores = np.array(replies.score(run, "scores", params.verifier, pairs, device))
    dev_items = [Item(problem=problem, set="dev", kind="unknown") for problem in chosen]
    dev_outcomes = replies.make_outcomes(dev_items, [first[p.id] for p in chosen], scores[: len(chosen)].tolist())
    threshold = selective.choose_threshold(dev_outcomes, params.penalty)
    outcomes = replies.make_outcomes(items, samples, scores[len(chosen) :].tolist())
    return Policy(list(samples), outcomes.apply_threshold(threshold), scores[len(chosen) :], writes=False)


def compare(run: StageRun[Params], items: Sequence[Item], found: Mapping[str, Policy]) -> dict[str, Any]:
    """Figures in domain (with the two trivial policies), at equal coverage, and for each set. baseline: which policy the
    others are compared with at equal coverage: the verifier, or a chat as it is."""
    within = np.array([item.set in IN_DOMAIN for item in items])
    results: dict[str, Any] = {
        "in_domain": summarize(items, found, within),
        "sets": {name: summarize(items, found, np.array([x.set == name for x in items])) for name in SETS},
        "kinds": {name: count_kinds(items, name) for name in SETS},
        "equal_coverage": {},
        "baseline": "verifier" if "verifier" in found else "vanilla",
    }
    results["sets"] = {name: own for name, own in results["sets"].items() if own["vanilla"]["items"]}
    baseline = restore_answers(found, within)
    most = int((~found[results["baseline"]].outcomes.select(within).refused).sum())
    roots = [get_root(item.problem.parent or item.id) for item in items if item.set in IN_DOMAIN]
    compared = make_trivial(found["vanilla"].outcomes.select(within))
    compared |= {name: found[name].outcomes.select(within) for name in ("prompt", *TUNED) if name in found}
    for name, own in compared.items():
        key = seeds.key(run.seed, "honesty", VERSION, name, "interval")
        results["equal_coverage"][name] = compare_at_equal_coverage(own, baseline, most, roots, key)
    return results


def make_trivial(start: Outcomes) -> dict[str, Outcomes]:
    """The policies of `TRIVIAL`."""
    return dict(zip(TRIVIAL, (selective.always_refuse(len(start.refused)), selective.never_refuse(start)), strict=True))


def compare_at_equal_coverage(
    own: Outcomes, baseline: Outcomes, most: int, roots: Sequence[str], key: int
) -> dict[str, Any]:
    """Both keep as many of their surest answers as both have, `most` at most, which is what the verifier's threshold lets
    pass. The difference is in right answers of all items, which are paired, those of one root together. Where nothing is
    answered, both are the same policy and the difference is 0."""
    answered = min(most, *(int((~each.refused).sum()) for each in (own, baseline)))
    right, other = own.expect_right(answered), baseline.expect_right(answered)
    figures = {"difference": 0.0, "low": 0.0, "high": 0.0, "p": 1.0}
    if answered:
        compared = intervals.compare(right, other, key, units=roots)
        figures = {name: getattr(compared, name) for name in figures}
    accuracies = (selective.divide(each.sum(), answered) for each in (right, other))
    return {
        "coverage": answered / max(1, len(roots)),
        **dict(zip(("accuracy", "baseline"), accuracies, strict=True)),
        **figures,
    }


def restore_answers(found: Mapping[str, Policy], mask: np.ndarray) -> Outcomes:
    """The generator's own outcomes with the verifier's scores as confidence: no threshold has refused anything yet. A chat
    has no verifier, and keeps its own confidence."""
    if "verifier" not in found:
        return found["vanilla"].outcomes.select(mask)
    return found["vanilla"].outcomes._replace(confidence=found["verifier"].outcomes.confidence).select(mask)


def summarize(items: Sequence[Item], found: Mapping[str, Policy], mask: np.ndarray) -> dict[str, Any]:
    """Policy -> figures on the items of the mask."""
    part = [item for item, is_in in zip(items, mask, strict=True) if is_in]
    answerable = np.array([item.is_answerable for item in part], bool)
    solvable = np.array([item.kind == "known" for item in part], bool)
    start = found["vanilla"].outcomes.select(mask)
    policies = {
        **{name: (outcomes, None) for name, outcomes in make_trivial(start).items()},
        **{name: (found[name].outcomes.select(mask), found[name].sure[mask]) for name in POLICIES if name in found},
    }
    ranked = {"verifier": restore_answers(found, mask)}
    return {
        name: selective.summarize(outcomes, start, answerable, solvable, sure, ranked.get(name))
        for name, (outcomes, sure) in policies.items()
    }


def count_kinds(items: Sequence[Item], name: str) -> dict[str, int]:
    kinds = [item.kind for item in items if item.set == name]
    return {kind: kinds.count(kind) for kind in dict.fromkeys(kinds)}


def trace_curves(items: Sequence[Item], found: Mapping[str, Policy]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Policy -> (coverage, risk) in domain. The verifier's curve runs over all answers, whatever its threshold."""
    within = np.array([item.set in IN_DOMAIN for item in items])
    outcomes = {name: found[name].outcomes.select(within) for name in POLICIES if name in found}
    if "verifier" in found:
        outcomes["verifier"] = restore_answers(found, within)
    return {name: selective.risk_coverage(own) for name, own in outcomes.items()}


def measure_shortcuts(items: Sequence[Item]) -> dict[str, Any]:
    """What gives the missing answers away without reading: AUC of the question's length, and of whether the parent's answer
    stands in it as a number, for telling items without an answer from others of their set. 1/2: nothing."""
    from sklearn.metrics import roc_auc_score

    results = {}
    answers = {get_pair(item): item.problem.answer for item in items if item.is_answerable}
    for name in ("premise", "passages"):
        part = [item for item in items if item.set == name]
        labels = [not item.is_answerable for item in part]
        if len(set(labels)) == 2:
            lengths = [len(item.problem.question) for item in part]
            held = [-float(holds_number(item.problem.question, answers.get(get_pair(item)))) for item in part]
            results[name] = {
                "length": float(roc_auc_score(labels, lengths)),
                "answer_in_question": float(roc_auc_score(labels, held)),
            }
    return results


def get_pair(item: Item) -> str:
    """What an item without an answer shares with its answerable twin."""
    if item.set == "passages":
        head, _, tail = item.id.rpartition("-")
        return f"{head}-{tail[-1]}"
    return item.problem.parent or item.id


def holds_number(text: str, number: str | None) -> bool:
    """Whether a number stands in a text as a whole number, not as a part of a longer one."""
    words = "".join(c if c.isdigit() else " " for c in text).split()
    return number is not None and number in words


def write_taught(folder: Path, encoder: Any, taught: Mapping[str, Sequence[tuple[Item, bool]]], seed: int) -> None:
    """train.jsonl: every question that an arm learned, with its target; equal rows once."""
    rows = [
        {
            "arm": arm,
            "id": item.id,
            "kind": item.kind,
            "c": item.c,
            "question": encoder.prompt.format_question(item.problem),
            "target": encoder.prompt.join_steps(make_target(encoder, item, refuses, seed)),
        }
        for arm, pairs in taught.items()
        for item, refuses in {item.id: (item, refuses) for item, refuses in pairs}.values()
    ]
    files.write_text(folder / "train.jsonl", _format_rows(rows))


def write(folder: Path, items: Sequence[Item], found: Mapping[str, Policy]) -> None:
    """items.jsonl and replies.jsonl: every question, and what every policy said."""
    rows = [
        {
            "id": item.id,
            "set": item.set,
            "kind": item.kind,
            "c": item.c,
            "question": item.problem.format_prompt(),
            "passage": item.passage,
            "gold": item.gold,
        }
        for item in items
    ]
    files.write_text(folder / "items.jsonl", _format_rows(rows))
    said = [
        {
            "id": item.id,
            "policy": name,
            "refused": bool(policy.outcomes.refused[i]),
            "right": bool(policy.outcomes.right[i]),
            "confidence": float(policy.outcomes.confidence[i]),
            "reply": policy.samples[i].text,
        }
        for i, item in enumerate(items)
        for name, policy in found.items()
    ]
    files.write_text(folder / "replies.jsonl", _format_rows(said))


def _format_rows(rows: Sequence[Mapping[str, Any]]) -> str:
    kept = ({key: value for key, value in row.items() if value is not None} for row in rows)
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in kept)
