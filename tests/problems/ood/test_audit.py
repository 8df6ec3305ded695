"""The audit finds each planted shortcut, says which, and finds none in honest sets."""

import json
import random

import pytest

from stages.lib.core.records import Problem, Source
from stages.lib.operators.rejects import Reject
from stages.lib.procedural import dyval
from stages.problems.ood import audit, shortcuts
from stages.problems.ood.audit import ProblemSet

WORDS = """river stone lamp cloud paper bridge candle mirror garden winter copper valley engine basket
harbour""".split()  # noqa: SIM905


def choice(number, rng, key=None, mark="", parent=None, longer=0):
    options = [" ".join(rng.sample(WORDS, 3)) for _ in range(4)]
    place = rng.randrange(4) if key is None else key
    options[place] += mark + " indeed" * longer
    return Problem(
        id=f"mcq/test/{number:04d}",
        benchmark="mcq",
        split="test",
        question=f"Which of them, number {number}?",
        choices=options,
        answer="ABCD"[place],
        answer_type="choice",
        parent=parent,
        licence="MIT",
        source=Source(url="x"),
    )


def free(number, question, answer, answer_type="number", **fields):
    return Problem(
        id=f"free/test/{number:04d}",
        benchmark="free",
        split="test",
        question=question,
        answer=answer,
        answer_type=answer_type,
        licence="MIT",
        source=Source(url="x"),
        **fields,
    )


def choices(count=200, seed=5, **kind):
    rng = random.Random(seed)
    return [choice(number, rng, **kind) for number in range(count)]


def only(problems, **rest):
    return audit.audit_sets({"it": ProblemSet(problems, **rest)})["it"]


@pytest.mark.slow
def test_an_honest_set_of_choices_has_no_fault():
    entry = only(choices(), rejects=[Reject("a", "x", "judge said no"), Reject("b", "x", "judge said no")])
    assert entry["faults"] == [] and entry["kept"] == 200 and entry["rejected"] == {"judge said no": 2}
    assert 0.1 < entry["figures"]["options_only"] < 0.4


@pytest.mark.parametrize(
    ("how", "figure"),
    [
        ({"key": 2}, "constant"),
        ({"key": 2}, "position_p"),
        ({"mark": " certainly"}, "options_only"),
        ({"longer": 2}, "longest_option"),
    ],
)
def test_each_planted_shortcut_is_named_with_its_bound(how, figure):
    entry = only(choices(**how))
    faults = [fault for fault in entry["faults"] if fault.startswith(f"it: {figure}: ")]
    assert len(faults) == 1 and "bound" in faults[0] or "under" in faults[0]
    assert audit.collect_faults({"it": entry}) == entry["faults"]


@pytest.mark.slow
def test_what_the_source_has_is_not_the_fault_of_its_variants():
    parents = {problem.id: problem for problem in choices(mark=" certainly")}
    variants = [
        problem.model_copy(
            update={"id": f"{problem.id}~context", "parent": problem.id, "question": problem.question + " So?"}
        )
        for problem in parents.values()
    ]
    entry = only(variants, parents=parents)
    assert not [fault for fault in entry["faults"] if "options_only" in fault]
    assert entry["source"]["options_only"] > 0.9


def test_repeated_problems_and_constant_answers_are_found():
    same = [free(number, f"How many are {number % 50}?", str(number % 50)) for number in range(100)]
    assert any("unique" in fault for fault in only(same)["faults"])
    assert any(
        "constant" in fault
        for fault in only([free(n, f"And {n}?", "7.0" if n % 2 else "7" if n % 5 else str(n)) for n in range(100)])[
            "faults"
        ]
    )
    yes = [free(n, f"Is {n} one?", "yes" if n % 10 else "no", "boolean") for n in range(100)]
    assert any(fault.startswith("it: constant: one constant answer is right in 90.0%") for fault in only(yes)["faults"])


