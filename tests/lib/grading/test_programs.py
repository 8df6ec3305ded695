"""Programs in the texts of models: every usual form of one solution gives one program, and prose is no part of it."""

import gzip
import json
import os
import textwrap
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stages.lib.grading import programs

PROMPT = 'import math\n\n\ndef root(x: int) -> int:\n    """The integer root.\n\n    >>> root(5)\n    2\n    """\n'
HEAD = PROMPT[PROMPT.index("def root") :]
FENCED = HEAD.replace("    >>> root", "    ```python\n    >>> root").replace("    2\n", "    2\n    ```\n")
BODY = "    low = math.isqrt(x)\n\n    return low\n"
FORMS = {
    "the body": BODY,
    "the body, another function begun": BODY + '\n\ndef other(x):\n    """ Ret',
    "the body, a question invented": BODY + "\n\nQuestion: How many don't?\nAnswer:\n",
    "the body, a class": BODY + "\n\nclass A:\n    pass\n",
    "the body, a print": BODY + "print(root(3))\n",
    "the body, a script": BODY + 'if __name__ == "__main__":\n    main()\n',
    "the body, a comment and a test": BODY + "# a test\nassert root(4) == 3\n",
    "the body without its first indentation": BODY.strip(),
    "the body in a fence": f"```python\n{BODY}```\nDone.",
    "the body without indentation in a fence": "```\nlow = math.isqrt(x)\nreturn low\n```",
    "the body up to the end of a fence": f"{BODY}```\nThis works.",
    "the whole function": PROMPT + BODY,
    "the function alone": HEAD + BODY,
    "a fence": f"Sure!\n```python\n{PROMPT}{BODY}```\nIt isn't slow.",
    "an open fence": f"Sure!\n```python\n{HEAD}{BODY}",
    "a fence in a list": "1. Write:\n" + "".join(f"   {line}\n" for line in f"```python\n{HEAD}{BODY}```".split("\n")),
    "a fence, its use, its output": f"```py\n{HEAD}{BODY}```\nUse:\n```py\nprint(root(2))\n```\nGives:\n```\n1\n```",
    "two fences, the second better": f"```python\n{HEAD}    return x\n```\nBetter:\n```python\n{HEAD}{BODY}```",
    "prose around": f"Here is the function:\n\n{PROMPT}{BODY}\nThis doesn't fail.\n\ndef other(x):\n    return x +\n",
    "a list around": f"- the root is whole\n\n{HEAD}{BODY}\n**Note:** fast.\n1. It is right.\n",
    "a docstring with a fence": f"Sure!\n```python\n{FENCED}{BODY}```\nDone.",
    "a docstring with a fence, alone": FENCED + BODY,
    "tests of its own": f"```\n{HEAD}{BODY}\nassert root(4) == 3\nprint(1)\nif __name__ == '__main__':\n    exit(1)\n```",
}


def first(text):
    return programs.extract(text, PROMPT, "root")


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_function_is_one_program(form):
    program = first(FORMS[form])
    expected = PROMPT.replace(HEAD, FENCED if "docstring" in form else HEAD) + BODY
    assert programs.normalise(program) == programs.normalise(expected), program
    assert first(program) == program


@pytest.mark.parametrize(
    "trial",
    [
        "tests = [(9, 3)]\nfor x, low in tests:\n    assert root(x) == low",
        "x = 9\nif root(x) != 2:\n    raise ValueError",
        "import unittest\nclass TestRoot(unittest.TestCase):\n    def test(self):\n        root(1)\nunittest.main()",
        "import unittest\nclass TestRoot(unittest.TestCase):\n    def test(self):\n        root(1)\n"
        "unittest.TextTestRunner().run(unittest.defaultTestLoader.loadTestsFromTestCase(TestRoot))",
        "import doctest\ndoctest.testmod()",
        "import doctest; doctest.testmod()",
        "import sys\nsys.exit(0)",
        "exit()",
        "quit()",
        "raise SystemExit",
        "low = int(input())",
        "import sys\nx = int(sys.stdin.readline())",
        "low = root('a')",
        "root(3)",
        "def try_root():\n    root('a')\nfor low in range(2):\n    try_root()",
        "def main():\n    root('a')\nmain()",
        "def try_root():\n    root('a')\nlow = try_root()",
        "results = [root(x) for x in 'a']\nfor x in results:\n    low = y",
        "while root(3) != 3:\n    pass",
        "try:\n    x = root('a')\nfinally:\n    low = 2",
    ],
)
def test_what_only_tries_a_function_is_no_part_of_it(trial):
    for text in (f"{HEAD}{BODY}\n{trial}\n", f"```python\n{HEAD}{BODY}\n{trial}\n```", f"{BODY}\n\n{trial}\n"):
        program = first(text)
        assert first(program) == program
        function, below = program[: (end := program.index("return low") + 10)], program[end:].split("\n")
        assert programs.normalise(function) == programs.normalise(PROMPT + BODY)
        assert set(below) <= {"", "import unittest", "import doctest", "import sys", "x = 9", "tests = [(9, 3)]"}


