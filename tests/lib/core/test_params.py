"""params.yaml: every mistake is one sentence with file, line, key, what was found and what is allowed."""

from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from stages.lib.core import params
from stages.lib.core.errors import UserError


class Optimiser(params.Params):
    momentum: float = Field(ge=0, lt=1)


class Orm(params.Params):
    lr: float = Field(gt=0)
    epochs: int = Field(ge=1)
    loss: Literal["mse", "bce"] = "mse"
    joint: bool = True
    rate: float = 0.5
    optimiser: Optimiser = Optimiser(momentum=0.9)


GOOD = {"lr": "1e-5", "epochs": "2", "loss": "mse", "joint": "true", "rate": "0.5", "optimiser": "{momentum: 0.9}"}


def write(tmp_path, **changes):
    values = {**GOOD, **changes}
    lines = ["seed: 1", "test_seed: 2", "launch: cpu", "orm:"]
    lines += [f"  {key}: {value}" for key, value in values.items() if value is not None]
    path = tmp_path / "params.yaml"
    path.write_text("\n".join(lines) + "\n")
    return path


def fault(path, section="orm", model=Orm):
    with pytest.raises(UserError) as caught:
        params.load_section(section, model, path)
    return str(caught.value).replace(str(path), "params.yaml")


def test_good_file(tmp_path):
    path = write(tmp_path)
    section = params.load_section("orm", Orm, path)
    assert section.lr == 1e-5 and type(section.lr) is float, "YAML 1.2: 1e-5 is a number"
    assert params.load_top_level(path) == params.TopLevel(seed=1, test_seed=2, launch="cpu")


def test_the_sentence_of_the_readme(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text("seed: 1\nlaunch: cpu\n" + "#\n" * 10 + "orm:\n  lr: '1e-5'\n  epochs: 1\n")
    assert fault(path) == "params.yaml:14 orm.lr: must be > 0, got '1e-5' (a string; write 1.0e-5)"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"lr": "-1.0"}, "params.yaml:5 orm.lr: must be > 0, got -1.0"),
        ({"lr": ".nan"}, "params.yaml:5 orm.lr: must be a finite number, got nan"),
        ({"lr": ".inf"}, "params.yaml:5 orm.lr: must be a finite number, got inf"),
        ({"lr": "fast"}, "params.yaml:5 orm.lr: must be > 0, got 'fast' (a string)"),
        ({"lr": "'nan'"}, "params.yaml:5 orm.lr: must be > 0, got 'nan' (a string)"),
        ({"lr": ""}, "params.yaml:5 orm.lr: must be > 0, got nothing"),
        ({"lr": None}, "params.yaml:4 orm.lr: missing; add it"),
        ({"lr": "[1.0]"}, "params.yaml:5 orm.lr: must be > 0, got a list"),
        ({"rate": "'0.25'"}, "params.yaml:9 orm.rate: must be a number, got '0.25' (a string; write 0.25)"),
        ({"epochs": "2.0"}, "params.yaml:6 orm.epochs: must be a whole number >= 1, got 2.0"),
        ({"epochs": "true"}, "params.yaml:6 orm.epochs: must be a whole number >= 1, got True"),
        ({"epochs": "0"}, "params.yaml:6 orm.epochs: must be >= 1, got 0"),
        ({"epochs": "'3'"}, "params.yaml:6 orm.epochs: must be a whole number >= 1, got '3' (a string; write 3)"),
        ({"loss": "l1"}, "params.yaml:7 orm.loss: must be one of 'mse' or 'bce', got 'l1'"),
        ({"joint": "yes"}, "params.yaml:8 orm.joint: must be true or false, got 'yes'"),
        (
            {"learning_rate": "1"},
            "params.yaml:11 orm.learning_rate: unknown key; allowed here: lr, epochs, loss, joint, rate, optimiser",
        ),
        ({"optimiser": "{momentum: 1.0}"}, "params.yaml:10 orm.optimiser.momentum: must be >= 0 and < 1, got 1.0"),
        (
            {"optimiser": "{beta: 1.0, momentum: 0.5}"},
            "params.yaml:10 orm.optimiser.beta: unknown key; allowed here: momentum",
        ),
    ],
)
def test_values(tmp_path, changes, said):
    assert fault(write(tmp_path, **changes)) == said


class Trained(params.Params):
    shared_section = "training"
    lr: float = Field(gt=0)
    rank: int = Field(ge=0)


class Prm(Trained):
    head_init_tokens: list[str]
    hard_rule: Literal["any_success", "agreed"] = "agreed"


