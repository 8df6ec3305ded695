"""Planted faults: what each kind does, and that its mark is on the row alone."""

import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.lib.selection import corruption, instruction_files
from stages.lib.selection.corruption import KINDS
from stages.lib.selection.rows import Row

LINES = ["We know Bob has 19.", "1. Then Eve has 19 + 34 = <<19+34=53>>53, so 53.", "2 * 53 = 106", "#### 106"]
ROW = Row("p1", "How many?", "\n".join(LINES), "p1", tokens=30)


def is_right(line):
    """Whether every calculation `a op b = c` of a line is right."""
    found = re.findall(r"(-?[\d.]+) ?([-+*/]) ?([\d.]+) ?= ?(-?[\d.]+)", line)
    values = [
        ({"+": a + b, "-": a - b, "*": a * b, "/": a / b if b else None}[sign], c)
        for a, sign, b, c in ((float(a), sign, float(b), float(c)) for a, sign, b, c in found)
    ]
    return all(value == c for value, c in values)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("kind", KINDS)
def test_what_each_kind_does(kind, seed):
    fault = corruption.corrupt(ROW, kind, seed)
    assert fault and fault.kind == kind and fault.row._replace(answer=ROW.answer) == ROW
    lines = fault.row.answer.split("\n")
    different = [(old, new) for old, new in zip(LINES, lines, strict=False) if old != new]
    if kind == "cut_end":
        assert 1 <= len(lines) < len(LINES) and lines == LINES[: len(lines)]
    elif kind == "duplicated_step":
        assert len(lines) == len(LINES) + 1 and sorted(set(lines)) == sorted(LINES) and lines[-1] == LINES[-1]
    else:
        assert len(lines) == len(LINES) and len(different) == 1, "one line"
        old, new = different[0]
        if kind == "wrong_answer":
            assert old == LINES[-1] and re.fullmatch(r"#### [1-9]\d*", new)
        else:
            assert old in LINES[1:3] and not is_right(new.removeprefix("1. "))
        if kind == "swapped_numbers":
            assert sorted(re.findall(r"\d+", new)) != [] and set(re.findall(r"\d+", new)) == set(
                re.findall(r"\d+", old)
            )
            assert new.startswith("1. ") == old.startswith("1. ")
    assert fault == corruption.corrupt(ROW, kind, seed)


@given(st.integers(1, 99), st.integers(1, 99), st.sampled_from("+-*/"), st.integers(0, 9))
def test_a_planted_fault_never_leaves_the_calculation_right(a, b, sign, seed):
    value = {"+": a + b, "-": a - b, "*": a * b, "/": a // b}[sign]
    if sign == "/":
        a = value * b
    row = Row("r", "q", f"{a} {sign} {b} = {value}\n#### {value}", "r")
    for kind in ("wrong_step", "swapped_numbers"):
        if fault := corruption.corrupt(row, kind, seed):
            assert not is_right(fault.row.answer.split("\n")[0]), fault.detail


@pytest.mark.parametrize("answer", ["", "yes", "A", "no number here"])
def test_kinds_that_do_not_apply(answer):
    kinds = [kind for kind in KINDS if corruption.corrupt(ROW._replace(answer=answer), kind, 1)]
    assert kinds == (["cut_end"] if answer.count(" ") > 2 else [])


@pytest.mark.parametrize("number", ["7", "1,000", "3.50", "0", "0.05", "1"])
def test_another_number_keeps_its_form(number):
    import random

    for seed in range(40):
        new = corruption._draw_other(number, random.Random(seed))
        assert new != number and float(new.replace(",", "")) > 0
        assert len(new.partition(".")[2]) == len(number.partition(".")[2])


def test_real_solutions():
    folder = os.environ.get("ASSAY_BENCHMARKS")
    if not folder:
        pytest.skip("ASSAY_BENCHMARKS names no folder of published benchmarks")
    rows = instruction_files.read(Path(folder) / "gsm8k/test.jsonl").rows[:300]
    for kind in KINDS:
        faults = [corruption.corrupt(row, kind, 1) for row in rows]
        assert sum(fault is not None for fault in faults) > 280
        assert all(fault is None or fault.row.answer != row.answer for row, fault in zip(rows, faults, strict=True))
