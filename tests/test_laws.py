"""The laws of the house: one word in five places, one way, rooms, honest code dependencies, import does nothing."""

import ast
import os
import re
import subprocess
import sys
from importlib import import_module
from itertools import groupby
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from stages.lib.run.import_closure import find_imported_files, is_code
from stages.lib.training.training_params import TrainingParams
from stages.lib.workspace.chapters import CHAPTERS, find_module
from stages.problems.benchmarks.__main__ import ADAPTERS

ROOT = Path(__file__).parent.parent
PIPELINE = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text())["stages"]
NAMES = list(PIPELINE)
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "stages").rglob("*.md"), *(ROOT / "data/raw").rglob("README.md")])
SOURCES = sorted(path for folder in ("stages", "bench", "tests") for path in (ROOT / folder).rglob("*.py"))


# Room of stages/lib -> rooms that it may import. One way, top to bottom; every room may import `core`.
ARROWS = {
    "page": {"display", "metrics", "models", "reports"},
    "hub": {"models", "verifiers"},
    "adaptation": {"metrics"},
    "compression": {"models"},
    "arena": {"chat", "display", "grading"},
    "chat": {"inference", "models"},
    "verifiers": {"chat", "inference", "labels", "metrics", "models", "run"},
    "labels": {"datasets", "display", "grading", "inference", "models", "procedural"},
    "reports": {"datasets", "display", "grading", "metrics"},
    "training": {"models", "run"},
    "inference": {"models"},
    "datasets": {"grading", "run"},
    "selection": {"display", "inference", "metrics", "models", "verifiers"},
    "interpreter": set(),
    "operators": {"procedural"},
    "rewording": set(),
    "procedural": {"grading"},
    "workspace": {"run"},
    "run": set(),
    "models": set(),
    "grading": set(),
    "display": set(),
    "metrics": set(),
    "core": set(),
}


# The parts of dvc.yaml, a ruler each. Generators come again, since some learn from verifiers, which come from generators.
PARTS = ("problems", "generators", "verifiers", "generators", "evaluation")


def module_file(stage: str) -> Path:
    path = ROOT.joinpath(*find_module(stage).split("."))
    return path.with_suffix(".py")


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.module and not node.level, f"{path}:{node.lineno}: import by the full name, stages..."
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def paths(entries: list) -> list[str]:
    return [next(iter(entry)) if isinstance(entry, dict) else entry for entry in entries]


def test_stages_holds_chapters_lib_commands_and_settings_alone():
    listing = {path.name for path in (ROOT / "stages").iterdir()} - {"__pycache__"}
    known = {*CHAPTERS, "lib", "commands", "launch", "presets", "__init__.py", "__main__.py"}
    assert listing == known, f"stages/: {sorted(listing ^ known)}"
    parts = [path for chapter in CHAPTERS for path in (ROOT / "stages" / chapter).iterdir()]
    modules = {path.stem for path in parts} - {"__init__", "__pycache__", "README"}
    assert modules == set(NAMES), f"{sorted(modules ^ set(NAMES))}: a module of a chapter is a stage of dvc.yaml"
    order = [chapter for stage in NAMES for chapter in CHAPTERS if f".{chapter}." in find_module(stage)]
    assert [chapter for chapter, _ in groupby(order)] == list(PARTS), "dvc.yaml is in the order of the chapters"


@pytest.mark.parametrize("stage", NAMES)
def test_one_word_five_places(stage):
    sections = YAML(typ="safe").load((ROOT / "params.yaml").read_text())
    entry = PIPELINE[stage]
    assert stage in sections, f"params.yaml: section {stage} is missing"
    assert module_file(stage).exists()
    by_hand = f"python -m {find_module(stage).removesuffix('.__main__')}"
    assert entry["cmd"] in (by_hand, f"python -m stages launch ${{launch}} {stage}", f"python -m stages launch {stage}")
    assert ("stages/launch/${launch}.yaml" in entry["deps"]) == ("${launch}" in entry["cmd"])
    shared = ["training"] if issubclass(import_module(find_module(stage)).Params, TrainingParams) else []
    main = module_file(stage).read_text()
    own, shared = [key for key in entry["params"] if key.endswith("seed")], [*shared, stage]
    assert entry["params"] == [*own, *shared] and own in (["seed"], ["seed", "test_seed"], ["test_seed"])
    assert ("test_seed" in own) == ("run.test_seed" in main) and ("seed" in own or "run.seed" not in main)
    foreign = [path for path in paths(entry["outs"] + entry["metrics"]) if not path.startswith(f"data/{stage}/")]
    assert not foreign, f"dvc.yaml {stage}: {foreign} are not in data/{stage}/"
    assert f'run_stage("{stage}", Params,' in main, "the MLflow run takes its name from run_stage"