def tell_links(kind, number, rng):
    """A question of four sentences about made names and its answer, which one cue gives away."""
    first, other, *more = ("".join(rng.sample("bcdfghjklmnpqrstvwz", 3)) for _ in range(6))
    yes = bool(number % 2)
    lines = [f"{name} points to {more[0]} and {more[1]}." for name in (first, other, *more[2:])]
    rng.shuffle(lines)
    if kind == "length" and yes:
        lines = [line.replace("points to", "really and truly points to") for line in lines]
    if kind == "position":
        lines.sort(key=lambda line: line.startswith((first, other)[yes]), reverse=True)
    if kind == "in-degree" and yes:
        lines = [line.replace(more[1], other, 1) for line in lines]
    if kind == "a name that occurs once":
        stranger = "".join(rng.sample("bcdfghjklmnpqrstvwz", 3))
        lines.append(f"{stranger if yes else more[0]} points to nothing.")
    if kind == "one rule":
        lines.append(f"({more[0]} {'AND' if yes else 'OR'} {other}) -> {more[1]}.")
    if kind == "a largest number":
        lines.append(f"{more[0]} is {rng.randint(50, 90) if yes else rng.randint(10, 49)}.")
    if kind == "negations" and yes:
        lines[-1] = lines[-1].replace("points", "never points")
    answer = "yes" if yes else "no"
    if kind == "abstention":  # answers are open, N/A is told by a name that is not described
        answer = "N/A" if yes else str(number)
        lines = [line for line in lines if not (yes and line.startswith(first))]
    if kind == "none":
        answer = rng.choice(("yes", "no"))
    return free(number, "\n".join([*lines, f"Can {other} be reached from {first}?"]), answer, "boolean")


KINDS = [
    "length",
    "position",
    "in-degree",
    "a name that occurs once",
    "one rule",
    "a largest number",
    "negations",
    "abstention",
]


@pytest.mark.parametrize("kind", KINDS)
def test_the_shallow_tree_finds_each_planted_shortcut(kind):
    rng = random.Random(3)
    entry = only([tell_links(kind, number, rng) for number in range(120)])
    assert entry["figures"]["shallow_tree"] > 0.9
    faults = [fault for fault in entry["faults"] if fault.startswith("it: shallow_tree: a shallow tree that looks at ")]
    assert len(faults) == 1


def test_the_shallow_tree_is_at_chance_where_nothing_is_planted():
    for seed in range(4):
        rng = random.Random(seed)
        entry = only([tell_links("none", number, rng) for number in range(120)])
        assert entry["faults"] == [] and 0.3 < entry["figures"]["shallow_tree"] < 0.65


def test_the_tree_may_tell_of_variants_what_it_tells_of_their_parents():
    rng = random.Random(3)
    parents = {problem.id: problem for problem in (tell_links("position", number, rng) for number in range(120))}
    variants = [
        problem.model_copy(
            update={"id": f"{problem.id}~x", "parent": problem.id, "question": f"So. {problem.question}"}
        )
        for problem in parents.values()
    ]
    entry = only(variants, parents=parents)
    assert entry["source"]["shallow_tree"] > 0.9 and not [f for f in entry["faults"] if "shallow_tree" in f]


def test_a_small_set_has_no_bounds_and_says_so():
    entry = only([free(n, f"Is {n} one?", "yes", "boolean") for n in range(29)])
    assert entry["faults"] == []
    assert entry["remarks"] == ["it: 29 problems are too few to bound a shortcut; 30 are needed"]
    assert set(entry["bounds"]) == {"unique"}


def test_a_bound_allows_for_chance_by_the_binomial_law():
    from scipy.stats import binom

    for size in (30, 40, 400):
        entry = only([free(n, f"Is {n} one?", "yes" if n % 2 else "no", "boolean") for n in range(size)])
        most = round(entry["bounds"]["constant"] * size)
        assert binom.sf(most, size, 0.55) <= audit.FALSE_ALARM_RATE < binom.sf(most - 1, size, 0.55)


def test_how_far_a_variant_is_from_its_parent():
    parent = free(1, "Ann has 3 red apples and the pear.", "3")
    parents = {parent.id: parent}
    same = parent.model_copy(update={"id": "free/test/0001~x", "parent": parent.id})
    other = same.model_copy(update={"question": "Bob has 3 red apples and a pear. Today."})
    assert shortcuts.measure_word_changes([same], [parent]) == (0, 0)
    assert shortcuts.measure_word_changes([other], [parent]) == (2, 2 / 7)  # a name, a word more; not the article
    assert only([other], parents=parents)["figures"]["words_changed"] == 2