@pytest.mark.parametrize(
    "below",
    [
        "TABLE = {}\nfor i in range(9):\n    TABLE[i] = i",
        "TABLE = []\nTABLE.extend(range(9))",
        "if True:\n    TABLE = {}\nelse:\n    TABLE = []",
        "one = TABLE = {}",
        "TABLE = make()\n\ndef make():\n    return {}",
        "TABLE = lambda: root(1)",
        "root = cache(root)\nTABLE = 1",
        "root.known = {}\nTABLE = 1",
        "def make(x):\n    return root(x)\n\nTABLE = make",
        "class Solution:\n    def root(self):\n        return {}\n\nTABLE = Solution().root()",
    ],
)
def test_what_a_function_uses_below_it_stays(below):
    text = f"{HEAD}    return TABLE[x] or make or Solution\n\n{below}\n"
    assert programs.normalise(first(text)) == programs.normalise(f"import math\n{text}")


ASSIGNED = {
    "lambda": "root = lambda x: math.isqrt(x)",
    "recursive lambda": "root: object = lambda x: root(x - 1) if x else 0",
    "another name": "def find(x):\n    return math.isqrt(x)\n\nroot = find",
    "a method": "class Solution:\n    def root(self, x):\n        return math.isqrt(x)\n\nroot = Solution().root",
}


@pytest.mark.parametrize("form", ASSIGNED)
def test_a_function_may_be_assigned(form):
    code = ASSIGNED[form]
    for text in (f"Sure:\n```python\n{code}\n```", f"```python\n{code}\nassert root(4) == 3\n```", code):
        program = first(text)
        assert programs.normalise(program) == programs.normalise(f"import math\n{code}"), program
        assert first(program) == program


@pytest.mark.parametrize(
    "body",
    [
        "root = math.isqrt(x)\nreturn root",
        "for root in range(x):\n    if root * root == x:\n        return root",
        "root = 0\nwhile root * root < x:\n    root += 1\nreturn root",
    ],
)
def test_a_variable_may_be_called_as_the_function_is(body):
    expected = programs.normalise(PROMPT + textwrap.indent(body, "    "))
    for text in (f"```python\n{body}\n```", textwrap.indent(body, "    ")):
        assert programs.normalise(first(text)) == expected
    for below in ("root = cache(root)", "root = other", "root: x = 4 gives 2"):
        assert programs.normalise(first(f"{BODY}\n\n{below}\n")) == programs.normalise(PROMPT + BODY)


def test_a_trial_above_a_function_is_not_run_below_it():
    trial = "def try_it():\n    assert root(9) == 2\n"
    text = f"{trial}\n{HEAD}{BODY}\ntry_it()\n"
    assert programs.normalise(first(text)) == programs.normalise(f"import math\n{trial}\n{HEAD}{BODY}")


def test_what_a_function_needs_comes_with_it():
    text = (
        "from functools import cache\nLIMIT = 9\n@cache\ndef helper(n):\n    return late(n)\n"
        f"{HEAD}    return helper(x)\n\ndef late(n):\n    return LIMIT\n\ndef never(n):\n    return n\n"
    )
    program = first(text)
    assert program.startswith("import math\n") and all(f"def {name}(" in program for name in ("helper", "root", "late"))
    assert "@cache" in program and "LIMIT = 9" in program and "never" not in program


def test_nothing_is_no_program():
    assert first("") is None and first(" \n\n") is None and programs.extract("\n") is None
    assert programs.extract("x" * (programs.MAX_CHARS + 1)) is None


@pytest.mark.parametrize(
    "text",
    [
        "Here is my program:\n\n{}\n\nThis reads the input, doesn't it?\n",
        "```cpp\nint main() {{}}\n```\nIn Python:\n```python\n{}\n```\nOutput:\n```\n3\n```",
        "```\n{}\n```",
        "Here is my program:\n```\n{}",
        "{}\n```\nThat was it.",
        "~~~py\n{}\n~~~",
        "{}\n\nExplanation:\nprint is used to print.\n",
        "{}\nQuestion: what next?\nprint(0)\n",
    ],
)
def test_a_program_is_found_between_prose(text):
    code = (
        "import sys\nfor line in sys.stdin:\n    a, b = map(int, line.split())\n\n    print(a + b)\nelse:\n    print()"
    )
    assert programs.extract(text.format(code)) == code


