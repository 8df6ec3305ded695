"""A page in headless Chromium, driven through its DevTools pipe: no driver, no port. Skips where there is no browser."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
QUIET = "--disable-background-networking --disable-component-update --disable-sync --disable-quic --no-first-run"


class Page:
    """`log` holds what the page wrote to the console, uncaught errors and refused loads."""

    def __init__(self, commands: int, answers: int):
        self.commands, self.answers = commands, os.fdopen(answers, "rb", buffering=0)
        self.number, self.session, self.log, self.buffer = 0, None, [], b""

    def send(self, method: str, **params: Any) -> dict[str, Any]:
        """One command of the DevTools protocol, and its result."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        os.write(
            self.commands, json.dumps(message | ({"sessionId": self.session} if self.session else {})).encode() + b"\0"
        )
        while True:
            answer = self._read()
            if answer.get("id") == self.number:
                assert "error" not in answer, (method, answer)
                return answer["result"]
            if answer.get("method") in ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded"):
                self.log.append(json.dumps(answer["params"]))

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self.buffer:
            chunk = self.answers.read(1 << 16)
            assert chunk, "the browser ended"
            self.buffer += chunk
        line, _, self.buffer = self.buffer.partition(b"\0")
        return json.loads(line)

    def open(self, url: str) -> None:
        self.send("Page.navigate", url="about:blank")  # a new fragment alone would not load the page again
        self.send("Page.navigate", url=url)
        self.run("new Promise((done) => document.readyState === 'complete' ? done() : addEventListener('load', done))")

    def run(self, script: str) -> Any:
        """The value of a JavaScript expression, awaited if it is a promise."""
        result = self.send("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def press(self, key: str) -> None:
        text = {"text": key} if len(key) == 1 else {}
        self.send("Input.dispatchKeyEvent", type="keyDown", key=key, **text)
        self.send("Input.dispatchKeyEvent", type="keyUp", key=key)

    def resize(self, width: int, height: int, mobile: bool = False) -> None:
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=mobile)

    def save_picture(self, path: Path, **options: Any) -> None:
        path.write_bytes(base64.b64decode(self.send("Page.captureScreenshot", format="png", **options)["data"]))


@contextmanager
def open_browser(folder: Path) -> Iterator[Page]:
    """folder: for the browser's profile."""
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if not program:
        pytest.skip(f"no browser here: none of {', '.join(NAMES)}")
    to_read, to_write = os.pipe(), os.pipe()
    flags = [*QUIET.split(), "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder}"]
    # The browser reads commands from descriptor 3 and answers on 4.
    script = f'exec "$@" 3<&{to_read[0]} 4>&{to_write[1]}'
    command = ["bash", "-c", script, "bash", program, *flags, "--remote-debugging-pipe", "about:blank"]
    process = subprocess.Popen(
        command, pass_fds=(to_read[0], to_write[1]), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    os.close(to_read[0])
    os.close(to_write[1])
    page = Page(to_read[1], to_write[0])
    try:
        targets = page.send("Target.getTargets")["targetInfos"]
        target = next(target["targetId"] for target in targets if target["type"] == "page")
        page.session = page.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            page.send(f"{domain}.enable")
        yield page
    finally:
        os.close(page.commands)
        page.answers.close()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
