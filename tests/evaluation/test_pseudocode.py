"""Stage pseudocode: plans whose trace is the truth, replies read as they are meant, arms with servers of known habits, and
the study on a tiny model."""

import hashlib
import json
import os
import re
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.evaluation.pseudocode import __main__ as stage
from stages.evaluation.pseudocode import (
    arms,
    executions,
    problem_plans,
    programs,
    prompts,
    replies,
    study,
    summary,
    tasks,
)
from stages.evaluation.pseudocode.dyval_programs import WITH_UNKNOWN
from stages.evaluation.pseudocode.tasks import Instance, Task
from stages.generators.base.tokenizer import build_tokenizer
from stages.lib.chat import create
from stages.lib.core import records
from stages.lib.core.errors import UserError
from stages.lib.interpreter.run import run_program
from stages.lib.models import loading
from stages.lib.procedural import gradeschool
from tests.helpers import chat_server, dyval_items, tiny_models

ITEMS = int(
    os.environ.get("ASSAY_PROGRAMS", "60")
)  # of each kind, whose traces are compared; 2500: ten thousand in all
DYVAL_TASKS = (
    *("arithmetic", "linear_equation", "bool_logic", "deductive_logic", "abductive_logic", "reachability"),
    "max_sum_path",
)
PUBLISHED = os.environ.get("ASSAY_BENCHMARKS", "")
SHARES_OF_YES = {"web_of_lies": 0.488, "navigate": 0.42}
SETTINGS = {
    **tiny_models.TRAINING_PARAMS,
    **{"tasks": ["gradeschool", "arithmetic"], "files": [], "problems": 3, "shown": 2, "epochs": 2.0, "lr": 5e-3},
    **{"arms": ["direct", "chain_of_thought", "prose", "code", "traced_code", "executed"], "target_tokens": 0},
    **{"instructor": {"kind": "rules"}, "reasoner": {"kind": "rules"}, "test_programs": 3, "relations": [1, 2]},
    **{"longer_relations": [3, 3], "max_value": 30, "max_new_tokens": 12, "max_rows": 16},
}
YES_NO = Instance("q/1", "Is it so?\nOptions:\n- Yes\n- No", "No", "option", ("Yes", "No"))
LETTERS = Instance("q/2", "Which?\nOptions:\n(A) no\n(B) unknown", "(B)", "option", ("(A)", "(B)"))


def get_values(printed):
    """The value of each printed step: the last word of its line."""
    return [line.split()[-1] for line in printed[:-1]]


