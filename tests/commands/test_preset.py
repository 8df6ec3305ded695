"""Presets: overlays over one default, checked before params.yaml is written; a user's comments are kept."""

import shutil

import pytest
from ruamel.yaml import YAML

from stages.commands.preset import apply_overlay, merge
from tests.helpers.toy_pipeline import PARAMS_YAML, ROOT, create_pipeline

BIG = "# python -m stages preset big\n# A larger one\n" + PARAMS_YAML.replace("# all of it\n", "").replace(
    "1e-3  # mine: tuned by hand", "2e-5 # big"
).replace("seed: 1", "seed: 7")


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    return create_pipeline(tmp_path_factory.mktemp("preset") / "p")


@pytest.fixture
def project(original, tmp_path):
    shutil.copytree(original.root, tmp_path / "p")
    return type(original)(tmp_path / "p")


@pytest.mark.slow
def test_list(project):
    assert project.run_command_line("preset").stdout.splitlines() == [
        "preset   what it is",
        "big      A larger one",
        "default  The plain one",
    ]


@pytest.mark.slow
def test_switch_keeps_the_users_comments(project):
    done = project.run_command_line("preset", "big")
    text = (project.root / "params.yaml").read_text()
    assert text == PARAMS_YAML.replace("1e-3  # mine", "2e-5  # mine").replace("seed: 1", "seed: 7")
    assert "-  lr: 1e-3" in done.stdout and "+  lr: 2e-5" in done.stdout and "lr: 0.1" not in done.stdout
    assert "holds preset big already" in project.run_command_line("preset", "big").stdout


@pytest.mark.slow
def test_dry_run_changes_nothing(project):
    done = project.run_command_line("preset", "big", "--dry-run")
    assert "+seed: 7" in done.stdout and (project.root / "params.yaml").read_text() == PARAMS_YAML


@pytest.mark.slow
def test_untouched_preset_is_replaced_whole(project):
    default = (project.root / "stages/presets/default.yaml").read_text()
    for name, text in {"default": default, "big": BIG}.items():
        (project.root / "params.yaml").write_text(default)
        project.run_command_line("preset", name)
        assert (project.root / "params.yaml").read_text() == text


@pytest.mark.slow
@pytest.mark.parametrize("before", [None, "", "\t: [", "- 1\n"])
def test_from_nothing_or_a_broken_file(project, before):
    path = project.root / "params.yaml"
    path.unlink() if before is None else path.write_text(before)
    project.run_command_line("preset", "big")
    assert path.read_text() == BIG


def test_another_encoding_is_refused_and_an_old_header_goes(project):
    path = project.root / "params.yaml"
    path.write_text("# The tiny preset: the whole pipeline.\n" + PARAMS_YAML.removeprefix("# all of it\n"))
    project.run_command_line("preset", "big", "big")
    assert path.read_text().startswith("# python -m stages preset big\n# A larger one\n")
    path.write_text(PARAMS_YAML, encoding="utf-16")
    assert "params.yaml: not UTF-8" in project.run_command_line("preset", "big", code=2).stderr


@pytest.mark.slow
def test_unknown(project):
    assert (
        project.run_command_line("preset", "huge", code=2).stderr
        == "preset 'huge': not found; there are big, default\n"
    )


@pytest.mark.slow
def test_a_faulty_preset_is_refused_with_every_fault(project):
    path = project.root / "stages/presets/default.yaml"
    path.write_text(path.read_text().replace("1e-3", "-1.0").replace("steps: 2", "step: 2").replace("cpu", "tpu"))
    path.write_text(path.read_text() + "three:\n  a: 1\n")
    said = project.run_command_line("preset", "default", code=2).stderr
    for part in (
        "three: unknown section",
        "stages/launch/tpu.yaml not found",
        "one.lr: must be > 0, got -1.0",
        "two.steps: missing",
        "two.step: unknown key",
    ):
        assert part in said
    assert (project.root / "params.yaml").read_text() == PARAMS_YAML


@pytest.fixture
def overlays(project):
    """A set of problems at half size, or fast."""
    for name, text in {
        "half": "# Half the size\none:\n  steps: 1 # few\ntwo: {lr: 0.05}\n",
        "fast": "# Soon over\nover: default\none: {lr: 1.0}\n",
        "set": "# A set of problems\nover: [half, fast]\ntwo:\n  steps: 9\n",
    }.items():
        (project.root / f"stages/presets/{name}.yaml").write_text(text)
    return project