class Nested(params.Params):
    part: Prm | None = None
    named: dict[str, Prm] = {}
    pair: list[int] = Field(default=[0, 1], min_length=2)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{part: {x: 1, head_init_tokens: [], lr: 1.0, rank: 1}}", "part.x: unknown key; allowed here: lr, rank,"),
        (
            "{named: {a: {x: 1, head_init_tokens: [], lr: 1.0, rank: 1}}}",
            "named.a.x: unknown key; allowed here: lr, rank,",
        ),
        ("{pair: [1]}", "pair: must have >= 2 items, got 1"),
        ("{pair: 1}", "pair: must be a list, got 1"),
    ],
)
def test_nested_values(tmp_path, text, said):
    path = tmp_path / "params.yaml"
    path.write_text(f"orm: {text}\n")
    assert fault(path, "orm", Nested).startswith(f"params.yaml:1 orm.{said}")


@pytest.mark.parametrize(
    ("training", "prm", "expected"),
    [
        ("{lr: 0.1, rank: 8}", "{head_init_tokens: []}", (0.1, 8)),
        ("{lr: 0.1, rank: 8}", "{head_init_tokens: [], rank: 0}", (0.1, 0)),
        ("", "{head_init_tokens: [], rank: 0, lr: 0.2}", (0.2, 0)),
        ("", "{head_init_tokens: []}", "params.yaml: section 'training' is missing; it holds what stages share"),
        ("{lr: 0.1}", "{head_init_tokens: []}", "params.yaml:2 prm.rank: missing; add it here or in training"),
        ("{lr: 0.1, rank: -1}", "{head_init_tokens: []}", "params.yaml:1 training.rank: must be >= 0, got -1"),
        ("{lr: 0.1, rank: -1}", "{head_init_tokens: [], rank: -2}", "params.yaml:2 prm.rank: must be >= 0, got -2"),
        ("{lr: 0.1, rang: 1}", "{}", "params.yaml:1 training.rang: unknown key; allowed here: lr, rank"),
        ("{hard_rule: agreed}", "{}", "params.yaml:1 training.hard_rule: unknown key; allowed here: lr, rank"),
        ("3", "{}", "params.yaml:1 training: must be a mapping, got 3"),
        ("{lr: 1.0, rank: 1}", "{words: []}", "params.yaml:2 prm.words: renamed to head_init_tokens"),
        (
            "{lr: 1.0, rank: 1}",
            "{head_init_tokens: [], hard: any}",
            "params.yaml:2 prm.hard: renamed to hard_rule (any is now any_success)",
        ),
    ],
)
def test_shared_section_and_renamed_keys(tmp_path, training, prm, expected):
    path = tmp_path / "params.yaml"
    path.write_text(f"training: {training}\nprm: {prm}\n")
    if isinstance(expected, str):
        assert expected in fault(path, "prm", Prm)
    else:
        section = params.load_section("prm", Prm, path)
        assert (section.lr, section.rank) == expected


def test_several_mistakes_are_told_at_once(tmp_path):
    assert len(fault(write(tmp_path, lr="-1.0", epochs="0", joint="maybe")).splitlines()) == 3


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "found nothing; expected one section per stage"),
        (b"# only a comment\n", "found nothing; expected one section per stage"),
        (b"- a\n- b\n", "found a list; expected one section per stage"),
        (b"seed: 1\norm:\n\tlr: 1\n", "params.yaml:3: not valid YAML"),
        (b"seed: 1\norm: {lr: 1\n", "params.yaml:3: not valid YAML"),
        (b"seed: 1\nseed: 2\norm: {}\n", 'params.yaml:2: not valid YAML: found duplicate key "seed"'),
        (b"seed: 1\norm:\n  lr: \xff\xfe\n", "params.yaml: not UTF-8 (byte 20); save the file as UTF-8"),
        (b"seed: 1\n", "params.yaml: section 'orm' is missing; found seed"),
        (b"orm: 3\n", "params.yaml:1 orm: must be a mapping, got 3"),
        (b"orm:\n", "params.yaml:1 orm.lr: missing; add it\nparams.yaml:1 orm.epochs: missing; add it"),
    ],
)
def test_files(tmp_path, content, said):
    path = tmp_path / "params.yaml"
    path.write_bytes(content)
    assert said in fault(path)


def test_missing_file(tmp_path):
    assert "not found" in fault(tmp_path / "params.yaml")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("launch: cpu\n", "seed: missing"),
        ("seed: 1\nlaunch: cpu\n", "test_seed: missing"),
        ("seed: -1\nlaunch: cpu\n", ":1 seed: must be >= 0, got -1"),
        ("seed: 1\ntest_seed: 1\nlaunch: ../x\n", ":3 launch: string must match pattern"),
    ],
)
def test_top(tmp_path, text, said):
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        params.load_top_level(path)
    assert said in str(caught.value)


@pytest.mark.slow
@given(st.binary(max_size=80))
def test_no_bytes_make_a_traceback(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_bytes(b"orm:\n  lr: " + content)
    try:
        params.load_section("orm", Orm, path)
    except UserError as error:
        assert str(path) in str(error)
