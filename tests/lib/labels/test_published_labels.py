"""Published step labels: what is read is aligned with its steps, what does not align is rejected with the reason."""

import json
import os
from pathlib import Path

import pytest

from stages.lib.core import row_files
from stages.lib.core.errors import UserError
from stages.lib.labels import published_labels
from stages.lib.labels.labelled_solution import RejectedRow
from stages.lib.models.encoding import split_steps
from stages.lib.models.prompts import Prompt

REAL = Path(os.environ.get("ASSAY_BENCHMARKS", "absent"))
real = pytest.mark.skipif(not REAL.is_dir(), reason="ASSAY_BENCHMARKS names no folder of published benchmark files")


def read(form: str, path: Path, **options):
    """(what was taken, what was rejected)."""
    found = list(published_labels.read(form, path, **options))
    return [[one for one in found if isinstance(one, RejectedRow) == so] for so in (False, True)]


def jsonl(path: Path, *rows) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    return path


def rated(*ratings, chosen=None, human=None) -> dict:
    completions = [{"text": f"rated {rating}", "rating": rating, "flagged": None} for rating in ratings]
    written = {"text": human, "rating": None, "source": "human"} if human else None
    return {"completions": completions, "human_completion": written, "chosen_completion": chosen}


def path_of(*steps, finish="solution", answer="4") -> dict:
    question = {"problem": "2 + 2?", "ground_truth_answer": answer}
    return {"labeler": "x", "question": question, "label": {"steps": list(steps), "finish_reason": finish}}


def labels(one) -> list[tuple[int, float]]:
    return [(label.step, label.value) for label in one.labels]


def test_prm800k_has_its_path_and_what_stood_beside_it(tmp_path):
    row = path_of(rated(0, chosen=0), rated(-1, -1, human="by hand"), rated(-1, 1, 0, chosen=1))
    (main, *beside), rejected = read("prm800k", jsonl(tmp_path / "a.jsonl", row))
    assert rejected == []
    assert split_steps(main.sample.text) == ["rated 0", "by hand", "rated 1"]
    assert labels(main) == [(0, 1.0), (2, 1.0)], "neutral is right; what a person wrote was not rated"
    assert [(split_steps(one.sample.text), labels(one)) for one in beside] == [
        (["rated 0", "rated -1"], [(1, 0.0)]),
        (["rated 0", "rated -1"], [(1, 0.0)]),
        (["rated 0", "by hand", "rated -1"], [(2, 0.0)]),
        (["rated 0", "by hand", "rated 0"], [(2, 1.0)]),
    ], "the steps before are not labelled again"
    assert [one.sample.index for one in (main, *beside)] == [0, 1, 2, 3, 4]
    assert main.problem.answer == "4" and main.problem.id == "prm800k/train/000001"
    assert {label.method for one in (main, *beside) for label in one.labels} == {"human"}


def test_prm800k_paths_that_end_in_an_error(tmp_path):
    found_error = path_of(rated(1, chosen=0), rated(-1, 1), finish="found_error")
    gave_up = path_of(rated(1, chosen=0), rated(-1, -1), rated(), finish="give_up", answer=None)
    solved = path_of({**rated(1, chosen=0), "completions": [{"text": "so\n\n# Answer\n\n4", "rating": 1}]})
    taken, rejected = read("prm800k", jsonl(tmp_path / "a.jsonl", found_error, gave_up, solved))
    assert rejected == [] and len(taken) == 5
    assert labels(taken[0]) == [(0, 1.0), (1, 0.0)] and taken[0].sample.finish == "length"
    assert labels(taken[1]) == [(1, 1.0)] and labels(taken[2]) == [(0, 1.0), (1, 0.0)]
    assert taken[2].problem.answer == "" and taken[2].sample.correct is None
    assert taken[4].sample.text == "so  # Answer  4\n" and taken[4].sample.correct and labels(taken[4]) == [(0, 1.0)]


@pytest.mark.parametrize(
    "row, reason",
    [
        (path_of(rated(1, chosen=1)), "step 0 chooses completion 1 of 1"),
        (path_of(rated(-1), rated(1, chosen=0)), "step 0 chooses no completion, but the path goes on"),
        (path_of(rated(1, chosen=0), finish="bad_problem"), "its labeller found the problem itself to be bad"),
        (path_of(rated()), "no step was proposed"),
        (path_of(rated(2, chosen=0)), "label.steps.0.completions.0.rating: input should be -1, 0 or 1, got 2"),
        (path_of(), "label.steps: list should have at least 1 item after validation, not 0, got []"),
        (path_of({**rated(1, chosen=0), "completions": [{"text": " \n", "rating": 1}]}), "step 0 is blank"),
        ({"question": {"problem": "2 + 2?"}}, "label: field required"),
    ],
)
def test_prm800k_rows_that_do_not_align(tmp_path, row, reason):
    taken, (rejected,) = read("prm800k", jsonl(tmp_path / "a.jsonl", row, path_of(rated(1, chosen=0))))
    assert rejected.row == 1 and rejected.reason.startswith(reason), rejected.reason
    assert len(taken) == 1, "the other row is kept"