@pytest.mark.parametrize("stage", NAMES)
def test_every_stage_has_a_line_in_the_table_of_contents(stage):
    description = PIPELINE[stage]["desc"]
    assert 10 < len(description) < 84 and "\n" not in description, f"dvc.yaml {stage}: `dvc stage list` cuts its desc"


def test_the_map_in_the_readme_is_that_of_dvc_yaml():
    stages = re.split(r"^\w+:$", (ROOT / "dvc.yaml").read_text(), flags=re.MULTILINE)[1]  # without plots and artifacts
    entries = re.findall(r"^  (?:# -+ (.+?) -+|(\w+):)$", stages, re.MULTILINE)
    lines = [ruler or f"  {stage:<11} {PIPELINE[stage]['desc']}" for ruler, stage in entries]
    expected = "\n".join(["```", *lines, "```"])
    assert expected in (ROOT / "README.md").read_text(), f"README.md: replace the map by\n{expected}"


@pytest.mark.parametrize("stage", NAMES)
def test_one_way(stage):
    earlier = NAMES[: NAMES.index(stage)]
    inputs = [dep for dep in PIPELINE[stage]["deps"] if dep.startswith("data/") and not dep.startswith("data/raw/")]
    # Which model a verifier starts from, and which verifier abstains, are parameters; all choices come earlier.
    choices = {f"${{{stage}.init_from}}": {"generator", "base"}, f"${{{stage}.verifier}}": {"orm", "prm", "genrm"}}
    late = [dep for dep in inputs if not choices.get(dep.split("/")[1], {dep.split("/")[1]}) <= {*earlier}]
    assert not late, f"dvc.yaml {stage}: {late} are not outputs of earlier stages"


def rooms(files: set[Path]) -> set[str]:
    """The code dependencies of a closure: of a room with two or more files in it the smallest folder that holds them, of a
    room with one that file."""
    groups: dict[tuple[str, ...], list[Path]] = {}
    for file in files:
        groups.setdefault(file.parts[:3], []).append(file)
    return {
        (group[0] if len(group) == 1 else Path(os.path.commonpath([file.parent for file in group]))).as_posix()
        for group in groups.values()
    }


@pytest.mark.slow
@pytest.mark.parametrize("stage", NAMES)
def test_dependencies_on_code_are_the_rooms_of_its_imports(stage):
    code = {dep for dep in PIPELINE[stage]["deps"] if is_code(dep)}
    expected = rooms(find_imported_files(ROOT, find_module(stage)))
    assert code == expected, f"dvc.yaml {stage}: add {sorted(expected - code)}, remove {sorted(code - expected)}"
    assert "requirements.lock" in PIPELINE[stage]["deps"]


def test_dvc_yaml_reads_like_a_contents_page():
    text = (ROOT / "dvc.yaml").read_text()
    assert len(text.splitlines()) <= 18 * len(NAMES)
    lines = text.partition("\nplots:\n")[0].splitlines()
    assert sum(line.startswith("  # ----") for line in lines) == len(PARTS)
    starts = [i for i, line in enumerate(lines) if re.fullmatch(r"  \w+:", line) and line.strip(" :") in NAMES]
    for first, last in zip(starts, [*starts[1:], len(lines)], strict=True):
        entry = [line for line in lines[first:last] if line.startswith("    ") or line == lines[first]]
        assert len(entry) <= 19, lines[first]