@pytest.mark.parametrize("use", ["solve(5)", "# input() gives 5\nsolve(5)", "sys.stdin = io.StringIO('5')\nmain()"])
@pytest.mark.parametrize(
    "read", ["input()", "sys.stdin.readline()", "open(0).read()", "open('/dev/stdin').read()", "next(map(int, stdin))"]
)
def test_an_example_of_use_is_not_the_program(read, use):
    code = f"def solve(n):\n    print(n)\n\nsolve({read})"
    for language in ("python", ""):
        text = f"```{language}\n{code}\n```\nUse:\n```{language}\n{use}\n```\nGives:\n```\n5\n```"
        assert programs.extract(text) == code
    assert programs.extract("```python\nprint(1)\n```\nBetter:\n```python\nprint(2)\n```") == "print(2)"
    assert programs.extract(f"```python\n{code}\n```\nBetter:\n```python\nprint(input())\n```") == "print(input())"


def test_looks_that_matter_are_kept():
    plain = "print(int(input()) + 2 - 1)"
    for looks in (
        "# coding: foo\n",
        "#\n# -*- coding: ascii -*- é\n",
        "# \ud800\n",
        "#!python\n# vim: fileencoding=foo\n",
    ):
        assert programs.normalise(looks + plain) != programs.normalise(plain)
    assert programs.normalise("# a\n# b\n# coding: foo\n" + plain) == programs.normalise(plain)
    block = "if 1:\n        a\n{}b"
    assert programs.normalise(block.format("\t")) != programs.normalise(block.format(" " * 8)), (
        "Python refuses the first"
    )


def test_one_normal_form_means_one_program():
    program = "def f(x):\n    # comment\n\n    return [x,\n   1]   \n"
    assert programs.normalise(program) == programs.normalise("def f( x ):\n\treturn [x, 1] # c")
    for other in (
        "def f(x):\n    return [x, 2]",
        "def f(x):\n    pass\nreturn [x, 1]",
        "def f(x):\n    return 'x , 1'",
    ):
        assert programs.normalise(program) != programs.normalise(other)
    assert programs.normalise("print('a  b')") != programs.normalise("print('a b')")
    assert programs.normalise("if x:\n  a\n  b") != programs.normalise("if x:\n  a\nb")


PIECES = [
    *("def f(x):", "    return x", "\n", "```", "```python", "Here is it:", "print(f(1))", "  ", "x = 1", "'''", '"'),
    *("don't", "import os", "@dec", "else:", "if x:", "class A:", "1.", "#c", "return", "(", ")", "\\", "\t", "\0"),
    *(
        "f = g",
        "f = lambda: 1",
        '    """',
        "    ```",
        "for f in x:",
        "f(1)",
        "input()",
        "g = f(2)",
        "import sys; exit()",
    ),
]


@given(st.lists(st.sampled_from(PIECES)).map("\n".join) | st.text(), st.sampled_from([None, "f"]))
@example("def f(x):\n)\n    return x\nx = 1\nx = 1\nimport os\nimport os\ndef f(x):", "f")
@example("def f(x):\n)\n    return x\n" + "x = 1\n" * 50, "f")
def test_a_program_is_its_own_program(text, entry_point):
    prompt = "import math\n\ndef f(x):\n    '''d'''\n" if entry_point else ""
    program = programs.extract(text, prompt, entry_point)
    assert program is None or programs.extract(program, prompt, entry_point) == program
    programs.normalise(text)


def test_published_programs_are_whole():
    if "ASSAY_BENCHMARKS" not in os.environ:
        pytest.skip("ASSAY_BENCHMARKS is not set; it names the folder of published files")
    root = Path(os.environ["ASSAY_BENCHMARKS"], "code")
    for row in map(json.loads, gzip.decompress((root / "HumanEval.jsonl.gz").read_bytes()).splitlines()):
        prompt, body, name = row["prompt"], row["canonical_solution"], row["entry_point"]
        for text in (
            body,
            prompt + body,
            f"```python\n{prompt}{body}```",
            f"{body}\n\ndef next_one(x):\n    '''",
            body.strip(),
        ):
            assert programs.normalise(programs.extract(text, prompt, name)) == programs.normalise(prompt + body), row[
                "task_id"
            ]
    for row in json.loads((root / "codeforces_openr_sample.json").read_text("utf-8")):
        code = row["output"].replace("\r\n", "\n").strip("\n").rstrip()
        assert programs.extract(row["output"]) == code
        assert programs.normalise(programs.extract(f"My program:\n\n{code}\n\nThis is it.\n")) == programs.normalise(
            code
        )