@pytest.mark.slow
def test_an_overlay_lies_over_the_one_that_it_names(overlays):
    path = overlays.root / "params.yaml"
    path.unlink()
    overlays.run_command_line("preset", "set")
    text = path.read_text()
    assert text == "# python -m stages preset set\n# A set of problems\n" + PARAMS_YAML.removeprefix(
        "# all of it\n"
    ).replace("1e-3  # mine: tuned by hand\n  steps: 3", "1e-3\n  steps: 1 # few").replace(
        "lr: 0.1\n  steps: 2", "lr: 0.05\n  steps: 9"
    )


@pytest.mark.slow
@pytest.mark.parametrize("names", [("set", "fast"), ("fast", "set")])
def test_names_stack_in_any_order(overlays, names):
    overlays.run_command_line("preset", *names)
    values = YAML(typ="safe").load((overlays.root / "params.yaml").read_text())
    assert [values[one][key] for one in ("one", "two") for key in ("lr", "steps")] == [
        1.0,
        3,
        0.1,
        9,
    ]  # nothing of half
    assert f"holds preset {' '.join(names)} already" in overlays.run_command_line("preset", *names).stdout


@pytest.mark.slow
def test_a_stack_as_it_ships_is_replaced_whole_and_its_name_never_stays(overlays):
    path = overlays.root / "params.yaml"
    path.unlink()
    overlays.run_command_line("preset", "set", "fast")
    overlays.run_command_line("preset", "default")
    assert path.read_text() == (overlays.root / "stages/presets/default.yaml").read_text()
    overlays.run_command_line("preset", "set")
    overlays.replace_text("params.yaml", "lr: 1e-3", "lr: 1e-3 # mine")
    overlays.run_command_line("preset", "fast")
    assert path.read_text().startswith("# python -m stages preset fast\n# Soon over\n") and "# mine" in path.read_text()
    assert "A set of problems" not in path.read_text()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("over: half\none:\n  lr: -1.0\n", "stages/presets/set.yaml:3 one.lr: must be > 0, got -1.0"),
        ("over: half\ntwo: {step: 1}\n", "stages/presets/set.yaml:2 two.step: unknown key; allowed here: lr, steps"),
        ("over: half\nthree: {a: 1}\n", "stages/presets/set.yaml:2 three: unknown section; stages are one, two"),
        (
            "over: half\nlaunch: tpu\n",
            "stages/presets/set.yaml:2 launch: stages/launch/tpu.yaml not found; there are cpu",
        ),
        ("over: half\ntwo: null\n", "stages/presets/default.yaml: section 'two' is missing"),
        (
            "over: haf\n",
            "stages/presets/set.yaml over: preset 'haf': not found; there are big, default, fast, half, set",
        ),
        ("over: set\n", "stages/presets/set.yaml over: preset 'set': extends itself"),
    ],
)
def test_a_fault_is_told_of_the_overlay_that_has_it(overlays, text, said):
    (overlays.root / "stages/presets/set.yaml").write_text(text)
    assert said in overlays.run_command_line("preset", "set", code=2).stderr
    assert (overlays.root / "params.yaml").read_text() == PARAMS_YAML


@pytest.mark.slow
def test_presets_that_do_not_stack(overlays):
    for names, over in {
        "half fast": "half extends default",
        "big half": "big extends default",
        "set big": "set extends half or fast",
        "set default": "set extends half or fast",
    }.items():
        said = overlays.run_command_line("preset", *names.split(), code=2).stderr
        assert said == f"presets {names}: do not stack; {over}\n"
    assert "now preset set half" in overlays.run_command_line("preset", "set", "half").stdout


def test_dvc_overrides_shared_and_own_keys(project):
    """As `dvc exp run -S training.lora_rank=8` writes params.yaml."""
    from dvc.utils.hydra import apply_overrides

    from stages.lib.core import params
    from stages.verifiers import orm, prm

    path = project.root / "params.yaml"
    shutil.copy(ROOT / "params.yaml", path)
    apply_overrides(str(path), ["orm.lr=0.002", "training.lora_rank=8", "+prm.lora_rank=4"])
    first, second = params.load_section("orm", orm.Params, path), params.load_section("prm", prm.Params, path)
    assert (first.lr, first.lora_rank, first.precision, second.lora_rank) == (0.002, 8, "no", 4)


@pytest.mark.parametrize("null", ["b: null", "b:", "c: null\nb: null"])
def test_null_takes_a_mapping_away(null):
    document, overlay = YAML().load("a: 1\nb: {x: 1}\nd: 2\n"), YAML().load(f"{null}\nd: null\n")
    apply_overlay(document, overlay)
    assert document == {"a": 1, "d": None}


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
    result, wanted = yaml.load(merge(old, new)), yaml.load(new)
    assert repr(sorted(result.items())) == repr(sorted(wanted.items()))
