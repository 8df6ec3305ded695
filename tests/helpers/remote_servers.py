"""Servers on loopback that hold a DVC remote: HTTP that only reads, S3 and SSH. Each yields its address."""

from __future__ import annotations

import asyncio
import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

ACCESS_KEY, SECRET_KEY = "loopback-key", "loopback-secret-9f3a"


@contextmanager
def serve_http(folder: Path) -> Iterator[str]:
    """What `python -m http.server` does: GET and HEAD of a folder's files."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def serve_s3(bucket: str) -> Iterator[str]:
    """moto's server with an empty bucket. Skips the test where moto or DVC's plug-in is not installed."""
    pytest.importorskip("dvc_s3", reason="dvc[s3] is not installed")
    server_module = pytest.importorskip("moto.server", reason="moto is not installed")
    import boto3

    server = server_module.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        url = f"http://{host}:{port}"
        keys = {"aws_access_key_id": ACCESS_KEY, "aws_secret_access_key": SECRET_KEY}
        boto3.client("s3", endpoint_url=url, region_name="us-east-1", **keys).create_bucket(Bucket=bucket)
        yield url
    finally:
        server.stop()


@contextmanager
def serve_ssh(folder: Path, key_file: Path) -> Iterator[str]:
    """An SSH server (asyncssh) that lets in whoever has the key, which it writes to key_file, and serves `folder` by SFTP.
    Skips the test where DVC's plug-in is not installed."""
    pytest.importorskip("dvc_ssh", reason="dvc[ssh] is not installed")
    import asyncssh

    host_key, user_key = (asyncssh.generate_private_key("ssh-ed25519") for _ in range(2))
    user_key.write_private_key(str(key_file))
    key_file.chmod(0o600)
    allowed = asyncssh.import_authorized_keys(user_key.export_public_key().decode())
    loop, ready = asyncio.new_event_loop(), threading.Event()
    ports: list[int] = []

    async def serve() -> None:
        def open_sftp(channel):
            return asyncssh.SFTPServer(channel, chroot=str(folder).encode())

        server = await asyncssh.listen(
            "127.0.0.1", 0, server_host_keys=[host_key], authorized_client_keys=allowed, sftp_factory=open_sftp
        )
        ports.append(server.get_port())
        ready.set()

    def run() -> None:
        loop.create_task(serve())
        loop.run_forever()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert ready.wait(20), "the SSH server did not start"
        yield f"ssh://someone@127.0.0.1:{ports[0]}/assay"
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
