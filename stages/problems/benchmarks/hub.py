"""Source `hub`: a data set of the Hugging Face hub at a pinned commit, loaded by the `datasets` client.

Only a full commit id is accepted, because branches and tags move. HF_ENDPOINT, HF_TOKEN and HF_HUB_OFFLINE work as the
client documents them. No code of a repository is run (`datasets` has no such option any more).
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

from stages.lib.core import files
from stages.lib.core.errors import UserError
from stages.problems.benchmarks.rows import Row, Table


def load_tables(repo: str, config: str | None, revision: str, splits: dict[str, str]) -> list[Table]:
    """One table per published split of `splits` (our name -> its name on the hub). Raises UserError.

    The sha256 of a table is that of its file, or that of the joined digests if it has several files.
    """
    if Path(repo).exists():
        raise UserError(f"benchmarks.hub.repo: `datasets` would read the local folder {repo}; move it away")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # before the client is imported
    import datasets

    datasets.disable_progress_bars()
    try:
        builder = datasets.load_dataset_builder(repo, config, revision=revision)
        # The default mode would reuse a data set that an earlier run prepared without looking at its files.
        builder.download_and_prepare(download_mode="reuse_cache_if_exists")
        loaded: Any = builder.as_dataset()
        data_files: Any = builder.config.data_files
        digests = {split: _compute_sha256(repo, revision, urls) for split, urls in data_files.items()}
    except Exception as error:  # the client raises its own, huggingface_hub's, httpx's, pyarrow's and OSError
        raise UserError(_explain_error(repo, config, revision, error)) from None
    tables = []
    for split, name in splits.items():
        if name not in loaded:
            raise UserError(f"benchmarks.hub.splits.{split}: {repo} has no split {name!r}; it has {', '.join(loaded)}")
        url = f"hf://datasets/{repo}/{config or 'default'}/{name}"
        rows = [Row(dict(values), url, i + 1, f"{i:04d}") for i, values in enumerate(loaded[name])]
        tables.append(Table(url, split, revision, digests.get(name), rows))
    return tables


def _compute_sha256(repo: str, revision: str, urls: list[str]) -> str:
    from huggingface_hub import hf_hub_download

    names = [url.removeprefix(f"hf://datasets/{repo}@{revision}/") for url in urls]
    paths = [hf_hub_download(repo, name, repo_type="dataset", revision=revision) for name in names]  # from the cache
    digests = [files.sha256(Path(path)) for path in paths]
    return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()


def _explain_error(repo: str, config: str | None, revision: str, error: Exception) -> str:
    reason = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no reason given'}"
    return (
        f"{repo} (config {config or 'default'}, revision {revision[:12]}) could not be loaded from the hub: {reason}. "
        "Check the name, the revision and the network; a gated set needs its terms accepted and HF_TOKEN set; "
        "without a network, fetch the files elsewhere and use `source: path`"
    )
