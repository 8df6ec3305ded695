"""The interpreter prints what Python prints, or says that the program is outside its language: of programs picked by hand,
and of such drawn at random."""

import os
import random
import re
import subprocess
import sys

import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

from stages.lib.interpreter.run import run_program

PROGRAMS = int(os.environ.get("ASSAY_INTERPRETED", "100"))
LIMITS = ("out of fuel", "bits", "100,000", "10,000")
START = "a, b, d, t, s, n, m, x, y = [3, 1], [2], {'k': 1, 2: [4]}, (1, [5]), 'xy', 2, 0, 1, 2\na2, d2, e = a, d, d[2]"
END = "print(a, b, d, t, s, n, m, a2, d2, e)"

# What an expression may be: a number, truth, list, tuple, text, dictionary, or any; items to read: numbers, pairs, any. A
# `$` stands before the kind of a part. The first choices have no parts.
KINDS = {
    "I": """n | m | x | 0 | 1 | 2 | -1 | len($Y) | sum($N) | max($N) | min($I, $I) | $I + $I | $I - $I | $I * $I | -$I
        | $I // $I | $I % $I | abs($I) | a[$I] | d[$E] | d.get($E, $I) | round($I) | round($I, 1) | int($S)
        | int('101', 2) | $I if $B else $I | f($E) | g($I) | $L.index($I) | a.pop() | $L.count($I) | sum($N, $I)""",
    "B": """True | False | $E == $E | $I < $I <= $I | $E in $Y | $E not in $Y | not $E | $B and $B | $I or $E | any($Y)
        | all($Y) | any($B for x in $Y) | all(f(x) for x in $Y) | $E is None | bool($Y) | any(d[x] for x in ['k', 'z'])""",
    "L": """a | b | e | [] | [$E, $E] | [$E for x in $Y] | [x for x in $Y if $B] | $L + $L | $L * $I | $L[$I:$I]
        | $L[::$I] | list($Y) | sorted($Y) | sorted($N, reverse=$B) | list(d) | $S.split('x') | [[x, y] for x, y in $P]
        | [x for y in $Y for x in $Y] | $L.copy() | h($E)""",
    "T": "t | () | (1, 2) | ($E, $E) | tuple($Y) | t + ($E,) | $T[$I:]",
    "S": "s | 'z' | '11' | str($E) | $S + $S | $S * $I | $S[$I] | '-'.join($S) | '-'.join(str(x) for x in $Y)",
    "D": "d | d2 | {} | {$S: $E} | dict($P) | dict($D) | dict() | d.copy()",
    "N": "a | b | [1, 2] | $L | range($I) | range($I, $I) | ($I for x in $N) | reversed($N) | (x for x in $N if $B)",
    "P": "[(1, 2)] | d.items() | enumerate($Y) | enumerate($Y, start=$I) | zip($Y, $Y) | $D.items() | reversed($P)",
    "Y": "a | d | s | $N | $P | $L | $T | $D | $D.keys() | $D.values() | ($E for x in $Y) | reversed($Y) | zip($Y)",
    "E": "n | x | None | $I | $I | $I | $B | $L | $T | $S | $D | $Y",
    "V": "a | b | d | n | m | s | t | x | y | e",
}
STATEMENTS = """$V = $E | a = $L | b = $L | n = $I | $V += $E | a += $Y | b *= $I | n -= $I | a[$I] = $E | d[$S] = $E
    | d[$E] += $Y | d[2] += $Y | e += $L | a[$I:$I] = $Y | a[$I:$I] += $Y | a[::2] = $Y | a.append($E) | a.extend($Y)
    | d[2].append($I) | d.update($P) | d.update($D) | d.pop($E, None) | d.setdefault($E, $E) | a.insert($I, $E)
    | a.reverse() | b.clear() | x, y = $Y | x, y = $E, $E | a[0], a[1] = a[1], a[0] | print($E) | print($E, $E)
    | print($I, end=$S) | print($E, sep=None) | t = $T | s = $S | d = $D | max = $I | e = $L | a.sort()"""
HEADS = """if $B: | if $I < $I: | for x in $Y: | for x in $N: | for x in a: | for y, x in enumerate(a): | for x, y in $P:
    | for x, y in zip(a, $Y): | for x in reversed(a): | for x in d: | for x, y in d.items(): | for x in d.values():
    | while len(a) < $I: | for y, x in zip(range(4), a):"""
