"""The first-party files that a module imports, directly or through others, found by walking the syntax tree.

DVC does not track imports, so every stage lists its code in dvc.yaml; a test holds that list equal to this closure.
"""

from __future__ import annotations

import ast
from pathlib import Path


def find_imported_files(root: Path, module: str) -> set[Path]:
    """Files, relative to `root`, that `import module` can reach: packages' `__init__.py` included."""
    found: set[Path] = set()
    waiting = [_resolve_module(root, module)]
    while waiting:
        path = waiting.pop()
        if path is None or path in found:
            continue
        found.add(path)
        waiting += [_resolve_module(root, name) for name in _list_imports(root / path, path)]
    return {path for path in found if not _is_prose(root / path)}


def _is_prose(path: Path) -> bool:
    """Whether a file is empty or a docstring alone, as that of a room: no result depends on it."""
    body = ast.parse(path.read_text(encoding="utf-8")).body
    return not body or (len(body) == 1 and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant))


def _resolve_module(root: Path, module: str) -> Path | None:
    stem = Path(*module.split("."))
    for path in (stem.with_suffix(".py"), stem / "__main__.py", stem / "__init__.py"):
        if (root / path).is_file():
            return path
    return None


def _list_imports(file: Path, relative: Path) -> list[str]:
    names = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            package = ".".join(relative.parts[: len(relative.parts) - node.level]) if node.level else ""
            module = ".".join(part for part in (package, node.module) if part)
            names += [module] + [f"{module}.{alias.name}" for alias in node.names]
    return [name for name in names if name.split(".")[0] == relative.parts[0]]
