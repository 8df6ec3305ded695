"""The pretraining text keeps its promises; the base stage copies, builds and trains; the bundled model solves."""

import hashlib
import json
import random
import re
import shutil
from pathlib import Path

import pytest
from pydantic import ValidationError

from stages.generators.base import __main__ as base
from stages.generators.base import breadth, exercises, pretraining, tokenizer, words
from stages.lib.core.errors import UserError
from stages.lib.core.expressions import strip_annotations
from stages.lib.procedural import gradeschool
from stages.lib.procedural.gradeschool import variation, wording
from stages.lib.run.execution import StageRun
from stages.lib.verifiers import verdicts
from tests.helpers import tiny_models, workspace

ROOT = Path(__file__).parents[2]
TOKENIZER = tokenizer.build_tokenizer()
EQUATION = re.compile(r"(\d+) ([-+*/]) (\d+) = (\d+)")
STATE = """
from pathlib import Path
from stages.lib.workspace import staleness
print(staleness.compute_states(Path(), staleness.load_stages(Path()))["base"].status)
"""
SCRATCH = {
    **tiny_models.TRAINING_PARAMS,
    **{"source": "scratch", "path": "data/raw/base", "repo": "", "revision": "", "num_documents": 8},
    **{"package": "", "file": "", "sha256": "", "licence": ""},
    **{"num_layers": 2, "hidden_size": 16, "intermediate_size": 32, "num_heads": 2, "conv_kernel": 4},
    **{"global_batch_size": 4, "device_batch_size": 4, "optimizer": "muon"},
}


def documents(kind=None, n=400):
    generated = [pretraining.generate_document(f"x/{i}", 3) for i in range(n)]
    return [d for d in generated if kind in (None, d.kind)]


def written(document):
    return "".join(text for text, _ in document.segments)


def true(equation):
    a, operation, b, result = equation
    a, b, result = int(a), int(b), int(result)
    return {"+": a + b, "-": a - b, "*": a * b, "/": a / b if b else None}[operation] == result


def test_every_kind_is_written():
    assert {d.kind for d in documents()} == set(pretraining.KIND_SHARES)


def test_drills_are_true_or_marked_wrong():
    for document in documents("drill"):
        for equation, mark in re.findall(r"Then (.*)\.\n(Right|Wrong)?", written(document)):
            assert true(EQUATION.fullmatch(equation).groups()) == (mark != "Wrong")


@pytest.mark.slow
def test_arithmetic_of_writers_and_of_rationales_is_true():
    for document in documents("solution"):  # after a misreading a step can be impossible: rounded down, or nothing left
        equations = EQUATION.findall(written(document))
        assert all(true(e) or e[1] == "/" or (e[1] == "-" and e[3] == "0") for e in equations)
    for document in documents("verified"):
        derived = [text for text, weight in document.segments if weight == 1 and "=" in text]
        assert all(true(e) for text in derived for e in EQUATION.findall(text))
    for document in documents("fact"):
        equations = re.findall(r"(?<![-+*/=] )\b(\d+) ([-+*/]) (\d+) = (\d+)(?![-+*/=\d])", written(document))
        assert all(true(e) for e in equations)


@pytest.mark.slow
def test_writers_misread_inconsistent_comparisons_and_nothing_else():
    wrong = {True: [0, 0], False: [0, 0]}
    for i in range(600):
        program = gradeschool.sample_program("pretraining", f"x/{i}", 3, gradeschool.Knobs())
        faults = pretraining.draw_misreadings(program, random.Random(i))
        for j, entry in enumerate(program["quantities"]):
            counts = wrong[entry["relation"].startswith("inverse")]
            counts[0] += j in faults
            counts[1] += 1
    assert wrong[False][0] == 0
    assert 0.3 < wrong[True][0] / wrong[True][1] < 0.6


@pytest.mark.slow
def test_judgements_are_true():
    seen = set()
    for document in documents("graded"):
        lines = re.findall(r"(.*)\n(Right|Wrong)\.\n", written(document))
        marks = [mark for _, mark in lines]
        assert marks == sorted(marks)  # Right... then Wrong to the end
        seen |= set(marks)
    for document in documents("verified"):
        solution, rationale = written(document).split(verdicts.COT_PROMPT)
        for found, original in zip(verdicts.read_comparisons(rationale), solution.splitlines(), strict=False):
            assert found.quoted == verdicts.conclude(original)
            assert found.is_same == (verdicts.conclude(found.derived) == found.quoted)
        weight = {text: weight for text, weight in document.segments}[f" {rationale.rsplit(' ', 1)[1]}"]
        if weight:  # the one who verifies made no slip
            assert rationale.endswith(" No") == ("Differs" in rationale or "####" not in rationale)
    for document in documents("verdict"):
        seen.add(written(document).rsplit(" ", 1)[1])
    assert seen == {"Right", "Wrong", "Yes", "No"}


