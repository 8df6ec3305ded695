"""Tables on a terminal: nothing wider than it, nothing lost; whole elsewhere."""

import re
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from stages.lib.display import tables, terminal

ROOT = Path(__file__).parents[3]
CELL = st.lists(st.text("abcXYZ019.,()[]+-%é漢", min_size=1, max_size=14), max_size=9).map(" ".join)
PAGES = sorted([ROOT / "README.md", *(ROOT / "stages").rglob("README.md")])


def draw(headers, rows, numbers=(), width=None, **options):
    lines = terminal.lay_out(headers, rows, numbers, width, **options)
    return ["".join(text for text, _ in line).rstrip() for line in lines]


def read_tables(page: Path) -> list[list[list[str]]]:
    """The Markdown tables of a page: real content of every kind."""
    blocks = re.findall(r"(?:^\|.*\n)+", page.read_text(encoding="utf-8"), re.MULTILINE)
    splits = [[[cell.strip() for cell in line[1:-1].split("|")] for line in block.splitlines()] for block in blocks]
    assert all(len(row) == len(rows[0]) for rows in splits for row in rows)
    return [[rows[0], *rows[2:]] for rows in splits]


@st.composite
def draw_table(draw_value):
    n = draw_value(st.integers(1, 6))
    rows = draw_value(st.lists(st.lists(CELL, min_size=n, max_size=n), max_size=5))
    headers = draw_value(st.lists(CELL.filter(bool), min_size=n, max_size=n))
    return headers, rows, draw_value(st.sets(st.sampled_from(headers)))


@given(draw_table(), st.integers(20, 130))
def test_no_line_is_wider_and_no_cell_is_cut(table, width):
    headers, rows, numbers = table
    lines = draw(headers, rows, numbers, width)
    assert max(map(cell_len, lines), default=0) <= width
    cells = Counter("".join(word for row in rows for cell in row for word in cell.split()))
    assert cells <= Counter("".join(lines))


@given(draw_table())
def test_a_pipe_gets_one_whole_line_for_each_row(table):
    headers, rows, numbers = table
    lines = draw(headers, rows, numbers)
    assert len(lines) == len(rows) + 1
    for line, row in zip(lines, (headers, *rows), strict=True):
        assert line.split() == " ".join(row).split()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_table_of_the_pages_stands_whole_in_80_columns(page):
    for headers, *rows in read_tables(page):
        lines = draw(headers, rows, headers[1:] if all(len(row[-1]) < 30 for row in rows) else (), 80)
        text = re.sub(r"\s+", "", " ".join(lines))
        assert max(map(cell_len, lines)) <= 80 and "…" not in text
        for row in rows:
            assert all(word in text for cell in row for word in cell.split() if cell_len(word) < 60)


def test_wide_tables_of_numbers_become_bands_with_the_first_column():
    headers = ["set", "n", *(name for i in range(6) for name in (f"verifier {i}", "p"))]
    rows = [[f"set-{r}", "100", *(cell for i in range(6) for cell in (f"+{i}.{r} [+0.1, +9.9]", "0.01"))] for r in "ab"]
    lines = draw(headers, rows, headers[1:], 60)
    starts = [line for line in lines if line.startswith("set ")]
    assert len(starts) > 1 and sum(line.startswith("set-a") for line in lines) == len(starts)
    for start in starts:  # a p stands behind what it is of
        assert re.fullmatch(r"set( +n)?(  +verifier \d +p)*", start)
    assert draw(headers, rows, headers[1:], 60, is_short=True) == lines[: lines.index("")]


def test_tables_with_sentences_become_blocks():
    rows = [
        ["orm.lr", "0.1", "", "the peak learning rate of the matrices, after the warm-up"],
        ["prm.lr", "", "2", "short"],
    ]
    assert draw(["key", "value", "default", "meaning"], rows, (), 36) == [
        "orm.lr",
        "  value    0.1",
        "  meaning  the peak learning rate of",
        "           the matrices, after the",
        "           warm-up",
        "prm.lr",
        "  default  2",
        "  meaning  short",
    ]


def test_text_wraps_before_anything_is_rearranged():
    rows = [["an ensemble of several scores", "61.0"], ["PRM", "9.5"]]
    assert draw(["method", "accuracy %"], rows, ["accuracy %"], 32) == [
        "method                accuracy %",
        "an ensemble of              61.0",
        " several scores",
        "PRM                          9.5",
    ]


def test_print_table_takes_the_width_of_the_terminal(monkeypatch, capsys):
    table = ["stage", "what"], [["orm", "x " * 60]]
    terminal.print_table(*table)
    assert len(capsys.readouterr().out.splitlines()) == 2
    monkeypatch.setattr(terminal, "get_width", lambda: 40)
    terminal.print_table(*table, title="Stages")
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["Stages", ""] and max(map(len, lines)) <= 40
    terminal.print_table(*table, optional=["what"])
    assert capsys.readouterr().out == "stage\norm\n"
    terminal.print_list(["word " * 20])
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 40


TEXT = st.text("ab|\\*_ `-#1", min_size=1, max_size=8).map(str.strip)


@given(
    st.dictionaries(
        TEXT.filter(lambda x: x and x[0] not in "-|"),
        st.lists(st.lists(TEXT, min_size=3, max_size=3), min_size=2),
        min_size=1,
        max_size=3,
    ),
    st.lists(TEXT),
)
def test_a_report_is_read_as_it_was_written(rows, notes):
    report = {title: (header, body) for title, (header, *body) in rows.items()}
    assert tables.parse_report(tables.format_report(report, notes)) == (report, notes)


def test_the_pages_have_tables_of_all_kinds():
    widths = [sum(map(len, rows[0])) for page in PAGES for rows in read_tables(page)]
    assert len(widths) > 10 and max(widths) > 100
