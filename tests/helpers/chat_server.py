"""An OpenAI-compatible server on loopback that answers by a script, and misbehaves where the script says so.

The script is a list of acts, one a request, the last one for ever: a text (the answer), or the name of a fault. A text
after "cut off: " is an answer that reached the limit of tokens.
`asked` lists the requests' bodies with the time they came, so that a test can see what was sent, how often and when.
"""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

FAULTS = ("busy", "broken", "slow", "cut", "empty", "silent", "dropped", "refused", "not json", "complaint")
ScriptedReply = str | Callable[[str], str]


class Server(NamedTuple):
    url: str
    requests: list[dict]


@contextmanager
def serve(
    *acts: ScriptedReply,
    retry_after: str = "0",
    delay: float = 3.0,
    count: Callable[[str], tuple[int, int]] | None = None,
    all_turns: bool = False,
) -> Iterator[Server]:
    """The server's address while the block runs. An act that is a function is given the prompt: the last turn, or a line
    or more for each turn. count: a prompt's tokens, and how many of them were cached; by default the usage is the same for
    all."""
    asked: list[dict] = []
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with lock:
                act = acts[min(len(asked), len(acts) - 1)]
                asked.append({**body, "at": time.monotonic(), "authorization": self.headers.get("Authorization")})
            turns = [turn["content"] for turn in body["messages"]]
            prompt = "\n".join(turns if all_turns else turns[-1:])
            self.counts = count(prompt) if count else None
            self.act(act(prompt) if callable(act) else act, self.headers.get("Authorization", ""))

        def act(self, name: str, secret: str) -> None:
            if name == "busy":
                return self.send(429, {"error": {"message": "slow down"}}, {"Retry-After": retry_after})
            if name == "broken":
                return self.send(500, {"error": {"message": f"crashed while serving {secret}"}})
            if name == "refused":
                return self.send(401, {"error": {"message": f"unknown key: {secret}"}})
            if name == "slow":
                time.sleep(delay)
                return self.answer("too late")
            if name == "cut":
                return self.send(200, json.dumps(build_completion("half")).encode()[:60])
            if name == "not json":
                return self.send(200, b"<html>gateway</html>")
            if name == "empty":
                return self.send(200, {**build_completion(""), "choices": []})
            if name == "complaint":
                return self.send(200, {"error": {"message": f"upstream busy for {secret}"}})
            if name.startswith("parts: "):
                return self.send(
                    200, build_completion([{"type": "text", "text": part} for part in name[7:].split("|")])
                )
            if name == "silent":
                return self.answer("")
            if name.startswith("cut off: "):
                return self.answer(name.removeprefix("cut off: "), "length")
            if name == "dropped":
                self.close_connection = True
                return self.connection.shutdown(socket.SHUT_RDWR)
            self.answer(name)

        def answer(self, text: str, finish: str = "stop") -> None:
            completion = build_completion(text, finish)
            if self.counts:
                tokens, cached = self.counts
                usage = {"prompt_tokens": tokens, "completion_tokens": 5, "total_tokens": tokens + 5}
                completion["usage"] = usage | {"prompt_tokens_details": {"cached_tokens": cached}}
            self.send(200, completion)

        def send(self, status: int, body: dict | bytes, headers: dict[str, str] | None = None) -> None:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            try:
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                for name, value in (headers or {}).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)
            except (BrokenPipeError, ConnectionResetError):
                pass  # the client lost patience, as the tests of timeouts want

        def log_message(self, *_) -> None:
            pass

        def handle_one_request(self) -> None:
            try:
                super().handle_one_request()
            except (OSError, ValueError):
                self.close_connection = True

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield Server(f"http://127.0.0.1:{server.server_port}/v1", asked)
    finally:
        server.shutdown()
        server.server_close()


def build_completion(text: str | list[dict], finish: str = "stop") -> dict:
    return {
        "id": "1",
        "object": "chat.completion",
        "created": 1,
        "model": "scripted",
        "choices": [{"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": text}}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
    }


def get_prompts(asked: Sequence[dict]) -> list[str]:
    return [body["messages"][-1]["content"] for body in asked]
