"""The laws of the house: one word in five places, one way, rooms, exact code dependencies, import does nothing."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from stages.lib.run.imports import closure
from stages.problems.benchmarks.__main__ import ADAPTERS

ROOT = Path(__file__).parent.parent
PIPELINE = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text())["stages"]
NAMES = list(PIPELINE)
SOURCES = sorted(path for folder in ("stages", "bench", "tests") for path in (ROOT / folder).rglob("*.py"))


def module_file(stage: str) -> Path:
    path = ROOT / "stages" / f"{stage}.py"
    return path if path.exists() else ROOT / "stages" / stage / "__main__.py"


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def paths(entries: list) -> list[str]:
    return [next(iter(entry)) if isinstance(entry, dict) else entry for entry in entries]


def test_every_module_under_stages_is_a_stage_a_command_or_lib():
    rooms = {path.stem if path.is_file() else path.name for path in (ROOT / "stages").iterdir()}
    assert rooms - {"__init__", "__main__", "__pycache__", "lib", "commands", "launch", "presets", "variants"} == set(
        NAMES
    )


@pytest.mark.parametrize("stage", NAMES)
def test_one_word_five_places(stage):
    sections = YAML(typ="safe").load((ROOT / "params.yaml").read_text())
    entry = PIPELINE[stage]
    assert stage in sections
    assert module_file(stage).exists()
    assert entry["cmd"] in (f"python -m stages.{stage}", f"python -m stages launch ${{launch}} {stage}")
    assert entry["params"] == ["seed", stage]
    assert all(path.startswith(f"data/{stage}/") for path in paths(entry["outs"] + entry["metrics"]))
    main = module_file(stage).read_text()
    assert f'run("{stage}", Params,' in main, "the MLflow run takes its name from execution.run"


@pytest.mark.parametrize("stage", NAMES)
def test_every_stage_has_a_line_in_the_table_of_contents(stage):
    description = PIPELINE[stage]["desc"]
    assert 10 < len(description) < 100 and "\n" not in description


@pytest.mark.parametrize("stage", NAMES)
def test_one_way(stage):
    earlier = NAMES[: NAMES.index(stage)]
    inputs = [dep for dep in PIPELINE[stage]["deps"] if dep.startswith("data/") and not dep.startswith("data/raw/")]
    start = f"${{{stage}.start}}"  # which model a verifier starts from is a parameter; both come earlier
    assert all(
        dep.split("/")[1].replace(start, choice) in earlier for dep in inputs for choice in ("generator", "base")
    )


@pytest.mark.parametrize("stage", NAMES)
def test_dependencies_on_code_are_the_closure_of_imports(stage):
    code = {dep for dep in PIPELINE[stage]["deps"] if dep.endswith(".py")}
    expected = {path.as_posix() for path in closure(ROOT, f"stages.{stage}")}
    assert code == expected, f"dvc.yaml {stage}: add {sorted(expected - code)}, remove {sorted(code - expected)}"


def test_rooms():
    for path in (ROOT / "stages").rglob("*.py"):
        used = {name.split(".")[1] for name in imports(path) if name.startswith("stages.")}
        here = path.relative_to(ROOT / "stages").parts[0].removesuffix(".py")
        if here == "lib":
            assert used <= {"lib"}, f"{path}: lib imports {used}"
        elif here in NAMES:
            assert used <= {"lib", here}, f"{path}: a stage imports {used}"


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


def test_import_does_nothing_and_is_light():
    modules = [
        f"stages.{stage}" if (ROOT / f"stages/{stage}.py").exists() else f"stages.{stage}.__main__" for stage in NAMES
    ]
    heavy = ["torch", "transformers", "mlflow", "dvc", "datasets", "pyarrow", "scipy", "matplotlib", "sympy"]
    code = (
        f"import sys, importlib\nfor m in {[*modules, 'stages.__main__']}: importlib.import_module(m)\n"
        f"print([m for m in {heavy} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_section_is_checked_by_its_stage(monkeypatch):
    from stages.commands import preset
    from stages.lib.core import params

    monkeypatch.chdir(ROOT)
    names = list(preset.presets())
    stacks = [[name] for name in names] + [[name, "nano"] for name in names if name in ADAPTERS]
    texts = {" ".join(stack): preset.stacked(stack) for stack in stacks}
    for label, text in {"params.yaml": (ROOT / "params.yaml").read_text(), **texts}.items():
        document = YAML(typ="safe").load(text)
        for stage, model in preset.stage_params().items():
            section = params.check(stage, model, document, [(Path(label), document)])
            assert set(document[stage] or {}) == set(section.model_dump(exclude_none=True)), (
                f"{label} {stage}: spell out every key"
            )


def test_every_benchmark_has_a_preset_that_says_where_its_files_come_from(monkeypatch):
    from stages.commands import preset

    monkeypatch.chdir(ROOT)
    known = preset.presets()
    for name in ADAPTERS:
        first = known[name].splitlines()[0]
        assert f"data/raw/benchmarks/{name}/" in first and "(" in first and len(first) < 150


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
    assert [path for path in outside if path not in ("data/.gitignore", "data/README.md")] == []
    assert not [path for path in tracked if path.startswith((".assay/", ".checkpoints/", "mlflow", ".venv"))]
    base = [path for path in tracked if path.endswith(".safetensors")]
    assert all(path.startswith("data/raw/base/") for path in base)
    assert sum((ROOT / path).stat().st_size for path in base) <= 8e6
