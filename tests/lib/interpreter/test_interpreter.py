"""The interpreter: what it computes is what Python computes, and what would harm is refused within its fuel."""

import gc
import time
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.lib.interpreter import values
from stages.lib.interpreter.run import FUEL, MAX_OUTPUT, run_program

DOUBLING = "for i in range(60):\n    a = [a, a]\n    b = [b, b]"


def get_printed(source, **inputs):
    execution = run_program(source, inputs)
    assert execution.error is None, execution.error
    return execution.printed


@pytest.mark.parametrize(
    ("source", "printed"),
    [
        ("print(7 // 2, -7 // 2, 7 % 3, -7 % 3, 2 ** 10)", "3 -4 1 2 1024"),
        ("print(1 / 3, 6 / 3, 0.5 + 0.25, 0.1 + 0.2 == 0.3)", "1/3 2 3/4 True"),
        ("x, (y, z) = 1, [2, 3]\nx += y\nprint(x, y, z)", "3 2 3"),
        ("a = [1]\nb = a\nb += [2]\na.append('c')\nprint(a, b is None, len(b))", "[1, 2, 'c'] False 3"),
        ("d = {'a': 1}\nd['b'] = d.get('a') + 1\nd['b'] *= 5\nprint(d, 'a' in d, list(d.items()))",
         "{'a': 1, 'b': 10} True [('a', 1), ('b', 10)]"),
        ("print([i * j for i in range(4) if i % 2 for j in (1, 10)], sum(i for i in range(5)))", "[1, 10, 3, 30] 10"),
        ("s = 'a b c'\nprint(s[::-1], s.split(), '-'.join(sorted(s.split(), reverse=True)))",
         "c b a ['a', 'b', 'c'] c-b-a"),
        ("print(1 < 2 < 3, 1 < 2 > 5, not [], 'x' if 0 else 'y', 0 or 'z', None is None)", "True False True y z True"),
        ("def f(n):\n    if n < 2:\n        return n\n    return f(n - 1) + f(n - 2)\nprint(f(10))", "55"),
        ("x = 1\ndef f(x):\n    y = x + 1\n    return y\nprint(f(5), x)", "6 1"),
        ("x, n = 1, [2]\ndef f(a):\n    n.append(a)\n    y = [x for x in n]\n    return x + len(y)\nprint(f(5), x, n)",
         "3 1 [2, 5]"),
        ("x = 1\ndef f():\n    return x\ndef g(x):\n    return f()\nprint(g(5), [f() for x in (7, 8)], x)", "1 [1, 1] 1"),
        ("for i in range(9):\n    if i == 2:\n        continue\n    if i == 4:\n        break\n    print(i, end=',')",
         "0,1,3,"),
        ("x = 3\nprint(f'{x} and {x + 1}', 'a', 'b', sep='|')", "3 and 4|a|b"),
        ("print(sqrt(9), sqrt(9 / 4), abs(-2), min(3, 1), max([4, 5]), int('7') + 1)", "3 3/2 2 1 5 8"),
        ("print(list(enumerate('ab')), list(zip('ab', [1, 2])), any([0, 1]), all([]))",
         "[(0, 'a'), (1, 'b')] [('a', 1), ('b', 2)] True True"),
    ],
)  # fmt: skip
def test_it_says_what_python_says(source, printed):
    assert get_printed(source) == [printed]


NUMBERS = st.integers(-30, 30)
OPERATORS = {"+": int.__add__, "-": int.__sub__, "*": int.__mul__}


