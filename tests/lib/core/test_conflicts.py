"""Settings that are impossible together are told all at once, each with file, line, key and what is allowed."""

import copy

import pytest
from ruamel.yaml import YAML

from stages.lib.core import conflicts, params
from stages.lib.core.errors import UserError
from stages.lib.run import execution
from tests.helpers.workspace import ROOT

DEFAULT = params.to_plain(params.read_yaml(ROOT / "stages/presets/default.yaml"))
GSM8K = {
    "benchmarks": {
        "name": "gsm8k",
        "source": "path",
        "path": {"train": "a.jsonl", "test": "b.jsonl"},
        "shares": {"train": 0.6, "verifier": 0.3, "dev": 0.1},
        "sizes": {"train": None, "verifier": None, "dev": None, "test": None},
    },
    "prm.labels": ["pool"],
    "scores.verifiers": ["orm"],
    "genrm.teacher": "none",
}
PUBLISHED = {"form": "separator", "path": "data/raw/verifiers/mine"}
QUARTERS = dict.fromkeys(("train", "verifier", "dev", "test"), 0.25)


def change(changes):
    settings = copy.deepcopy(DEFAULT)
    if "scores.verifiers" in changes and not any(key.startswith("arena") for key in changes):
        settings["arena"]["judges"] = []  # those of the default want its scores
    for key, value in changes.items():
        section, _, name = key.rpartition(".")
        (params.get_by_path(settings, section) if section else settings)[name] = copy.deepcopy(value)
    return settings


CASES = {
    "no exact labels": (GSM8K | {"prm.labels": ["exact"]}, "prm.labels", "not for gsm8k; choose of pool, mc_hard"),
    "another temperature before and after": (
        {"preference.temperature": 1.0},
        "preference.temperature",
        "1.0, but samples.temperature drew the generator's solutions; must be 0.7",
    ),
    "another limit before and after": (
        {"preference.max_new_tokens": 300},
        "preference.max_new_tokens",
        "300, but samples.max_new_tokens drew the generator's solutions; must be 320",
    ),
    "replies from fewer tokens than samples": (
        {"honesty.top_k": 5},
        "honesty.top_k",
        "5, but samples.top_k drew the generator's solutions; must be 0",
    ),
    "replies longer than samples": (
        {"honesty.max_new_tokens": 500},
        "honesty.max_new_tokens",
        "more than samples.max_new_tokens; must be at most 320",
    ),
    "more solutions than were drawn": (
        {"preference.eval_samples": 99},
        "preference.eval_samples",
        "must be at most 16",
    ),
    "no such labels": ({"labels.methods": ["pool"]}, "prm.labels", "exact is not made; add it to labels.methods"),
    "no solver": (
        {"augmentation.writer": {"kind": "openai"}},
        "augmentation.solver.kind",
        "no rule reads what augmentation.writer rephrases",
    ),
    "nothing imported": (
        {"prm.labels": ["imported"], "scores.verifiers": ["prm"]},
        "prm.labels",
        "labels.imported names no file",
    ),
    "no rollouts": (
        {"prm.labels": ["mc_hard", "exact"], "labels.problems": 0},
        "labels.problems",
        "mc_hard has no label",
    ),
    "absent file": (
        {"labels.imported": {"prm800k": ["data/raw/labels/x/*.jsonl"]}},
        "labels.imported.prm800k",
        "x/*.jsonl' names no file",
    ),
    "empty name": ({"labels.imported": {"trl": [""]}}, "labels.imported.trl", "'' names no file"),
    "no teacher": (GSM8K | {"genrm.teacher": "procedural"}, "genrm.teacher", "not for gsm8k; choose model or none"),
    "not trained": (
        {"scores.verifiers": ["prm_mc_hard"]},
        "scores.verifiers",
        "name mc_hard behind the first of prm.lab",
    ),
    "not beside": ({"scores.verifiers": ["prm_pool"]}, "scores.verifiers", "prm_pool is not trained"),
    "no words": ({"prm.head_init_tokens": []}, "scores.verifiers", "base_prm reads prm.head_init_tokens, which are []"),
    "no words of orm": ({"orm.head_init_tokens": []}, "scores.verifiers", "base_orm reads orm.head_init_tokens"),
    "absent model": (
        {"scores.published": {"mine": PUBLISHED}, "scores.verifiers": ["mine"]},
        "scores.published.mine.path",
        "data/raw/verifiers/mine is not a folder",
    ),
    "empty train": ({"benchmarks.sizes.train": 0}, "benchmarks.sizes.train", "0, but the generator learns from it"),
    "empty dev": ({"benchmarks.sizes.dev": 0}, "benchmarks.sizes.dev", "0, but settings are chosen on it; must be > 0"),
    "no share": (
        GSM8K | {"benchmarks.shares": {"train": 0.5, "dev": 0.5}},
        "benchmarks.shares.verifier",
        "0, and no published rows are for this split, but verifiers learn from it",
    ),
    "no test": (GSM8K | {"benchmarks.path": {"train": "a.jsonl"}}, "benchmarks.shares.test", "results are of it"),
}


