"""Source `hub`: a data set of the Hugging Face hub at one pinned commit, read by the `datasets` client.

A branch or tag moves; a commit does not, so only a full commit id is taken. HF_ENDPOINT, HF_TOKEN and HF_HUB_OFFLINE
work as the client documents them. No code from a repository is ever run (`datasets` has no such option any more).
"""

from __future__ import annotations

import hashlib
from typing import Any

from stages.benchmarks.rows import Row, Table
from stages.lib.errors import UserError


def tables(repo: str, config: str | None, revision: str, splits: dict[str, str]) -> list[Table]:
    """One table per published split of `splits` (ours -> its name on the hub). Raises UserError.

    The sha256 of a table is that of the one file behind it, or of the sorted digests when there are several.
    """
    import datasets

    datasets.disable_progress_bars()
    try:
        loaded = datasets.load_dataset(
            repo, config, revision=revision, verification_mode="all_checks", download_mode="reuse_cache_if_exists"
        )
    except Exception as error:  # the client raises its own, huggingface_hub's, httpx's, pyarrow's and OSError
        raise UserError(_explain(repo, config, revision, error)) from None
    result = []
    for split, name in splits.items():
        if name not in loaded:
            raise UserError(f"benchmarks.hub.splits.{split}: {repo} has no split {name!r}; it has {', '.join(loaded)}")
        url = f"hf://datasets/{repo}/{config or 'default'}/{name}"
        rows = [Row(dict(values), url, i + 1, f"{i:04d}") for i, values in enumerate(loaded[name])]
        result.append(Table(url, split, revision, _sha256(loaded[name].info), rows))
    return result


def _sha256(info: Any) -> str | None:
    digests = sorted(entry["checksum"] for entry in (info.download_checksums or {}).values() if entry["checksum"])
    if len(digests) < 2:
        return digests[0] if digests else None
    return hashlib.sha256("".join(digests).encode()).hexdigest()


def _explain(repo: str, config: str | None, revision: str, error: Exception) -> str:
    reason = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no reason given'}"
    return (
        f"{repo} (config {config or 'default'}, revision {revision[:12]}) could not be loaded from the hub: {reason}. "
        "Check the name, the revision and the network; a gated set needs its terms accepted and HF_TOKEN set; "
        "without a network, fetch the files elsewhere and use `source: path`"
    )
