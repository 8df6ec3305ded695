"""Source `hub`: the real `datasets` client, at a pinned commit, against a hub on loopback."""

import io
import json
import os
import subprocess
import sys

import pytest

from tests.helpers import hub_server

OLD, NEW = "a" * 40, "b" * 40
ROWS = [{"question": f"What is {n}?", "answer": f"It is <<{n}+1={n + 1}>>.\n#### {n + 1}"} for n in range(5)]
CARD = """---
configs:
- config_name: main
  data_files:
  - {{split: train, path: main/train.{0}}}
  - {{split: test, path: main/test.{0}}}
---
"""


def parquet(rows):
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.Table.from_pylist(rows), buffer := io.BytesIO())
    return buffer.getvalue()


def csv(rows):
    import csv

    writer = csv.DictWriter(buffer := io.StringIO(), rows[0])
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue().encode()


def jsonl(rows):
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


WRITERS = {"parquet": parquet, "jsonl": jsonl, "csv": csv}
LOAD = """
import json, sys
from stages.problems.benchmarks import hub
from stages.lib.core.errors import UserError
for repo, config, revision, splits in json.loads(sys.argv[1]):
    try:
        print(json.dumps([[t.split, t.revision, t.sha256, [r.values for r in t.rows]]
                          for t in hub.load_tables(repo, config, revision, splits)]))
    except UserError as error:
        print(json.dumps(str(error)))
"""


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """What `hub.load_tables` says to every question below, from one process: the client reads HF_ENDPOINT when imported."""
    home = tmp_path_factory.mktemp("hub")
    repos = {}
    for kind, write in WRITERS.items():
        card = CARD.format(kind).encode()
        commits = {OLD: ROWS[:1], NEW: ROWS[:2]}
        repos[f"open/{kind}"] = {
            commit: {"README.md": card, f"main/train.{kind}": write(ROWS), f"main/test.{kind}": write(test)}
            for commit, test in commits.items()
        }
    both = {"train": "train", "test": "test"}
    (home / "open" / "local").mkdir(parents=True)
    questions = [["open/parquet", "main", OLD, both]] + [[repo, "main", NEW, both] for repo in repos]
    questions += [
        ["open/parquet", "main", "c" * 40, both],
        ["open/none", None, NEW, both],
        ["open/local", None, NEW, both],
    ]
    questions += [["open/csv", "main", NEW, {"test": "validation"}], ["open/csv", "other", NEW, both]]
    with hub_server.serve(repos) as server:
        environment = os.environ | {
            "HF_ENDPOINT": server.url,
            "HF_HOME": str(home),
            "PYTHONPATH": os.getcwd(),
            "HF_HUB_OFFLINE": "0",
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
        }
        done = subprocess.run(
            [sys.executable, "-c", LOAD, json.dumps(questions)],
            env=environment,
            cwd=home,
            capture_output=True,
            text=True,
        )
        requests = list(server.requests)
    assert done.returncode == 0, done.stderr
    replies = [json.loads(line) for line in done.stdout.splitlines()]
    return dict(zip(map(json.dumps, questions), replies, strict=True)), questions, requests


@pytest.mark.slow
def test_each_format_loads_at_its_commit(answers):
    from hashlib import sha256

    replies, questions, _ = answers
    for question in questions[:4]:
        repo, _, revision, _ = question
        write, test = WRITERS[repo.removeprefix("open/")], ROWS[: 1 if revision == OLD else 2]
        assert replies[json.dumps(question)] == [
            ["train", revision, sha256(write(ROWS)).hexdigest(), ROWS],
            ["test", revision, sha256(write(test)).hexdigest(), test],
        ]


def test_only_pinned_revisions_are_requested(answers):
    requests = [line for line in answers[2] if "/resolve/" in line or "/tree/" in line or "/revision/" in line]
    assert requests and all(any(commit in line for commit in (OLD, NEW, "c" * 40)) for line in requests)


def test_what_the_hub_does_not_have_is_one_sentence(answers):
    replies, questions, _ = answers
    revision, repo, local, split, config = (replies[json.dumps(question)] for question in questions[4:])
    assert "Revision" in revision and "could not be loaded from the hub" in revision
    assert "open/none" in repo and "source: path" in repo
    assert "would read the local folder open/local" in local
    assert split == "benchmarks.hub.splits.test: open/csv has no split 'validation'; it has train, test"
    assert "other" in config and "\n" not in config
