"""Presets: whole parameter sets, checked before they are written, comments kept."""

import shutil

import pytest
from ruamel.yaml import YAML

from stages.commands.preset import merged
from tests.small import PARAMS, small


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    return small(tmp_path_factory.mktemp("preset") / "p")


@pytest.fixture
def project(original, tmp_path):
    shutil.copytree(original.root, tmp_path / "p")
    return type(original)(tmp_path / "p")


def test_list(project):
    assert project.stages("preset").stdout.splitlines() == [
        "big             A larger one",
        "plain           The plain one",
    ]


def test_switch_keeps_the_users_comments(project):
    done = project.stages("preset", "big")
    text = (project.root / "params.yaml").read_text()
    assert text == PARAMS.replace("1e-3  # mine", "2e-5  # mine").replace("seed: 1", "seed: 7")
    assert "-  lr: 1e-3" in done.stdout and "+  lr: 2e-5" in done.stdout and "lr: 0.1" not in done.stdout
    assert "holds preset big already" in project.stages("preset", "big").stdout


def test_dry_run_changes_nothing(project):
    done = project.stages("preset", "big", "--dry-run")
    assert "+seed: 7" in done.stdout and (project.root / "params.yaml").read_text() == PARAMS


def test_untouched_preset_is_replaced_whole(project):
    for name in ("plain", "big"):
        (project.root / "params.yaml").write_text((project.root / "stages/presets/plain.yaml").read_text())
        project.stages("preset", name)
        assert (project.root / "params.yaml").read_text() == (project.root / f"stages/presets/{name}.yaml").read_text()


@pytest.mark.parametrize("before", [None, "", "\t: [", "- 1\n"])
def test_from_nothing_or_a_broken_file(project, before):
    path = project.root / "params.yaml"
    path.unlink() if before is None else path.write_text(before)
    project.stages("preset", "big")
    assert path.read_text() == (project.root / "stages/presets/big.yaml").read_text()


def test_unknown(project):
    assert project.stages("preset", "huge", code=2).stderr == "preset 'huge': not found; there are big, plain\n"


def test_a_faulty_preset_is_refused_with_every_fault(project):
    path = project.root / "stages/presets/big.yaml"
    path.write_text(path.read_text().replace("2e-5", "-1.0").replace("steps: 2", "step: 2").replace("cpu", "tpu"))
    path.write_text(path.read_text() + "three:\n  a: 1\n")
    said = project.stages("preset", "big", code=2).stderr
    for part in ("unknown section three", "stages/launch/tpu.yaml not found", "one.lr: must be > 0, got -1.0",
                 "two.steps: missing", "two.step: unknown key"):  # fmt: skip
        assert part in said
    assert (project.root / "params.yaml").read_text() == PARAMS


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("a: 1 # x\nb:\n  c: 2\n", "b:\n  c: 2.0\n  d: [1, 2]\na: true\n"),
        ("a: {b: 1}\n", "a: 3\n"),
        ("a: 3 # why\n", "a:\n  b: 1\n"),
        ("# top\na: 1\nz: 9 # end\n", "m: 'text'\na: 1\n"),
        ("a: &x 1\nb: *x\n", "a: 1\nb: 2\n"),
    ],
)
def test_merged_has_exactly_the_new_values(old, new):
    yaml = YAML(typ="safe")
    result, wanted = yaml.load(merged(old, new)), yaml.load(new)
    assert repr(sorted(result.items())) == repr(sorted(wanted.items()))
