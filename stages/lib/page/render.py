"""The report as one HTML file that needs no network and runs nothing but its own script.

Text of problems and models is hostile until shown otherwise. Figures and solutions therefore go in as JSON with every `<`
escaped, and the script shows them as text alone. The template escapes what it prints. A Content-Security-Policy allows one
script and one style, by their hashes, pictures that the page itself holds, and no address. Equal data give equal bytes.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, Template
from markupsafe import Markup

from stages.lib.display.tables import format_bytes, parse_report

ASSETS = Path(__file__).parent / "assets"
SCRIPTS = ("charts.js", "browser.js")
# Where runs go: no text of a problem or a model can hold this, since every `<` of theirs is escaped.
UNDATED = Markup(
    "<!--runs--><p>Time, memory and commits differ from run to run, so this page, a DVC output with equal bytes for equal "
    "inputs, leaves them out. <code>python -m stages report</code> writes a copy that has them.</p><!--/runs-->"
)


def render(page: Mapping[str, Any], data: Mapping[str, Any]) -> bytes:
    """page: what the template prints; what it does not have is left out. data: what the script draws."""
    script = "\n".join((ASSETS / name).read_text("utf-8") for name in SCRIPTS)
    style = (ASSETS / "style.css").read_text("utf-8")
    text = _load_template("page.html").render(
        page=page,
        policy=f"default-src 'none'; script-src {hash_source(script)}; style-src {hash_source(style)}; "
        "img-src data:; "
        "base-uri 'none'; form-action 'none'",
        script=Markup(script),  # ours
        style=Markup(style),
        data=Markup(dump_json(data)),
    )
    return text.encode("utf-8", "replace")  # a file name may hold bytes that are no text


def describe_report(stage: str, title: str, meaning: str, report: Path, picture: Path) -> dict[str, Any]:
    """A section of the page: what its tables mean, the tables and notes of a report.md that `tables.format_report` wrote,
    and a PNG."""
    parts, notes = parse_report(report.read_text("utf-8"))
    shown = [{"title": name, "header": header, "rows": rows} for name, (header, rows) in parts.items()]
    return {
        "stage": stage,
        "title": title,
        "meaning": meaning,
        "tables": shown,
        "notes": notes,
        "picture": embed(picture),
    }


def embed(picture: Path) -> str:
    """A PNG as the address of an image that needs no file."""
    return f"data:image/png;base64,{base64.b64encode(picture.read_bytes()).decode()}"


def insert_runs(html: bytes, runs: Mapping[str, Any]) -> bytes:
    """A page of `render` whose `UNDATED` part is the table of runs. Raises ValueError for one that has no such part."""
    before, start, rest = html.partition(b"<!--runs-->")
    _, end, after = rest.partition(b"<!--/runs-->")
    if not start or not end:
        raise ValueError("the page has no place for runs")
    return before + start + _load_template("runs.html").render(runs).encode("utf-8", "replace") + end + after


def _load_template(name: str) -> Template:
    environment = Environment(loader=FileSystemLoader(ASSETS), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"points": format_points, "count": format_count, "bytes": format_bytes}
    return environment.get_template(name)


def dump_json(value: Any) -> str:
    """JSON that cannot end its script element, in ASCII: `<` never occurs, nor a line separator. NaN is refused."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def hash_source(text: str) -> str:
    """The source expression of an inline script or style (Content Security Policy Level 3, section 2.3.1)."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def format_points(share: float | None, signed: bool = False) -> str:
    """A share in percent or points, with one decimal."""
    return "" if share is None else f"{100 * share:{'+' if signed else ''}.1f}"


def format_count(value: float | None) -> str:
    """1,234, and 1.2e+09 from ten million on."""
    return "" if value is None else f"{value:,.0f}" if abs(value) < 1e7 else f"{value:.1e}"
