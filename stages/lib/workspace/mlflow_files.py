"""Which output files of a stage are copied to MLflow: pages, pictures, tables and metrics, not data sets.

data/ holds the files of the latest execution only, so an earlier one that MLflow missed stays without files there.
"""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import unquote, urlparse

from stages.lib.run import journal

MAX_BYTES = {".html": 100_000_000, **dict.fromkeys((".png", ".md", ".json", ".csv"), 1_000_000)}  # per file


def select_uploads(root: Path, entry: journal.Entry) -> list[Path]:
    """The files of data/<stage>/ to copy, sorted; none unless this execution wrote them."""
    run, folder = entry.info, Path(root) / "data" / entry.info["stage"]
    if run["status"] != journal.FINISHED:
        return []
    try:
        written = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    if written != run.get("metrics"):
        return []
    files = [path for path in folder.iterdir() if path.suffix in MAX_BYTES and path.is_file()]
    return sorted(path for path in files if 0 < path.stat().st_size <= MAX_BYTES[path.suffix])


def can_upload(root: Path, store: str, location: str) -> bool:
    """Whether files may be written to a run's artifact `location`. A plain path that a server names is on the server's
    machine, and one in a copied mlflow.db is in another repository."""
    parsed = urlparse(location)
    if parsed.scheme not in ("", "file"):
        return True
    if store.startswith(("http://", "https://")):
        return False
    default = store == f"sqlite:///{Path(root).resolve() / 'mlflow.db'}"
    return not default or Path(unquote(parsed.path)).is_relative_to(Path(root).resolve())
