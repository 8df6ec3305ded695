"""A cache on disk of JSON values by JSON keys, for answers that cost money or time. Several processes may write at once."""

from __future__ import annotations

import hashlib
import json
import platform
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages.lib.core.errors import UserError

if TYPE_CHECKING:
    import diskcache


def hash_value(value: Any) -> str:
    """64 hex digits of a JSON value and the version of Python."""
    text = json.dumps([platform.python_version(), value], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def open_cache(folder: Path) -> diskcache.Cache:
    """A diskcache of JSON values. Unlike with default settings, it evicts nothing and reads no pickle."""
    return _open_absolute(Path(folder).absolute())


@lru_cache
def _open_absolute(folder: Path) -> diskcache.Cache:
    import diskcache

    class Json(diskcache.JSONDisk):
        def fetch(self, mode, filename, value, read):
            if mode == diskcache.core.MODE_PICKLE:
                raise UserError(
                    f"{folder}: holds a pickled value, which can run code when it is read; delete the folder"
                )
            return super().fetch(mode, filename, value, read)

    return diskcache.Cache(str(folder), disk=Json, eviction_policy="none", cull_limit=0, sqlite_synchronous=2)