def test_no_loss_falls_on_question_or_checked_solution():
    for document in documents(n=60):
        example = base.encode_document(TOKENIZER, document)
        learnt = TOKENIZER.decode([i for i, w in zip(example.ids, example.lm_weight, strict=True) if w])
        assert learnt == "".join(text for text, w in document.segments if w) + tokenizer.EOS
        assert max(example.lm_weight) == (
            1 if set(w for _, w in document.segments) <= {0, 1} else max(example.lm_weight)
        )


@pytest.mark.slow
def test_the_text_is_firewalled():
    for i in range(100):
        program = gradeschool.sample_program("pretraining", f"x/{i}", 3, gradeschool.Knobs())
        assert wording.find_owner(*program["story"]) == "pretraining"
        assert all(wording.find_owner(*q["template"]) == "pretraining" for q in program["quantities"])
    evaluated = {
        p.question
        for split in ("train", "verifier", "dev", "test")
        for p in gradeschool.generate_problems(split, 200, 3)
    }
    assert not evaluated & {d.question for d in documents()}


def test_the_words_of_the_breadth_belong_to_no_problem_and_no_variant():
    from stages.lib.operators import items, names, phrasing, preamble

    def normalize(templates):
        return {re.sub(r"\W+", " ", re.sub(r"\{\w+\}", "_", text)).strip().lower() for text in templates}

    own = normalize(form for forms in words.TEMPLATES.values() for form in forms)
    used = [*wording.WORDINGS.values(), *phrasing.NEW_TEMPLATES.values()]
    assert not own & normalize(form for forms in used for form in forms)
    rng = random.Random(1)
    assert not {breadth.draw_opener(rng) for _ in range(2000)} & {*preamble.SETTINGS, *preamble.REQUESTS}
    made_up = {breadth.draw_name(rng) for _ in range(5000)}
    given = (wording.NAMES, names.UNSEEN_NAMES, names.NEW_FEMALE_NAMES, names.NEW_MALE_NAMES)
    assert not made_up & {name for group in given for name in group}
    people = {person for _ in range(500) for person in breadth.replace_people(["Ada", "Bob", "Cal"], rng)}
    assert not people & {*names.ROLE_NAMES}
    assert not {breadth.draw_thing(rng) for _ in range(2000)} & {*items.UNITS}


@pytest.mark.slow
def test_the_answer_of_a_broad_problem_is_that_of_its_sentences():
    """The second solver, which reads the sentences as equations in any order, finds the answer of the program."""
    for i in range(200):
        program = gradeschool.sample_program("pretraining", f"x/{i}", 3, gradeschool.Knobs())
        rng = random.Random(i)
        changes = breadth.draw_changes(rng) | {"order", "asides", "templates"}
        state = breadth.vary_program(program, rng, changes)
        assert variation.solve(state)[1] == str(gradeschool.solve_program(program)[-1].value)
        assert breadth.render_question(state, rng, changes)


@pytest.mark.slow
def test_exercises_are_right():
    """Each kind is solved again from its question."""
    import math

    solvers = {
        r"is split into groups|\bmod\b|modulo": lambda n, q: n[0] % n[1],
        r"gcd|both": lambda n, q: math.gcd(n[0], n[1]),
        r"digits": lambda n, q: sum(map(int, str(n[0]))),
        r"ways|pairs": lambda n, q: math.comb(n[-1], 2),
        r"\^": lambda n, q: n[0] ** n[1],
        r"top and bottom": lambda n, q: (n[0] + n[1]) // math.gcd(n[0], n[1]),
        r"stands at place": lambda n, q: n[1] + (n[0] - 1) * (n[2] - n[1]),
        r"Add up": lambda n, q: sum(n[1] + i * (n[2] - n[1]) for i in range(n[0])),
        r"x \+": lambda n, q: (n[2] - n[1]) // n[0],
    }
    solved = set()
    for i in range(400):
        question, lines = exercises.generate_number_fact(random.Random(i))
        numbers = [int(n) for n in re.findall(r"\d+", question)]
        pattern, solve = next((p, f) for p, f in solvers.items() if re.search(p, question))
        assert lines[-1] == f"#### {solve(numbers, question)}", question
        solved.add(pattern)
    assert solved == set(solvers)
    for i in range(400):
        question, lines = exercises.generate_bookkeeping(random.Random(i))
        if " is True" in question or "counts as" in question or " was " in question:
            truths = {n: v == "True" for n, v in re.findall(r"(\w{3}) (?:is|counts as|was) (True|False)\b", question)}
            for name, a, sign, b in re.findall(r"(\w{3}) = \((\w{3}) (AND|OR) (\w{3})\)", "\n".join(lines)):
                truths[name] = truths[a] and truths[b] if sign == "AND" else truths[a] or truths[b]
            asked = re.search(r"Say True or False of (\w{3})", question)[1]
            assert lines[-1] == f"#### {truths[asked]}"