@st.composite
def formulas(draw, depth=4):
    """(source, exact value) of a formula over + - * / // %."""
    if not depth or draw(st.booleans()):
        number = draw(NUMBERS)
        return f"({number})", Fraction(number)
    (left, a), (right, b) = draw(formulas(depth - 1)), draw(formulas(depth - 1))
    symbol = draw(st.sampled_from(["+", "-", "*", "/", "//", "%"] if b else ["+", "-", "*"]))
    value = {
        "+": lambda: a + b, "-": lambda: a - b, "*": lambda: a * b, "/": lambda: a / b, "//": lambda: Fraction(a // b),
        "%": lambda: a % b,
    }[symbol]()  # fmt: skip
    return f"({left} {symbol} {right})", value


@given(formulas())
@settings(max_examples=100)
def test_arithmetic_is_exact(formula):
    source, value = formula
    assert get_printed(f"print({source})") == [str(value)]


@given(st.lists(st.tuples(st.sampled_from("+-*"), st.integers(0, 9), st.integers(-20, 20)), min_size=1, max_size=20))
@settings(max_examples=60)
def test_a_chain_of_assignments_is_that_of_a_model(steps):
    """Ten names; each step changes one from another by an operator and a number."""
    state, lines = [1] * 10, [f"x{i} = 1" for i in range(10)]
    for i, (symbol, source, number) in enumerate(steps):
        state[i % 10] = OPERATORS[symbol](state[source] % 1000, number)
        lines.append(f"x{i % 10} = x{source} % 1000 {symbol} ({number})")
    assert get_printed("\n".join([*lines, f"print({', '.join(f'x{i}' for i in range(10))})"])) == [
        " ".join(map(str, state))
    ]


HOSTILE = {
    "import os": "Import is not allowed",
    "from os import path": "ImportFrom",
    "x = ().__class__": "__class__",
    "__builtins__": "__builtins__",
    "open('/etc/passwd')": "open is not known",
    "eval('1')": "eval is not known",
    "'{0.__class__}'.format(1)": "no method format",
    "f = lambda: 1": "Lambda",
    "class A: pass": "ClassDef",
    "with a: pass": "With",
    "global x": "Global",
    "try:\n    x = 1\nexcept:\n    pass": "Try",
    "a = {1, 2}": "Set",
    "def f():\n    def g():\n        pass": "inside another",
    "def f(x=1): pass": "plain parameters",
    "@f\ndef g(): pass": "decorators",
    "x = b'a'": "bytes",
    "x = 1j": "complex",
    "f = f'{1:1000000000}'": "format in a string",
    "x = '%1000000000d' % 1": "Mod of str",
    "x = 1 << 99": "LShift",
    "x = 10 ** 10 ** 10": "2048 bits",
    "x = 2 ** (0 - 10 ** 9)": "2048 bits",
    "x = 7\nwhile True:\n    x = x * x": "2048 bits",
    "x = 1\ni = 1\nwhile True:\n    i += 1\n    x = x + 1 / i": "2048 bits",
    "x = int('9' * 4000)": "2048 bits",
    f"x = {'9' * 6000}": "Exceeds the limit",
    "while True:\n    pass": "out of fuel",
    "for i in range(10 ** 12):\n    pass": "out of fuel",
    "x = list(range(10 ** 12))": "out of fuel",
    "x = range(10 ** 12)[1:]": "out of fuel",
    "x = sum(range(10 ** 12))": "out of fuel",
    "x = 0.5 in range(10 ** 12)": "out of fuel",
    "x = []\nx.extend(range(10 ** 12))": "out of fuel",
    "x = [1]\nx.extend(y for y in x)": "out of fuel",
    "x = [1, 2]\nx[:] = range(10 ** 12)": "out of fuel",
    f"a = 1\nb = 1\n{DOUBLING}\nprint(a in (x for x in [b]))": "out of fuel",
    f"a = 1\nb = 1\n{DOUBLING}\nd = {{1: a}}\nprint(b in d.values())": "out of fuel",
    "x = [1]\nwhile True:\n    x *= 1000": "100,000 characters",
    "l = [1]\nfor x in l:\n    l.append(x)": "out of fuel",
    "s = 'a'\nwhile True:\n    s = s + s": "100,000 characters",
    "s = 'ab' * 10 ** 9": "100,000 characters",
    "s = 'a' * 90000\ns = s.replace('a', 'aa' * 500)": "100,000 characters",
    "s = 'a' * 90000\ns = s.replace('', s)": "100,000 characters",
    "s = ('a' * 9000).join(['b'] * 9000)": "100,000 characters",
    f"a = 1\nb = 1\n{DOUBLING}\nprint(a)": "out of fuel",
    f"a = 1\nb = 1\n{DOUBLING}\nprint(a == b)": "out of fuel",
    f"a = 1\nb = 1\n{DOUBLING}\nprint(str(a) in [b])": "out of fuel",
    f"a = 1\nb = 1\n{DOUBLING.replace('[', '(').replace(']', ')')}\nd = {{a: b}}": "out of fuel",
    "l = []\nl.append(l)\nprint(l)": "out of fuel",
    f"d = {{}}\na = 1\nb = 1\n{DOUBLING.replace('[', '(').replace(']', ')')}\nd[a] += b": "out of fuel",
    "l = []\nfor i in range(9000):\n    l = [l]\nprint(l)": "nested too deeply",
    "l = []\nk = []\nfor i in range(9000):\n    l = [l]\n    k = [k]\nprint(l == k)": "nested too deeply",
    "def f(n):\n    return f(n + 1)\nf(0)": "calls inside one another",
    "(" * 5000: "too many nested",
    f"x = {'-' * 15000}1": "nested too deeply",
    f"x = {'+'.join(['1'] * 5000)}": "nested too deeply",
    f"x = {'not ' * 100}1": "nested more than 60",
    "while True:\n    print('x' * 1000)": "10,000 characters",
    "x = 1\x00": "null",
    f"# {'x' * 20_001}": "20,000 characters",
    "break": "outside of a loop",
    "return 1": "outside of a loop",
    "x = y": "the name y has no value",
    "def f():\n    return y\ndef g(y):\n    return f()\ng(1)": "the name y has no value",
    "def f():\n    return i\nx = [f() for i in range(3)]": "the name i has no value",
    "x = 1\ndef f():\n    x += 1\nf()": "the name x has no value yet",
    "x = 1\ndef f():\n    y = x\n    for x in 'ab':\n        y = x\nf()": "the name x has no value yet",
    "x = 1 / 0": "ZeroDivisionError",
    "x = [1][3]": "IndexError",
    "x = {}['a']": "KeyError",
    "x = 'a' + 1": "TypeError",
    "x = sqrt(2)": "no fraction",
    "d = {1: 1}\nfor k in d:\n    d[k + 1] = 1": "changed size",
}  # fmt: skip


@pytest.mark.parametrize("source", HOSTILE, ids=range(len(HOSTILE)))
def test_what_would_harm_is_refused_within_the_fuel(source):
    execution = run_program(source)
    assert execution.error and HOSTILE[source] in execution.error, execution
    assert execution.error.startswith("line ") or "program" in execution.error
    assert execution.fuel <= FUEL and sum(map(len, execution.printed)) <= MAX_OUTPUT


@given(st.text("abx=+-*/()[]{}:'\"<>,. \n0123456789ifornwhleprt_", max_size=60) | st.text(max_size=30))
@settings(max_examples=200)
def test_no_text_makes_it_raise(text):
    execution = run_program(text)
    assert execution.fuel <= FUEL


def test_what_was_printed_before_an_error_is_kept_and_the_line_is_named():
    execution = run_program("print(1)\nprint(2)\nx = [\n    1 / 0]")
    assert execution.printed == ["1", "2"] and execution.error == "line 3: ZeroDivisionError: Fraction(1, 0)"


@pytest.mark.parametrize(
    ("source", "is_outside"),
    [
        ("import re", True),
        ("x = {1}", True),
        ("print(sorted([1], key=len))", True),
        ("print(set([1]))", True),
        ("'a'.format(1)", True),
        ("print('%d' % 1)", True),
        ("print(1, flush=True)", True),
        ("def f():\n    return y\nf()", True),
        ("x = 1\ndef f():\n    x += 1\nf()", False),
        ("x = (", False),
        ("x = 1 / 0", False),
        ("while True:\n    pass", False),
        ("x = 10 ** 10 ** 10", False),
        ("print(1)", False),
    ],
)
def test_what_only_python_knows_is_told_from_what_fails(source, is_outside):
    assert run_program(source).is_outside == is_outside


def test_inputs_are_names_and_methods_are_those_of_the_list():
    assert get_printed("print(text.split('a'))", text="xay") == ["['x', 'y']"]
    for kind, names in values.METHODS.items():
        assert all(hasattr(kind, name) and not name.startswith("_") for name in names)
    for name in ("encode", "format", "format_map", "zfill", "ljust", "translate"):
        assert "has no method" in (run_program(f"'a'.{name}(9)").error or "")


@pytest.mark.parametrize("key", ["x", "(0, x)", "x / 3"])
def test_keys_of_equal_hash_cost_so_much_that_there_are_few(key):
    """All multiples of 2 ** 61 - 1 have the hash 0, so a dictionary of n of them takes n ** 2 comparisons."""
    execution = run_program(f"d = {{}}\nx = 2 ** 61 - 1\nwhile True:\n    x += 2 ** 61 - 1\n    d[{key}] = 1")
    assert "out of fuel" in (execution.error or "") and 500 < len(execution.variables["d"]) < 1000
    small = run_program("d = {}\nx = 0\nwhile True:\n    x += 1\n    d[x] = 1")
    assert len(small.variables["d"]) > 5000


def test_programs_run_in_several_threads():
    """Where garbage is collected while one parses, another may begin, which CPython 3.11 does not bear."""
    source = "\n".join(f"x{i} = ({i} + 1) * 2 - [1, 2, {i}][2]" for i in range(150)) + "\nprint(x9)"
    thresholds = gc.get_threshold()
    gc.callbacks.append(let_others_run := lambda *_: time.sleep(0))
    gc.set_threshold(50)
    try:
        with ThreadPoolExecutor(8) as pool:
            runs = list(pool.map(run_program, [source] * 60))
    finally:
        gc.set_threshold(*thresholds)
        gc.callbacks.remove(let_others_run)
    assert {tuple(run.printed) for run in runs} == {("11",)}


def test_the_same_program_costs_the_same_fuel_again():
    source = "x = 0\nfor i in range(100):\n    x += i\nprint(x)"
    first, second = run_program(source), run_program(source, fuel=FUEL - 7)
    assert first.fuel == second.fuel > 300
    assert "out of fuel" in (run_program(source, fuel=first.fuel - 1).error or "")
    assert run_program(source, fuel=first.fuel).error is None