def make_problems(kind):
    """Problems of two levels that have a program."""
    if kind == "gradeschool":
        return gradeschool.generate_problems("test", ITEMS, 5, steps=(2, 8))
    return [
        problem
        for level in (1 if kind == "deductive_logic" else 0, 4 if kind.endswith("ctive_logic") else 2)
        for problem in dyval_items.make_items(kind, ITEMS // 2, level=level)
        if problem.answer != "N/A" or kind in WITH_UNKNOWN
    ]


@pytest.mark.parametrize("kind", ["gradeschool", *DYVAL_TASKS])
def test_the_trace_of_a_program_is_the_steps_that_its_problem_stores(kind):
    problems = make_problems(kind)
    assert len(problems) > ITEMS * 0.7
    for problem in problems:
        plan = problem_plans.write_plan(problem)
        assert plan, problem.id
        execution = run_program(plan.code)
        assert execution.error is None and execution.printed[-1] == f"{programs.FINAL} {problem.answer}"
        values, stored = get_values(execution.printed), [step.value for step in problem.steps[:-1]]
        assert len(values) == len(stored), "a line for each step"
        if kind == "reachability":  # its steps visit nodes and store one value
            assert values[-1] == stored[-1]
        else:
            assert [x if y is not None else None for x, y in zip(values, stored, strict=True)] == stored
        assert run_program(programs.remove_prints(plan.code)).printed == execution.printed[-1:]
        [executed] = arms.run_arms(Task("t", [tasks.make_instance(problem)], []), None, ["executed"], None, "k")
        assert executed.status == "answered" and executed.correct
    if kind in WITH_UNKNOWN:
        assert {problem.answer for problem in problems} == {"True", "False", "N/A"}


def test_problems_without_an_answer_or_a_program_have_no_plan():
    [problem] = gradeschool.generate_problems("test", 1, 5)
    odd = {**problem.program.params, "people": ["Old Ann", *problem.program.params["people"][1:]]}
    for changes in (
        {"program": None},
        {"answer": "N/A"},
        {"program": problem.program.model_copy(update={"generator": "lifted"})},
        {"program": problem.program.model_copy(update={"params": odd})},
    ):
        assert problem_plans.write_plan(problem.model_copy(update=changes)) is None
    for task, knobs in (
        ("arithmetic", {"deleted": 1}),
        ("linear_equation", {"cycles": 1}),
        ("bool_logic", {"cycles": 1}),
        ("max_sum_path", {}),
    ):
        broken = [x for x in dyval_items.make_items(task, 24, level=2, **knobs) if x.answer == "N/A"]
        assert broken and all(problem_plans.write_plan(x) is None for x in broken), task


def test_prints_can_be_removed_from_any_text():
    code = "for i in [1]:\n    print(i)\nif 1:\n    x = 2\nelse:\n    print('no')\nprint('Final answer:', x)"
    assert run_program(programs.remove_prints(code)).printed == ["Final answer: 2"]
    assert (
        programs.remove_prints("first (\nprint(x)\nprint('Final answer:', x)") == "first (\nprint('Final answer:', x)"
    )


@given(st.integers(0, 10_000))
@settings(max_examples=25)
def test_other_names_keep_the_answer(number):
    item = study.draw_item(f"pseudocode/test/{number}", [2, 6], 60, 1)
    renamed = study.rename(item, 1)
    before, after = (x.forms["traces"] for x in (item, renamed))
    assert (before.answer, len(before.steps)) == (after.answer, len(after.steps)) and before.question != after.question
    names = [x.program.params["people"] for x in (before, after)]
    text = before.question
    for old, new in zip(*names, strict=True):
        text = re.sub(rf"\b{old}\b", new, text)
    assert text == after.question


@pytest.mark.parametrize("name", tasks.list_plans())
def test_the_plans_here_solve_the_published_tasks(name):
    path = Path(PUBLISHED, "bbh", f"{name}.json")
    if not PUBLISHED or not path.is_file():
        pytest.skip("ASSAY_BENCHMARKS is not set: the published tasks are not here")
    task, plan = tasks.read_task(path, 1000, 3, 1), tasks.load_plan(name)
    rows = [arms.judge_execution(task, x, executions.execute(plan.code, x.question, False)) for x in task.instances]
    assert len(rows) == 247 and all(row.correct for row in rows) and {row.status for row in rows} == {"answered"}
    answers = Counter(x.answer for x in (*task.instances, *task.shown))
    if name in SHARES_OF_YES:
        assert answers["Yes"] / 250 == SHARES_OF_YES[name]
    assert task.constant_share == max(Counter(x.answer for x in task.instances).values()) / 247
    assert not {x.question for x in task.shown} & {x.question for x in task.instances}


@pytest.mark.parametrize("text", ["(B)", "b", "B.", " B ", "**(b)**", "`B`"])
def test_an_option_is_read_by_its_letter(text):
    assert replies.is_right(LETTERS, text) and replies.parse_option(text, LETTERS.options) == "(B)"


@pytest.mark.parametrize("text", ["unknown", "A or B", "BB", "(B) or (A)", "", "cab", "not (B)", None])
def test_an_option_inside_other_text_is_none(text):
    """Published code finds the option `no` in `unknown`, and `Yes` in the first letters of a sentence."""
    assert replies.parse_option(text, LETTERS.options) is None and not replies.is_right(LETTERS, text)
    for other in ("unknown", "Nobody can say", "Yesterday", "know", "Yes, or No"):
        assert replies.parse_option(other, YES_NO.options) is None


def test_formulas_are_compared_by_value():
    pair = YES_NO._replace(kind="formula", answer="(1/2, -3)")
    assert all(replies.is_right(pair, x) for x in ("(1/2,-3)", "(0.5, -3)", "$(\\frac{1}{2}, -3)$"))
    assert not any(replies.is_right(pair, x) for x in ("(-3, 1/2)", "(1/2, 3)", "1/2", "x", ""))


def test_numbers_and_texts():
    number, text = YES_NO._replace(kind="number", answer="3/4"), YES_NO._replace(kind="text", answer="] ] >")
    assert (
        replies.is_right(number, "0.75") and not replies.is_right(number, "7/4") and not replies.is_right(number, "x")
    )
    assert replies.is_right(text, "]]>") and not replies.is_right(text, "] ]") and not replies.is_right(text, "]] > .")


@pytest.mark.parametrize(
    ("text", "lines", "final"),
    [
        ("x = 1\n\nFinal answer: 7", ["x = 1"], "7"),
        ("```\nx = 1\nFinal answer: **7**\n```", ["x = 1"], "7"),
        ("Final answer: 1\nNo, wait.\nfinal answer:\n2", ["Final answer: 1", "No, wait."], "2"),
        ("<think>Final answer: 3</think>\nFinal answer: 4", [], "4"),
        ("<think>Final answer: 3", [], None),
        ("It is 7.", ["It is 7."], None),
        ("Final answer:", [], None),
    ],
)
def test_what_a_reply_says(text, lines, final):
    assert replies.read_reply(text) == (lines, final)


def test_a_repeated_prompt_is_no_reply():
    prompt = prompts.ask_reasoner("direct", YES_NO, None)
    assert replies.read_reply(prompt, prompt) == ([], None)
    assert replies.read_reply(f"{prompt}\nFinal answer: No", prompt).final == "No"


@pytest.mark.parametrize(
    ("gold", "lines", "first"),
    [
        (["x = 1", "y = 2"], ["x = 1", "y  =  2"], None),
        (["x = 1/2"], ["'x' = 0.5"], None),
        (["x = 1", "y = 2"], ["x = 1", "y = 3"], 1),
        (["x = 1", "y = 2"], ["x = 1"], 1),
        (["x = 1"], ["x = 1", "y = 2"], 1),
        (["x = 12"], ["x = 1 2"], 0),
        (["x = -1"], ["x = 1"], 0),
        (["half = 6 / 3 = 2"], ["half = 6/3 = 2"], None),
        (["half = 1 / 2 = 1/2"], ["half=1/2=0.5"], None),
        (["x = -7/2"], ["x = - 3.50"], None),
        (["x = 2"], ["x = 2.0"], None),
        (["x = 6/2"], ["x = 9/3"], 0),
        (["x = 3"], ["x = 6/2"], 0),
        (["x = 6 / 2"], ["x = 6 * 2"], 0),
        (["x = 3 / 0"], ["x=3/0"], None),
        ([], [], None),
    ],
)
def test_where_a_reply_leaves_the_trace(gold, lines, first):
    assert replies.find_divergence(gold, lines) == first


@given(st.lists(st.sampled_from(["a = 1", "b = 2", "c = 3.5"]), max_size=6), st.integers(0, 5))
def test_a_changed_line_is_the_first_error(gold, place):
    assert replies.find_divergence(gold, gold) is None
    if place < len(gold):
        changed = [*gold[:place], "b = 77", *gold[place + 1 :]]
        assert replies.find_divergence(gold, changed) == place == replies.find_divergence(changed, gold)


TOKENS = st.lists(st.sampled_from(["x", "=", "6", "3", "12", "0.5", "/", "*", "-", "(", ")", ","]), min_size=1)


@given(TOKENS, st.data())
def test_white_space_never_counts(tokens, data):
    """But where it parts a word or number from another."""
    line = tokens[0]
    for before, after in zip(tokens, tokens[1:], strict=False):
        needs_space = before[-1].isalnum() and after[0].isalnum()
        line += data.draw(st.sampled_from([" ", "  ", "\t"] + [""] * (not needs_space))) + after
    assert replies.find_divergence([" ".join(tokens)], [line]) is None


@given(st.fractions(0, 50, max_denominator=64), st.fractions(0, 50, max_denominator=64))
def test_decimals_and_fractions_are_compared_by_value(a, b):
    decimal = f"x = {float(b)!r}" if (b * 64).denominator == 1 else f"x = {b}"
    assert (replies.find_divergence([f"x = {a}"], [decimal]) is None) == (a == b)
    assert replies.find_divergence([f"x = {b}"], [decimal]) is None


def make_task(n=6, split="test"):
    problems = dyval_items.make_items("bool_logic", 40, level=0)
    return tasks.make_task("bool_logic", problems[:20], problems[20:], n, 3, 1)


def ask(tmp_path, reply, task=None, **changes):
    """The figures of each arm with a server whose model answers as `reply` says."""
    task = task or make_task()
    with chat_server.serve(reply) as server:
        reasoner = create("openai", tmp_path, model="m", base_url=server.url, key_env=None, tries=1, threads=2)
        plans = arms.make_plans([task], None, "k")
        rows = arms.run_arms(task, plans[task.name], SETTINGS["arms"], reasoner, "k")
    return rows, arms.summarize(rows, task)["arms"]


def read_program(prompt):
    return re.search(r"```python\n(.*)\n```", prompt, re.S)[1]


def follow(prompt):
    """A perfect reasoner where it sees a program, else one that says True."""
    if "```python" not in prompt:
        return "Final answer: True"
    return "\n".join(run_program(read_program(prompt)).printed)


def test_a_model_that_follows_programs_and_one_that_always_says_true(tmp_path):
    task = make_task()
    share = sum(x.answer == "True" for x in task.instances) / len(task.instances)
    assert 0 < share < 1
    rows, figures = ask(tmp_path / "a", follow, task)
    assert [figures[x]["accuracy"] for x in ("direct", "chain_of_thought", "prose")] == [share] * 3
    assert [figures[x]["accuracy"] for x in ("code", "traced_code", "executed")] == [1.0] * 3
    assert figures["traced_code"]["trace_exact"] == 1.0 and figures["traced_code"]["first_error"] is None
    assert all(row.status == "answered" for row in rows)
    _, figures = ask(tmp_path / "b", "Final answer: True", task)
    assert {figures[x]["accuracy"] for x in figures if x != "executed"} == {share}
    traced = figures["traced_code"]
    assert (traced["trace_exact"], traced["first_error"]) == (0.0, 0.0)
    assert traced["right_answer_wrong_trace"] == share, "right by luck, and the trace tells"


@pytest.mark.parametrize("reply", [lambda prompt: prompt, "%&! 7 7 7", "I am sorry, but I cannot help with that."])
def test_echo_garbage_and_refusal_are_unreadable_and_never_right(tmp_path, reply):
    _, figures = ask(tmp_path, reply)
    for arm in figures.keys() - {"executed"}:
        assert (figures[arm]["accuracy"], figures[arm]["unreadable"], figures[arm]["failed"]) == (0.0, 6, 0)


def test_a_reply_that_was_cut_off_has_no_answer(tmp_path):
    rows, figures = ask(tmp_path, lambda prompt: f"cut off: {follow(prompt)}")
    asked = [row for row in rows if row.arm != "executed"]
    assert {(row.status, row.final, row.correct, row.error) for row in asked} == {
        ("unreadable", None, False, "the reply was cut off")
    }
    for arm in figures.keys() - {"executed"}:
        assert (figures[arm]["accuracy"], figures[arm]["unreadable"], figures[arm]["failed"]) == (0.0, 6, 0)
    assert figures["traced_code"]["right_answer_wrong_trace"] == 0.0


def test_a_wrong_line_is_found_where_it_is(tmp_path):
    def slip(prompt):
        lines = follow(prompt).splitlines()
        return "\n".join([*lines[:1], "x = 99", *lines[2:]])

    rows, figures = ask(tmp_path, slip)
    traced = [row for row in rows if row.arm == "traced_code"]
    assert {row.first_error for row in traced} == {1} and figures["traced_code"]["right_answer_wrong_trace"] == 1.0


def write_task(path, n=12):
    rows = [
        {"input": f"Take {i} steps. Is it far?\nOptions:\n- Yes\n- No", "target": "Yes" if i > 5 else "No"}
        for i in range(n)
    ]
    path.write_text(json.dumps({"canary": "x", "examples": rows}))
    return path


def test_one_plan_is_asked_for_a_task_and_none_again(tmp_path):
    code = "Here it is:\n```python\ndef solve(input_text):\n    n = int(input_text.split()[1])\n    print(n)\n"
    code += "    return 'Yes' if n > 5 else 'No'\n```"
    task = tasks.read_task(write_task(tmp_path / "far.json"), 100, 3, 1)
    assert len(task.instances) == 9 and not {x.id for x in task.shown} & {x.id for x in task.instances}
    with chat_server.serve(code) as server:
        for _ in range(2):
            chat = create("openai", tmp_path / "cache", model="m", base_url=server.url, key_env=None)
            plan = arms.make_plans([task], chat, "k")["far"]
            assert len(server.requests) == 3, "analysis, code and prose, once"
        asked = chat_server.get_prompts(server.requests)
    for instance in task.instances:
        assert not any(instance.question in prompt for prompt in asked), "no demonstration is a problem that is asked"
    assert all(instance.question in asked[0] for instance in task.shown)
    assert plan.prompt_sha == hashlib.sha256("\0".join(asked).encode()).hexdigest() and plan.agent == "m"
    rows = arms.run_arms(task, plan, ["executed"], None, "k")
    assert all(row.correct for row in rows) and rows[0].trace == [task.instances[0].question.split()[1]]


def test_a_plan_that_cannot_run_fails_and_is_counted(tmp_path):
    task = tasks.read_task(write_task(tmp_path / "far.json"), 100, 3, 1)
    for code, status in (
        ("x = 1 / 0", "failed"),
        ("import absent_module", "failed"),
        ("def solve(input_text):\n    return 'maybe'", "unreadable"),
    ):
        plan = arms.TaskPlan(programs.Plan("", "", code), "model", "")
        figures = arms.summarize(arms.run_arms(task, plan, ["executed"], None, "k"), task)["arms"]["executed"]
        assert figures["accuracy"] == 0.0 and figures[status] == 9


OUTSIDE = """
import re
def solve(input_text):
    steps = {int(word) for word in re.findall(r"\\d+", input_text)}
    n = max(steps, key=lambda step: step)
    print("%d steps" % n)
    return "Yes" if n > 5 else "No"
"""


def test_a_model_may_write_what_the_interpreter_does_not_know_and_the_sandbox_runs_it(tmp_path):
    task = tasks.read_task(write_task(tmp_path / "far.json"), 4, 3, 1)
    for agent, right in (("model", 4), ("rules", 0)):
        plan = arms.TaskPlan(programs.Plan("", "", OUTSIDE), agent, "")
        rows = arms.run_arms(task, plan, ["executed"], None, "k")
        assert sum(row.correct for row in rows) == right
    plan = plan._replace(agent="model")
    rows = arms.run_arms(task, plan, ["executed"], None, "k")
    assert [row.trace for row in rows] == [[f"{x.question.split()[1]} steps"] for x in task.instances]
    figures = arms.summarize(rows, task)
    assert figures["arms"]["executed"]["sandboxed"] == 4
    assert any("sandbox: far 4" in x for x in summary.write_notes({"tasks": {"far": figures}, "study": {}}))
    for code, said in (
        ("import socket\nsocket.socket()", "PermissionError"),
        ("print(open('/etc/passwd').read())", "PermissionError"),
        ("import sys\nprint('x' * 99999)", "output limit"),
        ("import nothing_of_this_name", "ModuleNotFoundError"),
    ):
        run = executions.execute(code, "q", True)
        assert run.error and said in run.error, run
    assert executions.execute("print(input_text, flush=True)", "q", True).printed == ["q"]
    inside = executions.execute("while True:\n    pass", "q", True)
    assert "out of fuel" in inside.error and not inside.is_outside, "what the interpreter stopped does not run again"


@pytest.mark.parametrize(
    ("code", "printed"),
    [
        ("z = zip([1], [2])\nprint(list(z), list(z))", ["[(1, 2)] []"]),
        ("def f(n):\n    return 0 if n == 0 else 1 + f(n - 1)\nprint(f(60))", ["60"]),
        ("print(round(2.675, 1), {1: 2}.items())", ["2.7 dict_items([(1, 2)])"]),
        ("g = (x * 2 for x in [1])\nprint(list(g))", ["[2]"]),
    ],
)
def test_the_sandbox_prints_what_the_interpreter_cannot(code, printed):
    run = executions.execute(code, "q", True)
    assert (run.printed, run.error, run.is_outside) == (printed, None, True)


def test_a_reasoner_is_told_that_numbers_are_exact_where_they_are(tmp_path):
    task = tasks.read_task(write_task(tmp_path / "far.json"), 4, 3, 1)
    exact = "def solve(input_text):\n    print('x', 7 / 3, 6 / 3)\n    return 'Yes'"
    for code, is_exact in ((exact, True), (OUTSIDE, False)):
        plan = arms.TaskPlan(programs.Plan("a", "b", code), "model", "")
        with chat_server.serve("x 7/3 2\nFinal answer: Yes") as server:
            chat = create("openai", tmp_path / "cache", model="m", base_url=server.url, key_env=None)
            rows = arms.run_arms(task, plan, ["direct", "prose", "code", "traced_code"], chat, "k")
            asked = chat_server.get_prompts(server.requests)
        told = [prompt for prompt in asked if "7 / 3 prints 7/3" in prompt]
        assert len(asked) == 16 and len(told) == (8 if is_exact else 0) and all("```python" in x for x in told)
        assert [row.first_error for row in rows if row.trace is not None] == [None if is_exact else 0] * 4


def test_replies_that_came_before_a_crash_are_not_asked_again(tmp_path):
    task = make_task()
    plans = arms.make_plans([task], None, "k")
    with chat_server.serve(*["Final answer: True"] * 4, "refused") as server:
        chat = create("openai", tmp_path, model="m", base_url=server.url, key_env=None, tries=1, threads=1)
        with pytest.raises(UserError, match="refused the request"):
            arms.run_arms(task, plans[task.name], ["direct"], chat, "k")
        url = server.url
    with chat_server.serve("Final answer: True") as server:
        chat = create("openai", tmp_path, model="m", base_url=server.url, key_env=None, tries=1, threads=1)
        chat.identity["base_url"] = url  # the same server, mended
        rows = arms.run_arms(task, plans[task.name], ["direct"], chat, "k")
        assert len(server.requests) == 2 and len(rows) == 6


def test_what_the_user_has_to_mend(tmp_path):
    for text, reason in (("[1]", "not a task"), ('{"examples": [{"input": "a"}]}', "not a task"), ("{", "not a task")):
        (tmp_path / "bad.json").write_text(text)
        with pytest.raises(UserError, match=reason):
            tasks.read_task(tmp_path / "bad.json", 5, 3, 1)
    with pytest.raises(UserError, match="cannot be read"):
        tasks.read_task(tmp_path / "none.json", 5, 3, 1)
    with pytest.raises(UserError, match="2 examples, of which 3 are shown"):
        tasks.read_task(write_task(tmp_path / "few.json", 2), 5, 3, 1)
    task = tasks.read_task(write_task(tmp_path / "far.json"), 5, 3, 1)
    with pytest.raises(
        UserError, match="rules have no plan for far; name a model, or one of these tasks: dyck_languages"
    ):
        arms.make_plans([task], None, "k")
    with pytest.raises(UserError, match="the instructor of far sees no problem"), chat_server.serve("x") as server:
        chat = create("openai", tmp_path / "cache", model="m", base_url=server.url, key_env=None)
        arms.make_plans([task._replace(shown=[])], chat, "k")
    for changes, reason in (
        ({"relations": [3, 2]}, "fewest, most"),
        ({"arms": ["direct", "direct"]}, "must differ"),
        ({"arms": ["direct"]}, "nothing to do"),
    ):
        with pytest.raises(ValueError, match=reason):
            stage.Params(**SETTINGS | changes)


@pytest.fixture
def root(tmp_path):
    tokenizer = build_tokenizer()
    loading.save(tiny_models.make_model("qwen2", len(tokenizer)), tokenizer, tmp_path / "data/base/model")
    for split in ("train", "test"):
        records.write_problems(tmp_path / f"data/benchmarks/{split}.jsonl", gradeschool.generate_problems(split, 6, 1))
        items = [
            x.model_copy(update={"id": f"dyval/{split}/{i}"})
            for i, x in enumerate(dyval_items.make_items("arithmetic", 6, seed=len(split), level=0))
        ]
        records.write_problems(tmp_path / f"data/ood/{split}.jsonl", items)
    return tmp_path


@pytest.mark.slow
def test_the_whole_stage(root):
    from stages.lib.run.headline import select_headline

    run = tiny_models.make_run(root, "pseudocode", stage.Params(**SETTINGS | {"target_tokens": 120}))
    results = stage.body(run)
    out = root / "data/pseudocode"
    assert results["executed"] == 1.0 and set(results["tasks"]) == {"gradeschool", "arithmetic"}
    training = results["study"]["training"]
    assert all(120 <= own["target_tokens"] < 300 for own in training.values())
    assert training["answers"]["programs"] > training["traces"]["programs"] > 0
    rows = [json.loads(line) for line in (out / "traces.jsonl").read_text().splitlines()]
    assert len(rows) == 6 + 3 * 3 * 3 and {row["arm"] for row in rows} == {"executed", *study.TARGETS}
    report = (out / "report.md").read_text()
    assert "best constant answer" in report and "Models trained on equally many target tokens" in report
    assert "No model reasons in this run" in report and (out / "traces.png").stat().st_size > 5000
    headline = select_headline(results, stage.HEADLINE)
    assert len(re.findall(r"\d+\.\d+|null", json.dumps(headline))) <= 15 and headline["executed"] == 1.0
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    (root / ".checkpoints").rename(root / "before")
    stage.body(run)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_a_stage_with_a_reasoner_and_no_study(root, capsys):
    with chat_server.serve(follow, count=lambda prompt: (40, 30)) as server:
        agent = {"kind": "openai", "settings": {"model": "m", "base_url": server.url, "key_env": None}}
        params = stage.Params(**SETTINGS | {"reasoner": agent, "tasks": ["gradeschool", "bool_logic"]})
        results = stage.body(tiny_models.make_run(root, "pseudocode", params))
        written = (root / "data/pseudocode/report.md").read_bytes()
        stage.body(tiny_models.make_run(root, "pseudocode", params))
        assert len(server.requests) == 15 and (root / "data/pseudocode/report.md").read_bytes() == written
    assert results["requests"] == {
        "reasoner": {
            **{"temperature": 0.0, "max_tokens": 1500, "requests": 15},
            **{"tokens_in": 600, "tokens_reused": 450, "tokens_out": 75},
        }
    }
    assert {(body["temperature"], body["max_tokens"]) for body in server.requests} == {(0.0, 1500)}
    assert b"It was asked at temperature 0 for 1,500 tokens an answer at most." in written
    assert b"Reasoner: 15 requests, 600 tokens read, of which the server had 450 cached, 75 written" in written
    assert "no problem with a program for bool_logic; left out" in capsys.readouterr().err
    figures = results["tasks"]["gradeschool"]["arms"]
    assert figures["traced_code"]["trace_exact"] == 1.0 and figures["direct"]["unreadable"] == 3
    report = (root / "data/pseudocode/report.md").read_text()
    assert "Traces that the reasoner writes" in report and "pseudocode with prints" in report


def test_study_learns_no_program_that_is_tested(root):
    from stages.lib.models.encoding import Encoder

    run = tiny_models.make_run(root, "pseudocode", stage.Params(**SETTINGS | {"target_tokens": 60}))
    encoder = Encoder.load(root / "data/base/model")
    first = study.draw_item("pseudocode/train/00000", [1, 2], 30, 1).forms["answers"]
    free = study.make_examples(run, "answers", encoder, set())
    kept = study.make_examples(run, "answers", encoder, {first.question})
    assert free[0] not in kept and free[1] in kept
    assert study.count_targets(kept) - 60 < max(study.count_targets([x]) for x in kept)


def test_a_task_takes_the_same_problems_in_any_order():
    problems = dyval_items.make_items("bool_logic", 30, level=0)
    first = tasks.make_task("t", problems[:20], problems[20:], 5, 2, 1)
    again = tasks.make_task("t", problems[:20][::-1], problems[20:][::-1], 5, 2, 1)
    assert first == again and isinstance(first, Task)
    assert {x.id for x in first.instances} <= {x.id for x in tasks.make_task("t", problems[:20], [], 9, 2, 1).instances}


def test_a_question_that_is_asked_is_never_shown():
    """Published code draws its demonstrations from the test set itself."""
    problems = dyval_items.make_items("bool_logic", 30, level=0)
    twins = [x.model_copy(update={"id": f"twin/{i}"}) for i, x in enumerate(problems[:20])]
    task = tasks.make_task("t", problems[:20], [*twins, *problems[20:22]], 5, 9, 1)
    assert {x.id for x in task.shown} == {x.id for x in problems[20:22]}
    assert not tasks.make_task("t", problems[:20], twins, 5, 9, 1).shown