INSIDE = (
    "break | continue | if x == 1: break | a.append($I) | if len(a) < 6: a.append($I) | d[x] = $E | a.pop(0) | print(x)"
)


class Writer(random.Random):
    """Writes programs."""

    def pick(self, choices: str, count: int | None = None) -> str:
        return self.choice([" ".join(part.split()) for part in choices.split(" | ")][:count])

    def fill(self, template: str, depth: int) -> str:
        """The template with an expression for each of its parts."""

        def write(match: re.Match[str]) -> str:
            return self.fill(self.pick(KINDS[match[1]], None if depth > 0 else 3), depth - 1)

        return re.sub(r"\$([A-Z])", write, template)

    def write_block(self, depth: int, is_inside: bool = False) -> list[str]:
        lines = []
        for _ in range(self.randint(1, 3)):
            if depth and self.random() < 0.4:
                lines.append(self.fill(self.pick(HEADS), 1))
                body = self.write_block(depth - 1, is_inside or not lines[-1].startswith("if"))
                lines += [f"    {line}" for line in body]
            else:
                among = INSIDE if is_inside and self.random() < 0.5 else STATEMENTS
                lines.append(self.fill(self.pick(among), self.randint(0, 2)))
        return lines

    def write_program(self) -> str:
        lines = START.splitlines()
        for name, result in zip("fgh", "BIL", strict=True):
            body = self.write_block(1) if self.random() < 0.3 else [f"print('{name}', x)"]
            body.append(f"return {self.fill(f'${result}', 1)}")
            lines += [f"def {name}(x):", *(f"    {line}" for line in body)]
        for _ in range(self.randint(1, 5)):
            lines += [*self.write_block(2), END]
        return "\n".join(lines)


def run_python(source):
    """(the lines that Python prints, the last line of its error or None). In a process of its own."""
    command = [sys.executable, "-I", "-S", "-X", "utf8", "-"]
    done = subprocess.run(command, input=source, capture_output=True, encoding="utf-8", timeout=20, check=False)
    return done.stdout.splitlines(), done.stderr.strip().rpartition("\n")[2] if done.returncode else None


def check(source):
    """Whether the interpreter runs the program; where it does, it does what Python does."""
    run = run_program(source)
    if run.is_outside or (run.error and any(limit in run.error for limit in LIMITS)):
        return False
    printed, error = run_python(source)
    assert (run.printed, run.error is None) == (printed, error is None), (run.error, error)
    return True


INSIDE_LANGUAGE = {
    "q = [1]\nfor i, x in enumerate(q):\n    if x < 4: q.append(x + 1)\nprint(q)": "[1, 2, 3, 4]",
    "q = [1]\nfor x, y in zip(q, range(9)):\n    q.append(y)\nprint(len(q), [y for x, y in zip(q, 'ab')])": "10 ['a', 'b']",
    "q = [1, 2, 3]\nfor x in reversed(q):\n    q[0] = 9\nprint(x)": "9",
    "q = [1]\nprint([q.append(x + 1) for x in q if x < 4], q)": "[None, None, None] [1, 2, 3, 4]",
    "d = {'a': 1}\nprint(any(d[k] for k in ['a', 'b']), all(d[k] > 1 for k in ['a', 'b']))": "True False",
    "d = {'a': 1}\nfor k, v in d.items():\n    d[k] = 5\nprint(d, len(d.keys()), 5 in d.values())": "{'a': 5} 1 True",
    "d = {'a': 1, 'b': 2}\nfor v in d.values():\n    d['b'] = 7\nprint(v, max(d.values()), list(reversed(d)))":
        "7 7 ['b', 'a']",
    "x = [1]\nd = {'a': x}\nd['a'] += [2]\nd['a'] += (3,)\nprint(x)": "[1, 2, 3]",
    "a = [1]\nb = a\nb *= 2\nprint(a)": "[1, 1]",
    "a = [1, 2]\na += reversed(a)\na.extend(x for x in 'ab')\nprint(a)": "[1, 2, 2, 1, 'a', 'b']",
    "a = [1, 2, 3]\nb = a\na[0:2] = [9]\na[1:] = (x for x in a)\na[0:1] += 'x'\nprint(b)": "[9, 'x', 9, 3]",
    "d = dict(zip('ab', [1, 2]))\nprint(d, dict([('c', 3)]), dict(d) == d, dict(d) is None, dict())":
        "{'a': 1, 'b': 2} {'c': 3} True False {}",
    "d = {}\nd.update(zip('ab', [1, 2]))\nd.update([('a', 3)])\nd.update({'c': 4})\nd.update()\nprint(d)":
        "{'a': 3, 'b': 2, 'c': 4}",
    "print(int('101', 2), int('ff', 16), sum([[1], [2]], []), list(enumerate('ab', start=1)))":
        "5 255 [1, 2] [(1, 'a'), (2, 'b')]",
    "print(1, 2, sep=None, end=None)": "1 2",
    "def f(x):\n    print(x)\n    return ''\nprint(f(1), sep=f(2), end=f(3))": "1\n2\n3",
    "n = 2\nprint([x * n for x in range(3) for n in [x]], n, [[n for n in 'a'] for x in 'b'])": "[0, 1, 4] 2 [['a']]",
    "def f(n):\n    return 0 if n == 0 else 1 + f(n - 1)\nprint(f(35))": "35",
    "def max(x):\n    return x\nprint(max(1), min([max(2)]))": "1 2",
    "print(range(10 ** 30), 3 in range(5), (1, 2) in zip([1], [2]), 'c' not in reversed('ab'))":
        f"range(0, {10**30}) True True True",
    "x, y = zip([1, 2], [3, 4])\nprint(x, y)": "(1, 3) (2, 4)",
}  # fmt: skip