SHEPHERD = "How many? Step 1: 1 + 1 = 2. ки\nStep 2: 2 + 1 = 3 The answer is: 3 ки"


def shepherd(input=SHEPHERD, label=None, signs="+-", task="GSM8K") -> dict:
    if label is None:
        label = input
        for sign in signs:
            label = label.replace("ки", sign, 1)
    return {"input": input, "label": label, "task": task}


def test_math_shepherd(tmp_path):
    (one, other), rejected = read(
        "math_shepherd", jsonl(tmp_path / "a.jsonl", shepherd(), shepherd(signs="++", task="MATH"))
    )
    assert rejected == []
    assert one.problem.question == "How many?" and one.problem.answer_type == "number"
    assert split_steps(one.sample.text) == ["Step 1: 1 + 1 = 2.", "Step 2: 2 + 1 = 3 The answer is: 3"]
    assert labels(one) == [(0, 1.0), (1, 0.0)] and one.sample.correct is False and one.sample.answer == "3"
    assert labels(other) == [(0, 1.0), (1, 1.0)] and other.sample.correct and other.problem.answer_type == "latex"
    assert {label.method for label in one.labels} == {"mc_hard"}, "nobody judged them"


@pytest.mark.parametrize(
    "row, reason",
    [
        (shepherd("How many? Step 1: 2"), "no tag 'ки' in its input"),
        (shepherd(SHEPHERD + " indeed"), "text after the last tag: 'indeed'"),
        (shepherd(label=SHEPHERD.replace("ки", "?")), "label 1 is not the input with + or - in place of 'ки'"),
        (shepherd(label=SHEPHERD.replace("ки", "+").replace("= 3", "= 4")), "label 2 is not the input"),
        (shepherd(label=SHEPHERD.replace("ки", "+") + "+"), "its label goes on after the last tag"),
        (shepherd("How many? ки\nStep 1: 2 ки"), "a tag stands before `Step 1:`, or there is none"),
        (shepherd("How many? Step 1: 2 Step 2: 3 ки", signs="+"), None),
        (
            shepherd("How many? Step 1: 2\nStep 2: 3 ки", signs="+"),
            "tag 1 closes the steps ['1', '2'], not step 1 alone",
        ),
        (shepherd("How many? Step 1: 2 ки\nStep 3: 3 ки"), "tag 2 closes the steps ['3'], not step 2 alone"),
        (
            shepherd("Do Step 1: stir. Step 1: 2 ки", signs="+"),
            "`Step 1:` stands twice before its first tag: where its question ends cannot be told",
        ),
        (shepherd(" Step 1: 2 ки", signs="+"), "its question is empty"),
        ({"input": SHEPHERD, "task": "GSM8K"}, "label: field required"),
    ],
)
def test_math_shepherd_rows_that_do_not_align(tmp_path, row, reason):
    taken, rejected = read("math_shepherd", jsonl(tmp_path / "a.jsonl", row))
    if reason is None:
        assert len(taken) == 1, "a step is numbered where its line begins"
    else:
        assert not taken and rejected[0].row == 1 and rejected[0].reason.startswith(reason), rejected


def bench(label: int, correct: bool, steps=("one", "two\nlines", "three")) -> dict:
    return {
        "id": "gsm8k-7",
        "generator": "g",
        "problem": "How many?",
        "steps": list(steps),
        "final_answer_correct": correct,
        "label": label,
    }


def test_processbench(tmp_path):
    path = tmp_path / "gsm8k.json"
    path.write_text(json.dumps([bench(-1, True), bench(1, False), bench(2, True)]))
    taken, rejected = read("processbench", path)
    assert rejected == []
    assert [labels(one) for one in taken] == [
        [(0, 1.0), (1, 1.0), (2, 1.0)],
        [(0, 1.0), (1, 0.0)],
        [(0, 1.0), (1, 1.0), (2, 0.0)],
    ]
    assert [one.sample.correct for one in taken] == [True, False, True]
    assert split_steps(taken[0].sample.text) == ["one", "two lines", "three"]
    path.write_text(
        json.dumps([bench(3, False), bench(-1, False), bench(-2, False), bench(0, True, steps=["a", " "]), 5])
    )
    taken, rejected = read("processbench", path)
    assert taken == [] and [row for row, _ in rejected] == [1, 2, 3, 4, 5]
    reasons = [reason for _, reason in rejected]
    assert reasons[0] == "its first wrong step is 3, but it has 3 steps"
    assert reasons[1] == "its final answer is wrong, but no step" and reasons[3] == "step 1 is blank"
    assert reasons[2].startswith("label: ") and "dictionary" in reasons[4]