@pytest.mark.parametrize("changes", [{}, GSM8K], ids=["default", "gsm8k"])
def test_settings_that_go_together(changes, tmp_path):
    assert conflicts.find_conflicts(change(changes), tmp_path) == []


@pytest.mark.parametrize("case", CASES)
def test_a_conflict_names_key_and_remedy(case, tmp_path):
    changes, key, reason = CASES[case]
    found = conflicts.find_conflicts(change(changes), tmp_path)
    assert [name for name, _ in found] == [key] and reason in found[0][1], found


@pytest.mark.parametrize(
    "changes",
    [
        {"generator.train": False, "benchmarks.sizes.train": 0},
        {"honesty.agent": {"kind": "openai"}, "honesty.temperature": 1.0, "honesty.max_new_tokens": 2000},
        {"scores.verifiers": ["prm_exact", "prm"]},
        {"scores.verifiers": ["prm"], "prm.head_init_tokens": []},
        GSM8K | {"benchmarks.path": {"test": "b"}, "benchmarks.shares": QUARTERS},
    ],
)
def test_what_only_looks_like_a_conflict(changes, tmp_path):
    assert conflicts.find_conflicts(change(changes), tmp_path) == []


@pytest.mark.parametrize("value", [None, 3, "x", [], {}, [1]])
@pytest.mark.parametrize(
    "key", ["benchmarks", "labels", "prm", "scores", "prm.labels", "labels.imported", "benchmarks.sizes"]
)
def test_values_of_other_types_are_left_to_their_section(key, value, tmp_path):
    conflicts.find_conflicts(change({key: value}), tmp_path)


def test_files_are_found_below_the_root(tmp_path):
    (tmp_path / "data/raw/verifiers/mine").mkdir(parents=True)
    (tmp_path / "data/raw/labels/x").mkdir(parents=True)
    (tmp_path / "data/raw/labels/x/1.jsonl").touch()
    for case in ("absent model", "absent file"):
        assert conflicts.find_conflicts(change(CASES[case][0]), tmp_path) == []


def test_a_stage_refuses_all_of_them_before_it_starts(tmp_path, monkeypatch, capsys):
    """Also those of later stages; nothing is written."""
    monkeypatch.chdir(tmp_path)
    with open("params.yaml", "w") as file:
        YAML().dump(change({"prm.labels": ["imported"], "benchmarks.sizes.dev": 0}), file)
    lines = (tmp_path / "params.yaml").read_text().splitlines()

    def body(run):
        raise AssertionError("must not start")

    from stages.problems.benchmarks.__main__ import Params

    with pytest.raises(SystemExit) as stop:
        execution.run_stage("benchmarks", Params, body)
    errors = capsys.readouterr().err.splitlines()
    assert stop.value.code == 2 and [path.name for path in tmp_path.iterdir()] == ["params.yaml"]
    for error, key in zip(errors, ("sizes.dev", "prm.labels", "scores.verifiers"), strict=True):
        place = error.removeprefix("benchmarks: ").split()[0]
        assert f"{key}: " in error and lines[int(place.split(":")[1]) - 1].strip().startswith(key.split(".")[-1])


def test_doctor_and_presets_use_the_same_check(tmp_path):
    from stages.commands import preset

    document = change({"prm.labels": ["imported"], "orm.lr": -1.0})
    with pytest.raises(UserError) as error:
        preset.validate(document, [(tmp_path / "params.yaml", document)])
    assert "orm.lr: must be > 0" in str(error.value) and "labels.imported names no file" in str(error.value)
