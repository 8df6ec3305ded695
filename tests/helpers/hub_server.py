"""A Hugging Face hub on loopback: enough of its protocol for the real `datasets` client to load a data set at a commit.

It serves {repo: {commit: {path: bytes}}}: repository info, file trees, file info, the files themselves. `asked` lists
the requests, so that a test can see which revision the client read.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

Repos = Mapping[str, Mapping[str, Mapping[str, bytes]]]
_FILE_ROUTE = re.compile(r"/datasets/(?P<repo>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<path>.+)")
_API_ROUTE = re.compile(
    r"/api/datasets/(?P<repo>[^/]+/[^/]+)(?:/(?P<call>revision|tree|paths-info)/(?P<revision>[^/]+)(?:/(?P<path>.*))?)?"
)


class Hub(NamedTuple):
    url: str
    requests: list[str]


@contextmanager
def serve(repos: Repos) -> Iterator[Hub]:
    """The hub's address while the block runs. `main` is the last commit of a repository."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            form = parse_qs(self.rfile.read(length).decode())
            asked.append(f"{self.command} {self.path}")
            target = unquote(urlsplit(self.path).path)
            match = _FILE_ROUTE.fullmatch(target) or _API_ROUTE.fullmatch(target)
            if not match or match["repo"] not in repos:
                return self.answer(404, error="RepoNotFound")
            commits = repos[match["repo"]]
            commit = match["revision"] or "main"
            commit = list(commits)[-1] if commit == "main" else commit
            if commit not in commits:
                return self.answer(404, error="RevisionNotFound")
            tree = commits[commit]
            if match.re is _FILE_ROUTE:
                if match["path"] not in tree:
                    return self.answer(404, error="EntryNotFound", commit=commit)
                return self.answer(200, tree[match["path"]], commit=commit)
            if match["call"] == "tree":
                under = f"{match['path'].rstrip('/')}/" if match["path"] else ""
                found = list_entries(
                    tree, under, "recursive=" in self.path and "recursive=false" not in self.path.lower()
                )
                return self.answer(200, found) if found else self.answer(404, error="EntryNotFound")
            if match["call"] == "paths-info":
                every = {entry["path"]: entry for entry in list_entries(tree, "", True)}
                return self.answer(200, [every[path] for path in form["paths"] if path in every])
            siblings = [{"rfilename": path} for path in tree]
            return self.answer(200, {"id": match["repo"], "sha": commit, "siblings": siblings, "tags": []})

        do_HEAD = do_POST = do_GET

        def answer(self, status: int, body: bytes | list | dict = b"", error: str = "", commit: str = "") -> None:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.send_header("Content-Type", "application/octet-stream" if data is body else "application/json")
            self.send_header("ETag", f'"{hashlib.sha1(data).hexdigest()}"')
            if commit:
                self.send_header("X-Repo-Commit", commit)
            if error:
                self.send_header("X-Error-Code", error)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

        def log_message(self, *_) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield Hub(f"http://127.0.0.1:{server.server_port}", asked)
    finally:
        server.shutdown()
        server.server_close()


def list_entries(tree: Mapping[str, bytes], under: str, recursive: bool) -> list[dict]:
    """Files and folders below `under`, as the hub lists them."""
    found: dict[str, dict] = {}
    for path, data in tree.items():
        if not path.startswith(under):
            continue
        parts = path[len(under) :].split("/")
        for depth in range(1, len(parts)):
            folder = under + "/".join(parts[:depth])
            if recursive or depth == 1:
                oid = hashlib.sha1(folder.encode()).hexdigest()
                found[folder] = {"type": "directory", "path": folder, "size": 0, "oid": oid}
        if recursive or len(parts) == 1:
            found[path] = {"type": "file", "path": path, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}
    return list(found.values())
