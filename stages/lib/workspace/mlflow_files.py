"""What of a stage's output a person wants to see in MLflow: pictures, tables and metrics, not models and data sets.

MLflow gets copies; the files under data/ are the truth. They are those of an execution only until the stage runs again,
so an execution that MLflow missed and that another has followed stays without pictures there.
"""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import unquote, urlparse

from stages.lib.run import journal

SUFFIXES = (".png", ".md", ".json", ".csv")
MAX_BYTES = 1_000_000  # bytes of a file


def select_uploads(root: Path, entry: journal.Entry) -> list[Path]:
    """The files of data/<stage>/ to show, by name; none unless they are what this execution wrote."""
    run, folder = entry.info, Path(root) / "data" / entry.info["stage"]
    if run["status"] != journal.FINISHED:
        return []
    try:
        written = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    if written != run.get("metrics"):
        return []
    files = [path for path in folder.iterdir() if path.suffix in SUFFIXES and path.is_file()]
    return sorted(path for path in files if 0 < path.stat().st_size <= MAX_BYTES)


def can_upload(root: Path, store: str, location: str) -> bool:
    """Whether files may be sent to a run's `location`: a path that a server names is on the server's machine, and one
    that a copied mlflow.db names is in another repository."""
    parsed = urlparse(location)
    if parsed.scheme not in ("", "file"):
        return True
    if store.startswith(("http://", "https://")):
        return False
    default = store == f"sqlite:///{Path(root).resolve() / 'mlflow.db'}"
    return not default or Path(unquote(parsed.path)).is_relative_to(Path(root).resolve())
