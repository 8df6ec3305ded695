"""`python -m stages` knows what is stale and why, and agrees with DVC."""

import json
import shutil

import pytest

from stages.lib.core import digests
from stages.lib.core.errors import UserError
from stages.lib.workspace import staleness
from tests.helpers.toy_pipeline import create_pipeline


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    project = create_pipeline(tmp_path_factory.mktemp("pipeline") / "a spåce")
    project.run("git", "init", "-q")
    project.run("dvc", "init", "-q")
    project.run("dvc", "repro", "-q", ASSAY_TRACKING="off")
    return project


@pytest.fixture
def project(finished, tmp_path):
    shutil.copytree(finished.root, tmp_path / "copy", symlinks=True)
    return type(finished)(tmp_path / "copy")


def get_statuses(root):
    return {name: state.status for name, state in staleness.compute_states(root, staleness.load_stages(root)).items()}


@pytest.mark.slow
def test_read(finished):
    one, two = staleness.load_stages(finished.root)
    assert (one.name, one.desc, one.metric) == ("one", "The first stage of the test", "dev.pass@1")
    assert one.deps == ["data/raw", "stages/problems/one.py", "stages/launch/cpu.yaml"]
    assert two.params == {"params.yaml": ["seed", "two.lr", "two.steps"]}
    assert two.outs == ["data/two/model", "data/two/metrics.json"]


def test_digests_are_those_of_dvc(finished):
    """data/raw holds deep.txt beside deep/y.txt, which sort differently as text and as paths."""
    from ruamel.yaml import YAML

    lock = YAML(typ="safe").load((finished.root / "dvc.lock").read_text())["stages"]
    items = [item for stage in lock.values() for kind in ("deps", "outs") for item in stage[kind]]
    assert {item["path"]: digests.md5(finished.root / item["path"]) for item in items} == {
        item["path"]: item["md5"] for item in items
    }


def edit(file, old, new):
    return lambda project: project.replace_text(file, old, new)


ADD_DEP = edit("dvc.yaml", "problems/two.py, ", "problems/two.py, stages/problems/one.py, ")
ADD_OUT = edit("dvc.yaml", "outs: [data/two/model]", "outs: [data/two/model, data/two/x]")
UNREAD = edit("params.yaml", "steps: 2\n  sleep: 0.0", "steps: 2\n  sleep: 0.1")
CHANGES = {  # what is done, the states of one and two, a reason
    "nothing": (lambda p: None, "fresh, fresh", ""),
    "parameter": (edit("params.yaml", "1e-3", "3e-3"), "stale, waiting", "one.lr 0.001 -> 0.003"),
    "parameter that two does not read": (
        edit("params.yaml", "none\n", "x\n"),
        "stale, waiting",
        "one.api_key none -> x",
    ),
    "parameter that nobody reads": (UNREAD, "fresh, fresh", ""),
    "seed": (edit("params.yaml", "seed: 1", "seed: 2"), "stale, stale", "seed 1 -> 2"),
    "comment": (edit("params.yaml", "# all of it", "# all"), "fresh, fresh", ""),
    "same number": (edit("params.yaml", "1e-3", "0.001"), "fresh, fresh", ""),
    "new parameter": (edit("params.yaml", "one:\n", "one:\n  more: 1\n"), "stale, waiting", "one.more (absent) -> 1"),
    "code": (edit("stages/problems/two.py", "steps", "steps "), "fresh, stale", "stages/problems/two.py changed"),
    "input": (edit("data/raw/deep/y.txt", "there", "their"), "stale, waiting", "data/raw changed"),
    "input gone": (lambda p: shutil.rmtree(p.root / "data/raw"), "stale, waiting", "data/raw missing"),
    "output edited": (edit("data/one/model/a.txt", "0", "1"), "stale, stale", "data/one/model changed"),
    "output gone": (lambda p: shutil.rmtree(p.root / "data/two"), "fresh, missing", "data/two/model missing"),
    "command": (
        edit("dvc.yaml", "-m stages.problems.two", " -m stages.problems.two"),
        "fresh, stale",
        "command changed",
    ),
    "dependency added": (ADD_DEP, "fresh, stale", "stages/problems/one.py new"),
    "output added": (ADD_OUT, "fresh, missing", "data/two/x missing"),
    "never run": (lambda p: (p.root / "dvc.lock").unlink(), "never run, never run", ""),
}