def execution(tmp_path, **changes):
    params = base.Params(**(SCRATCH | changes))
    return StageRun("base", params, 42, tmp_path, "key", 0, 1)


def test_scratch_trains_what_hub_and_bundled_would_read(tmp_path):
    from stages.lib.models import loading

    run = execution(tmp_path)
    metrics = base.body(run)
    model = loading.load_causal_lm(run.out_dir / "model")
    assert loading.count_parameters(model) == metrics["weights"]
    assert len((run.out_dir / "history.csv").read_text().splitlines()) == 3  # a header and two steps
    copy = execution(tmp_path / "copy", source="bundled", path=str(run.out_dir / "model"))
    base.body(copy)
    name = "model.safetensors"
    assert (copy.out_dir / "model" / name).read_bytes() == (run.out_dir / "model" / name).read_bytes()
    again = execution(tmp_path / "again", source="path", path=str(run.out_dir / "model"), licence="MIT")
    base.body(again)
    assert (again.out_dir / "model" / name).read_bytes() == (run.out_dir / "model" / name).read_bytes()
    origin = json.loads((again.out_dir / "model/origin.json").read_text())
    files = sorted((run.out_dir / "model").iterdir())
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
    assert origin == {"file": "model", "licence": "MIT", "sha256": digest}


def test_sources_that_cannot_be_trusted_are_refused(tmp_path):
    with pytest.raises(UserError, match="config.json"):
        base.resolve_source(execution(tmp_path, source="bundled", path=str(tmp_path)).params)
    with pytest.raises(UserError, match="commit"):
        base.resolve_source(execution(tmp_path, source="hub", repo="a/b", revision="main").params)
    with pytest.raises(UserError, match="base.path: 'absent' does not exist; name a model folder or a .gguf file"):
        base.resolve_source(execution(tmp_path, source="path", path="absent").params)
    for source, missing in (("hub", "repo and revision"), ("package", "package and file")):
        with pytest.raises(ValidationError, match=f"source: {source} needs {missing}"):
            execution(tmp_path, source=source)
    (tmp_path / "weights.bin").write_text("")
    with pytest.raises(UserError, match="neither a folder nor a .gguf file"):
        base.resolve_source(execution(tmp_path, source="path", path=str(tmp_path / "weights.bin")).params)


@pytest.mark.slow
def test_dvc_sees_a_change_of_the_users_own_model(tmp_path):
    """A folder outside the repository, which `base.path` names."""
    folder = tmp_path / "my models/ünï"
    shutil.copytree(ROOT / "data/raw/base", folder)
    repository = workspace.clone_repository(tmp_path / "clone")
    for old, new in (("source: bundled #", "source: path #"), ("path: data/raw/base", f"path: {folder}")):
        text = (repository.root / "params.yaml").read_text()
        (repository.root / "params.yaml").write_text(new.join(text.rsplit(old, 1)))
    repository.run("dvc", "repro", "base", ASSAY_TRACKING="off")

    def is_stale() -> tuple[bool, bool]:
        """By DVC, and by the project's own account."""
        state = repository.run_python("-c", STATE, check=True).stdout.strip()
        return "base" in json.loads(repository.run("dvc", "status", "--json", "base").stdout), state != "fresh"

    assert is_stale() == (False, False)
    (folder / "config.json").write_text((folder / "config.json").read_text() + "\n")
    assert is_stale() == (True, True)
    shutil.rmtree(folder)
    done = repository.run_python("-m", "stages.generators.base", check=False)
    assert done.returncode == 2 and done.stderr == f"base: base.path: {folder} not found; name what exists\n"


@pytest.mark.slow
def test_the_bundled_model_is_small_and_solves_problems():
    import torch

    from stages.lib.models import encoding, loading

    folder = ROOT / "data" / "raw" / "base"
    assert sum(file.stat().st_size for file in folder.iterdir()) < 8e6
    assert loading.load_tokenizer(folder).get_vocab() == TOKENIZER.get_vocab()
    model = loading.load_causal_lm(folder)
    known, right = 0, 0
    for problem in gradeschool.generate_problems("dev", 12, 1, steps=(2, 2), max_value=100, inverse_share=0.0):
        lines = [strip_annotations(step.text) for step in problem.steps]
        encoded = encoding.Encoder(TOKENIZER).encode(problem, lines)
        with torch.inference_mode():
            best = model(torch.tensor([encoded.ids])).logits[0].argmax(-1).tolist()
        for t in range(encoded.prompt_length, len(encoded.ids)):
            known += 1
            right += best[t - 1] == encoded.ids[t]
    assert right / known > 0.85  # nearly every token of a gold solution is the model's first choice