def test_plots_and_artifacts_are_outputs_of_stages():
    pipeline = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text())
    outputs = {path for entry in PIPELINE.values() for path in paths(entry["outs"] + entry["metrics"])}
    plots = pipeline["plots"]
    files = {path for plot in plots if isinstance(plot, dict) for path in next(iter(plot.values()))["y"]}
    assert files | {plot for plot in plots if isinstance(plot, str)} <= outputs
    assert {f"data/{stage}/history.csv" for stage in NAMES} & outputs <= files, "every trained model shows its losses"
    models = {f"data/{stage}/model" for stage in NAMES} & outputs - {"data/base/model"}
    assert {artifact["path"] for artifact in pipeline["artifacts"].values()} == models
    for plot in plots:
        if isinstance(plot, dict) and (template := next(iter(plot.values())).get("template")):
            assert (ROOT / f".dvc/plots/{template}.json").is_file()


@pytest.mark.slow
def test_chapters_and_rooms():
    listing = {path.name for path in (ROOT / "stages/lib").iterdir() if path.is_dir()} - {"__pycache__"}
    assert set(ARROWS) == listing, f"stages/lib and ARROWS differ in {sorted(set(ARROWS) ^ listing)}"
    for path in (ROOT / "stages").rglob("*.py"):
        used = [name.split(".") for name in imports(path) if name.startswith("stages.")]
        here = path.relative_to(ROOT / "stages").parts
        if here[0] == "lib":
            assert {name[1] for name in used} <= {"lib"}, f"{path}: lib imports {used}"
            reached = {name[2] for name in used if len(name) > 2} - {here[1], "core"}
            assert reached <= ARROWS.get(here[1], set()), (
                f"{path}: {here[1]} must not import {reached - ARROWS[here[1]]}"
            )
        elif here[0] in CHAPTERS:
            stage = Path(here[1]).stem if len(here) > 1 else None
            outside = [name for name in used if name[1] != "lib" and name[1:] != [here[0]]]
            others = {".".join(name[1:3]) for name in outside}
            assert others <= {f"{here[0]}.{stage}"}, f"{path}: a stage imports {others}"


@pytest.mark.parametrize("page", [path.relative_to(ROOT) for path in PAGES], ids=str)
def test_files_named_in_the_pages_exist(page):
    """Paths in backticks, from the root or from the page, and targets of links."""
    text = (ROOT / page).read_text()
    names = re.findall(r"`((?:stages|tests|bench|data/raw|\.github)/[\w./-]+)`", text) + re.findall(
        r"`([\w-]+/\w+\.py)`", text
    )
    places = (ROOT, ROOT / page.parent, ROOT / "stages", ROOT / "stages/lib", ROOT / "stages/problems/ood")
    places += (ROOT / "stages/lib/procedural", ROOT / "stages/problems")
    assert [name for name in names if not any((place / name).exists() for place in places)] == []
    links = re.findall(r"\]\((?!https?:)([^)#]+)", text)
    assert [link for link in links if not (ROOT / page.parent / link).exists()] == []


def test_every_test_in_the_table_of_faults_exists():
    rows = re.findall(r"^\| .+? \| `(tests/\S+\.py)::(\w+)`.* \| .+ \|$", (ROOT / "tests/README.md").read_text(), re.M)
    assert len(rows) > 30
    assert [row for row in rows if f"def {row[1]}(" not in (ROOT / row[0]).read_text()] == []


def test_the_table_of_rooms_in_the_readme_is_that_of_arrows():
    rows = re.findall(r"^\| `(\w+)` \| .+ \| ([`\w ]*)\|$", (ROOT / "stages/lib/README.md").read_text(), re.MULTILINE)
    assert [(room, set(re.findall(r"\w+", arrows))) for room, arrows in rows] == list(ARROWS.items())


@pytest.mark.parametrize(
    "folder",
    [
        "stages",
        *(f"stages/{chapter}" for chapter in CHAPTERS),
        "stages/lib",
        *(f"stages/lib/{room}" for room in ARROWS),
    ],
)
def test_every_chapter_and_room_says_what_it_is(folder):
    said = ast.get_docstring(ast.parse((ROOT / folder / "__init__.py").read_text()))
    assert said and len(said) > 60, f"{folder}/__init__.py: what the room knows, and what it must not know"


