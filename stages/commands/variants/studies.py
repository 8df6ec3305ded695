"""What a study of training data compares: its cells, and which cell stands against which, read from data.yaml."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from stages.lib.core import params
from stages.lib.core.errors import UserError

STUDIES_FILE = Path("stages/commands/variants/data.yaml")
PARTS = ("shared", "cells", "compare", "trained")


class Study(NamedTuple):
    """What is run and compared. cells: name -> the parameters of its experiments, one for each seed. compare: kind of
    control -> cell -> the cell with random data that it is compared with. sets: the operators out of distribution that are
    looked at. trained: cell -> those of them that it trains on, so that they are no longer out of distribution."""

    cells: dict[str, dict[str, Any]]
    compare: dict[str, dict[str, str]]
    sets: list[str]
    trained: dict[str, list[str]]

    def select(self, names: Sequence[str]) -> Study:
        """The cells of these names, and what they are compared with."""
        compare = {
            kind: {cell: control for cell, control in pairs.items() if cell in names}
            for kind, pairs in self.compare.items()
        }
        wanted = {*names, *(control for pairs in compare.values() for control in pairs.values())}
        cells = {cell: changes for cell, changes in self.cells.items() if cell in wanted}
        return self._replace(cells=cells, compare={kind: pairs for kind, pairs in compare.items() if pairs})


def load_studies(path: Path = STUDIES_FILE) -> dict[str, Study]:
    """The studies of the file, each with what all share. Raises UserError for a file of another form."""
    document = params.to_plain(params.read_yaml(path))
    shared = document.pop("shared", None) or {}
    studies = {name: parse_study(path, name, parts, shared) for name, parts in document.items()}
    if not studies:
        raise UserError(f"{path}: holds no study; name one, with cells")
    return studies


def parse_study(path: Path, name: str, parts: Any, shared: Mapping[str, Any]) -> Study:
    if not isinstance(parts, dict) or set(parts) - set(PARTS) or not parts.get("cells"):
        raise UserError(f"{path}: {name}: must be a study with cells, and may have shared, compare and trained")
    if not all(isinstance(part, dict) for part in (shared, *parts.values())):
        raise UserError(f"{path}: {name}: each of {', '.join(PARTS)} must be a mapping")
    for part, form in (("cells", "must map parameters to values"), ("compare", "must map cells to cells")):
        for key, value in parts.get(part, {}).items():
            if not isinstance(value, dict):
                raise UserError(f"{path}: {name}: {key if part == 'cells' else f'compare.{key}'} {form}")
    base = {**shared, **parts.get("shared", {})}
    cells = {cell: {**base, **changes} for cell, changes in parts["cells"].items()}
    compare, trained = parts.get("compare", {}), parts.get("trained", {})
    named = [cell for pairs in compare.values() for pair in pairs.items() for cell in pair]
    if unknown := [cell for cell in (*named, *trained) if cell not in cells]:
        raise UserError(f"{path}: {name}: {unknown[0]} is not among its cells, {', '.join(cells)}")
    return Study(cells, compare, list(base.get("ood.operators", ())), trained)
