"""Cases of a test written as a table in a string, many to a line."""

import re


def read_cases(table: str) -> list[tuple[str, ...]]:
    """The cases in order: three blanks or a line break separate them, ` ≡ ` separates the cells of one."""
    return [tuple(case.split(" ≡ ")) for case in re.split(r" {3,}|\n", table.strip())]