@pytest.mark.slow
def test_lib_has_no_cycles():
    graph = {}
    for path in (ROOT / "stages/lib").rglob("*.py"):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        graph[module] = imports(path)
    # A module that takes a sibling through their package does not import what the package gathers.
    graph = {
        module: {name for name in names if name in graph and not f"{module}.".startswith(f"{name}.")}
        for module, names in graph.items()
    }
    graph["stages.lib"] = set()
    while graph:
        leaves = {module for module, names in graph.items() if not names & set(graph)}
        assert leaves, f"a cycle among {sorted(graph)}"
        graph = {module: names for module, names in graph.items() if module not in leaves}


@pytest.mark.slow
def test_import_does_nothing_and_is_light():
    modules = [find_module(stage) for stage in NAMES]
    heavy = ["torch", "transformers", "mlflow", "dvc", "datasets", "pyarrow", "scipy", "matplotlib", "sympy"]
    code = (
        f"import sys, importlib\nfor m in {[*modules, 'stages.__main__']}: importlib.import_module(m)\n"
        f"print([m for m in {heavy} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.slow
def test_every_section_is_checked_by_its_stage(monkeypatch):
    from stages.commands import preset
    from stages.lib.core import params

    monkeypatch.chdir(ROOT)
    names = list(preset.load_presets())
    stacks = [[name] for name in names] + [[name, "nano"] for name in names if name in ADAPTERS]
    texts = {" ".join(stack): preset.stack_presets(stack) for stack in stacks}
    for label, text in {"params.yaml": (ROOT / "params.yaml").read_text(), **texts}.items():
        document = YAML(typ="safe").load(text)
        for stage, model in preset.load_stage_params().items():
            section = params.validate_section(stage, model, document, [(Path(label), document)])
            named = {*document[stage], *(document["training"] if model.shared_section else ())}
            assert named == set(section.model_dump(exclude_none=True)), f"{label} {stage}: spell out every key"


def test_params_yaml_is_the_default_preset_and_every_other_preset_a_short_overlay():
    texts = {path.stem: path.read_text() for path in (ROOT / "stages/presets").glob("*.yaml")}
    is_default = (ROOT / "params.yaml").read_text() == texts.pop("default")
    assert is_default, "`python -m stages preset default` first, or copy params.yaml to stages/presets/default.yaml"
    assert [name for name, text in texts.items() if len(text.splitlines()) > 80] == []


def test_every_benchmark_has_a_preset_that_says_where_its_files_come_from(monkeypatch):
    from stages.commands import preset

    monkeypatch.chdir(ROOT)
    known = preset.load_presets()
    for name in ADAPTERS:
        first = known[name].splitlines()[0]
        assert f"data/raw/benchmarks/{name}/" in first and "(" in first and len(first) < 150


@pytest.mark.slow
def test_no_pickle_no_remote_code_no_shell():
    """safetensors only; nothing downloaded is executed; no string is handed to a shell."""
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = {alias.name for alias in node.names} | {getattr(node, "module", "") or ""}
                assert not names & {"pickle", "cloudpickle", "dill", "joblib"}, f"{path}:{node.lineno}"
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                assert called not in {"eval", "exec", "torch.load", "os.system", "os.popen"}, f"{path}:{node.lineno}"
                for word in node.keywords:
                    on = isinstance(word.value, ast.Constant) and word.value.value is True
                    assert not (on and word.arg in {"trust_remote_code", "shell"}), f"{path}:{node.lineno}"


def test_data_and_state_stay_out_of_git():
    tracked = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\0")
    outside = [path for path in tracked if path.startswith("data/") and not path.startswith("data/raw/")]
    metrics = {f"data/{stage}/metrics.json" for stage in NAMES}  # a clone shows the numbers without a remote
    assert [path for path in outside if path not in {"data/.gitignore", "data/README.md"} | metrics] == []
    assert not [path for path in tracked if path.startswith((".assay/", ".checkpoints/", "mlflow", ".venv"))]
    base = [path for path in tracked if path.endswith(".safetensors")]
    assert all(path.startswith("data/raw/base/") for path in base)
    assert sum((ROOT / path).stat().st_size for path in base) <= 8e6