@pytest.mark.parametrize("chunk", [1, 7, 1 << 16])
def test_a_list_is_read_piece_by_piece(tmp_path, monkeypatch, chunk):
    monkeypatch.setattr(row_files, "READ_CHARS", chunk)
    path, values = tmp_path / "a.json", [bench(-1, True), -1, 12, "a ] \\", [], None, {"ки": [{}]}]
    for text in (json.dumps(values), json.dumps(values, indent=3, ensure_ascii=False)):
        path.write_text("\ufeff\n" + text + "\n", encoding="utf-8")
        assert list(row_files.iter_json_list(path)) == list(enumerate(values, 1))
    path.write_text(" [ ] ")
    assert list(row_files.iter_json_list(path)) == []


def test_steps_as_published_and_as_the_prompt_parts_them(tmp_path):
    path = tmp_path / "gsm8k.json"
    steps = [" one\n\ntwo ", "three\nfour"]
    path.write_text(json.dumps([bench(1, False, steps=steps)]))
    for prompt in (Prompt(), Prompt(steps="paragraphs")):
        ((one,), _) = read("processbench", path, prompt=prompt)
        assert one.steps == steps and one.row_id == "gsm8k-7", "nothing of a published step is changed"
        assert len(prompt.split_steps(one.sample.text)) == 2 and labels(one) == [(0, 1.0), (1, 0.0)]
    assert one.sample.text == "one\ntwo\n\nthree\nfour\n\n"


def test_files_of_another_form_are_refused(tmp_path):
    path = tmp_path / "a.json"
    for text, words in (
        ('{"a": 1}', "not a JSON list"),
        ("[1", "not valid JSON"),
        ("[1 2]", "neither goes on"),
        ("[1, 2]]", "neither goes on"),
        ("[1,]", "not valid JSON"),
        ("", "not a JSON list"),
    ):
        path.write_text(text)
        with pytest.raises(UserError, match=words):
            list(row_files.iter_json_list(path))
    for form in ("prm800k", "math_shepherd"):
        path.write_text("5\n")
        with pytest.raises(UserError, match=r"a\.json:1: found int"):
            read(form, path)
    with pytest.raises(UserError, match="cannot be read"):
        read("processbench", tmp_path / "none.json")


def checked(taken) -> None:
    """Every label lies on a line, no line is labelled twice, records are complete."""
    assert len({(one.problem.id, one.sample.index) for one in taken}) == len(taken)
    for one in taken:
        lines = len(split_steps(one.sample.text))
        assert one.sample.text.count("\n") == lines and one.labels
        assert [label.step for label in one.labels] == sorted({label.step for label in one.labels})
        assert all(0 <= label.step < lines for label in one.labels)


@real
def test_the_published_prm800k_rows():
    taken, rejected = read("prm800k", REAL / "step_labels/samples_prm800k.jsonl")
    checked(taken)
    main = [one for one in taken if one.sample.index == 0]
    assert rejected == [] and len(main) == 6
    assert [len(one.labels) for one in main] == [5, 7, 5, 7, 7, 12], "a person wrote a step of the first and fifth"
    assert [sum(label.value for label in one.labels) for one in main] == [5, 6, 5, 7, 7, 12]
    assert sum(one.problem.id.endswith("1") for one in taken) == 1 + 5 + 4, "five tries at step 1, four beside the end"
    assert main[0].sample.correct and main[0].problem.answer == "29"


@real
def test_the_published_math_shepherd_rows():
    taken, rejected = read("math_shepherd", REAL / "step_labels/samples_math-shepherd.jsonl")
    checked(taken)
    assert rejected == [] and [len(one.labels) for one in taken] == [5, 3, 2, 5, 5, 2, 3]
    assert labels(taken[0])[-2:] == [(3, 1.0), (4, 0.0)] and not taken[0].sample.correct


@real
def test_the_published_processbench_files():
    counts = {}
    for name in ("gsm8k", "math"):
        taken, rejected = read("processbench", REAL / f"processbench/{name}.json")
        checked(taken)
        assert rejected == []
        clean = [one for one in taken if all(label.value for label in one.labels)]
        flawed = sum(bool(one.sample.correct) for one in taken if one not in clean)
        counts[name] = (len(taken), len(clean), flawed)
    assert counts == {"gsm8k": (400, 193, 7), "math": (1000, 406, 94)}


def test_a_rejection_names_row_and_reason():
    assert RejectedRow(3, "because")._asdict() == {"row": 3, "reason": "because"}
    assert published_labels.STEP_TAG == "ки"
