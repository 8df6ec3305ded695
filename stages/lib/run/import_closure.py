"""Which of the repository's files a stage runs: the closure of its imports, read from the syntax trees.

DVC does not track imports, so dvc.yaml lists the rooms that a stage uses, and a test holds that list equal to this closure.
A room can change without the files that a stage uses; `digest_code` tells, for it covers exactly those files. Comments,
docstrings and layout do not count.
"""

from __future__ import annotations

import ast
import hashlib
from functools import cache
from pathlib import Path


def find_imported_files(root: Path, module: str) -> set[Path]:
    """Files, relative to `root`, that `import module` can reach, without those that hold only a docstring."""
    files: set[Path] = set()
    pending = [_resolve_module(root, module)]
    while pending:
        if (path := pending.pop()) is not None and path not in files:
            files.add(path)
            pending += [_resolve_module(root, name) for name in _list_imports(root / path, path)]
    return {path for path in files if _parse_code(root / path).body}


def is_code(path: str) -> bool:
    """Whether a dependency in dvc.yaml is a file or room of code, which `digest_code` covers: no settings, no assets."""
    return path.startswith("stages/") and not path.startswith(
        ("stages/launch/", "stages/presets/", "stages/lib/page/assets")
    )


def digest_code(root: Path, module: str) -> str:
    """32 hex digits of the code in the closure of a module, equal when no statement has changed."""
    digest = hashlib.sha256()
    for path in sorted(find_imported_files(root, module)):
        digest.update(f"{path.as_posix()}\n{_dump_code(root / path)}\n".encode())
    return digest.hexdigest()[:32]


def _dump_code(path: Path) -> str:
    return ast.dump(_parse_code(path))


def _parse_code(path: Path) -> ast.Module:
    stat = path.stat()
    return _parse(path, stat.st_mtime_ns, stat.st_size)


@cache
def _parse(path: Path, *version: int) -> ast.Module:
    """The syntax tree without docstrings: no result depends on them."""
    tree = ast.parse(path.read_bytes())
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            ):
                del node.body[0]
    return tree


def _resolve_module(root: Path, module: str) -> Path | None:
    stem = Path(*module.split("."))
    candidates = (stem.with_suffix(".py"), stem / "__main__.py", stem / "__init__.py")
    return next((path for path in candidates if (root / path).is_file()), None)


def _list_imports(file: Path, relative: Path) -> list[str]:
    names = []
    for node in ast.walk(_parse_code(file)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            package = ".".join(relative.parts[: len(relative.parts) - node.level]) if node.level else ""
            module = ".".join(part for part in (package, node.module) if part)
            names += [module] + [f"{module}.{alias.name}" for alias in node.names]
    names = [name for name in names if name.split(".")[0] == relative.parts[0]]
    packages = {name.rpartition(".")[0] for name in names if "." in name}  # Python runs their __init__.py, too
    return names + [f"{package}.__init__" for package in packages]