@pytest.mark.parametrize("source", INSIDE_LANGUAGE, ids=range(len(INSIDE_LANGUAGE)))
def test_what_is_read_item_by_item_and_changed_in_place_is_as_in_python(source):
    assert check(source)
    assert run_program(source).printed == run_python(source)[0] == INSIDE_LANGUAGE[source].splitlines()


@pytest.mark.parametrize(
    "source",
    [
        "z = zip([1], [2])\nprint(list(z), list(z))",
        "z = [reversed([1])]",
        "d = {}\nk = d.keys()",
        "print({}.items())",
        "def f(x):\n    return list(x)\nf(x for x in 'ab')",
        "def f():\n    return enumerate('a')\nf()",
        "x = {'a': 1}.keys() - {}.keys()",
        "print(round(2.675, 1))",
        "print(round(7, ndigits=-1))",
        "def f(n):\n    return 0 if n == 0 else 1 + f(n - 1)\nprint(f(60))",
        "def f(x):\n    return x\nf(x=1)",
        "def f(x):\n    return x\ng = f",
        "print(sorted('ab', key=len))",
        "print(dict(a=1))",
        "print(max([], default=0))",
        "print(sum([1], start=1))",
        "[2, 1].sort(reverse=True)",
        "add = [].append",
        "x = [1]\nx.y += 1",
        "print('a b'.split(maxsplit=1))",
        "x = [zip]",
        "print(1e999)",
        f"x = {'(' * 30}1{',)' * 30}{'[0]' * 31}",
    ],
)
def test_what_is_not_done_as_python_does_it_is_outside(source):
    run = run_program(source)
    assert run.is_outside, run


@pytest.mark.parametrize(
    "source",
    [
        "max = 3\nmax(1, 2)",
        "print = 3\nprint(1)",
        "def f():\n    pass\nf = 1\nf()",
        "print(sorted([2, 1], True))",
        "print(sum(['a'], ''))",
        "print(1, sep=2)",
        "zip(1)",
        "for x in enumerate(2):\n    pass",
        "print(reversed(x for x in 'ab'))",
        "print(len(zip('a')))",
        "t = ([1],)\nt[0] += [2]",
        "print([x for y in [1] if x for x in [2]])",
        "d = {1: 1}\nfor x, y in zip(d, (d.pop(1) for x in 'ab')):\n    print(x, y)",
        "d = {}\nd[[1]] = 2",
        "d = dict([1])",
        "def f(x, x):\n    return x",
        "if False:\n    break",
        "if False:\n    return",
        "print(1, end='', end='')",
        "\n".join(f"{' ' * i}for i in 'a':" for i in range(21)) + " pass",
    ],
)
def test_what_fails_in_python_fails(source):
    run, (printed, error) = run_program(source), run_python(source)
    assert error is not None and run.error is not None
    assert run.is_outside or run.printed == printed


@given(st.integers(0, 2**32))
@settings(max_examples=PROGRAMS, deadline=None)
def test_a_program_prints_what_python_prints(seed):
    source = Writer(seed).write_program()
    note(source)
    check(source)
