"""Tables in Markdown and in CSV, and the names and numbers in their cells."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from statistics import mean, stdev
from typing import Any

Table = tuple[Sequence[str], Sequence[Sequence[str]]]  # header, rows

LABEL_NAMES = {
    "exact": "exact",
    "pool": "pool",
    "mc_hard": "hard Monte-Carlo",
    "mc_soft": "soft Monte-Carlo",
    "binary_search": "binary-search",
}
SCORE_NAMES = {
    "orm": "ORM",
    "prm": "PRM",
    **{f"prm_{method}": f"PRM ({name} labels)" for method, name in LABEL_NAMES.items()},
    "genrm": "GenRM",
    "prm_exact": "PRM (exact labels, oracle)",
    "base_orm": "untrained base (as ORM)",
    "base_prm": "untrained base (as PRM)",
    "base_genrm": "untrained base (asked)",
    "ensemble": "ensemble",
    "ensemble_free": "ensemble of free scores",
    **{f"likelihood_{part}": f"likelihood ({part})" for part in ("sum", "mean", "min")},
}
ORACLE_SCORES = ("prm_exact",)  # of verifiers trained on labels that only procedural problems have
SIGNIFICANCE_LEVEL = 0.05
METHOD_NAMES = {"best_of": "best-of-k", "weighted": "weighted", "top": "top vote"}
# Characters that Markdown or GitHub would interpret, where they would.
_MARKUP = re.compile(r"[\\`*|$]|~(?=~)|(?<=~)~|^#|<(?=[a-zA-Z/!?])|(?<!\w)_|_(?!\w)|\](?=[(\[:])|&(?=#?\w+;)")


def escape_markdown(text: str) -> str:
    """Markdown that shows the text letter by letter."""
    return _MARKUP.sub(r"\\\g<0>", text)


def format_markdown(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """The table in GitHub's Markdown."""
    lines = [[escape_markdown(cell) for cell in row] for row in (headers, *rows)]
    lines.insert(1, ["---"] * len(headers))
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def format_report(tables: Mapping[str, Table], notes: Sequence[str]) -> str:
    """{title: (header, rows)} under their titles, then the notes as a list, in Markdown."""
    parts = [f"{escape_markdown(title)}\n\n{format_markdown(*table)}" for title, table in tables.items()]
    return "\n".join(parts + [format_list(map(escape_markdown, notes))] * bool(notes))


def parse_report(text: str) -> tuple[dict[str, Table], list[str]]:
    """The tables and notes of a text that `format_report` wrote."""
    tables: dict[str, Table] = {}
    title, rows = "", []
    for line in filter(None, text.splitlines()):
        if line.startswith("| "):
            rows.append([_unescape(cell)[1:-1] for cell in re.findall(r"((?:\\.|[^|\\])*)\|", line[1:])])
            tables[title] = rows[0], rows[2:]  # between them the rule
        elif not line.startswith("- "):
            title, rows = _unescape(line), []
    return tables, [_unescape(line[2:]) for line in text.splitlines() if line.startswith("- ")]


def _unescape(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)


def format_list(sentences: Iterable[str]) -> str:
    return "".join(f"- {sentence}\n" for sentence in sentences)


def format_csv(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """Rows as CSV, keys that are not in `columns` left out: floats with six significant digits, None as nothing."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: f"{x:.6g}" if isinstance(x, float) else x for key, x in row.items()} for row in rows)
    return text.getvalue()


def format_score_name(score: str) -> str:
    """The display name of a score of this pipeline; other names are not changed."""
    return SCORE_NAMES.get(score, score)


def format_method(method: str) -> str:
    """`weighted_likelihood_min` -> `likelihood (min) weighted`."""
    for kind, name in METHOD_NAMES.items():
        if method.startswith(f"{kind}_"):
            return f"{format_score_name(method.removeprefix(f'{kind}_'))} {name}"
    return {"pass": "pass@k", "options": "likeliest option"}.get(method, method)


def format_p_value(p: float | None) -> str:
    return "" if p is None else f"{p:.3f}" if p >= 0.001 else "<0.001"


def format_p_values(p: float | None, p_holm: float | None) -> str:
    """`0.004 (0.055)`: corrected in brackets where it is one of several tests, with a star where it survives."""
    if p_holm is None:
        return format_p_value(p)
    return f"{format_p_value(p)} ({format_p_value(p_holm)})" + "*" * (p_holm < SIGNIFICANCE_LEVEL)


def format_gain(triple: Sequence[float]) -> str:
    """A difference of shares and its interval, in points: `+5.2 [+3.6, +6.9]`."""
    middle, low, high = (100 * x for x in triple)
    return f"{middle:+.1f} [{low:+.1f}, {high:+.1f}]"


def format_mean(values: Sequence[float], form: str) -> str:
    """The mean, and in brackets the standard deviation where there are several values; "" for none."""
    spread = f" ({stdev(values):.2f})" if len(values) > 1 else ""
    return format(mean(values), form) + spread if values else ""


def format_bytes(amount: float) -> str:
    """Bytes in units of 1024: 512 B, 1.4 GB."""
    power = min(4, int(math.log(max(amount, 1), 1024)))
    scaled = amount / 1024**power
    return f"{scaled:.0f} B" if power == 0 else f"{scaled:.3g} {('KB', 'MB', 'GB', 'TB')[power - 1]}"


def format_number(value: object) -> str:
    """Four significant digits; {mean, low, high} as `mean [low, high]`."""
    if isinstance(value, dict) and {"mean", "low", "high"} <= value.keys():
        return f"{format_number(value['mean'])} [{format_number(value['low'])}, {format_number(value['high'])}]"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