@pytest.mark.slow
@pytest.mark.parametrize("change", CHANGES)
def test_states_agree_with_dvc(project, change):
    act, statuses, reason = CHANGES[change]
    expected = dict(zip(("one", "two"), statuses.split(", "), strict=True))
    act(project)
    states = staleness.compute_states(project.root, staleness.load_stages(project.root))
    assert {name: state.status for name, state in states.items()} == expected
    assert reason in str(states["two" if expected["one"] == "fresh" else "one"].reasons)
    theirs = set(json.loads(project.run("dvc", "status", "--json").stdout or "{}"))
    assert {name for name, word in expected.items() if word not in ("fresh", "waiting")} == theirs


def append(path, text):
    path.write_text(path.read_text() + text)


@pytest.mark.slow
def test_a_stage_is_stale_by_room_only_while_no_code_it_runs_has_changed(project):
    core = project.root / "stages/lib/core"
    append(core / "json_cache.py", "\nUNUSED = 1\n")  # no stage here imports it
    append(core / "files.py", "\n# a comment\n")
    last = project.run_command_line().stdout.splitlines()[-1]
    assert last == (
        "two: stale by room only: no code it runs has changed; `dvc commit -f two` keeps the result, "
        "stages/lib/core changed"
    )
    project.run("dvc", "commit", "-q", "-f", "two")
    assert get_statuses(project.root) == {"one": "fresh", "two": "fresh"}
    append(core / "files.py", "\nUSED = 1\n")
    assert project.run_command_line().stdout.splitlines()[-1] == "two: stale: stages/lib/core changed"
    project.run("dvc", "commit", "-q", "-f", "two")
    append(core / "json_cache.py", "\nUNUSED = 2\n")
    last = project.run_command_line().stdout.splitlines()[-1]
    assert last == "two: stale: stages/lib/core changed", (
        "its last run used other code: committed by a person, not proven"
    )


@pytest.mark.slow
def test_cost_is_that_of_the_run_whose_outputs_are_here(project):
    """After a checkout of an older state it is not that of the newest run; of an output that was edited it is unknown."""

    def get_run(name):
        run = staleness.compute_states(project.root, staleness.load_stages(project.root))[name].run
        return run and run.id

    older, texts = get_run("one"), [(project.root / name).read_bytes() for name in ("params.yaml", "dvc.lock")]
    project.replace_text("params.yaml", "1e-3", "3e-3")
    project.run("dvc", "repro", "-q", ASSAY_TRACKING="off")
    assert older and get_run("one") not in (older, None)
    for name, text in zip(("params.yaml", "dvc.lock"), texts, strict=True):
        (project.root / name).write_bytes(text)
    project.run("dvc", "checkout", "-q")
    assert get_run("one") == older
    model = project.root / "data/one/model/a.txt"
    model.unlink()
    model.write_text("edited")
    assert get_run("one") is None
    line = project.run_command_line().stdout.splitlines()[1]
    assert line.split()[:3] == ["one", "stale", "dev.pass@1"], "no time, no memory"


@pytest.mark.slow
def test_map(project):
    project.replace_text("params.yaml", "lr: 0.1", "lr: 0.2")
    lines = project.run_command_line().stdout.splitlines()
    assert lines[0].split() == ["stage", "state", "time", "memory", "metric", "what", "it", "does"]
    assert "fresh" in lines[1] and "dev.pass@1 0.5 [0.4, 0.6]  The first stage of the test" in lines[1]
    assert lines[-1] == "two: stale: two.lr 0.1 -> 0.2"
    assert lines[1].index("The first") == lines[2].index("The second"), "aligned"


@pytest.mark.slow
def test_running_and_failed(project):
    project.replace_text("params.yaml", "sleep: 0.0", "sleep: 30.0")
    process = project.start("one", ASSAY_TRACKING="off")
    try:
        while get_statuses(project.root)["one"] != "running":
            assert process.poll() is None
    finally:
        process.kill()
        process.wait()
    assert "one: stale: last run killed" in project.run_command_line().stdout


def test_outside_a_workspace(tmp_path):
    with pytest.raises(UserError, match="dvc.yaml: not found"):
        staleness.load_stages(tmp_path)


def test_remembered_digests_follow_the_file(tmp_path):
    (tmp_path / ".assay").mkdir()
    (tmp_path / "x").write_text("one")
    for text in ("one", "two", "two"):
        (tmp_path / "x").write_text(text)
        with staleness._DigestCache(tmp_path) as md5:
            assert md5(tmp_path / "x") == digests.md5(tmp_path / "x")