@pytest.mark.slow
def test_a_distractor_with_a_mark_is_detected_and_an_honest_one_is_not():
    marked = [(f"abc0 is {n % 7}." if n % 2 else f"abc is {n % 7}.", bool(n % 2), f"p{n // 2}") for n in range(400)]
    problems = [free(n, f"What is {n}?", str(n)) for n in range(100)]
    assert any("distractor_detector" in fault for fault in only(problems, sentences=marked)["faults"])
    items = dyval.generate_problems("arithmetic", 150, 3, level=3)
    entry = only(items, sentences=[row for item in items for row in dyval.label_sentences(item)])
    assert entry["faults"] == [] and 0.4 < entry["figures"]["distractor_detector"] < 0.57


def test_the_distance_of_numbers_is_kolmogorovs():
    from scipy.stats import ks_2samp

    rng = random.Random(1)
    left, right = [rng.gauss(0, 1) for _ in range(80)], [rng.choice((0.0, 0.5, 1.0)) for _ in range(50)]
    assert shortcuts.ks_distance(left, right) == pytest.approx(ks_2samp(left, right).statistic)
    parents = {p.id: p for p in (free(n, f"What is {n}?", "1") for n in range(100))}
    larger = [
        free(n, f"What is {n}000?", str(n)).model_copy(
            update={"id": f"{p}~larger", "parent": p, "contract": "changing"}
        )
        for n, p in enumerate(parents)
    ]
    entry = only(larger, parents=parents)
    assert entry["figures"]["magnitude_ks"] > 0.9 and "over 0.05" in entry["remarks"][0]


def test_rejects_are_counted_by_reason_whatever_their_numbers():
    rejects = [Reject(str(n), "x", f"no program: {n} in <<{n}+1={n + 1}>> is not in the question") for n in range(9)]
    rejects += [Reject(name, "x", f"the quantity asked for is gone ({name})") for name in ("pens", "cups")]
    assert only(choices(), rejects=rejects)["rejected"] == {
        "no program: # in <<...>> is not in the question": 9,
        "the quantity asked for is gone": 2,
    }


@pytest.mark.slow
def test_an_empty_set_is_a_remark_and_all_is_plain_data_in_any_order():
    empty = only([], rejects=[Reject("a", "x", "why")])
    assert "no problem was kept (1 rejected)" in empty["remarks"][0] and not empty["faults"]
    problems = choices(80)
    one, two = (
        audit.audit_sets({"b": ProblemSet(problem_set), "a": ProblemSet(problem_set[:70])})
        for problem_set in (problems, problems)
    )
    shuffled = audit.audit_sets({"a": ProblemSet(problems[:70][::-1]), "b": ProblemSet(problems[::-1])})
    assert json.dumps(one) == json.dumps(two) == json.dumps(shuffled)
    text = audit.format_table(one)
    assert text.splitlines()[2].startswith("| a |  | 70 | 0 |") and text.endswith("\n")
    proven = audit.format_table(one, {"a": {"passed": 60, "wrong output": 2}})
    assert "\n\n* a: published solutions: 60 passed, 2 wrong output\n" in proven


@pytest.mark.slow
def test_dyval_passes_its_audit_in_every_task():
    sets = {}
    for task in dyval.TASKS:
        for level in (1, 2):
            sets[f"dyval/{task}/{level}"] = ProblemSet(dyval.generate_problems(task, 180, 11, level=level))
    for task in ("arithmetic", "linear_equation", "bool_logic"):
        for knob in ("deleted", "cycles"):
            sets[f"dyval/{task}/{knob}"] = ProblemSet(dyval.generate_problems(task, 180, 11, **{knob: 1}))
    sets["dyval/reachability/told in order"] = ProblemSet(
        dyval.generate_problems("reachability", 180, 11, 1, "topological")
    )
    assert audit.collect_faults(audit.audit_sets(sets)) == []
